"""wattline.mqtt against a real mosquitto: what is refused, lost or redelivered is told, in words."""

import asyncio
import contextlib
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.certificates import authority, certificate
from support.mosquitto import Mosquitto, free_port
from wattline.broker import (
    BrokerLost,
    BrokerRefused,
    BrokerUnreachable,
    Connection,
    Message,
    MessageTooLarge,
    PublishRefused,
    Will,
)
from wattline.mqtt import Address, PahoBroker

pytestmark = pytest.mark.mosquitto

BOTH = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


def at(mosquitto: Mosquitto, client_id: str = "gateway", **more: Any) -> Address:
    return Address(host="127.0.0.1", port=mosquitto.port, client_id=client_id, **more)


def go(main: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await main()

    asyncio.run(limited())


async def take(connection: Connection, count: int) -> list[Message]:
    taken: list[Message] = []
    async for message in connection.messages():
        taken.append(message)
        if len(taken) == count:
            break
    return taken


@BOTH
def test_a_message_goes_round_and_is_acknowledged(tmp_path: Path, protocol: str) -> None:
    async def main() -> None:
        async with PahoBroker(at(mosquitto, protocol=protocol)).connect() as connection:
            await connection.subscribe("a/+")
            await connection.publish("a/b", b"one")
            [message] = await take(connection, 1)
            assert (message.topic, message.payload, message.retain) == ("a/b", b"one", False)
            message.ack()

    with Mosquitto(tmp_path) as mosquitto:
        go(main)


def test_many_concurrent_publishes_share_the_window_and_all_arrive(tmp_path: Path) -> None:
    async def main() -> None:
        sender, reader = PahoBroker(at(mosquitto)), PahoBroker(at(mosquitto, "reader"))
        async with sender.connect() as out, reader.connect() as into:
            await into.subscribe("a")
            async with asyncio.TaskGroup() as tasks:
                for n in range(500):
                    tasks.create_task(out.publish("a", b"%d" % n * 300))
                got = []
                async for message in into.messages():
                    message.ack()
                    got.append(message.payload)
                    if len(got) == 500:
                        break
            assert got == [b"%d" % n * 300 for n in range(500)]

    with Mosquitto(tmp_path) as mosquitto:
        go(main)


def test_a_megabyte_passes_whole(tmp_path: Path) -> None:
    async def main() -> None:
        async with PahoBroker(at(mosquitto)).connect() as connection:
            await connection.subscribe("a")
            body = bytes(range(256)) * 4096 * 3
            await connection.publish("a", body)
            [message] = await take(connection, 1)
            assert message.payload == body

    with Mosquitto(tmp_path) as mosquitto:
        go(main)


@BOTH
def test_a_wrong_password_is_refused_in_words(tmp_path: Path, protocol: str) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "press-shop", "right"], check=True)
    passwords.chmod(0o600)

    async def main() -> None:
        right = at(mosquitto, username="press-shop", password="right", protocol=protocol)
        async with PahoBroker(right).connect() as connection:
            await connection.publish("a", b"")
        with pytest.raises(BrokerRefused, match=r"(?i)not authorized|bad user name"):
            async with PahoBroker(replace(right, password="wrong")).connect():
                pass
        assert "wrong" not in repr(replace(right, password="wrong"))

    with Mosquitto(tmp_path, [f"password_file {passwords}"]) as mosquitto:
        go(main)


