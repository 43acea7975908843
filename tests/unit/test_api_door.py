"""The door of the API: what comes in is what its sender wrote, or it is refused with the place."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

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
