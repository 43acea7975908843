"""Buses in virtual time, for long: no drift, the share of the healthy, the return of the dead, a clock that is set."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest

from agent.poller import PolledDevice, Poller
from agent.schedule import NS, poll_groups
from metering.quantities import Kind
from metering.sweep import PointInfo, Sweep
from support.scripted_bus import POINTS, ScriptedBus
from support.virtual_time import START_NS, VirtualClock, run
from wattline.events import EventLog

EIGHT = [f"meter-{n}" for n in range(8)]
HALF = NS // 2


@dataclass
class Shared:
    """Sweeps with values by device, as (taken at, number of values)."""

    values: dict[str, list[tuple[int, int]]]
    bus: ScriptedBus
    poller: Poller

    def share(self, names: Collection[str], first: int, last: int, interval_ns: int = NS) -> float:
        """Of the boundaries of these devices in [first, last), how many were served."""
        due = len(names) * ((last - first) // interval_ns)
        served = {(name, at // interval_ns) for name in names for at, _ in self.values[name] if first <= at < last}
        return len(served) / due


def poll(
    script: Callable[[ScriptedBus, VirtualClock], Awaitable[None]],
    names: list[str],
    *,
    every: str = "1",
    timeout_s: float = 1.0,
    points: tuple[PointInfo, ...] = POINTS,
) -> Shared:
    async def main(clock: VirtualClock) -> Shared:
        bus = ScriptedBus(clock, names, timeout_s=timeout_s)
        groups = poll_groups(points, gauges_s=Decimal(every), counters_s=Decimal(every))
        values: dict[str, list[tuple[int, int]]] = {name: [] for name in names}

        def sink(sweep: Sweep) -> None:
            if sweep.values:
                values[sweep.device].append((sweep.taken_at, len(sweep.values)))

        devices = [PolledDevice(device=device, groups=groups) for device in bus.devices]
        poller = Poller(bus, devices, sink=sink, clock=clock, random=Random(1), log=EventLog())
        task = asyncio.create_task(poller.run())
        try:
            await script(bus, clock)
            assert not task.done(), task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        return Shared(values, bus, poller)

    return run(main, START_NS + HALF)


def lasting(seconds: float) -> Callable[[ScriptedBus, VirtualClock], Awaitable[None]]:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        await asyncio.sleep(seconds)

    return script


@pytest.mark.parametrize(("every", "seconds"), [("1", 600), ("10", 86_400), ("900", 86_400)])
def test_the_first_request_of_each_boundary_is_at_the_boundary_to_the_nanosecond(every: str, seconds: int) -> None:
    interval = int(every) * NS
    result = poll(lasting(seconds), EIGHT[:2], every=every)
    asked = result.bus.devices[0].asked
    assert len(asked) == seconds // int(every)
    assert all(at % interval == 0 for at in asked)
    assert all(later - earlier == interval for earlier, later in pairwise(asked))
    assert result.poller.counters.late_max_s < 0.03


@pytest.mark.parametrize("dead", [{3}, {0, 1}, {0, 2, 4, 6}, set(range(7))])
@pytest.mark.parametrize("answer_s", [0.02, 0.12])
def test_the_dead_cost_the_living_at_most_a_twentieth_and_are_back_within_15_s(dead: set[int], answer_s: float) -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        for device in bus.devices:
            device.answer_s = answer_s
        await asyncio.sleep(60)
        for n in dead:
            bus.devices[n].silent = True
        await asyncio.sleep(600)
        for n in dead:
            bus.devices[n].silent = False
        await asyncio.sleep(60)

    result = poll(script, EIGHT)
    start = START_NS + HALF
    alive = [name for n, name in enumerate(EIGHT) if n not in dead]
    assert result.share(alive, start + 60 * NS, start + 660 * NS) >= 0.95
    for n in dead:
        returned = min(at for at, _ in result.values[EIGHT[n]] if at >= start + 660 * NS)
        assert returned - (start + 660 * NS) <= 15 * NS
    assert result.share(EIGHT, start + 680 * NS, start + 720 * NS) == 1.0


@pytest.mark.parametrize("step_s", [3600, -3600, 40 * 86_400, -40 * 86_400, 7, -7])
def test_a_clock_that_is_set_costs_a_few_boundaries_and_leaves_all_on_the_new_time(step_s: int) -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        await asyncio.sleep(30)
        clock.step(step_s * NS)
        await asyncio.sleep(60)

    result = poll(script, EIGHT)
    start = START_NS + HALF + (30 + step_s) * NS
    assert result.share(EIGHT, start + 12 * NS, start + 60 * NS) == 1.0
    assert max(len(device.asked) for device in result.bus.devices) <= 91


def test_ten_thousand_points_on_one_gateway_cost_one_turn_a_device_and_none_is_missed() -> None:
    points = tuple(PointInfo(name=f"cfg_{n}", unit="W", kind=Kind.GAUGE) for n in range(40))
    names = [f"meter-{n}" for n in range(250)]

    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        for device in bus.devices:
            device.answer_s = 0.005
        await asyncio.sleep(155)

    result = poll(script, names, every="15", points=points)
    assert sum(len(device.asked) for device in result.bus.devices) == 10 * 250
    assert sum(count for name in names for _, count in result.values[name]) == 10 * 10_000
    assert result.poller.counters.missed == 0
    assert result.poller.counters.late_max_s < 250 * 0.005
