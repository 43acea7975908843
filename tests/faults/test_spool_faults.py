"""Faults of the machine under the spool: kills, power cuts, disks that are full, dead, slow or lie; see README.md."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from agent.spool import Spool
from agent.spool_disk import Change, DiskFailed, Read, SqliteDisk, Stored
from agent.spool_file import SpoolFile
from metering.parcel import Parcel, ParcelId, open_parcel
from metering.sweep import Sweep
from support import spool_victim
from support.commit_states import states
from support.small_disk import small_disk
from support.virtual_time import VirtualClock, run
from wattline.events import EventLog, capture_events

FIRST = ParcelId(epoch=0, seq=0)
POINTS = 100
MIB = 1024 * 1024


def noise(at_ns: int) -> Sweep:
    """A sweep that does not compress: some 700 bytes."""
    chance = Random(at_ns)
    return Sweep(
        device="incomer",
        taken_at=at_ns,
        values={f"power_active_{n}": chance.random() for n in range(1, POINTS + 1)},
        faults={},
    )


Events = list[dict[str, Any]]
Plot = Callable[[Spool, VirtualClock], Awaitable[None]]


def play(
    directory: Path, plot: Plot, *, budget: int = 64 * MIB, ram_bound: int = 8 * MIB, disk: SqliteDisk | None = None
) -> Events:
    """Run `plot` on a running spool with a real file in virtual time; returns the events."""

    async def main(clock: VirtualClock) -> None:
        port = disk or SqliteDisk(directory, budget=budget)
        spool = Spool(site="s", gateway="g", disk=port, clock=clock, events=EventLog(), ram_bound=ram_bound)
        async with spool:
            timers = asyncio.create_task(spool.run())
            try:
                await plot(spool, clock)
            finally:
                timers.cancel()
                await asyncio.wait({timers})

    with capture_events() as events:
        run(main)
    return events


async def feed(spool: Spool, clock: VirtualClock, seconds: int) -> None:
    """A sweep a second."""
    for _ in range(seconds):
        spool.append(noise(clock.now_ns()))
        await asyncio.sleep(1.0)


async def waiting(spool: Spool) -> list[Parcel]:
    """All parcels there are, oldest first, each opened once to see that it is whole."""
    found: list[Parcel] = []
    while more := await spool.read(found[-1].id if found else FIRST, None, 100):
        found += more
    for parcel in found:
        assert open_parcel(parcel.body).id == parcel.id
    return found


async def check_nothing_is_missing_but_the_oldest(spool: Spool) -> None:
    """What was acquired is there or counted as dropped; what is there is the newest without a gap."""
    spool.seal()
    found = await waiting(spool)
    stats = spool.stats()
    assert stats.acquired == stats.dropped + sum(parcel.readings for parcel in found)
    assert [parcel.id.seq for parcel in found] == list(range(found[0].id.seq, spool.newest.seq + 1))


def names(events: Events) -> list[str]:
    return [event["event"] for event in events]


def test_row_58_a_disk_that_others_fill_thins_the_oldest_alone_and_is_left_its_floor(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:

        async def plot(spool: Spool, clock: VirtualClock) -> None:
            await feed(spool, clock, 3000)
            assert spool.stats().dropped == 0
            disk.fill(but=MIB)
            await feed(spool, clock, 6000)
            stats = spool.stats()
            assert stats.durable
            assert stats.dropped > 0
            await check_nothing_is_missing_but_the_oldest(spool)
            disk.clear()
            dropped = spool.stats().dropped
            await feed(spool, clock, 3000)
            assert spool.stats().dropped == dropped, "it grows again by itself"
            await check_nothing_is_missing_but_the_oldest(spool)

        events = play(disk.path / "spool", plot)
        assert names(events) == ["spool.opened", "spool.thinning"]
        assert disk.free >= 24 * MIB // 20


def test_row_58_a_disk_without_a_free_byte_takes_commits_with_the_help_of_the_ballast(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:

        async def plot(spool: Spool, clock: VirtualClock) -> None:
            await feed(spool, clock, 600)
            disk.fill()
            await feed(spool, clock, 1200)
            assert spool.durable
            assert not (disk.path / "spool" / "ballast").exists()
            await check_nothing_is_missing_but_the_oldest(spool)
            disk.clear()
            await feed(spool, clock, 600)
            assert (disk.path / "spool" / "ballast").stat().st_blocks * 512 >= MIB
            await check_nothing_is_missing_but_the_oldest(spool)

        events = play(disk.path / "spool", plot)
        assert names(events) == ["spool.opened", "spool.disk_full", "spool.dropping", "spool.disk_roomy"]


def test_row_58_a_disk_that_is_full_at_the_start_is_taken_up_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        disk.fill()

        async def plot(spool: Spool, clock: VirtualClock) -> None:
            await feed(spool, clock, 600)
            assert not spool.durable
            assert spool.stats().dropped == 0
            await check_nothing_is_missing_but_the_oldest(spool)
            disk.clear()
            await feed(spool, clock, 120)
            assert spool.durable
            await check_nothing_is_missing_but_the_oldest(spool)

        events = play(disk.path / "spool", plot)
        assert names(events) == ["spool.disk_failed", "spool.opened", "spool.disk_back"]


def test_row_59_a_disk_that_became_read_only_leaves_the_agent_running_from_memory(tmp_path: Path) -> None:
    async def well(spool: Spool, clock: VirtualClock) -> None:
        await feed(spool, clock, 90)

    with small_disk(tmp_path / "disk", 24) as disk:
        play(disk.path / "spool", well)
        disk.remount("ro")

        async def plot(spool: Spool, clock: VirtualClock) -> None:
            await feed(spool, clock, 4000)
            stats = spool.stats()
            assert not stats.durable
            assert stats.dropped > 0
            assert stats.ram_bytes <= MIB
            disk.remount("rw")
            await feed(spool, clock, 60)
            stats = spool.stats()
            assert stats.durable
            spool.seal()
            found = await waiting(spool)
            assert len({parcel.id.epoch for parcel in found}) == 2
            assert stats.acquired + 90 * POINTS == stats.dropped + sum(parcel.readings for parcel in found)

        events = play(disk.path / "spool", plot, ram_bound=MIB)
    # the clock stands where it stood at the first start: the epoch taken without the disk turns out to be used up
    told = ["spool.disk_failed", "spool.opened", "spool.dropping", "spool.epoch_raised", "spool.disk_back"]
    assert names(events) == told
    assert "readonly" in events[0]["error"] or "ead-only" in events[0]["error"]


class PortDisk(SqliteDisk):
    """The real disk behind one queue, as its thread is: it can fail each call, or take its time for each commit."""

    def __init__(self, directory: Path, *, budget: int) -> None:
        super().__init__(directory, budget=budget)
        self.error: str | None = None
        self.fsync_s = 0.0
        self.busy = asyncio.Lock()

    async def commit(self, change: Change) -> Stored:
        async with self.busy:
            self._check()
            await asyncio.sleep(self.fsync_s)
            return await super().commit(change)

    async def read(self, after: int, before: int, limit: int, max_bytes: int) -> Read:
        async with self.busy:
            self._check()
            return await super().read(after, before, limit, max_bytes)

    def _check(self) -> None:
        if self.error is not None:
            raise DiskFailed(self.error)


def test_row_59_an_io_error_leaves_polling_and_publishing_to_memory_and_is_over_by_itself(tmp_path: Path) -> None:
    disk = PortDisk(tmp_path, budget=64 * MIB)

    async def plot(spool: Spool, clock: VirtualClock) -> None:
        spool.set_online(True)
        await feed(spool, clock, 100)
        disk.error = "disk I/O error"
        before = spool.newest
        for _ in range(60):
            await feed(spool, clock, 6)
            live = await spool.read(before, None, 100)
            assert live[-1].id == spool.newest, "what is new can be sent"
            spool.release([parcel.id for parcel in live])
            before = spool.newest
        assert not spool.durable
        assert spool.stats().dropped == 0
        disk.error = None
        await feed(spool, clock, 31)
        assert spool.durable
        spool.seal()
        stats = spool.stats()
        assert stats.acquired == sum(p.readings for p in await waiting(spool)) + 360 * POINTS

    events = play(tmp_path, plot, disk=disk)
    assert names(events) == ["spool.opened", "spool.disk_failed", "spool.disk_back"]
    assert events[1]["error"] == "disk I/O error"


def test_row_61_a_flush_that_takes_two_seconds_holds_up_neither_polling_nor_what_is_live(tmp_path: Path) -> None:
    disk = PortDisk(tmp_path, budget=64 * MIB)

    async def plot(spool: Spool, clock: VirtualClock) -> None:
        disk.fsync_s = 2.0
        spool.set_online(True)
        sent = FIRST
        during_a_commit = 0
        for _ in range(600):
            began = clock.monotonic()
            spool.append(noise(clock.now_ns()))
            spool.seal()
            live = await spool.read(sent, None, 100) if sent != FIRST else []
            assert clock.monotonic() == began, "neither append nor the reading of what is live waits for the disk"
            if live or sent == FIRST:
                sent = spool.newest
            during_a_commit += disk.busy.locked()
            await asyncio.sleep(1.0)
        assert sent == spool.newest
        assert during_a_commit >= 15
        assert spool.stats().dropped == 0

    assert names(play(tmp_path, plot, disk=disk)) == ["spool.opened"]


def test_row_56_a_kill_at_any_instant_costs_nothing_that_was_durable(tmp_path: Path) -> None:
    kept: set[ParcelId] = set()
    going: set[ParcelId] = set()
    chance = Random(11)
    for kill in range(4):
        victim = subprocess.Popen(
            [sys.executable, "-P", spool_victim.__file__, str(tmp_path), str(kill)], stdout=subprocess.PIPE, text=True
        )
        assert victim.stdout is not None
        said = [victim.stdout.readline() for _ in range(chance.randrange(1, 60))]
        victim.kill()
        said += victim.stdout.read().splitlines(keepends=True)
        victim.wait()
        victim.stdout.close()
        for line in said:
            if line.endswith("\n"):
                what, epoch, seq = line.split()
                (kept if what == "kept" else going).add(ParcelId(epoch=int(epoch), seq=int(seq)))

    async def plot(spool: Spool, clock: VirtualClock) -> None:
        assert spool.epoch > max(each.epoch for each in kept)
        found: list[Parcel] = []
        while more := await spool.read(found[-1].id if found else FIRST, None, 100):
            found += more
        assert kept - going <= {parcel.id for parcel in found}
        assert all(parcel == spool_victim.parcel(parcel.id.epoch, parcel.id.seq) for parcel in found)
        assert spool.stats().parcels_pending == len(found)

    events = play(tmp_path, plot, budget=1 << 30)
    assert names(events) == ["spool.opened"]
    assert events[0]["parcels"] >= len(kept - going)


def test_row_57_a_power_cut_in_a_commit_leaves_all_of_it_or_nothing(tmp_path: Path) -> None:
    """File and journal hold any of the 512-byte sectors that were not flushed: what was before a flush is whole."""
    before = [Change(epoch=7, insert=[spool_victim.parcel(7, seq)]) for seq in range(1, 6)]
    change = Change(epoch=7, insert=[spool_victim.parcel(7, seq) for seq in (6, 7)], delete=[ParcelId(epoch=7, seq=2)])
    (tmp_path / "made").mkdir()
    flushed = states(tmp_path / "made", before, change, budget=64 * MIB)
    assert [state.hot for state in flushed] == [False, False, True, True, False, False]
    path = tmp_path / "cut" / "spool.sqlite3"
    path.parent.mkdir()
    chance = Random(5)
    ends: list[tuple[int, ...]] = []
    for one, other in pairwise(flushed):
        for _ in range(60):
            one.torn(other, chance).put(path)
            after = SpoolFile(path, budget=64 * MIB)
            stored = after.open()
            ends.append(tuple(parcel.id.seq for parcel in after.read(0, 1 << 62, 100, 1 << 30).parcels))
            after.close()
            assert stored.parcels == len(ends[-1])
    assert set(ends) == {(1, 2, 3, 4, 5), (1, 3, 4, 5, 6, 7)}
    assert set(ends[-60:]) == {(1, 3, 4, 5, 6, 7)}, "it has returned"
    flushed[3].put(path)

    async def plot(spool: Spool, clock: VirtualClock) -> None:
        assert spool.stats().parcels_pending == 5

    assert names(play(tmp_path / "cut", plot)) == ["spool.opened"]


def test_row_60_a_corrupt_spool_is_set_aside_the_agent_starts_and_the_loss_is_counted(tmp_path: Path) -> None:
    async def fill(spool: Spool, clock: VirtualClock) -> None:
        await feed(spool, clock, 600)

    async def plot(spool: Spool, clock: VirtualClock) -> None:
        found = await waiting(spool)
        lost = 600 * POINTS - sum(parcel.readings for parcel in found)
        assert 0 < lost <= 150 * POINTS
        await feed(spool, clock, 60)
        assert spool.durable
        assert spool.stats().dropped == lost

    play(tmp_path, fill)
    path = tmp_path / "spool.sqlite3"
    with path.open("r+b") as file:
        page = inner_page(path.read_bytes())
        file.seek(page * 4096)
        file.write(Random(1).randbytes(4096))
    events = play(tmp_path, plot)
    assert names(events) == ["spool.opened", "spool.salvaged"]
    assert "readings lost" in events[1]["found"]
    assert (tmp_path / "spool.sqlite3.corrupt").exists()


def inner_page(data: bytes) -> int:
    """A page that is a leaf of a table and not one of the first three: its rows are gone with it."""
    leaves = [at // 4096 for at in range(3 * 4096, len(data), 4096) if data[at] == 0x0D]
    return leaves[len(leaves) // 2]
