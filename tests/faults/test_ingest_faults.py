"""Between broker and store: a broker that drops, an ingest that is killed, a burst, a store that is down or says no."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from agent.outbox import Limits
from agent.publisher import Publisher
from agent.spool import Spool
from agent.spool_disk import SqliteDisk
from centre.gaps import gaps_of
from centre.ingest import Ingest
from centre.store.base import SeriesKey, Written
from centre.store.sqlite import SqliteStore
from metering.parcel import Received
from metering.status import Status
from metering.sweep import Sweep
from metering.topics import Topics, decode_committed
from support import ingest_victim
from support.ingest_rig import TOPICS, FailingStore, Rig, body, play
from support.mosquitto import Mosquitto
from support.store_contract import EVER, POWER, PRESS, T0, status, sweep
from wattline.broker import BrokerLost, BrokerUnreachable, Connection, Message, Will
from wattline.cancellation import end
from wattline.clock import NS, SystemClock
from wattline.events import EventLog, capture_events
from wattline.mqtt import Address, PahoBroker

PARCELS = 60
mosquitto_here = pytest.mark.mosquitto


def client(port: int, client_id: str, *, receive_maximum: int = 100) -> PahoBroker:
    address = Address(host="127.0.0.1", port=port, client_id=client_id)
    return PahoBroker(address, persistent=client_id == "centre", receive_maximum=receive_maximum)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def ingesting(ingest: Ingest) -> AsyncGenerator[None]:
    running = asyncio.create_task(ingest.run())
    try:
        await until(lambda: bool(ingest.connected) or running.done())
        yield
    finally:
        await end([running])


@asynccontextmanager
async def gateway(port: int, folder: Path, name: str = "press-shop") -> AsyncGenerator[Spool]:
    """An agent's spool and publisher that sends again after 1 s what the store has not confirmed."""

    def say(state: object) -> Status:
        return replace(status(), counters=spool.stats().counters())

    clock, log = SystemClock(), EventLog()
    disk = SqliteDisk(folder, budget=64 * 1024 * 1024)
    async with Spool(site="works", gateway=name, disk=disk, clock=clock, events=log) as spool:
        publisher = Publisher(
            spool=spool,
            broker=client(port, f"gateway-{name}"),
            topics=Topics("works", name),
            clock=clock,
            events=log,
            random=Random(1),
            status=say,
            limits=Limits(resend_s=1.0, resend_most_s=2.0),
        )
        work = [asyncio.create_task(spool.run()), asyncio.create_task(publisher.run())]
        try:
            await until(lambda: publisher.connected)
            yield spool
        finally:
            await end(work)


def acquire(spool: Spool, count: int, meter: str = "incomer") -> None:
    """Parcels of one reading each, whose value is their second."""
    for second in range(1, count + 1):
        spool.append(sweep(second, {"power_active_total": float(second)}, device=meter))
        spool.seal()


async def stored(store: SqliteStore, meter: str = "incomer") -> list[tuple[float, float]]:
    found = await store.read(POWER._replace(device=meter), 0, EVER, limit=100_000)
    return [((reading.at - T0) / NS, float(reading.value)) for reading in found]


@mosquitto_here
def test_row_44_what_overflows_the_brokers_queue_while_the_ingest_is_down_is_sent_again(tmp_path: Path) -> None:
    async def main(mosquitto: Mosquitto) -> None:
        async with SqliteStore(tmp_path / "centre.db") as store:
            make = lambda: Ingest(  # noqa: E731 - the same ingest, started twice
                broker=client(mosquitto.port, "centre"),
                store=store,
                clock=SystemClock(),
                dead_letters=tmp_path / "dead",
            )
            async with ingesting(make()):
                pass  # the broker queues for it from now on
            async with gateway(mosquitto.port, tmp_path / "spool") as spool:
                acquire(spool, PARCELS)
                await until(lambda: "being dropped for client centre" in mosquitto.log.read_text())
                assert spool.stats().parcels_pending == PARCELS
                async with ingesting(make()):
                    await until(lambda: spool.stats().parcels_pending == 0)
            assert await stored(store) == [(float(n), float(n)) for n in range(1, PARCELS + 1)]
            (row,) = await store.gateways()
            assert gaps_of(row) == ()
            assert (row.committed.watermark(row.stretches[0].epoch), row.dropped) == (PARCELS, 0)

    with capture_events() as events, Mosquitto(tmp_path, ["max_queued_messages 20"]) as mosquitto:
        asyncio.run(main(mosquitto))
    assert [event for event in events if event["level"] in {"error", "critical"}] == []
    assert Counter(event["event"] for event in events)["broker.connected"] == 3


