"""Faults between the gateway and the broker, injected before a real mosquitto; see README.md."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest

from agent.outbox import Limits
from agent.publisher import backoff_s
from support.cable import cable
from support.certificates import authority, certificate, early_certificate
from support.delivering import FEED_S, KEEPALIVE_S, TOPICS, Delivery, client, delivering
from support.mosquitto import Mosquitto, free_port
from support.proxy import Proxy, proxy
from wattline.broker import Broker
from wattline.broker_access import SPREAD_S, ConfiguredBroker
from wattline.broker_settings import BrokerSettings
from wattline.mqtt import Address, PahoBroker
from wattline.secrets import SecretRef

pytestmark = pytest.mark.mosquitto


def go(main: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 50))


def through(
    folder: Path, test: Callable[[Delivery, Proxy], Awaitable[None]], limits: Limits | None = None, **how: Any
) -> None:
    """`test` a gateway whose way to a healthy broker leads through a proxy; at the end nothing may be missing."""

    async def main() -> None:
        async with (
            proxy(mosquitto.port) as way,
            delivering(folder, client(way.port), client(mosquitto.port, "centre"), limits=limits, **how) as delivery,
        ):
            await delivery.until(lambda: delivery.centre.heard)
            await test(delivery, way)
            await delivery.drains()

    with Mosquitto(folder) as mosquitto:
        go(main)


def at(
    mosquitto: Mosquitto,
    folder: Path,
    test: Callable[[Delivery], Awaitable[None]],
    broker: Broker | None = None,
    **how: Any,
) -> None:
    """`test` a gateway beside this broker, running or not; at the end nothing may be missing."""

    async def main() -> None:
        gateway = broker or client(mosquitto.port)
        async with delivering(folder, gateway, client(mosquitto.port, "centre"), **how) as delivery:
            await test(delivery)
            await delivery.drains()

    go(main)


def test_row_31_a_broker_that_goes_away_costs_nothing_and_live_parcels_do_not_wait_for_the_backlog(
    tmp_path: Path,
) -> None:
    """The days of outage are in tests/simulation, in virtual time; here the broker is the real one."""
    mosquitto = Mosquitto(tmp_path)

    async def test(delivery: Delivery) -> None:
        await delivery.until(lambda: delivery.centre.heard)
        mosquitto.kill()
        await delivery.until(lambda: delivery.told("broker.lost"))
        for _ in range(60):
            await delivery.acquires(1)
            delivery.spool.seal()
        await delivery.until(lambda: len(delivery.told("broker.unreachable")) == 1)
        live = delivery.spool.newest.seq
        mosquitto.start()
        await delivery.until(lambda: len(delivery.told("broker.connected")) == 2)
        await delivery.until(lambda: max(each.seq for each in delivery.centre.heard) > live)
        [lost] = delivery.told("broker.lost")
        assert lost["level"] == "warning"
        assert len(delivery.told("broker.unreachable")) == 1, "one event for a spell, however many attempts"

    try:
        mosquitto.start()
        at(mosquitto, tmp_path, test)
    finally:
        mosquitto.kill()


def test_row_32_a_broker_that_is_down_at_the_start_is_no_reason_not_to_poll(tmp_path: Path) -> None:
    mosquitto = Mosquitto(tmp_path)

    async def test(delivery: Delivery) -> None:
        await delivery.acquires(50)
        [event] = delivery.told("broker.unreachable")
        assert "refused" in event["error"]
        assert delivery.spool.stats().acquired >= 50
        await delivery.until(lambda: delivery.spool.stats().disk_bytes)
        mosquitto.start()
        await delivery.until(lambda: delivery.told("broker.connected"))

    try:
        at(mosquitto, tmp_path, test)
    finally:
        mosquitto.kill()


def test_row_33_what_a_killed_broker_had_acknowledged_is_sent_again(tmp_path: Path) -> None:
    mosquitto = Mosquitto(tmp_path)

    async def test(delivery: Delivery) -> None:
        delivery.centre.awake = False
        before = len(delivery.acquired)
        await delivery.acquires(40)
        await delivery.until(lambda: delivery.spool.stats().parcels_sealed >= 3)
        assert delivery.spool.stats().parcels_released == 0, "the broker's word releases nothing"
        mosquitto.kill()
        await delivery.until(lambda: delivery.told("broker.lost"))
        delivery.centre.awake = True
        mosquitto.start()
        await delivery.until(lambda: set(delivery.acquired[: before + 40]) <= delivery.centre.readings)

    try:
        mosquitto.start()
        at(mosquitto, tmp_path, test)
    finally:
        mosquitto.kill()


def test_row_34_a_broker_that_never_acknowledges_is_left_and_the_window_bounds_what_it_has(tmp_path: Path) -> None:
    async def test(delivery: Delivery, way: Proxy) -> None:
        way.hold_acks = True
        before = delivery.spool.stats()
        await delivery.until(lambda: delivery.told("broker.lost"))
        assert "acknowledges nothing" in delivery.told("broker.lost")[0]["error"]
        after = delivery.spool.stats()
        assert after.parcels_sealed > before.parcels_sealed
        assert way.connections <= 3, "no storm of connections"
        way.hold_acks = False

    through(tmp_path, test, Limits(window=4, silent_s=1.0, resend_s=1.0))


def test_row_35_acknowledgements_late_and_out_of_order_release_each_parcel_once(tmp_path: Path) -> None:
    async def test(delivery: Delivery, way: Proxy) -> None:
        way.delay_s, way.shuffle = 0.05, True
        for _ in range(4):
            way.hold_acks = True
            await delivery.acquires(25)
            way.hold_acks = False
            await delivery.acquires(5)
        assert len(delivery.centre.heard) == len(set(delivery.centre.heard)), "nothing was sent a second time"
        assert not delivery.told("broker.lost")

    through(tmp_path, test, Limits(resend_s=30.0))


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="a network namespace takes root and ip")
def test_row_36_a_half_open_connection_is_seen_within_one_and_a_half_keep_alives(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            wire = stack.enter_context(cable())
            await stack.enter_async_context(proxy(mosquitto.port, wire.listener))
            address = Address(host=wire.endpoint[0], port=wire.endpoint[1], client_id="gateway")
            gateway = PahoBroker(address, keepalive_s=KEEPALIVE_S)
            delivery = await stack.enter_async_context(
                delivering(tmp_path, gateway, client(mosquitto.port, "centre"), limits=Limits(resend_s=1.0))
            )
            await delivery.until(lambda: delivery.centre.heard)
            wire.pull()
            before = len(delivery.acquired)
            await delivery.until(lambda: delivery.told("broker.lost"))
            # counted in polls, so that a loaded machine does not matter
            assert 0 < len(delivery.acquired) - before <= 1.6 * KEEPALIVE_S / FEED_S
            wire.plug()
            await delivery.until(lambda: len(delivery.told("broker.connected")) == 2)
            await delivery.drains()

    with Mosquitto(tmp_path) as mosquitto:
        go(main)


def test_row_37_a_frozen_broker_is_seen_as_a_half_open_connection_is(tmp_path: Path) -> None:
    async def test(delivery: Delivery) -> None:
        await delivery.until(lambda: delivery.centre.heard)
        mosquitto.signal(signal.SIGSTOP)
        before = len(delivery.acquired)
        await delivery.until(lambda: delivery.told("broker.lost"))
        assert "not even a ping" in delivery.told("broker.lost")[0]["error"]
        assert 0 < len(delivery.acquired) - before <= 1.6 * KEEPALIVE_S / FEED_S
        mosquitto.signal(signal.SIGCONT)
        await delivery.until(lambda: len(delivery.told("broker.connected")) == 2)

    with Mosquitto(tmp_path) as mosquitto:
        at(mosquitto, tmp_path, test)


def test_row_38_over_a_bad_mobile_link_all_arrives_without_a_storm_of_repeats(tmp_path: Path) -> None:
    async def test(delivery: Delivery, way: Proxy) -> None:
        way.delay_s, way.loss, way.bytes_s = 0.3, 0.2, 8000.0
        await delivery.acquires(150)
        delivery.feeding = False
        await delivery.until(lambda: set(delivery.acquired) == delivery.centre.readings)
        assert len(delivery.centre.heard) <= 1.2 * len(set(delivery.centre.heard))
        assert way.connections == 1
        assert not delivery.told("broker.lost")
        way.delay_s = way.loss = 0.0

    through(tmp_path, test, Limits(resend_s=30.0), seal_interval_s=0.5)


@pytest.mark.parametrize("how", ["fails", "hangs", "lies"])
def test_row_39_a_resolver_that_fails_hangs_or_lies_stops_nothing_and_is_named(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, hanging, real = True, True, socket.getaddrinfo
    elsewhere = socket.create_server(("127.0.0.1", 0))

    def look_up(host: str, port: int, *more: Any, **named: Any) -> Any:
        if host != "broker.plant" or not broken:
            return real("127.0.0.1" if host == "broker.plant" else host, port, *more, **named)
        if how == "lies":
            return real("127.0.0.1", elsewhere.getsockname()[1], *more, **named)
        while how == "hangs" and hanging:
            time.sleep(0.02)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    async def test(delivery: Delivery) -> None:
        nonlocal broken
        await delivery.acquires(20)
        await delivery.until(lambda: delivery.told("broker.unreachable"))
        await delivery.acquires(20)
        assert len(delivery.told("broker.unreachable")) == 1
        assert ("resolved" if how == "fails" else "no answer") in delivery.told("broker.unreachable")[0]["error"]
        broken = False
        await delivery.until(lambda: delivery.told("broker.connected"))

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr("wattline.mqtt._CONNECT_S", 0.5)
    try:
        with Mosquitto(tmp_path) as mosquitto, elsewhere:
            broker = PahoBroker(Address(host="broker.plant", port=mosquitto.port, client_id="gateway"))
            at(mosquitto, tmp_path, test, broker)
    finally:
        hanging = False


def test_row_40_a_clone_with_our_client_id_is_named_and_does_not_make_a_storm(tmp_path: Path) -> None:
    async def test(delivery: Delivery, way: Proxy) -> None:
        for times in range(1, 4):
            connected = len(delivery.told("broker.connected"))
            async with client(way.port).connect():
                await delivery.until(lambda times=times: len(delivery.told("broker.lost")) == times)
            await delivery.until(lambda connected=connected: len(delivery.told("broker.connected")) > connected)
        assert all("our client id" in each["error"] for each in delivery.told("broker.lost"))
        assert way.connections == 1 + 3 + 3, "one for each time we were turned out"

    through(tmp_path, test)


def test_row_41_a_topic_the_acl_denies_keeps_its_parcels_and_sends_them_after_the_fix(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text(f"topic read #\ntopic write {TOPICS.status}\ntopic write {TOPICS.committed}\n")
    acl.chmod(0o600)

    async def test(delivery: Delivery) -> None:
        await delivery.until(lambda: delivery.told("publish.refused"))
        await delivery.acquires(40)
        [event] = delivery.told("publish.refused")
        assert (event["topic"], event["level"]) == (TOPICS.readings, "error")
        assert "Not authorized" in event["reason"]
        assert not delivery.centre.heard
        assert not delivery.told("broker.lost"), "the connection lives"
        acl.write_text("topic readwrite #\n")
        mosquitto.signal(signal.SIGHUP)
        await delivery.until(lambda: delivery.told("publish.resumed"))

    with Mosquitto(tmp_path, [f"acl_file {acl}"]) as mosquitto:
        at(mosquitto, tmp_path, test)


def configured(**settings: Any) -> ConfiguredBroker:
    """The broker as the agent makes it of its settings."""
    access = BrokerSettings(**settings).access("gateway")
    return ConfiguredBroker(access, lambda address: PahoBroker(address, keepalive_s=KEEPALIVE_S))


def set_password(folder: Path, password: str) -> Path:
    """The broker's file of passwords, with one for the gateway and one for the centre."""
    passwords = folder / "passwords"
    passwords.touch(0o600)
    for name, word in (("gateway", password), ("centre", "own")):
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), name, word], check=True)
    return passwords


