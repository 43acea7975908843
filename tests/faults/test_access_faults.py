"""What a real mosquitto lets whom do by the access list that docs/guarantee.md gives: fault list, row 72."""

import asyncio
import re
import subprocess
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from metering.replay import ReplayRequest, encode_replay
from metering.topics import Topics
from support.mosquitto import Mosquitto
from wattline.broker import BrokerRefused, PublishRefused
from wattline.mqtt import Address, PahoBroker

pytestmark = pytest.mark.mosquitto

DOCS = Path(__file__).resolve().parents[2] / "docs"
OURS, OTHER = Topics("works", "press-shop"), Topics("works", "foundry")


def access_list() -> str:
    """The lines of the docs for two gateways, and that of the centre, which also reads and confirms."""
    text = (DOCS / "guarantee.md").read_text(encoding="utf-8")
    lines = re.findall(r"^ {6}(topic \w+ wattline/v1/SITE/GATEWAY/\w+)$", text, re.MULTILINE)
    [replay] = re.findall(r"`(topic write wattline/v1/\+/\+/replay)`", text)
    assert {line.rpartition("/")[2] for line in lines} == {"readings", "status", "committed", "replay"}
    users = {"centre": [replay, "topic read wattline/v1/+/+/readings", "topic write wattline/v1/+/+/committed"]}
    for topics in (OURS, OTHER):
        users[topics.gateway] = [line.replace("SITE/GATEWAY", f"{topics.site}/{topics.gateway}") for line in lines]
    return "\n".join(f"user {user}\n" + "\n".join(found) + "\n" for user, found in users.items())


def test_row_72_a_request_comes_from_the_centre_alone_and_reaches_its_own_gateway_alone(tmp_path: Path) -> None:
    passwords, acl = tmp_path / "passwords", tmp_path / "acl"
    for file in (passwords, acl):
        file.touch(0o600)
    acl.write_text(access_list(), encoding="utf-8")
    for user in ("centre", OURS.gateway, OTHER.gateway):
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), user, "secret"], check=True)
    request = encode_replay(ReplayRequest(number=1))

    async def main() -> None:
        async with asyncio.timeout(30), AsyncExitStack() as stack:
            centre, ours, other = [
                await stack.enter_async_context(
                    PahoBroker(
                        Address(host="127.0.0.1", port=mosquitto.port, client_id=user, username=user, password="secret")
                    ).connect()
                )
                for user in ("centre", OURS.gateway, OTHER.gateway)
            ]
            await ours.subscribe(OURS.replay)
            await other.subscribe(OTHER.committed)
            with suppress(BrokerRefused):  # mosquitto takes it, and hands nothing out
                await other.subscribe(OURS.replay)
            for who, topic in (
                (ours, OURS.replay), (other, OURS.replay), (other, OTHER.replay), (other, OURS.readings),
                (other, OURS.committed),
            ):  # fmt: skip
                with pytest.raises(PublishRefused, match="Not authorized"):
                    await who.publish(topic, request)
            await ours.publish(OURS.readings, b"")
            await centre.publish(OURS.replay, request)
            await centre.publish(OTHER.committed, b"the next")
            first = await anext(ours.messages())
            assert (first.topic, first.payload) == (OURS.replay, request)
            nothing_before = await anext(other.messages())
            assert (nothing_before.topic, nothing_before.payload) == (OTHER.committed, b"the next")

    with Mosquitto(tmp_path, [f"password_file {passwords}", f"acl_file {acl}"]) as mosquitto:
        asyncio.run(main())