@mosquitto_here
def test_row_45_an_ingest_killed_between_write_and_acknowledgement_leaves_every_reading_once(tmp_path: Path) -> None:
    async def main(port: int) -> None:
        async with gateway(port, tmp_path / "spool") as spool:
            for killed in range(3):
                victim = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", ingest_victim.__file__, str(port), str(tmp_path), stderr=subprocess.DEVNULL
                )
                acquire(spool, 10 * (killed + 1))
                assert await victim.wait() == -signal.SIGKILL
            async with SqliteStore(tmp_path / "centre.db") as store:
                ingest = Ingest(
                    broker=client(port, "centre"), store=store, clock=SystemClock(), dead_letters=tmp_path / "dead"
                )
                async with ingesting(ingest):
                    await until(lambda: spool.stats().parcels_pending == 0)
                assert await stored(store) == [(float(n), float(n)) for n in range(1, 31)]
                totals = await store.totals()
                assert totals.redelivered_parcels > 0  # written, not acknowledged, delivered again
                assert (ingest.counts.refused, totals.readings, totals.by_device) == (0, 30, {("works", "incomer"): 30})

    with capture_events() as events, Mosquitto(tmp_path) as mosquitto:
        asyncio.run(main(mosquitto.port))
    assert "broker.connected" in [event["event"] for event in events]
    assert [event for event in events if event["level"] in {"error", "critical"}] == []


class Doomed:
    """A worker's broker: its connections stand still when `stuck`, and end when `cut`; none is made when `gone`."""

    def __init__(self, port: int, worker: int, session_s: int) -> None:
        address = Address(host="127.0.0.1", port=port, client_id=f"centre-{worker}")
        self._broker = PahoBroker(address, persistent=True, session_expiry_s=session_s, receive_maximum=20)
        self.stuck = self.gone = False
        self.taken = 0
        self.cut = asyncio.Event()

    @asynccontextmanager
    async def connect(self, *, will: Will | None = None) -> AsyncGenerator[Connection]:
        if self.gone:
            raise BrokerUnreachable("the worker's host is no more")
        async with self._broker.connect(will=will) as connection:
            self.subscribe, self.publish, self._messages = connection.subscribe, connection.publish, connection.messages
            yield self

    async def messages(self) -> AsyncIterator[Message]:
        async for message in self._messages():
            self.taken += 1
            if self.stuck:
                await self.cut.wait()
                raise BrokerLost("cut")
            yield message


@mosquitto_here
@pytest.mark.parametrize("back", [True, False], ids=["comes-back", "session-expires"])
def test_one_of_two_workers_is_killed_and_nothing_is_lost_or_doubled(tmp_path: Path, back: bool) -> None:
    shops, half = ("press-shop", "paint-shop", "utilities"), 25

    async def main(port: int) -> None:
        workers = [Doomed(port, worker, 300 if back else 1) for worker in (1, 2)]
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(SqliteStore(tmp_path / "centre.db"))
            dead = tmp_path / "dead"
            ingest = Ingest(
                broker=workers[0], more=workers[1:], store=store, clock=SystemClock(), dead_letters=dead, linger_s=0.0
            )
            await stack.enter_async_context(ingesting(ingest))
            await until(lambda: ingest.connected == 2)
            spools = {shop: await stack.enter_async_context(gateway(port, tmp_path / shop, shop)) for shop in shops}
            for shop, spool in spools.items():
                acquire(spool, half, shop)
            await until(lambda: min(worker.taken for worker in workers) >= 5)  # both have their share
            workers[1].stuck = True
            for second in range(half + 1, 2 * half + 1):
                for shop, spool in spools.items():
                    spool.append(sweep(second, {"power_active_total": float(second)}, device=shop))
                    spool.seal()
            workers[1].gone = not back
            workers[1].cut.set()
            if back:
                await until(lambda: ingest.connected == 1)
                workers[1].stuck = False
            await until(lambda: all(spool.stats().parcels_pending == 0 for spool in spools.values()))
            for shop in shops:
                assert await stored(store, shop) == [(float(n), float(n)) for n in range(1, 2 * half + 1)]
            for row in await store.gateways():
                assert (gaps_of(row), row.dropped) == ((), 0)
                assert row.committed.watermark(row.stretches[0].epoch) == 2 * half
            assert (await store.totals()).readings == 3 * 2 * half
            assert ingest.connected == (2 if back else 1)

    with capture_events() as events, Mosquitto(tmp_path, ["max_queued_messages 0"]) as mosquitto:
        asyncio.run(main(mosquitto.port))
    assert [event["event"] for event in events if event["level"] in {"error", "critical"}] == []
    assert [event["worker"] for event in events if event["event"] == "broker.lost" and "worker" in event] == [2]