def test_row_42_a_password_that_was_rotated_is_used_as_soon_as_it_stands_in_its_file(tmp_path: Path) -> None:
    passwords, ours = set_password(tmp_path, "Hase17"), tmp_path / "password"
    ours.write_text("Hase17\n")

    async def main() -> None:
        gateway = configured(
            url=f"mqtt://127.0.0.1:{mosquitto.port}", username="gateway", password=SecretRef(file=ours)
        )
        own = Address(host="127.0.0.1", port=mosquitto.port, client_id="centre", username="centre", password="own")
        async with delivering(tmp_path, gateway, PahoBroker(own)) as delivery:
            await delivery.until(lambda: delivery.centre.heard)
            set_password(tmp_path, "Igel23")
            mosquitto.signal(signal.SIGHUP)
            await delivery.until(lambda: delivery.told("broker.refused"))
            await delivery.acquires(30)
            [event] = delivery.told("broker.refused")
            assert "ot authorized" in event["error"]
            assert not any(word in str(delivery.events) for word in ("Hase17", "Igel23"))
            ours.write_text("Igel23\n")
            await delivery.until(lambda: len(delivery.told("broker.connected")) == 2)
            await delivery.drains()

    with Mosquitto(tmp_path, [f"password_file {passwords}"]) as mosquitto:
        go(main)


