"""The door of the API: what comes in is what its sender wrote, or it is refused with the place."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Message

from centre.api_door import Said, api_routes, asked


async def told(request: Request) -> object:
    return (await asked(request, Said)).author


def sent(body: bytes, **headers: str) -> tuple[int, str]:
    async def post() -> tuple[int, str]:
        site = Starlette(routes=api_routes({("POST", "/told"): told}))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url="http://centre/api/v1") as api:
            answer = await api.post("/told", content=body, headers={"Content-Type": "application/json"} | headers)
        return answer.status_code, answer.text

    return asyncio.run(post())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"author": "\\ud800", "reason": "r"}', "the body is no JSON"),
        (b'{"author": "a", "reason": "r", "\\uDFFF": 1}', "the body is no JSON"),
        (b'{"author": "\xed\xa0\x80", "reason": "r"}', "the body is no JSON"),
        ('{"author": "李", "reason": "r"}'.encode("gbk"), "the body is no JSON"),
        (b'{"author": "li", "author": "wang", "reason": "r"}', "'author' stands there twice"),
        (b'{"author": "li", "reason": "r", "colour": 1}', "colour: "),
        (b'{"author": 5, "reason": "r"}', "author: "),
        (b"[" * 100_000, "the body is no JSON"),
        (b"9" * 5000, "the body is no JSON"),
    ],
)
def test_what_is_not_written_plainly_is_refused_with_its_place(body: bytes, says: str) -> None:
    status, text = sent(body)
    assert (status, says in text) == (400, True), text


def test_a_character_may_be_written_as_a_pair() -> None:
    assert sent(b'{"author": "\\u674e \\ud83d\\ude00", "reason": "r"}') == (200, '"李 😀"')


def test_whoever_leaves_before_the_end_of_a_body_changes_nothing_and_is_no_failure_of_ours() -> None:
    came: list[Message] = [
        {"type": "http.request", "body": b'{"author": "li"', "more_body": True},
        {"type": "http.disconnect"},
    ]
    answered: list[Message] = []

    async def receive() -> Message:
        return came.pop(0)

    async def send(message: Message) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/v1/told", "query_string": b"", "headers": [
        (b"content-type", b"application/json")]}  # fmt: skip
    asyncio.run(Starlette(routes=api_routes({("POST", "/told"): told}))(scope, receive, send))
    assert answered[0]["status"] == 400