class Counted:
    """A broker's adapter that knows how many messages were handed out and not acknowledged."""

    def __init__(self, broker: PahoBroker) -> None:
        self._broker = broker
        self.held = self.most = 0

    @asynccontextmanager
    async def connect(self, *, will: Will | None = None) -> AsyncGenerator[Connection]:
        async with self._broker.connect(will=will) as connection:
            self.subscribe, self.publish = connection.subscribe, connection.publish
            self._messages = connection.messages
            yield self

    async def messages(self) -> AsyncIterator[Message]:
        async for message in self._messages():
            self.held += 1
            self.most = max(self.most, self.held)

            def ack(message: Message = message) -> None:
                self.held -= 1
                message.ack()

            yield replace(message, ack=ack)


class SlowStore(SqliteStore):
    async def write(self, parcels: Sequence[Received], *, received_at: int) -> Written:
        await asyncio.sleep(0.02)
        return await super().write(parcels, received_at=received_at)


@mosquitto_here
def test_row_46_a_burst_waits_in_the_broker_and_nothing_of_it_is_dropped(tmp_path: Path) -> None:
    burst = 1500

    async def main(port: int) -> None:
        broker = Counted(client(port, "centre", receive_maximum=20))
        async with SlowStore(tmp_path / "centre.db") as store:
            ingest = Ingest(
                broker=broker,
                store=store,
                clock=SystemClock(),
                dead_letters=tmp_path / "dead",
                max_batch=10,
                linger_s=0.0,
            )
            async with ingesting(ingest), client(port, "gateway").connect() as connection:
                for first in range(1, burst + 1, 50):
                    bodies = [body(seq) for seq in range(first, first + 50)]
                    await asyncio.gather(*(connection.publish(TOPICS.readings, each) for each in bodies))
                await until(lambda: ingest.counts.parcels >= burst)
                assert 10 <= broker.most <= 40  # of 1500: brokers count the maximum to within a few
                await until(lambda: broker.held == 0)
            assert (ingest.counts.readings, ingest.counts.refused) == (burst, 0)
            assert (await store.committed())[PRESS].epochs == {7: ((1, burst),)}

    with capture_events() as events, Mosquitto(tmp_path, ["max_queued_messages 0"]) as mosquitto:
        asyncio.run(main(mosquitto.port))
    assert [event["event"] for event in events if event["level"] != "info"] == []