def test_row_42_a_living_connection_is_made_anew_once_when_its_password_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattline.mqtt._RENEWAL_S", 0.1)
    ours = tmp_path / "password"
    ours.write_text("first")

    async def test(delivery: Delivery) -> None:
        await delivery.until(lambda: delivery.centre.heard)
        ours.write_text("")  # as an editor leaves it for a moment
        await delivery.acquires(30)
        assert not delivery.told("broker.lost")
        ours.write_text("second")
        await delivery.until(lambda: len(delivery.told("broker.connected")) == 2)
        await delivery.acquires(30)
        [event] = delivery.told("broker.lost")
        assert "were replaced" in event["error"]

    with Mosquitto(tmp_path) as mosquitto:
        gateway = configured(
            url=f"mqtt://127.0.0.1:{mosquitto.port}", username="gateway", password=SecretRef(file=ours)
        )
        at(mosquitto, tmp_path, test, gateway)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_row_43_a_parcel_over_the_brokers_limit_is_split_until_it_passes(
    tmp_path: Path, protocol: Literal["5", "3.1.1"]
) -> None:
    """MQTT 5 tells the limit; with 3.1.1 the broker ends the connection, and the parcel is barred before it is split."""

    async def test(delivery: Delivery) -> None:
        delivery.feeding = False
        delivery.values = 100
        for _ in range(25):
            delivery.acquire()
        delivery.spool.seal()
        await delivery.until(lambda: delivery.told("publish.split"))
        await delivery.until(lambda: set(delivery.acquired) == delivery.centre.readings)
        seqs = {each.seq for each in delivery.centre.heard}
        assert seqs == set(range(1, delivery.spool.newest.seq + 1)), "the halves leave no gap"
        assert not delivery.told("publish.too_large")
        if protocol == "5":
            splits = delivery.spool.newest.seq
            for _ in range(25):
                delivery.acquire()
            delivery.spool.seal()
            await delivery.until(lambda: set(delivery.acquired) == delivery.centre.readings)
            assert len(delivery.told("publish.split")) == 1, "from then on smaller parcels are sealed"
            assert delivery.spool.newest.seq <= 2 * splits + 1

    with Mosquitto(tmp_path, ["max_packet_size 20000"]) as mosquitto:
        at(mosquitto, tmp_path, test, client(mosquitto.port, protocol=protocol))


