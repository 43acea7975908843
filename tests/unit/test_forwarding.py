"""Forwarding in virtual time: whatever happens between, the upper books hold every interval once, at its newest."""

import asyncio
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre import forwarding
from centre.accounting.calendar import Month
from centre.books import forward, received
from centre.books.file import Books
from centre.books.forward import Look
from centre.books.received import joined
from centre.forwarding import Forwarder
from centre.forwarding_touched import shared
from centre.upper_ingest import UpperIngest, read_intervals
from metering.intervals import IntervalParcel, NodeInterval, seal_intervals
from metering.parcel import ParcelId
from metering.topics import Committed, Ranges, Topics, encode_committed
from support.sim_broker import SimBroker
from support.virtual_time import START_NS, VirtualClock, run
from wattline.clock import NS
from wattline.events import capture_events

HOUR = 3600 * NS
MONTH = Month(2026, 1)
SERIES = received.Series("works", "plant", "electricity", "import")


class Plant:
    """What the centre below knows: three intervals in half a minute, some revised again and again, or taken out."""

    def __init__(self, clock: VirtualClock, random: Random) -> None:
        self.clock, self.random, self.edits = clock, random, False
        self.amounts: dict[int, Decimal | None] = {}
        self.made = 0
        self.calm, self.changed = False, 0

    async def months(self, site: str, sent: tuple[int, int] | None) -> Collection[Month]:
        return [MONTH]

    def take(self) -> set[tuple[str, Month]]:
        return set() if self.calm or self.clock.now_ns() - self.changed < 30 * NS else {("works", MONTH)}

    async def closed(self, site: str, month: Month) -> tuple[Look, bool]:
        if not self.calm and self.clock.now_ns() - self.changed > 30 * NS:
            self.changed = self.clock.now_ns()
            for _ in range(3):
                self.amounts[self.made] = Decimal(self.random.randrange(10**6)) / 1000
                self.made += 1
                late = self.random.randrange(self.made)  # it may have been taken out, and comes back
                self.amounts[late] = self.random.choice([None, Decimal(self.random.randrange(10**6))])
            if self.edits:
                del self.amounts[self.random.choice(list(self.amounts))]
        found = [_interval(place, amount) for place, amount in self.amounts.items()]
        return Look(site=site, grains=("hour",), start=START_NS, end=2**62, intervals=found), False


def _interval(place: int, amount: Decimal | None, revision: int = 1) -> NodeInterval:
    return NodeInterval(
        site="works", node="plant", carrier="electricity", flow="import", grain="hour",
        start=START_NS + place * HOUR, end=START_NS + (place + 1) * HOUR, unit="kWh", amount=amount,
        estimated=Decimal(0), shares=(("M", Decimal(1)),), revision=revision,
        reason="no_data" if amount is None else None,
    )  # fmt: skip