def test_a_topic_the_acl_denies_is_refused_and_the_connection_lives(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite mine/#\n")
    acl.chmod(0o600)

    async def main() -> None:
        async with PahoBroker(at(mosquitto)).connect() as connection:
            with pytest.raises(PublishRefused, match="Not authorized") as refusal:
                await connection.publish("others/a", b"x")
            assert refusal.value.topic == "others/a"
            await connection.publish("mine/a", b"x")

    with Mosquitto(tmp_path, [f"acl_file {acl}"]) as mosquitto:
        go(main)


def test_a_message_over_the_brokers_limit_is_told_before_it_is_sent(tmp_path: Path) -> None:
    async def main() -> None:
        async with PahoBroker(at(mosquitto)).connect() as connection:
            with pytest.raises(MessageTooLarge, match="20000"):
                await connection.publish("a", bytes(30_000))
            await connection.publish("a", bytes(10_000))

    with Mosquitto(tmp_path, ["max_packet_size 20000"]) as mosquitto:
        go(main)


def test_no_broker_is_unreachable_and_so_is_no_such_name(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(BrokerUnreachable, match="refused"):
            async with PahoBroker(Address(host="127.0.0.1", port=free_port(), client_id="x")).connect():
                pass
        with pytest.raises(BrokerUnreachable, match="resolved"):
            async with PahoBroker(Address(host="no-such-host.invalid", port=1883, client_id="x")).connect():
                pass

    go(main)


def test_a_listener_that_is_no_broker_and_never_answers_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattline.mqtt._CONNECT_S", 0.3)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = Address(host="127.0.0.1", port=listener.getsockname()[1], client_id="x")
        with pytest.raises(BrokerUnreachable, match="no answer"):
            go(lambda: attempt(silent))


def test_a_killed_broker_is_lost_for_everyone_who_waits(tmp_path: Path) -> None:
    async def main() -> None:
        async with PahoBroker(at(mosquitto)).connect() as connection:
            await connection.subscribe("a")
            reading = asyncio.create_task(take(connection, 1))
            mosquitto.signal(signal.SIGSTOP)
            sending = asyncio.create_task(connection.publish("a", b"never acknowledged"))
            await asyncio.sleep(0.1)
            mosquitto.kill()
            for waiting in (reading, sending):
                with pytest.raises(BrokerLost):
                    await waiting
            with pytest.raises(BrokerLost):
                await connection.publish("a", b"x")
            with pytest.raises(BrokerLost):
                await connection.subscribe("b")

    with Mosquitto(tmp_path) as mosquitto:
        go(main)


def test_a_clone_with_our_client_id_takes_over_and_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        async with PahoBroker(at(mosquitto)).connect() as first, PahoBroker(at(mosquitto)).connect():
            with pytest.raises(BrokerLost, match="client id"):
                await take(first, 1)

    with Mosquitto(tmp_path) as mosquitto:
        go(main)


@BOTH
def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(tmp_path: Path, protocol: str) -> None:
    async def main() -> None:
        ingest = PahoBroker(at(mosquitto, "ingest", protocol=protocol), persistent=True)
        async with PahoBroker(at(mosquitto)).connect() as out:
            async with ingest.connect() as into:
                await into.subscribe("a")
                for n in range(4):
                    await out.publish("a", b"%d" % n)
                first = await take(into, 4)
                first[0].ack()
                first[1].ack()
                await asyncio.sleep(0.2)
            await out.publish("a", b"4")  # while ingest is away
            async with ingest.connect() as into:
                again = await take(into, 3)
                assert [message.payload for message in again] == [b"2", b"3", b"4"]
                first[2].ack()  # of a connection that is gone: no effect
                again[0].ack()

    with Mosquitto(tmp_path) as mosquitto:
        go(main)


def test_the_receive_maximum_makes_a_slow_reader_slow_the_broker(tmp_path: Path) -> None:
    async def main() -> None:
        slow = PahoBroker(at(mosquitto, "slow"), persistent=True, receive_maximum=5)
        async with PahoBroker(at(mosquitto)).connect() as out, slow.connect() as into:
            await into.subscribe("a")
            for n in range(20):
                await out.publish("a", b"%d" % n)
            messages = await take(into, 5)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await take(into, 1)
            for message in messages:
                message.ack()
            assert [message.payload for message in await take(into, 5)] == [b"%d" % n for n in range(5, 10)]

    with Mosquitto(tmp_path) as mosquitto:
        go(main)


def test_a_retained_message_is_there_for_who_comes_later(tmp_path: Path) -> None:
    async def main() -> None:
        async with PahoBroker(at(mosquitto, "ingest")).connect() as connection:
            await connection.publish("wattline/v1/s/g/committed", b"{}", retain=True)
        async with PahoBroker(at(mosquitto)).connect() as connection:
            await connection.subscribe("wattline/v1/s/g/committed")
            [message] = await take(connection, 1)
            assert (message.payload, message.retain) == (b"{}", True)

    with Mosquitto(tmp_path) as mosquitto:
        go(main)


def test_the_will_is_published_after_a_crash_and_not_after_a_good_bye(tmp_path: Path) -> None:
    async def main() -> None:
        will = Will(topic="status", payload=b"lost", retain=False)
        async with PahoBroker(at(mosquitto, "watcher")).connect() as watcher:
            await watcher.subscribe("#")
            async with PahoBroker(at(mosquitto)).connect(will=will) as connection:
                await connection.publish("good", b"bye")
            with contextlib.suppress(ZeroDivisionError):
                async with PahoBroker(at(mosquitto)).connect(will=will) as connection:
                    raise ZeroDivisionError
            assert [message.payload for message in await take(watcher, 2)] == [b"bye", b"lost"]

    with Mosquitto(tmp_path) as mosquitto:
        go(main)


# --- TLS ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    authority(directory, "ca")
    authority(directory, "other-ca")
    certificate(directory, "ca", "broker", "IP:127.0.0.1")
    certificate(directory, "ca", "elsewhere", "DNS:elsewhere.example")
    certificate(directory, "ca", "expired", "IP:127.0.0.1", days="-1")
    certificate(directory, "ca", "gateway", "DNS:gateway")
    certificate(directory, "other-ca", "stranger", "DNS:stranger")
    for file in directory.iterdir():
        file.chmod(0o644)
    return directory


def tls(pki: Path, name: str, *more: str) -> Sequence[str]:
    return [f"cafile {pki}/ca.crt", f"certfile {pki}/{name}.crt", f"keyfile {pki}/{name}.key", *more]


async def attempt(address: Address) -> None:
    async with PahoBroker(address).connect():
        pass


def refused(address: Address) -> str:
    """The words with which the connection is refused; fails the test when it is not."""
    with pytest.raises(BrokerRefused) as error:
        go(lambda: attempt(address))
    return str(error.value)


def test_tls_with_the_right_authority_carries_large_and_many_messages(tmp_path: Path, pki: Path) -> None:
    async def main() -> None:
        async with PahoBroker(at(mosquitto, tls=True, ca=pki / "ca.crt")).connect() as connection:
            await connection.subscribe("a")
            async with asyncio.TaskGroup() as tasks:
                for n in range(200):
                    tasks.create_task(connection.publish("a", bytes([n]) * (n * 300)))
                got = 0
                async for message in connection.messages():
                    message.ack()
                    assert message.payload == bytes([got]) * (got * 300)
                    got += 1
                    if got == 200:
                        break

    with Mosquitto(tmp_path, tls(pki, "broker")) as mosquitto:
        go(main)


@pytest.mark.parametrize(
    ("broker", "ca", "words"),
    [
        ("broker", "other-ca", "self-signed|self signed|unable to get"),
        ("elsewhere", "ca", "not valid for '127.0.0.1'|mismatch"),
        ("expired", "ca", "expired"),
    ],
)
def test_a_broker_whose_certificate_is_not_right_is_never_spoken_to(
    tmp_path: Path, pki: Path, broker: str, ca: str, words: str
) -> None:
    with Mosquitto(tmp_path, tls(pki, broker)) as mosquitto:
        assert any(word in refused(at(mosquitto, tls=True, ca=pki / f"{ca}.crt")) for word in words.split("|"))


def test_plain_text_to_a_tls_port_and_tls_to_a_plain_port_connect_neither(tmp_path: Path, pki: Path) -> None:
    with Mosquitto(tmp_path, tls(pki, "broker")) as mosquitto:
        assert "wants TLS" in refused(at(mosquitto))
    with Mosquitto(tmp_path) as mosquitto, pytest.raises((BrokerUnreachable, BrokerRefused)):
        go(lambda: attempt(at(mosquitto, tls=True, ca=pki / "ca.crt")))


def test_a_client_certificate_is_shown_and_a_foreign_or_missing_one_is_refused_in_words(
    tmp_path: Path, pki: Path
) -> None:
    async def main() -> None:
        mine = at(mosquitto, tls=True, ca=pki / "ca.crt", certificate=pki / "gateway.crt", key=pki / "gateway.key")
        async with PahoBroker(mine).connect() as connection:
            await connection.publish("a", b"x")

    with Mosquitto(
        tmp_path, tls(pki, "broker", "require_certificate true", "use_identity_as_username true")
    ) as mosquitto:
        go(main)
        missing = at(mosquitto, tls=True, ca=pki / "ca.crt")
        assert "certificate" in refused(missing)
        foreign = replace(missing, certificate=pki / "stranger.crt", key=pki / "stranger.key")
        assert "certificate" in refused(foreign)


def test_a_certificate_file_that_is_not_there_is_named(pki: Path) -> None:
    address = Address(host="127.0.0.1", port=free_port(), client_id="x", tls=True, ca=pki / "absent.crt")
    assert "absent.crt" in refused(address)
