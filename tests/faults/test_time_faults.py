"""Faults of the gateway's clock, by a scripted clock in virtual time; see README.md."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent.honest_time import HonestTime
from agent.poller import PolledDevice, Poller
from agent.schedule import PollGroup
from agent.spool import Spool
from agent.spool_disk import SqliteDisk
from metering.parcel import ParcelId, Received, TimeQuality, open_parcel
from metering.sweep import Sweep
from support.scripted_bus import POINTS, ScriptedBus
from support.virtual_time import START_NS, VirtualClock, run
from wattline.clock import NS
from wattline.events import EventLog, capture_events

FIRST = ParcelId(epoch=0, seq=0)
HOUR_NS = 3600 * NS


@dataclass
class Gateway:
    """A poller that reads a meter each second into a spool that a broker is there for; `vouched` is who keeps the clock."""

    clock: VirtualClock
    spool: Spool
    time: HonestTime
    events: list[dict[str, Any]]
    vouched: bool | None = True
    asked: list[int] = field(default_factory=list[int])
    sweeps: list[tuple[float, Sweep]] = field(default_factory=list)

    def take(self, sweep: Sweep) -> None:
        self.sweeps.append((self.clock.monotonic(), sweep))
        self.spool.append(sweep)

    async def parcels(self) -> list[Received]:
        return [open_parcel(parcel.body) for parcel in await self.spool.read(FIRST, None, 10_000)]

    def told(self) -> list[tuple[str, object]]:
        return [(each["event"], each.get("by_s")) for each in self.events if each["event"].startswith("clock.")]

    async def look(self) -> None:
        while True:
            self.time.look()
            await asyncio.sleep(5)


def gateway(
    folder: Path, plot: Callable[[Gateway], Awaitable[None]], *, vouched: bool | None = True, start_ns: int = START_NS
) -> list[tuple[str, object]]:
    """Run `plot`; returns what was told of the clock."""

    async def main(clock: VirtualClock) -> list[tuple[str, object]]:
        log = EventLog()
        state: list[Gateway] = []
        time = HonestTime(clock, lambda: state[0].vouched if state else vouched, log)
        disk = SqliteDisk(folder, budget=64 * 1024 * 1024)
        bus = ScriptedBus(clock, ["incomer"])
        groups = (PollGroup(interval_ns=NS, points=tuple(point.name for point in POINTS)),)
        async with Spool(site="s", gateway="g", disk=disk, clock=clock, events=log, time=time) as spool:
            spool.set_online(True)
            made = Gateway(clock, spool, time, events, vouched)
            state.append(made)
            made.asked = bus.devices[0].asked
            poller = Poller(
                bus,
                [PolledDevice(device=device, groups=groups) for device in bus.devices],
                sink=made.take,
                clock=clock,
                random=Random(1),
                log=log,
            )
            work = [asyncio.create_task(each) for each in (spool.run(), poller.run(), made.look())]
            try:
                await plot(made)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.wait(work)
        return made.told()

    with capture_events() as events:
        return run(main, start_ns)


@pytest.mark.parametrize("wrong_s", [-40 * 86400, -3600, 7200])
def test_row_53_what_was_read_before_the_clock_was_set_gets_the_time_it_was_read_at(
    tmp_path: Path, wrong_s: int
) -> None:
    """The clock of a gateway without a battery comes up where it was, and is set 20 s after the start."""

    async def plot(gateway: Gateway) -> None:
        await asyncio.sleep(20.3)
        assert len(gateway.sweeps) >= 19, "it polls at once"
        assert not await gateway.parcels(), "and seals late, for the clock is about to be set"
        gateway.clock.step(-wrong_s * NS)
        gateway.vouched = True
        await asyncio.sleep(20)
        gateway.spool.seal()
        parcels = await gateway.parcels()
        read = [sweep for parcel in parcels for sweep in parcel.sweeps if sweep.values]
        taken = [(at_s, sweep) for at_s, sweep in gateway.sweeps if sweep.values]
        for sweep, (at_s, _) in zip(read, taken, strict=True):
            assert abs(sweep.taken_at - (START_NS + round(at_s * NS))) < NS // 100
        assert parcels[0].time_quality is TimeQuality.CORRECTED
        assert parcels[-1].time_quality is TimeQuality.GOOD

    told = gateway(tmp_path, plot, vouched=False, start_ns=START_NS + wrong_s * NS)
    assert told == [("clock.unsynchronised", None), ("clock.stepped", -float(wrong_s)), ("clock.synchronised", None)]


def test_row_53_what_is_sealed_before_the_clock_was_set_is_marked_and_goes_out(tmp_path: Path) -> None:
    async def plot(gateway: Gateway) -> None:
        await asyncio.sleep(400)
        parcels = await gateway.parcels()
        assert len(parcels) > 20, "after five minutes it no longer waits"
        assert {parcel.time_quality for parcel in parcels} == {TimeQuality.UNSYNCHRONISED}
        sealed = sum(len(parcel.sweeps) for parcel in parcels)
        assert sealed >= len(gateway.sweeps) - 6
        assert all(sweep in [each for _, each in gateway.sweeps] for sweep in parcels[0].sweeps), "as they were stamped"

    assert gateway(tmp_path, plot, vouched=False) == [("clock.unsynchronised", None)]


@pytest.mark.parametrize("step_s", [3600, -3600, 40 * 86400, -40 * 86400, 2_147_483_648 + 7 - START_NS // NS], ids=str)
def test_row_54_a_step_leaves_the_schedule_whole_and_the_order_by_number(tmp_path: Path, step_s: int) -> None:
    """The last step is one to the second after which 32 bits are not enough: 2038-01-19."""

    async def plot(gateway: Gateway) -> None:
        await asyncio.sleep(60.5)
        before, asked = len(gateway.sweeps), len(gateway.asked)
        gateway.clock.step(step_s * NS)
        await asyncio.sleep(120)
        assert 115 <= len(gateway.asked) - asked <= 125, "a poll a second, however the clock jumped, and no storm"
        assert len(gateway.sweeps) - before <= 185, "what a step forward leaves out is told for a minute of it at most"
        gateway.spool.seal()
        parcels = await gateway.parcels()
        assert [parcel.id.seq for parcel in parcels] == list(range(1, len(parcels) + 1))
        stamped = [sweep for parcel in parcels for sweep in parcel.sweeps]
        assert stamped == [sweep for _, sweep in gateway.sweeps], "in the order of reading, under the times of then"
        doubtful = [parcel for parcel in parcels if parcel.time_quality is TimeQuality.STEPPED]
        assert len(doubtful) == 1, "the parcel that was open is marked"
        assert {parcel.time_quality for parcel in parcels} == {TimeQuality.GOOD, TimeQuality.STEPPED}

    assert gateway(tmp_path, plot) == [("clock.stepped", float(step_s))]


def test_row_54_after_a_step_back_and_a_new_start_the_epoch_still_rises(tmp_path: Path) -> None:
    epochs: list[int] = []

    async def plot(gateway: Gateway) -> None:
        epochs.append(gateway.spool.epoch)
        await asyncio.sleep(60)
        gateway.spool.seal()

    for start_ns in (START_NS, START_NS - 40 * 24 * HOUR_NS, START_NS + 13 * 365 * 24 * HOUR_NS, START_NS):
        gateway(tmp_path, plot, start_ns=start_ns)
    assert epochs == sorted(set(epochs))


def test_row_55_days_without_time_are_told_and_marked_and_so_is_the_end(tmp_path: Path) -> None:
    async def plot(gateway: Gateway) -> None:
        await asyncio.sleep(600)
        gateway.vouched = False
        lost = gateway.spool.newest.seq
        await asyncio.sleep(3600)
        back = gateway.spool.newest.seq
        assert back - lost > 600, "parcels are as small and as soon as before"
        gateway.vouched = True
        await asyncio.sleep(600)
        for parcel in await gateway.parcels():
            if parcel.id.seq <= lost or parcel.id.seq > back + 1:
                assert parcel.time_quality is TimeQuality.GOOD
            elif lost + 1 < parcel.id.seq <= back:
                assert parcel.time_quality is TimeQuality.UNSYNCHRONISED

    assert gateway(tmp_path, plot) == [("clock.unsynchronised", None), ("clock.synchronised", None)]


def test_row_53_a_clock_from_before_the_program_was_made_is_wrong_whoever_keeps_it(tmp_path: Path) -> None:
    async def plot(gateway: Gateway) -> None:
        await asyncio.sleep(40)
        assert {parcel.time_quality for parcel in await gateway.parcels()} == {TimeQuality.UNSYNCHRONISED}

    assert gateway(tmp_path, plot, vouched=True, start_ns=0) == [("clock.unsynchronised", None)]


def test_nobody_who_can_tell_is_no_reason_for_doubt_but_a_step_is_still_marked(tmp_path: Path) -> None:
    async def plot(gateway: Gateway) -> None:
        await asyncio.sleep(60.5)
        gateway.clock.step(-HOUR_NS)
        await asyncio.sleep(60)
        assert TimeQuality.STEPPED in {parcel.time_quality for parcel in await gateway.parcels()}

    assert gateway(tmp_path, plot, vouched=None) == [("clock.stepped", -3600.0)]