def test_row_43_a_sweep_over_the_limit_is_set_aside_and_told_and_the_others_pass(tmp_path: Path) -> None:
    async def main() -> None:
        async with delivering(
            tmp_path, client(mosquitto.port), client(mosquitto.port, "centre"), seal_interval_s=30.0
        ) as delivery:
            delivery.feeding = False
            delivery.values = 3000
            delivery.acquire()
            delivery.spool.seal()
            delivery.values = 1
            poison = set(delivery.acquired)
            for _ in range(10):
                delivery.acquire()
            delivery.spool.seal()
            await delivery.until(lambda: delivery.told("publish.too_large"))
            await delivery.until(lambda: set(delivery.acquired) - poison == delivery.centre.readings)
            await delivery.until(lambda: delivery.spool.stats().parcels_pending == 1)
            [event] = delivery.told("publish.too_large")
            assert (event["seq"], event["level"]) == (1, "error")
            assert "the broker takes packets up to 20000" in event["reason"]
            assert delivery.spool.stats().dropped == 0
            assert not delivery.told("broker.lost")

    with Mosquitto(tmp_path, ["max_packet_size 20000"]) as mosquitto:
        go(main)


# --- TLS ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    authority(folder, "ca")
    authority(folder, "other-ca")
    here = "IP:127.0.0.1"
    certificate(folder, "ca", "broker", here)
    certificate(folder, "ca", "expired", here, days="-1")
    certificate(folder, "ca", "elsewhere", "DNS:elsewhere.example")
    certificate(folder, "other-ca", "stranger", here)
    certificate(folder, "ca", "gateway", "DNS:gateway")
    early_certificate(folder, "ca", "early", here)
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def tls(pki: Path, name: str, *more: str) -> list[str]:
    """A broker with this certificate on its port, and one without TLS beside it for the centre."""
    files = [f"cafile {pki}/ca.crt", f"certfile {pki}/{name}.crt", f"keyfile {pki}/{name}.key"]
    return ["per_listener_settings true", "listener PORT 127.0.0.1", *files, *more]


