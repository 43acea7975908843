"""The poller in virtual time on a scripted bus: on time, alone with its trouble, and every absence explained."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

from agent.poller import PolledDevice, Poller
from agent.schedule import NS, poll_groups
from drivers.base import DeviceSilent, LinkDown
from metering.faults import ALL_POINTS, Fault
from metering.sweep import Sweep
from support.scripted_bus import POINTS, ScriptedBus, ScriptedReader
from support.virtual_time import START_NS, VirtualClock, run
from wattline.events import EventLog, capture_events

Script = Callable[[ScriptedBus, VirtualClock], Awaitable[None]]
EIGHT = [f"meter-{n}" for n in range(1, 9)]
START = START_NS + NS // 2


class Result:
    def __init__(self, bus: ScriptedBus, poller: Poller, sweeps: list[Sweep], events: list[dict[str, Any]]) -> None:
        self.bus, self.poller, self.sweeps, self.events = bus, poller, sweeps, events

    def values(self, device: str) -> list[Sweep]:
        return [sweep for sweep in self.sweeps if sweep.device == device and sweep.values]

    def faults(self, device: str) -> list[Sweep]:
        return [sweep for sweep in self.sweeps if sweep.device == device and sweep.faults]

    def news(self) -> list[str]:
        return [event["event"] for event in self.events]


def poll(
    script: Script,
    names: list[str],
    *,
    every: str = "1",
    counters: str | None = None,
    timeout_s: float = 0.5,
    loss_s: float = 0.0,
    promises: list[float] | None = None,
) -> Result:
    async def main(clock: VirtualClock) -> Result:
        bus = ScriptedBus(clock, names, timeout_s=timeout_s, loss_s=loss_s)
        groups = poll_groups(POINTS, gauges_s=Decimal(every), counters_s=Decimal(counters or every))
        sweeps: list[Sweep] = []
        poller = Poller(
            bus,
            [PolledDevice(device=device, groups=groups) for device in bus.devices],
            sink=sweeps.append,
            clock=clock,
            random=Random(1),
            log=EventLog(),
            promise=(promises if promises is not None else []).append,
        )
        task = asyncio.create_task(poller.run())
        try:
            await script(bus, clock)
            assert not task.done(), task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert not bus.connected, "cancelled pollers leave no connection"
        return Result(bus, poller, sweeps, events)

    with capture_events() as events:
        return run(main, START)


def seconds(sweeps: list[Sweep]) -> list[int]:
    return [sweep.taken_at // NS for sweep in sweeps]


async def for_a_minute(bus: ScriptedBus, clock: VirtualClock) -> None:
    await asyncio.sleep(60)


def test_every_device_is_read_at_every_second() -> None:
    result = poll(for_a_minute, EIGHT)
    for name in EIGHT:
        assert seconds(result.values(name)) == [START_NS // NS + second for second in range(1, 61)]
        assert not result.faults(name)
    assert result.news() == ["bus.up"]
    assert result.poller.counters.sweeps == 480
    assert result.poller.counters.late_max_s < 0.16
    assert result.poller.answering == 8


def test_one_silent_device_among_eight_leaves_the_others_on_time() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        bus.devices[3].silent = True
        await asyncio.sleep(600)

    result = poll(script, EIGHT, timeout_s=1.0)
    for name in EIGHT:
        if name != "meter-4":
            assert len(result.values(name)) >= 599, (
                "only the first time-out, which nobody could foresee, costs a boundary"
            )
            assert all((asked % NS) < NS // 4 for asked in result.bus.devices[EIGHT.index(name)].asked[2:]), (
                "read at the second, not after somebody's probe"
            )
    assert len(result.faults("meter-4")) >= 599, "every due time of the silent one is explained"
    assert {fault for sweep in result.faults("meter-4") for fault in sweep.faults.values()} >= {
        Fault.TIMEOUT,
        Fault.BACKOFF,
    }
    probes = result.bus.devices[3].asked
    gaps = [(later - earlier) / NS for earlier, later in pairwise(probes)]
    assert gaps == sorted(gaps), "left alone longer each time"
    assert 10 <= gaps[-1] <= 12
    assert result.news().count("device.silent") == 1
    assert result.poller.answering == 7


def test_a_device_that_comes_back_is_read_within_its_probe_interval() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        bus.devices[0].silent = True
        await asyncio.sleep(300)
        bus.devices[0].silent = False
        await asyncio.sleep(65)

    result = poll(script, EIGHT)
    back = [event for event in result.events if event["event"] == "device.back"]
    assert [event["device"] for event in back] == ["meter-1"]
    assert 300 < back[0]["after_s"] < 313
    last = seconds(result.values("meter-1"))
    assert last == list(range(last[0], last[0] + len(last))), "from then on each second again"


def test_one_lost_reply_is_a_fault_in_the_data_and_no_news() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        bus.devices[0].silent = True
        await asyncio.sleep(0.9)
        bus.devices[0].silent = False
        await asyncio.sleep(10)

    result = poll(script, EIGHT[:2], timeout_s=0.3)
    assert result.news() == ["bus.up"]
    assert result.faults("meter-1")[0].faults == {ALL_POINTS: Fault.TIMEOUT}


def test_a_slow_device_that_missed_its_time_is_asked_again_soon() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        await asyncio.sleep(899)
        bus.devices[0].silent = True
        await asyncio.sleep(20)
        bus.devices[0].silent = False
        await asyncio.sleep(40)

    result = poll(script, EIGHT[:2], every="900")
    assert len(result.values("meter-2")) == 1
    assert len(result.faults("meter-1")) == 1, "one due time, one explanation, however many retries"
    (late,) = result.values("meter-1")
    assert 19 < late.taken_at / NS - (START_NS / NS + 900) < 32


def test_a_lost_connection_is_made_again_at_once_and_no_reading_is_lost() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        await asyncio.sleep(5)
        bus.cable = False
        reader = bus.devices[0].asked
        before = len(reader)
        while len(reader) == before:
            await asyncio.sleep(0.005)
        bus.cable = True
        await asyncio.sleep(10)

    result = poll(script, EIGHT, loss_s=0.01)
    assert result.news() == ["bus.up"]
    assert result.poller.counters.reconnects == 1
    for name in EIGHT:
        assert len(result.values(name)) == 15
        assert not result.faults(name)


def test_a_bus_that_is_down_explains_every_due_time_and_comes_back() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        await asyncio.sleep(5)
        bus.cable = False
        await asyncio.sleep(300)
        bus.cable = True
        await asyncio.sleep(65)

    result = poll(script, EIGHT)
    assert result.news() == ["bus.up", "bus.down", "bus.up"]
    for name in EIGHT:
        faults = result.faults(name)
        assert {fault for sweep in faults for fault in sweep.faults.values()} == {Fault.LINK_DOWN}
        seen = sorted({*seconds(faults), *seconds(result.values(name))})
        assert seen == [START_NS // NS + second for second in range(1, 371)]
    gaps = [(later - earlier) / NS for earlier, later in pairwise(result.bus.connects)]
    assert max(gaps[1:]) <= 5
    assert len(result.bus.connects) < 120, "with growing delay"


def test_a_bus_that_is_not_there_at_the_start_is_one_line() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        bus.cable = False
        await asyncio.sleep(120)

    result = poll(script, EIGHT)
    assert result.news() == ["bus.down"]
    assert result.events[0]["error"] == "connect to 10.0.0.20:502: no route to host"
    assert len(result.faults("meter-1")) == 120
    assert result.poller.answering == 0


def test_a_device_is_not_blamed_for_a_connection_that_another_one_spoilt_before_each_of_its_probes() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        spoilt: list[int] = []

        class Reader(ScriptedReader):
            async def read(self) -> Sweep:
                if len(bus.connects) in spoilt:
                    raise LinkDown("the other side closed the connection")
                if self.device is bus.devices[0]:
                    spoilt.append(len(bus.connects))
                    raise DeviceSilent("not Modbus", Fault.REPLY_PROTOCOL)
                return await super().read()

        for device in bus.devices:
            device.reader = partial(Reader, device)  # type: ignore[method-assign,assignment]
        bus.devices[1].silent = True
        await asyncio.sleep(930)
        bus.devices[1].silent = False
        await asyncio.sleep(60)

    result = poll(script, EIGHT[:3], every="900")
    assert result.values("meter-2"), "it is back, and heard long before its next due time"


def test_a_link_that_dies_at_every_read_is_backed_off_from_too() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        await asyncio.sleep(5)
        for device in bus.devices:
            device.answer_s = 0.0
        bus.cable = False
        bus.connection = lambda: _flapping(bus)  # type: ignore[method-assign]
        await asyncio.sleep(120)

    class _flapping:  # noqa: N801
        def __init__(self, bus: ScriptedBus) -> None:
            self.bus = bus

        async def __aenter__(self) -> None:
            self.bus.connects.append(self.bus.clock.now_ns())
            self.bus.connected = True

        async def __aexit__(self, *_: object) -> None:
            self.bus.connected = False

    result = poll(script, EIGHT)
    assert result.news() == ["bus.up", "bus.down"]
    assert len(result.bus.connects) < 50


def test_a_silent_device_on_a_bus_without_free_time_is_found_when_it_returns() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        bus.devices[0].silent = True
        for device in bus.devices:
            device.answer_s = 0.2
        await asyncio.sleep(120)
        probes.append(len(bus.devices[0].asked))
        bus.devices[0].silent = False
        await asyncio.sleep(15)

    probes: list[int] = []
    result = poll(script, EIGHT, timeout_s=1.0)
    assert 8 <= probes[0] <= 20, "each costs 0.25 s of 120: at most 4 %"
    assert result.news() == ["bus.up", "device.silent", "device.back"]
    assert result.events[2]["after_s"] < 136


def test_every_silent_device_of_a_slow_plan_is_found_when_it_returns() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        for device in bus.devices[:4]:
            device.silent = True
        await asyncio.sleep(1000)
        for device in bus.devices[:4]:
            device.silent = False
        await asyncio.sleep(30)

    result = poll(script, EIGHT, every="900")
    for name in EIGHT:
        assert len(result.values(name)) == 1, "none waits for its next quarter of an hour"


def test_a_busy_device_is_asked_again_soon_but_not_for_ever() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        await asyncio.sleep(890)
        bus.devices[0].faults = dict.fromkeys((point.name for point in POINTS), Fault.EXCEPTION_6)
        await asyncio.sleep(12)
        bus.devices[0].faults = {}
        await asyncio.sleep(900 + 800)
        bus.devices[0].faults = dict.fromkeys((point.name for point in POINTS), Fault.EXCEPTION_5)
        await asyncio.sleep(1200)

    result = poll(script, EIGHT[:2], every="900")
    asked = [(at - START_NS) // NS for at in result.bus.devices[0].asked]
    assert asked == [900, 901, 903, 1800, 2700, 2701, 2703, 2707, 3600]
    assert len(result.values("meter-1")) == 2
    assert "device.silent" not in result.news()
    assert [(at - START_NS) // NS for at in result.bus.devices[1].asked] == [900, 1800, 2700, 3600]


def test_a_group_that_is_always_busy_is_asked_when_it_is_due_and_the_others_as_ever() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        bus.devices[0].faults = {"energy_active_import_total": Fault.EXCEPTION_6}
        await asyncio.sleep(3600)

    result = poll(script, ["meter-1"], counters="60")
    assert len(result.values("meter-1")) == 3600
    assert len(result.faults("meter-1")) == 60 + 3


def test_figures_of_the_bus_are_told_once_an_hour_and_any_time() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        bus.devices[1].silent = True
        await asyncio.sleep(7300)

    result = poll(script, EIGHT[:2])
    told = [event for event in result.events if event["event"] == "bus.figures"]
    assert len(told) == 2
    assert 2 <= told[1]["use_percent"] <= 8
    assert told[1]["fault_backoff"] > 3000
    assert told[1]["bus"] == "substation"
    assert 0.02 <= result.poller.figures.use <= 0.08


def test_when_all_devices_are_silent_it_is_one_line_for_the_bus() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        for device in bus.devices:
            device.silent = True
        await asyncio.sleep(120)
        bus.devices[0].silent = False
        await asyncio.sleep(130)

    result = poll(script, EIGHT[:3])
    assert result.news()[:3] == ["bus.up", "bus.silent", "bus.answering"]
    assert sorted(event["device"] for event in result.events[3:]) == ["meter-2", "meter-3"]


def test_a_bus_too_slow_for_its_plan_says_which_boundaries_it_missed() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        for device in bus.devices:
            device.answer_s = 0.8
        await asyncio.sleep(60)

    result = poll(script, EIGHT[:2])
    for name in EIGHT[:2]:
        explained = {sweep.taken_at // NS for sweep in result.faults(name)}
        assert {fault for sweep in result.faults(name) for fault in sweep.faults.values()} == {Fault.OVERRUN}
        assert len(explained) + len(result.values(name)) >= 57
    assert result.poller.counters.missed == sum(len(result.faults(name)) for name in EIGHT[:2])


def test_fast_gauges_and_slow_counters_share_one_read_at_the_minute() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        await asyncio.sleep(120)

    result = poll(script, ["meter-1"], counters="60")
    by_second = {sweep.taken_at // NS - START_NS // NS: set(sweep.values) for sweep in result.values("meter-1")}
    assert len(by_second) == 120, "one sweep a second, none beside it"
    both = {point.name for point in POINTS}
    assert by_second[60] == by_second[120] == both
    assert by_second[59] == {"power_active_total"}


def test_a_fault_of_the_fast_points_does_not_speak_for_the_slow_ones() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        bus.devices[0].silent = True
        await asyncio.sleep(61)

    result = poll(script, ["meter-1"], counters="60", timeout_s=0.3)
    assert {frozenset(sweep.faults) for sweep in result.sweeps if sweep.taken_at < START_NS + 59 * NS} == {
        frozenset({"power_active_total"})
    }


def test_no_two_sweeps_of_a_device_share_time_and_point() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        for round_ in range(40):
            bus.devices[round_ % 3].silent = round_ % 2 == 0
            bus.cable = round_ % 7 != 0
            await asyncio.sleep(7.3)

    result = poll(script, EIGHT[:3], counters="5", timeout_s=0.7)
    keys = [
        (sweep.device, sweep.taken_at, point) for sweep in result.sweeps for point in (*sweep.values, *sweep.faults)
    ]
    assert len(keys) == len(set(keys))


def test_a_clock_set_back_by_an_hour_stops_nothing() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        await asyncio.sleep(10)
        clock.step(-3600 * NS)
        await asyncio.sleep(20)

    result = poll(script, ["meter-1"])
    assert len(result.values("meter-1")) >= 28


def test_a_clock_that_leaps_from_1970_costs_one_late_turn() -> None:
    async def script(bus: ScriptedBus, clock: VirtualClock) -> None:
        clock.step(-START)
        await asyncio.sleep(20)
        clock.step(START)
        await asyncio.sleep(20)

    result = poll(script, ["meter-1"])
    assert len(result.faults("meter-1")) <= 60
    assert len(result.values("meter-1")) >= 37


def test_an_idle_poller_wakes_a_few_times_a_minute_and_says_that_it_lives() -> None:
    promises: list[float] = []
    poll(for_a_minute, ["meter-1"], every="900", promises=promises)
    assert 5 <= len(promises) <= 8
    assert min(promises) > 10
