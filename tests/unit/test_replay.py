"""A range of the history is sent again on request: agent, broker and centre in virtual time."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest

from agent.publisher import Publisher
from agent.spool import Spool
from agent.spool_disk import SqliteDisk
from centre.ingest import Ingest
from centre.replay_cli import NotReplayed, ask, request_of
from centre.store.base import SeriesKey
from centre.store.sqlite import SqliteStore
from metering.parcel import ParcelId, open_parcel
from metering.replay import ReplayRequest, encode_replay
from metering.status import State, Status
from metering.sweep import Sweep
from metering.topics import Topics
from support.sim_broker import SimBroker
from support.virtual_time import VirtualClock, run
from wattline.clock import NS
from wattline.events import EventLog, capture_events

TOPICS = Topics("works", "press-shop")
SERIES = SeriesKey("works", "d", "power_active_total")
DAY_S = 86400.0


@dataclass
class Rig:
    """A gateway that is fed, a broker, and a centre with its store."""

    clock: VirtualClock
    broker: SimBroker
    spool: Spool
    publisher: Publisher
    store: SqliteStore
    path: Path
    began: int
    fed: int = 0

    async def feed(self, seconds: int) -> None:
        """A sweep a second, and time enough for it to be stored and the history to be on disk."""
        for _ in range(seconds):
            self.fed += 1
            values = {"power_active_total": float(self.fed)}
            self.spool.append(Sweep(device="d", taken_at=self.clock.now_ns(), values=values, faults={}))
            await asyncio.sleep(1.0)
        await asyncio.sleep(40.0)
        assert await self.values() == [float(n) for n in range(1, self.fed + 1)]

    async def values(self) -> list[object]:
        return [reading.value for reading in await self.store.read(SERIES, 0, 1 << 62, limit=100_000)]

    def lose(self, first: int, last: int) -> None:
        """The store loses readings of these seconds, and goes on believing that it has all parcels."""
        at = (self.began + (first - 1) * NS, self.began + last * NS)
        with sqlite3.connect(self.path) as db:
            db.execute("DELETE FROM raw WHERE at >= ? AND at < ?", at)
        db.close()

    def copies(self) -> dict[ParcelId, int]:
        """How often each parcel was published."""
        found: dict[ParcelId, int] = {}
        for topic, body in self.broker.published:
            if topic == TOPICS.readings:
                parcel_id = open_parcel(body).id
                found[parcel_id] = found.get(parcel_id, 0) + 1
        return found

    async def ask(self, request: ReplayRequest) -> None:
        await ask(self.broker.client("asking"), TOPICS, request)


def play(
    folder: Path,
    plot: Callable[[Rig], Awaitable[None]],
    *,
    days: float = 7,
    release: Literal["store", "puback"] = "store",
) -> list[dict[str, Any]]:
    async def main(clock: VirtualClock) -> None:
        broker, path = SimBroker(), folder / "centre.db"
        disk = SqliteDisk(folder, budget=64 * 1024 * 1024, history_s=days * DAY_S)

        def status(state: State) -> Status:
            counters = publisher.counters
            return Status(state=state, software="t", epoch=1, at=clock.now_ns(), counters=counters, devices=())

        async with SqliteStore(path, inline=True) as store:
            spool = Spool(
                site="works", gateway="press-shop", disk=disk, clock=clock, events=EventLog(), keep_all=days > 0
            )
            async with spool:
                publisher = Publisher(
                    spool=spool,
                    broker=broker.client("press-shop"),
                    topics=TOPICS,
                    clock=clock,
                    events=EventLog(),
                    random=Random(1),
                    status=status,
                    release=release,
                    history=days > 0,
                )
                ingest = Ingest(
                    broker=broker.client("centre", persistent=True), store=store, clock=clock, dead_letters=folder / "x"
                )
                parts = (spool.run(), publisher.run(), ingest.run())
                work = [asyncio.create_task(part) for part in parts]
                await asyncio.sleep(1)
                try:
                    await plot(Rig(clock, broker, spool, publisher, store, path, clock.now_ns()))
                finally:
                    assert not [task for task in work if task.done()]
                    for task in work:
                        task.cancel()
                    for task in work:
                        with suppress(asyncio.CancelledError):
                            await task

    with capture_events() as events:
        run(main)
    return events


def told(events: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [each for each in events if each["event"] == event]


@pytest.mark.parametrize("release", ["store", "puback"])
def test_a_store_that_lost_readings_and_kept_their_numbers_gets_them_again_and_once(
    tmp_path: Path, release: Literal["store", "puback"]
) -> None:
    async def plot(rig: Rig) -> None:
        await rig.feed(250)
        rig.lose(100, 200)
        assert len(await rig.values()) == 149
        start = rig.began + 99 * NS
        await rig.ask(ReplayRequest(number=1, start=start, end=start + 101 * NS))
        await asyncio.sleep(5)
        assert await rig.values() == [float(n) for n in range(1, 251)]
        again = [parcel_id for parcel_id, copies in rig.copies().items() if copies == 2]
        assert (len(again), max(rig.copies().values())) == (pytest.approx(21, abs=2), 2), "only what was asked for"
        assert rig.spool.stats().parcels_released == rig.spool.stats().parcels_sealed, "a replay releases nothing"

    events = play(tmp_path, plot, release=release)
    (begun,), (done,) = told(events, "replay.begun"), told(events, "replay.done")
    assert (begun["parcels"], done["missing"]) == (done["parcels"], 0)


def test_parcels_that_are_named_come_and_what_was_never_kept_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def plot(rig: Rig) -> None:
        await rig.feed(100)
        epoch, newest = rig.spool.epoch, rig.spool.newest.seq
        await rig.ask(request_of(None, None, [(epoch, 2, 3), (epoch, 5, 5)], rig.clock.now_ns()))
        assert {each.seq for each, copies in rig.copies().items() if copies == 2} == {2, 3, 5}
        await asyncio.sleep(60)
        with pytest.raises(NotReplayed, match=r"^10 of the parcels are not kept any more, or never were$"):
            await rig.ask(request_of(None, None, [(epoch, newest, newest), (epoch + 1, 1, 10)], rig.clock.now_ns()))

    play(tmp_path, plot)
    assert "3 parcels, 15 readings; 0 to come" in capsys.readouterr().out


def test_a_replay_goes_on_over_a_new_connection_and_waits_behind_what_is_live(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        await rig.feed(600)
        rig.lose(1, 600)
        asking = asyncio.create_task(rig.ask(ReplayRequest(number=1)))
        for _ in range(2):
            await asyncio.sleep(2)
            rig.broker.drop("press-shop")
        await asking
        await asyncio.sleep(5)
        assert await rig.values() == [float(n) for n in range(1, 601)]
        assert max(rig.copies().values()) <= 4

    events = play(tmp_path, plot)
    assert len(told(events, "broker.lost")) == 2
    assert len(told(events, "replay.done")) == 1


def test_a_word_that_is_older_than_the_sending_confirms_nothing(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        await rig.feed(60)
        rig.lose(1, 60)
        rig.broker.delay_s = 3.0
        asking = asyncio.create_task(rig.ask(ReplayRequest(number=1)))
        while not rig.publisher.counters["replay_request"]:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.3)
        rig.broker.route(TOPICS.committed, rig.broker.retained[TOPICS.committed], retain=True)
        await asyncio.sleep(0.3)
        rig.broker.delay_s = 0.02
        rig.broker.drop("press-shop")  # before anything has come to the broker
        await asking
        await asyncio.sleep(5)
        assert await rig.values() == [float(n) for n in range(1, 61)]

    assert len(told(play(tmp_path, plot), "replay.done")) == 1


def test_one_at_a_time_and_forged_ones_cost_one_resend(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        await rig.feed(100)
        genuine = ReplayRequest(number=7)
        rig.broker.route(TOPICS.replay, encode_replay(genuine), retain=True)
        await asyncio.sleep(1)
        before = sum(topic == TOPICS.status for topic, _ in rig.broker.published)
        for number in range(1000, 1200):
            rig.broker.route(TOPICS.replay, encode_replay(ReplayRequest(number=number)), retain=False)
            rig.broker.route(TOPICS.replay, b'{"delete": true}', retain=False)
            await asyncio.sleep(0.1)
        statuses = sum(topic == TOPICS.status for topic, _ in rig.broker.published) - before
        assert statuses <= 5, "of 20 s and 200 refusals"
        with pytest.raises(NotReplayed, match=r"^refused: another replay is under way or has just begun"):
            await rig.ask(ReplayRequest(number=9))
        rig.broker.drop("press-shop")  # the retained one comes at each subscription
        await asyncio.sleep(20)
        assert max(rig.copies().values()) == 2
        assert await rig.values() == [float(n) for n in range(1, 101)]
        stats = rig.spool.stats()
        assert (stats.dropped, stats.parcels_pending, stats.parcels_released) == (0, 0, stats.parcels_sealed)

    events = play(tmp_path, plot)
    assert [each["request"] for each in told(events, "replay.begun")] == [7]
    assert len(told(events, "replay.refused")) == 1, "once a minute"


def test_a_gateway_without_history_listens_to_no_request(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        await rig.feed(50)
        with pytest.raises(NotReplayed, match=r"^no word of works/press-shop within 30 s$"):
            await rig.ask(ReplayRequest(number=9))
        assert max(rig.copies().values()) == 1

    assert not [each for each in play(tmp_path, plot, days=0) if each["event"].startswith("replay")]


@pytest.mark.parametrize(
    ("start", "end", "parcels", "complaint"),
    [
        (None, None, [], "say which range"),
        (5, 5, [], "--from lies before --to"),
        (9000, None, [], "in the past"),
        (None, None, [(7, 5, 3)], "ascending"),
        (None, None, [(7, 0, 3)], "ascending"),
    ],
)
def test_a_range_that_is_none_is_refused_before_anybody_is_asked(
    start: int | None, end: int | None, parcels: list[tuple[int, int, int]], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        request_of(start, end, parcels, 8000)