def plain(port: int) -> list[str]:
    return [f"listener {port} 127.0.0.1", "allow_anonymous true"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("expired", "certificate has expired"),
        ("early", "not yet valid"),
        ("elsewhere", "IP address mismatch"),
        ("stranger", "unable to get local issuer certificate"),
    ],
)
def test_row_50_a_broker_with_a_wrong_certificate_is_told_nothing_and_the_cause_is_named(
    tmp_path: Path, pki: Path, wrong: str, words: str
) -> None:
    async def main() -> None:
        gateway = configured(url=f"mqtts://127.0.0.1:{mosquitto.port}", ca=pki / "ca.crt")
        async with delivering(tmp_path, gateway, client(free_port(), "centre")) as delivery:
            await delivery.until(lambda: delivery.told("broker.refused"))
            await delivery.acquires(40)
            [event] = delivery.told("broker.refused")
            assert words in event["error"]
            assert not delivery.told("broker.connected")
            assert delivery.spool.stats().parcels_released == 0
        assert "New client connected" not in mosquitto.log.read_text()

    with Mosquitto(tmp_path, [*tls(pki, wrong), "allow_anonymous true"]) as mosquitto:
        go(main)


def test_row_51_a_client_certificate_that_has_expired_is_named_and_a_new_one_is_used(tmp_path: Path, pki: Path) -> None:
    ours = {name: tmp_path / name for name in ("client.crt", "client.key")}

    def install(name: str) -> None:
        for file, path in ours.items():
            shutil.copy(pki / file.replace("client", name), path)

    async def main() -> None:
        certificate, key = ours.values()
        gateway = configured(
            url=f"mqtts://127.0.0.1:{mosquitto.port}", ca=pki / "ca.crt", certificate=certificate, key=key
        )
        async with delivering(tmp_path, gateway, client(beside, "centre")) as delivery:
            await delivery.until(lambda: delivery.told("broker.refused"))
            assert f"our certificate, which has expired: {certificate}" in delivery.told("broker.refused")[0]["error"]
            await delivery.acquires(20)
            install("gateway")
            await delivery.until(lambda: delivery.told("broker.connected"))
            await delivery.drains()

    install("expired")
    beside = free_port()
    settings = [*tls(pki, "broker", "require_certificate true", "allow_anonymous true"), *plain(beside)]
    with Mosquitto(tmp_path, settings) as mosquitto:
        go(main)


