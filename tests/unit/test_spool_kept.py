"""Side files of the spool: a killed agent loses nothing that it had taken, and nothing is counted or timed anew."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.honest_time import HonestTime
from agent.side_files import SideFiles
from agent.spool import Spool
from agent.spool_disk import Change, DiskFailed, SqliteDisk, Stored
from metering.faults import Fault
from metering.parcel import ParcelId, Received, TimeQuality, open_parcel
from metering.sweep import Sweep
from support.virtual_time import START_NS, VirtualClock, run
from wattline.clock import NS
from wattline.events import EventLog, capture_events

FIRST = ParcelId(epoch=0, seq=0)
Plot = Callable[["Killed"], Awaitable[None]]


class MortalDisk(SqliteDisk):
    """`dead`: its process is, and commits nothing more."""

    dead = False

    async def commit(self, change: Change) -> Stored:
        if self.dead:
            raise DiskFailed("dead")
        return await super().commit(change)


class MortalSide(SideFiles):
    """`die`: SIGKILL. What was written stays as it is."""

    def die(self) -> None:
        self.close()
        self.delete = lambda number: None  # type: ignore[method-assign]


class Killed:
    """Spools on one disk and one side folder; `lives` runs a plot on one and kills it."""

    def __init__(self, folder: Path, clock: VirtualClock) -> None:
        self.folder, self.clock = folder, clock
        self.vouched: bool | None = None

    async def lives(self, plot: Callable[[Spool], Awaitable[None]], *, disk_works: bool = True) -> None:
        disk = MortalDisk(self.folder / "spool", budget=64 << 20)
        disk.dead = not disk_works
        self.side = side = MortalSide(self.folder / "side", EventLog())
        self.time = time = HonestTime(self.clock, lambda: self.vouched, EventLog())
        spool = Spool(site="s", gateway="g", disk=disk, clock=self.clock, events=EventLog(), time=time, side_files=side)
        async with spool:
            timers = asyncio.create_task(spool.run())
            await plot(spool)
            timers.cancel()
            await asyncio.wait({timers})
            side.die()
            disk.dead = True

    async def feed(self, spool: Spool, seconds: int) -> list[Sweep]:
        """A sweep a second."""
        fed: list[Sweep] = []
        for second in range(seconds):
            faults = {"current_l2": Fault.SENTINEL} if second % 3 else {}
            fed.append(Sweep(device="incomer", taken_at=self.clock.now_ns(), values={"power": second}, faults=faults))
            spool.append(fed[-1])
            await asyncio.sleep(1.0)
        return fed


def killed(folder: Path, plot: Plot) -> list[dict[str, Any]]:
    with capture_events() as events:
        run(lambda clock: plot(Killed(folder, clock)))
    return [event for event in events if event["event"] in ("spool.taken_over", "spool.side_failed")]


async def held(spool: Spool) -> list[Received]:
    return [open_parcel(parcel.body) for parcel in await spool.read(FIRST, None, 1000)]


def sweeps(parcels: list[Received]) -> Iterator[Sweep]:
    return (sweep for parcel in parcels for sweep in parcel.sweeps)


@pytest.mark.parametrize("online", [False, True])
def test_what_a_killed_spool_had_taken_is_in_the_next_with_its_time(tmp_path: Path, online: bool) -> None:
    async def plot(plant: Killed) -> None:
        fed: list[Sweep] = []

        async def first(spool: Spool) -> None:
            spool.set_online(online)
            fed.extend(await plant.feed(spool, 25))

        async def second(spool: Spool) -> None:
            parcels = await held(spool)
            assert list(sweeps(parcels)) == fed
            assert {parcel.id.epoch for parcel in parcels} == {spool.epoch}
            assert (spool.stats().acquired, spool.stats().dropped) == (0, 0)
            assert spool.stats().readings_pending == 25

        async def third(spool: Spool) -> None:
            assert list(sweeps(await held(spool))) == fed  # from the disk, and not once more

        await plant.lives(first)
        await plant.lives(second)
        await plant.lives(third)

    [told] = killed(tmp_path, plot)
    assert (told["sweeps"], told["readings"], told["damaged_bytes"]) == (25, 25, 0)


def test_what_is_committed_or_stored_leaves_the_side_files(tmp_path: Path) -> None:
    async def plot(plant: Killed) -> None:
        async def life(spool: Spool) -> None:
            await plant.feed(spool, 95)
            assert len(list((tmp_path / "side").iterdir())) <= 2
            spool.set_online(True)
            for _ in range(10):
                await plant.feed(spool, 6)
                spool.release([parcel.id for parcel in await spool.read(FIRST, None, 100)])
            assert len(list((tmp_path / "side").iterdir())) <= 2

        await plant.lives(life)

    killed(tmp_path, plot)


def test_a_clean_stop_leaves_no_side_file(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        disk = SqliteDisk(tmp_path / "spool", budget=64 << 20)
        side = SideFiles(tmp_path / "side", EventLog())
        how: dict[str, Any] = {"disk": disk, "clock": clock, "events": EventLog(), "side_files": side}
        async with Spool(site="s", gateway="g", **how) as spool:
            await Killed(tmp_path, clock).feed(spool, 10)
            assert len(list((tmp_path / "side").iterdir())) == 1

    run(main)
    assert list((tmp_path / "side").iterdir()) == []


def test_while_the_disk_fails_what_was_taken_over_stays_in_the_side_files(tmp_path: Path) -> None:
    async def plot(plant: Killed) -> None:
        fed: list[Sweep] = []

        async def life(spool: Spool) -> None:
            fed.extend(await plant.feed(spool, 45))

        async def last(spool: Spool) -> None:
            assert sorted(sweeps(await held(spool)), key=lambda sweep: sweep.taken_at) == fed

        for _ in range(3):
            await plant.lives(life, disk_works=False)
        await plant.lives(last)

    assert [told["sweeps"] for told in killed(tmp_path, plot)] == [45, 90, 135]


@pytest.mark.parametrize("sealed", [False, True])
def test_a_time_that_was_corrected_when_it_was_sealed_stays_corrected_and_a_doubt_stays(
    tmp_path: Path, sealed: bool
) -> None:
    async def plot(plant: Killed) -> None:
        plant.vouched = False
        before: list[Received] = []

        async def first(spool: Spool) -> None:
            await plant.feed(spool, 10)
            if sealed:
                plant.clock.step(3600 * NS)
                plant.vouched = True
                spool.seal()
                before.extend(await held(spool))

        async def second(spool: Spool) -> None:
            [parcel] = await held(spool)
            if sealed:
                assert parcel.time_quality is TimeQuality.CORRECTED
                assert parcel.sweeps == before[0].sweeps
                assert parcel.sweeps[0].taken_at == START_NS + 3600 * NS
            else:
                assert parcel.time_quality is TimeQuality.UNSYNCHRONISED
                assert parcel.sweeps[0].taken_at == START_NS

        await plant.lives(first)
        await plant.lives(second)

    killed(tmp_path, plot)


@pytest.mark.parametrize("vouched", [[False, False], [None, False]])
def test_a_kill_while_a_parcel_of_doubtful_time_is_sealed_costs_nothing(
    tmp_path: Path, vouched: list[bool | None]
) -> None:
    async def plot(plant: Killed) -> None:
        fed: list[Sweep] = []

        async def first(spool: Spool) -> None:
            for plant.vouched in vouched:
                plant.time.look()
                fed.extend(await plant.feed(spool, 2))

            def last(number: int) -> None:
                SideFiles.delete(plant.side, number)
                plant.side.die()

            plant.side.delete = last  # type: ignore[method-assign]
            spool.seal()

        async def second(spool: Spool) -> None:
            parcels = await held(spool)
            assert {sweep.taken_at for sweep in sweeps(parcels)} == {sweep.taken_at for sweep in fed}
            assert {parcel.time_quality for parcel in parcels} == {TimeQuality.UNSYNCHRONISED}

        await plant.lives(first)
        await plant.lives(second)

    killed(tmp_path, plot)


def test_a_torn_tail_and_a_record_of_another_version_cost_only_themselves(tmp_path: Path) -> None:
    async def plot(plant: Killed) -> None:
        fed: list[Sweep] = []

        async def first(spool: Spool) -> None:
            fed.extend(await plant.feed(spool, 10))

        async def second(spool: Spool) -> None:
            assert list(sweeps(await held(spool))) == fed[:-1]

        await plant.lives(first)
        [path] = (tmp_path / "side").iterdir()
        path.write_bytes(path.read_bytes()[:-1])
        other = SideFiles(tmp_path / "side", EventLog())
        other.open()
        for record in (b"", b"x?", b"gno line at all", b"g\xff", b'gmeter_fault,device=a power="eaten by mice" 1'):
            other.write(record)
        other.close()
        await plant.lives(second)

    [told] = killed(tmp_path, plot)
    assert told["sweeps"] == 9
    assert told["damaged_bytes"] > 0