def test_row_47_a_store_that_is_full_for_hours_is_tried_for_ever_at_growing_times_and_told_once(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        assert isinstance(rig.store, FailingStore)
        rig.deliver(body(1))
        await rig.sleep(5)
        writing = rig.store.writing
        attempts: list[str] = []
        writing.set_trace_callback(lambda text: attempts.append(text) if text.startswith("BEGIN") else None)
        (pages,) = writing.execute("PRAGMA page_count").fetchone()
        writing.execute(f"PRAGMA max_page_count = {pages}")
        for seq in range(2, 901):
            rig.deliver(body(seq, *(sweep(100 * seq + n, {"power_active_total": 1.0 / seq}) for n in range(50))))
        await rig.sleep(20)
        before = len(attempts)
        assert before >= 4  # after 1, 2, 4, 8 s
        await rig.sleep(6 * 3600)
        assert 6 * 120 - 2 <= len(attempts) - before <= 6 * 120 + 2  # then each 30 s
        held = dict(decode_committed(rig.broker.retained[TOPICS.committed]).epochs)
        durable = (await rig.store.committed())[PRESS].watermark(7)
        assert held == {7: ((1, durable),)}
        assert durable < 900
        assert rig.unacked == 900 - durable
        writing.execute("PRAGMA max_page_count = 1073741823")
        await rig.sleep(120)
        assert rig.unacked == 0
        assert rig.committed()[-1] == {7: ((1, 900),)}
        assert (await rig.store.totals()).readings == 1 + 899 * 50

    with capture_events() as events:
        play(tmp_path, check)
    told = [event for event in events if event["event"].startswith("store.")]
    assert [event["event"] for event in told] == ["store.failed", "store.back"]
    assert "full" in told[0]["error"]


def test_row_48_a_reading_of_the_wrong_type_goes_to_the_dead_letters_and_the_rest_of_its_parcel_in(
    tmp_path: Path,
) -> None:
    async def check(rig: Rig) -> None:
        good = sweep(1, {"power_active_total": 1.0, "serial_number": "A 17"})
        clash = sweep(2, {"power_active_total": "door open", "frequency": 50.0})
        for seq in (1, 2, 3):
            rig.deliver(body(seq, good, clash, sweep(10 + seq, {"power_active_total": float(seq)})))
        rig.deliver(body(4))
        await rig.sleep(5)
        assert rig.unacked == 0
        assert rig.committed()[-1] == {7: ((1, 4),)}
        assert [reading.value for reading in await rig.store.read(POWER, 0, EVER, limit=9)] == [1.0, 4.0, 1.0, 2.0, 3.0]
        frequency = await rig.store.read(SeriesKey("works", "incomer", "frequency"), 0, EVER, limit=9)
        assert [(reading.at, reading.value) for reading in frequency] == [(clash.taken_at, 50.0)]
        (kept,) = (tmp_path / "dead").glob("*.payload")
        assert kept.read_text() == (
            f'meter,site=works,gateway=press-shop,device=incomer power_active_total="door open" {clash.taken_at}\n'
        )
        assert "parcel 7:1: a text, where power_active_total is a number" in kept.with_suffix(".txt").read_text()
        assert rig.ingest.counts.refused_readings == 3

    with capture_events() as events:
        play(tmp_path, check)
    (told,) = [event for event in events if event["event"] == "ingest.readings_refused"]
    assert (told["gateway"], told["readings"], told["seq"]) == ("press-shop", 1, 1)
    assert told["error"] == "a text, where power_active_total is a number"


@pytest.mark.parametrize(
    ("taken_at", "reason"), [(1_000 * NS, "before 2020"), (T0 + 40 * 86_400 * NS, "more than a day ahead")]
)
def test_row_49_readings_of_a_time_no_store_keeps_are_kept_aside_and_the_rest_goes_in(
    tmp_path: Path, taken_at: int, reason: str
) -> None:
    async def check(rig: Rig) -> None:
        for seq in range(1, 51):
            wrong = Sweep(device="incomer", taken_at=taken_at + seq, values={"power_active_total": 9.0}, faults={})
            rig.deliver(body(seq, wrong, sweep(seq, {"power_active_total": float(seq)})))
        await rig.sleep(10)
        assert rig.unacked == 0
        assert rig.committed()[-1] == {7: ((1, 50),)}  # so the gateway need not send it for ever
        assert [reading.value for reading in await rig.store.read(POWER, 0, EVER, limit=99)] == [*range(1, 51)]
        kept = list((tmp_path / "dead").glob("*.payload"))
        assert sum(path.read_text().count("power_active_total=9") for path in kept) == 50

    with capture_events() as events:
        play(tmp_path, check)
    (told,) = [event for event in events if event["event"] == "ingest.readings_refused"]
    assert reason in told["error"]


def test_row_49_a_folder_for_dead_letters_that_cannot_be_written_stops_the_flow_until_it_can(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        (tmp_path / "dead").write_text("a file where the folder should be")
        rig.deliver(body(1, sweep(1, {"power_active_total": "door open"})))
        await rig.sleep(3600)
        assert rig.unacked == 1
        assert rig.committed() == []
        (tmp_path / "dead").unlink()
        await rig.sleep(60)
        assert rig.unacked == 0
        assert len(list((tmp_path / "dead").glob("*.payload"))) == 1

    with capture_events() as events:
        play(tmp_path, check)
    names = [event["event"] for event in events]
    assert (names.count("store.failed"), names.count("store.back")) == (1, 1)