@pytest.mark.parametrize("version", ["tlsv1", "tlsv1.1"])
def test_row_52_old_tls_is_refused_by_us(tmp_path: Path, pki: Path, version: str) -> None:
    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "broker.crt", pki / "broker.key")
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1 if version == "tlsv1" else ssl.TLSVersion.TLSv1_1
        spoken: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            spoken.append(await reader.read(1))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        async with server:
            gateway = configured(url=f"mqtts://127.0.0.1:{server.sockets[0].getsockname()[1]}", ca=pki / "ca.crt")
            async with delivering(tmp_path, gateway, client(free_port(), "centre")) as delivery:
                await delivery.until(lambda: delivery.told("broker.refused"))
                assert "TLS: " in delivery.told("broker.refused")[0]["error"]
                assert not delivery.told("broker.connected")
        assert not spoken

    go(main)


def test_row_52_plain_text_to_a_port_with_tls_is_refused_and_named(tmp_path: Path, pki: Path) -> None:
    async def test(delivery: Delivery) -> None:
        await delivery.until(lambda: delivery.told("broker.refused"))
        assert "a port that wants TLS" in delivery.told("broker.refused")[0]["error"]
        delivery.acquired.clear()
        delivery.feeding = False

    async def main() -> None:
        gateway = client(mosquitto.port)
        async with delivering(tmp_path, gateway, client(free_port(), "centre")) as delivery:
            await test(delivery)

    with Mosquitto(tmp_path, [*tls(pki, "broker"), "allow_anonymous true"]) as mosquitto:
        go(main)


# --- a fleet --------------------------------------------------------------------------------------------------


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_row_74_five_hundred_gateways_that_return_do_not_use_up_the_broker(tmp_path: Path, pki: Path) -> None:
    """What their connections cost a real broker, in CPU seconds, over the time in which their chance spreads them."""
    fleet, some, chance = 500, 100, Random(74)
    delays = sorted(backoff_s(0, chance, base_s=SPREAD_S) for _ in range(fleet))
    rush = max(sum(begin <= each < begin + 1 for each in delays) for begin in delays)
    assert rush < 1.5 * fleet / SPREAD_S

    async def come(number: int) -> None:
        address = Address(
            host="127.0.0.1", port=mosquitto.port, client_id=f"gateway-{number}", tls=True, ca=pki / "ca.crt"
        )
        async with gate, PahoBroker(address).connect() as connection:
            await connection.publish("a", bytes(2000))

    async def main() -> None:
        await asyncio.gather(*(come(number) for number in range(some)))

    gate = asyncio.Semaphore(10)
    with Mosquitto(tmp_path, [*tls(pki, "broker"), "allow_anonymous true"]) as mosquitto:
        before = cpu_s(mosquitto.pid)
        go(main)
        one_s = (cpu_s(mosquitto.pid) - before) / some
    assert one_s * rush < 0.7, f"{rush} connections in the busiest second at {one_s * 1000:.2f} ms each"
