"""The spool: nothing it holds is lost, no id comes twice, and what is released in time never touches the disk."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from agent.spool import Spool
from agent.spool_disk import Change, DiskFailed, Read, SqliteDisk, Stored
from metering.faults import Fault
from metering.parcel import ParcelId, open_parcel
from metering.sweep import Sweep
from support.virtual_time import START_NS, VirtualClock, VirtualLoop, run
from wattline.clock import NS
from wattline.events import EventLog, capture_events

BUDGET = 64 * 1024 * 1024
FIRST = ParcelId(epoch=0, seq=0)


class WatchedDisk(SqliteDisk):
    """The real disk that can be made to fail and counts what it is asked."""

    def __init__(self, directory: Path, *, budget: int = BUDGET) -> None:
        super().__init__(directory, budget=budget)
        self.failing = False
        self.commits: list[Change] = []
        self.delay_s = 0.0

    def _check(self) -> None:
        if self.failing:
            raise DiskFailed("database or disk is full")

    async def open(self) -> Stored:
        self._check()
        return await super().open()

    async def commit(self, change: Change) -> Stored:
        self._check()
        self.commits.append(change)
        await asyncio.sleep(self.delay_s)
        return await super().commit(change)

    async def read(self, after: int, before: int, limit: int, max_bytes: int) -> Read:
        self._check()
        return await super().read(after, before, limit, max_bytes)

    @property
    def inserted(self) -> int:
        return sum(len(change.insert) for change in self.commits)


def sweep(at_ns: int, points: int = 4) -> Sweep:
    values = {f"power_active_l{n}": at_ns % 100_000 + n for n in range(points)}
    return Sweep(device="incomer", taken_at=at_ns, values=values, faults={})


def spool_on(disk: SqliteDisk, clock: VirtualClock, **how: Any) -> Spool:
    return Spool(site="s", gateway="g", disk=disk, clock=clock, events=EventLog(), **how)


Plot = Callable[[Spool, WatchedDisk, VirtualClock], Awaitable[None]]


def play(directory: Path, plot: Plot, **how: Any) -> list[dict[str, Any]]:
    """Run `plot` on a running spool in virtual time; returns the events."""

    async def main(clock: VirtualClock) -> None:
        disk = WatchedDisk(directory)
        async with spool_on(disk, clock, **how) as spool:
            timers = asyncio.create_task(spool.run())
            try:
                await plot(spool, disk, clock)
            finally:
                timers.cancel()
                await asyncio.wait({timers})

    with capture_events() as events:
        run(main)
    return events


async def feed(spool: Spool, clock: VirtualClock, seconds: int) -> None:
    """A sweep a second."""
    for _ in range(seconds):
        spool.append(sweep(clock.now_ns()))
        await asyncio.sleep(1.0)


def test_a_parcel_released_before_its_commit_is_due_never_touches_the_disk(tmp_path: Path) -> None:
    async def plot(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        spool.set_online(True)
        for _ in range(100):
            await feed(spool, clock, 6)
            spool.release([parcel.id for parcel in await spool.read(FIRST, None, 100)])
        assert spool.stats().parcels_sealed >= 100
        assert disk.inserted == 0
        assert len(disk.commits) == 1  # the epoch

    play(tmp_path, plot)


def test_without_a_broker_parcels_are_as_large_as_a_commit_and_each_reading_is_durable_after_t(tmp_path: Path) -> None:
    async def plot(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        began = clock.now_ns()
        await feed(spool, clock, 301)
        durable = [parcel for change in disk.commits for parcel in change.insert]
        assert len(durable) == 10
        assert durable[-1].last_at >= began + 270 * NS

    play(tmp_path, plot)


def test_online_a_parcel_is_sealed_every_interval_and_is_durable_after_t_when_no_one_confirms(tmp_path: Path) -> None:
    async def plot(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        spool.set_online(True)
        await feed(spool, clock, 29)
        assert spool.stats().parcels_sealed == 5
        assert disk.inserted == 0
        await feed(spool, clock, 2)
        assert disk.inserted == spool.stats().parcels_sealed == 6

    play(tmp_path, plot)


def test_a_clean_stop_keeps_every_reading(tmp_path: Path) -> None:
    async def plot(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        await feed(spool, clock, 7)

    async def after(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        parcels = await spool.read(FIRST, None, 10)
        assert sum(parcel.readings for parcel in parcels) == 28

    play(tmp_path, plot)
    play(tmp_path, after)


def test_each_start_has_a_higher_epoch_even_when_the_file_is_lost_or_the_clock_stands(tmp_path: Path) -> None:
    epochs: list[int] = []

    async def plot(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        epochs.append(spool.epoch)
        assert disk.commits[0].epoch == spool.epoch

    play(tmp_path / "a", plot)
    play(tmp_path / "a", plot)
    play(tmp_path / "another card", plot)
    assert epochs[0] == START_NS // NS
    assert epochs[1] == epochs[0] + 1
    assert epochs[2] >= epochs[0]


def test_a_burst_beyond_half_the_ram_bound_is_committed_at_once(tmp_path: Path) -> None:
    async def plot(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        for n in range(200):
            spool.append(sweep(clock.now_ns() + n, points=300))
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert disk.inserted > 0
        assert spool.stats().dropped == 0
        assert spool.stats().ram_bytes <= 100_000

    play(tmp_path, plot, ram_bound=200_000)


def test_while_the_disk_fails_the_spool_runs_on_from_ram_and_says_so_once(tmp_path: Path) -> None:
    async def plot(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        await feed(spool, clock, 40)
        disk.failing = True
        await feed(spool, clock, 300)
        assert not spool.durable
        seqs = [parcel.id.seq for parcel in await spool.read(FIRST, None, 100)]
        assert seqs == list(range(seqs[0], spool.newest.seq + 1))
        disk.failing = False
        generation = spool.generation
        await feed(spool, clock, 60)
        assert spool.durable
        assert spool.generation > generation
        seqs = [parcel.id.seq for parcel in await spool.read(FIRST, None, 100)]
        assert seqs == list(range(1, spool.newest.seq + 1))
        assert spool.stats().dropped == 0

    events = [event["event"] for event in play(tmp_path, plot)]
    assert events == ["spool.opened", "spool.disk_failed", "spool.disk_back"]


def test_with_a_dead_disk_ram_stays_bounded_the_oldest_go_and_are_counted_for_good(tmp_path: Path) -> None:
    async def plot(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        disk.failing = True
        await feed(spool, clock, 4000)
        left = await spool.read(FIRST, None, 10_000)
        stats = spool.stats()
        assert stats.ram_bytes <= 10_000
        assert left[-1].id == spool.newest
        spool.seal()
        assert stats.dropped > 0
        disk.failing = False
        await asyncio.sleep(31)
        final = spool.stats()
        assert final.acquired == final.dropped + final.readings_pending
        assert open_parcel((await spool.read(FIRST, None, 10_000))[-1].body).dropped == stats.dropped

    events = [event["event"] for event in play(tmp_path, plot, ram_bound=10_000)]
    assert events == ["spool.opened", "spool.disk_failed", "spool.dropping", "spool.disk_back"]


def test_a_disk_that_is_away_at_the_start_is_taken_up_when_it_comes(tmp_path: Path) -> None:
    async def first(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        await feed(spool, clock, 10)

    play(tmp_path, first)

    async def main(clock: VirtualClock) -> None:
        disk = WatchedDisk(tmp_path)
        disk.failing = True
        async with spool_on(disk, clock) as spool:
            timers = asyncio.create_task(spool.run())
            await feed(spool, clock, 35)
            assert {parcel.id.epoch for parcel in await spool.read(FIRST, None, 100)} == {spool.epoch}
            disk.failing = False
            await feed(spool, clock, 60)
            epochs = {parcel.id.epoch for parcel in await spool.read(FIRST, None, 100)}
            assert len(epochs) == 2
            timers.cancel()
            await asyncio.wait({timers})

    run(main, start_ns=START_NS + 3600 * NS)


def test_a_parcel_released_while_it_is_being_committed_leaves_the_disk_too(tmp_path: Path) -> None:
    async def plot(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        disk.delay_s = 5.0
        await feed(spool, clock, 32)
        [parcel] = await spool.read(FIRST, None, 10)
        assert disk.commits[-1].insert == (parcel,)
        spool.release([parcel.id])
        assert await spool.read(FIRST, None, 10) == []
        await asyncio.sleep(120)
        assert parcel.id in {parcel_id for change in disk.commits for parcel_id in change.delete}
        assert await spool.read(FIRST, parcel.id, 10) == []

    play(tmp_path, plot)


def test_a_sweep_of_faults_alone_is_a_parcel_too(tmp_path: Path) -> None:
    async def plot(spool: Spool, disk: WatchedDisk, clock: VirtualClock) -> None:
        spool.append(Sweep(device="incomer", taken_at=clock.now_ns(), values={}, faults={"all_points": Fault.BACKOFF}))
        spool.seal()
        [parcel] = await spool.read(FIRST, None, 1)
        assert open_parcel(parcel.body).sweeps[0].faults == {"all_points": Fault.BACKOFF}

    play(tmp_path, plot)


class Machine(RuleBasedStateMachine):
    """The spool against a model: what is durable, what is in RAM, what was released but not yet on disk."""

    live = Bundle("live")

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        loop = self.runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        self.clock = VirtualClock(loop, START_NS)
        self.directory = self.root / str(next(self.numbers))
        self.on_disk: dict[ParcelId, int] = {}
        self.in_ram: dict[ParcelId, int] = {}
        self.gathered = 0
        self.ever: set[ParcelId] = set()
        self.at = START_NS
        self.open()

    root: Path
    numbers = itertools.count()

    def open(self) -> None:
        self.disk = WatchedDisk(self.directory)
        self.spool = spool_on(self.disk, self.clock)
        self.runner.run(self.spool.__aenter__())
        assert all(self.spool.epoch > known.epoch for known in self.ever)

    @rule(count=st.integers(1, 5), points=st.integers(1, 60))
    def append(self, count: int, points: int) -> None:
        for _ in range(count):
            self.at += NS
            self.spool.append(sweep(self.at, points))
            self.gathered += points

    @rule(target=live)
    def seal(self) -> Any:
        before = self.spool.newest.seq
        self.spool.seal()
        if self.spool.newest.seq == before:
            return multiple()
        parcel_id = self.spool.newest
        assert parcel_id not in self.ever
        self.ever.add(parcel_id)
        self.in_ram[parcel_id], self.gathered = self.gathered, 0
        return parcel_id

    @rule()
    def commit(self) -> None:
        self.runner.run(self.spool._stock.commit())
        if not self.disk.failing:
            self.on_disk = self.on_disk | self.in_ram
            self.on_disk = {known: count for known, count in self.on_disk.items() if known in self.unreleased}
            self.in_ram = {}

    @rule(parcel_id=consumes(live))
    def release(self, parcel_id: ParcelId) -> None:
        if parcel_id in self.in_ram or parcel_id in self.on_disk:
            self.spool.release([parcel_id])
            self.in_ram.pop(parcel_id, None)
            self.gone = self.gone | {parcel_id}

    gone: frozenset[ParcelId] = frozenset()

    @property
    def unreleased(self) -> set[ParcelId]:
        return (self.in_ram.keys() | self.on_disk.keys()) - self.gone

    @rule()
    def fail_or_mend(self) -> None:
        self.disk.failing = not self.disk.failing
        if not self.disk.failing:
            self.commit()

    @rule()
    def crash(self) -> None:
        """The process is gone: what was committed is there, a release that was not comes back."""
        self.disk._file.close()
        self.in_ram, self.gathered, self.gone = {}, 0, frozenset()
        self.open()

    @rule()
    def stop(self) -> None:
        if self.disk.failing:
            self.disk.failing = False
        if self.gathered:
            self.seal()
        self.commit()
        self.runner.run(self.spool.__aexit__(None, None, None))
        self.gone = frozenset()
        self.open()

    @invariant()
    def what_is_unreleased_can_be_read(self) -> None:
        wanted = self.in_ram.keys() if self.disk.failing else self.unreleased
        read = self.runner.run(self.spool.read(FIRST, None, 1000))
        if self.disk.failing:
            assert [parcel.id for parcel in read] == sorted(wanted)
            return
        if self.spool.durable:
            assert [parcel.id for parcel in read] == sorted(wanted)
            known = self.on_disk | self.in_ram
            assert all(parcel.readings == known[parcel.id] for parcel in read)
            assert all(open_parcel(parcel.body).id == parcel.id for parcel in read)

    def teardown(self) -> None:
        if hasattr(self, "disk"):
            self.disk._file.close()
            self.runner.close()


def test_the_spool_agrees_with_a_model_through_crashes_and_failing_disks(tmp_path: Path) -> None:
    Machine.root = tmp_path
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