class World:
    """Two centres and the broker between them; either may be killed and started again on its books."""

    def __init__(self, clock: VirtualClock, folder: Path, seed: int) -> None:
        self.clock, self.folder, self.random = clock, folder, Random(seed)
        self.broker = SimBroker()
        self.plant = Plant(clock, self.random)
        self.lower: asyncio.Task[None] | None = None
        self.upper: asyncio.Task[None] | None = None

    def start_lower(self) -> None:
        self.lower = asyncio.create_task(self._lower())

    def start_upper(self) -> None:
        self.upper = asyncio.create_task(self._upper())

    async def kill(self, task: asyncio.Task[None] | None) -> None:
        assert task is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def _lower(self) -> None:
        async with Books(self.folder / "lower.db", self.clock, inline=True) as books, asyncio.TaskGroup() as tasks:
            forwarder = Forwarder(
                name="lower", sites=("works",), figures=self.plant, books=books, clock=self.clock,
                broker=self.broker.client("lower"),
            )  # fmt: skip
            touched, _ = shared([self.plant], 2)
            tasks.create_task(forwarder.gather(touched))
            tasks.create_task(forwarder.run())

    async def _upper(self) -> None:
        async with Books(self.folder / "upper.db", self.clock, inline=True) as books:
            await UpperIngest(
                broker=self.broker.client("upper", persistent=True), books=books, clock=self.clock,
                dead_letters=self.folder / "dead",
            ).run()  # fmt: skip

    async def held(self) -> dict[int, Decimal | None]:
        async with Books(self.folder / "upper.db", self.clock, inline=True) as books:
            found = await books.read(lambda of: received.intervals(of, SERIES, "hour", start=0, end=2**62))
        return {(one.start - START_NS) // HOUR: one.amount for one in found}

    async def waiting(self) -> int:
        async with Books(self.folder / "lower.db", self.clock, inline=True) as books:
            return await books.read(forward.pending)

    async def disturb(self) -> None:
        fault = self.random.choice(["down", "forget", "swallow", "copies", "late", "lower", "upper", "mute", "drop"])
        if fault in {"down", "forget"}:
            self.broker.go_down(forget=fault == "forget")
        if fault == "swallow":
            self.broker.swallow = lambda topic: topic.endswith("intervals")
        if fault == "copies":
            self.broker.copies = lambda topic: 3
        if fault == "late":  # what was sent first comes last
            self.broker.late_s = lambda topic: self.random.uniform(0, 200)
        if fault == "mute":
            self.broker.ack_after_s = lambda topic: float("inf")
        if fault == "drop":
            self.broker.drop(self.random.choice(["lower", "upper"]))
        if fault in {"lower", "upper"}:
            await self.kill(self.lower if fault == "lower" else self.upper)
        await asyncio.sleep(self.random.uniform(1, 300))
        self.broker.come_up()
        self.broker.swallow, self.broker.copies = (lambda topic: False), (lambda topic: 1)
        self.broker.late_s, self.broker.ack_after_s = (lambda topic: 0.0), (lambda topic: 0.0)
        if fault == "lower":
            self.start_lower()
        if fault == "upper":
            self.start_upper()


@pytest.mark.parametrize("seed", range(2))
def test_every_interval_is_in_the_upper_books_once_at_its_newest(seed: int, tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path, seed)
        world.plant.edits = True
        world.start_lower()
        world.start_upper()
        for _ in range(9):
            await asyncio.sleep(world.random.uniform(1, 120))
            await world.disturb()
        world.plant.calm = True
        await asyncio.sleep(2 * 3600)
        await world.kill(world.lower)
        await world.kill(world.upper)
        assert len(world.plant.amounts) > 50
        assert await world.held() == world.plant.amounts
        assert await world.waiting() == 0

    run(main)


def test_a_broker_that_acknowledges_and_loses_everything_lets_nothing_leave_the_queue(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path, 1)
        world.broker.swallow = lambda topic: True
        world.start_lower()
        world.start_upper()
        await asyncio.sleep(300)
        world.plant.calm = True
        sent = len(world.plant.amounts)
        assert await world.waiting() == sent > 0
        assert await world.held() == {}
        world.broker.swallow = lambda topic: False
        await asyncio.sleep(3600)
        assert await world.waiting() == 0
        assert await world.held() == world.plant.amounts
        await world.kill(world.lower)
        await world.kill(world.upper)

    run(main)


@pytest.mark.parametrize("lost", ["nothing", "some", "everything"])
def test_an_upper_centre_that_lost_what_it_held_gets_it_again(lost: str, tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path, 1)
        world.plant.edits = True
        backup = tmp_path / "backup.db"

        async def calm(seconds: float) -> None:
            world.plant.calm = False
            await asyncio.sleep(seconds)
            world.plant.calm = True
            await asyncio.sleep(600)

        world.start_lower()
        world.start_upper()
        await calm(200)
        await world.kill(world.upper)
        _copy(tmp_path / "upper.db", backup)
        world.start_upper()
        await calm(600)
        assert await world.held() == world.plant.amounts
        await world.kill(world.upper)
        if lost == "some":
            _copy(backup, tmp_path / "upper.db")
        if lost == "everything":
            for file in tmp_path.glob("upper.db*"):
                file.unlink()
        assert await world.waiting() == 0
        assert (await world.held() == world.plant.amounts) is (lost == "nothing")
        if lost == "nothing":  # the broker alone fell back: nothing is sent again for it
            old = encode_committed(Committed(epochs={}))
            async with world.broker.client("stranger").connect() as connection:
                await connection.publish(Topics("works", "lower").committed, old, retain=True)
            await asyncio.sleep(60)
        world.start_upper()
        if lost == "everything":
            world.plant.amounts[world.plant.made] = Decimal(5)  # it is heard with the next parcel only
            world.plant.changed, world.plant.calm = clock.now_ns(), False
            await asyncio.sleep(45)
            world.plant.calm = True
        before = len(world.broker.published)
        await asyncio.sleep(3600)
        sent = [topic for topic, _ in world.broker.published[before:] if topic.endswith("intervals")]
        assert bool(sent) is (lost != "nothing")
        assert await world.held() == world.plant.amounts
        assert await world.waiting() == 0
        await world.kill(world.lower)
        await world.kill(world.upper)

    run(main)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


@given(st.dictionaries(st.integers(1, 9), st.sets(st.integers(1, 9), min_size=1), max_size=6), st.data())
def test_a_centre_falls_back_when_it_lacks_a_parcel_of_an_epoch_it_ought_to_know(
    before: dict[int, set[int]], data: st.DataObject
) -> None:
    def told(epochs: dict[int, set[int]]) -> Committed:
        found: dict[int, Ranges] = dict.fromkeys(epochs, ())
        for epoch, seqs in epochs.items():
            for seq in seqs:
                found[epoch] = joined(found[epoch], seq)
        return Committed(epochs=found)

    more = {epoch: seqs | {data.draw(st.integers(1, 12))} for epoch, seqs in before.items()}
    newest = dict(sorted({**more, 20: {1}}.items())[-forward.HELD_EPOCHS :])
    assert not forward.fell_back(told(before), told(before))
    assert not forward.fell_back(told(before), told(newest if len(more) >= forward.HELD_EPOCHS else more))
    if before:
        epoch = data.draw(st.sampled_from(sorted(before)[-forward.HELD_EPOCHS :]))
        seq = data.draw(st.sampled_from(sorted(before[epoch])))
        less = {**more, epoch: more[epoch] - {seq}}
        assert forward.fell_back(told(before), told({of: seqs for of, seqs in less.items() if seqs}))


def test_a_full_queue_takes_no_further_month_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "_MOST_WAITING", 1)

    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path, 1)
        world.broker.go_down()
        world.start_lower()
        world.start_upper()
        await asyncio.sleep(600)
        world.plant.calm = True
        assert await world.waiting() == 3 == len(world.plant.amounts)  # it was looked at once
        world.plant.amounts[3] = Decimal(7)
        world.plant.calm = False
        await asyncio.sleep(60)
        assert await world.waiting() == 3
        world.plant.calm = True
        world.broker.come_up()
        await asyncio.sleep(600)
        assert await world.held() == world.plant.amounts
        await world.kill(world.lower)
        await world.kill(world.upper)

    run(main)


