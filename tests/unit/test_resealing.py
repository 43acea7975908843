"""A parcel in two: the same sweeps, no gap of ids, and never half of it on disk under the id of the whole."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.resealing import halves
from agent.spool import Spool
from agent.spool_disk import Change, DiskFailed, SqliteDisk, Stored
from metering.faults import Fault
from metering.parcel import Parcel, ParcelId, open_parcel, seal
from metering.sweep import Sweep
from support.virtual_time import START_NS, VirtualClock, run
from wattline.clock import NS
from wattline.events import EventLog, capture_events

BUDGET = 64 * 1024 * 1024
FIRST = ParcelId(epoch=0, seq=0)
OLD, NEW = ParcelId(epoch=3, seq=7), ParcelId(epoch=9, seq=1)


def sweep(number: int) -> Sweep:
    values = {"energy_active_import_total": 10**15 + number, "frequency": 49.9 + number / 1000}
    return Sweep(
        device=f"line-{number % 3}", taken_at=START_NS + number * NS, values=values, faults={"thd": Fault.SENTINEL}
    )


def parcel(sweeps: int) -> Parcel:
    return seal([sweep(n) for n in range(sweeps)], site="s", gateway="g", parcel_id=OLD, dropped=17)


@given(st.integers(min_value=2, max_value=40))
def test_two_halves_hold_what_the_whole_held(sweeps: int) -> None:
    whole = parcel(sweeps)
    made = halves(whole, NEW)
    assert made is not None
    first, second = open_parcel(made.first.body), open_parcel(made.second.body)
    assert (first.id, second.id) == (made.first.id, made.second.id) == (OLD, NEW)
    assert first.sweeps + second.sweeps == open_parcel(whole.body).sweeps
    assert abs(len(first.sweeps) - len(second.sweeps)) <= 1
    assert made.first.readings + made.second.readings == whole.readings
    assert first.dropped == second.dropped == 17
    assert min(made.first.first_at, made.second.first_at) == whole.first_at
    assert max(made.first.last_at, made.second.last_at) == whole.last_at


def test_one_sweep_and_what_cannot_be_read_are_not_split() -> None:
    assert halves(parcel(1), NEW) is None
    assert halves(Parcel(id=OLD, first_at=0, last_at=0, readings=2, body=b"noise"), NEW) is None


class FailingDisk(SqliteDisk):
    """Fails a commit before or after it is made."""

    fails = ""

    async def commit(self, change: Change) -> Stored:
        if self.fails == "before":
            raise DiskFailed("no space left")
        stored = await super().commit(change)
        if self.fails == "after":
            raise DiskFailed("the answer was lost")
        return stored


def play(folder: Path, plot: Callable[[Spool, FailingDisk], Awaitable[None]]) -> list[dict[str, Any]]:
    async def main(clock: VirtualClock) -> None:
        disk = FailingDisk(folder, budget=BUDGET)
        async with Spool(site="s", gateway="g", disk=disk, clock=clock, events=EventLog()) as spool:
            running = asyncio.create_task(spool.run())
            await plot(spool, disk)
            running.cancel()
            await asyncio.wait([running])

    with capture_events() as events:
        run(main)
    return events


def fill(spool: Spool, sweeps: int) -> ParcelId:
    for number in range(sweeps):
        spool.append(sweep(number))
    spool.seal()
    return spool.newest


async def held(spool: Spool) -> list[tuple[int, int]]:
    """(seq, sweeps) of every parcel that waits."""
    return [(each.id.seq, len(open_parcel(each.body).sweeps)) for each in await spool.read(FIRST, None, 99)]


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_parcel_is_split_in_ram_and_on_disk_and_smaller_ones_are_sealed_from_then_on(
    tmp_path: Path, on_disk: bool
) -> None:
    async def plot(spool: Spool, disk: FailingDisk) -> None:
        whole = fill(spool, 200)
        if on_disk:
            await asyncio.sleep(100)
        generation = spool.generation
        assert await spool.split(whole)
        assert spool.generation > generation, "who reads in order has passed the place of the second half"
        assert await held(spool) == [(1, 100), (2, 100)]
        assert spool.stats().parcels_pending == 2
        fill(spool, 200)
        assert await held(spool) == [(1, 100), (2, 100), (3, 100), (4, 100)]
        assert spool.stats().parcels_sealed == 4

    play(tmp_path, plot)


def test_while_the_disk_fails_nothing_is_split_and_no_id_stays_away(tmp_path: Path) -> None:
    """The whole keeps its id, and the second half goes under the id that was given to it: twice, never missing."""

    for fails in ("before", "after"):

        async def plot(spool: Spool, disk: FailingDisk, fails: str = fails) -> None:
            whole = fill(spool, 10)
            disk.fails = fails
            assert not await spool.split(whole)
            assert not await spool.split(whole), "nor a second time, while the disk is known to fail"
            disk.fails = ""
            await asyncio.sleep(100)
            waiting = await held(spool)
            assert [seq for seq, _ in waiting] == [1, 2]
            assert waiting[0][1] == (10 if fails == "before" else 5)
            assert waiting[1][1] == 5
            assert spool.stats().dropped == 0

        folder = tmp_path / fails
        folder.mkdir()
        assert "spool.disk_failed" in [event["event"] for event in play(folder, plot)]


def test_what_was_split_is_found_so_after_a_crash(tmp_path: Path) -> None:
    async def crash(clock: VirtualClock) -> None:
        disk = FailingDisk(tmp_path, budget=BUDGET)
        spool = Spool(site="s", gateway="g", disk=disk, clock=clock, events=EventLog())
        await spool.__aenter__()
        await spool.split(fill(spool, 10))
        await disk.close()  # and nothing else of what a stop does

    async def plot(spool: Spool, disk: FailingDisk) -> None:
        assert [sweeps for _, sweeps in await held(spool)] == [5, 5]

    run(crash)
    play(tmp_path, plot)
