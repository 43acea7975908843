"""A page that has no log-in of its own answers to its own names alone."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from centre.known_hosts import KnownHosts


def status(host: str) -> int:
    async def answer(_request: Request) -> Response:
        return PlainTextResponse("ours")

    async def get() -> int:
        site = KnownHosts(Starlette(routes=[Route("/", answer)]), ["Energy.example.com"])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url="http://centre") as api:
            found = await api.get("/", headers={"Host": host})
        if found.status_code == 421:
            assert found.json()["error"]["code"] == "unknown_host"
            assert "`names` in centre.yaml" in found.json()["error"]["message"]
        return found.status_code

    return asyncio.run(get())


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8080", "192.168.1.5", "[::1]:8080", "[::1]", "localhost:8080", "wattline", "wattline:80", "pi.local",
     "pi.local.:8080", "energy.example.com", "ENERGY.example.com:443", ""],
)  # fmt: skip
def test_an_address_a_local_name_and_one_of_the_settings_is_answered(host: str) -> None:
    assert status(host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "evil.example.", "127.0.0.1.evil.example", "energy.example.com.evil.example",
     "localhost.evil.example", "evil.example:8080:80", "[evil.example]", "127.0.0.1@evil.example"],
)  # fmt: skip
def test_a_name_that_another_site_may_have_made_point_here_is_not(host: str) -> None:
    assert status(host) == 421