def test_a_parcel_on_the_topic_of_another_centre_is_refused() -> None:
    parcel = IntervalParcel(
        site="works", centre="lower", id=ParcelId(epoch=9, seq=1), intervals=(_interval(0, Decimal(5)),)
    )
    assert read_intervals(Topics("works", "lower").intervals, seal_intervals(parcel)) == parcel
    for topics in (Topics("works", "other"), Topics("other", "lower")):
        with pytest.raises(ValueError, match="on a topic of"):
            read_intervals(topics.intervals, seal_intervals(parcel))
    with pytest.raises(ValueError, match="not of the form"):
        read_intervals("somewhere", seal_intervals(parcel))


def test_an_upper_killed_between_write_and_acknowledgement_holds_the_same_once(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        broker = SimBroker()
        topics = Topics("works", "lower")
        parcel = IntervalParcel(
            site="works", centre="lower", id=ParcelId(epoch=9, seq=1), intervals=(_interval(0, Decimal(5)),)
        )
        for cut in (True, False):
            async with Books(tmp_path / "upper.db", clock, inline=True) as books:
                keep = books.keep

                async def cut_off(function: object, keep: object = keep) -> int:
                    await keep(function)  # type: ignore[operator]
                    raise ConnectionAbortedError

                if cut:
                    books.keep = cut_off  # type: ignore[method-assign, assignment]
                upper = UpperIngest(
                    broker=broker.client("upper", persistent=True), books=books, clock=clock,
                    dead_letters=tmp_path / "dead",
                )  # fmt: skip
                task = asyncio.create_task(upper.run())
                await asyncio.sleep(1)
                if cut:
                    async with broker.client("sender").connect() as connection:
                        await connection.publish(topics.intervals, seal_intervals(parcel))
                        await connection.publish(topics.intervals, b"noise")
                await asyncio.sleep(1)
                assert (topics.committed in broker.retained) is not cut
                if cut:
                    with pytest.raises(ConnectionAbortedError):
                        await task
                    continue
                assert (upper.parcels, upper.changed, upper.refused) == (1, 0, 1)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                found = await books.read(received.committed)
                assert found[received.CentreKey("works", "lower")].epochs == {9: ((1, 1),)}

    run(main)


def test_an_older_revision_never_replaces_a_newer_one(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Books(tmp_path / "books.db", clock, inline=True) as books:
            for seq, (amount, revision) in enumerate([(2, 20), (1, 10), (2, 20), (3, 30)], 1):
                parcel = IntervalParcel(
                    site="works", centre="lower", id=ParcelId(epoch=1, seq=seq),
                    intervals=(_interval(0, Decimal(amount), revision),),
                )  # fmt: skip
                await books.keep(lambda connection, parcel=parcel: received.take(connection, parcel, 1))
            found = await books.read(lambda of: received.intervals(of, SERIES, "hour", start=0, end=2**62))
            assert [(one.amount, one.revision) for one in found] == [(Decimal(3), 30)]

    run(main)


def test_revisions_rise_where_the_books_below_were_lost(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        revisions: list[int] = []
        for name in ("first.db", "first.db", "second.db"):
            async with Books(tmp_path / name, clock, inline=True) as books:
                await asyncio.sleep(1)
                now = clock.now_ns()
                amount = Decimal(len(revisions))
                assert await books.keep(lambda of, now=now, a=amount: forward.put(of, [_interval(0, a)], now)) == 1
                assert await books.keep(lambda of, now=now, a=amount: forward.put(of, [_interval(0, a)], now)) == 0
                (kept,) = await books.read(lambda of: forward.waiting(of, "works", 0, 10))
                revisions.append(kept[0].revision)
        assert revisions == sorted(set(revisions))

    run(main)


def test_what_is_revised_under_way_goes_on_waiting(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with Books(tmp_path / "books.db", clock, inline=True) as books:
            for amount in (1, 2):
                new = _interval(0, Decimal(amount))
                assert await books.keep(lambda of, new=new: forward.put(of, [new], START_NS)) == 1
                if amount == 1:
                    ((sent, _),) = await books.read(lambda of: forward.waiting(of, "works", 0, 10))
            await books.keep(lambda of: forward.confirm(of, [sent]))
            ((newer, interval),) = await books.read(lambda of: forward.waiting(of, "works", 0, 10))
            assert (interval.amount, newer.revision) == (Decimal(2), sent.revision + 1)
            await books.keep(lambda of: forward.confirm(of, [newer, sent]))
            assert await books.read(forward.pending) == 0

    run(main)


def test_ranges_join() -> None:
    held: tuple[tuple[int, int], ...] = ()
    for seq in (5, 1, 2, 7, 6, 2, 9):
        held = joined(held, seq)
    assert held == ((1, 2), (5, 7), (9, 9))


def test_a_centre_below_that_was_restored_from_its_backup_is_believed_above(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path, 1)
        world.start_upper()
        world.start_lower()
        await asyncio.sleep(600)
        await world.kill(world.lower)
        _copy(tmp_path / "lower.db", tmp_path / "backup.db")
        then = dict(world.plant.amounts)
        world.start_lower()
        await asyncio.sleep(600)
        await world.kill(world.lower)
        (tmp_path / "lower.db").unlink()
        _copy(tmp_path / "backup.db", tmp_path / "lower.db")  # and the store, of the same night
        world.plant.amounts, world.plant.calm = then, True
        world.start_lower()
        await asyncio.sleep(7200)
        assert {place: amount for place, amount in (await world.held()).items() if place in then} == then
        assert await world.waiting() == 0
        before = len(world.broker.published)
        await world.kill(world.lower)
        world.start_lower()
        await asyncio.sleep(60)
        forged = encode_committed(Committed(epochs={10**30: ((1, 10**30),)}))
        world.broker.route(Topics("works", "lower").committed, forged, retain=False)
        await asyncio.sleep(60)
        assert not [topic for topic, _ in world.broker.published[before:] if topic.endswith("intervals")]
        await world.kill(world.lower)
        await world.kill(world.upper)

    with capture_events() as events:
        run(main)
    assert [event["event"] for event in events].count("forward.restored") == 1
