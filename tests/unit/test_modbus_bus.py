"""Bus and reader over a simulated link: what a sweep says when blocks fail, and what is asked in which order."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from drivers.base import Bus, DeviceSilent, LinkDown, Request
from drivers.modbus.bus import ModbusBus, ModbusDevice
from drivers.modbus.pdu import Refused
from drivers.modbus.profile import Profile, Table
from metering.faults import Fault
from metering.sweep import Sweep
from support.points import make_point, make_profile
from wattline.events import capture_events

Asked = tuple[int, int, int, int]


class StepClock:
    """Time that moves only when someone sleeps or a link takes its time."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def now_ns(self) -> int:
        return round(self.now * 1e9)

    def monotonic(self) -> float:
        return self.now

    async def sleep_until(self, due_ns: int) -> None:
        self.now = max(self.now, due_ns / 1e9)


@dataclass
class FakeLink:
    """Answers every register with its address, 10 ms later; `fails` maps (unit, address) to what is raised instead."""

    clock: StepClock
    fails: dict[tuple[int, int], Exception] = field(default_factory=dict)
    illegal: frozenset[int] = frozenset()
    asked: list[Asked] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    opened: int = 0

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.opened -= 1

    async def read(self, unit: int, function: int, address: int, count: int) -> bytes:
        self.asked.append((unit, function, address, count))
        self.at.append(self.clock.now)
        self.clock.now += 0.01
        if failure := self.fails.get((unit, address)):
            raise failure
        if self.illegal & set(range(address, address + count)):
            raise Refused("exception 2", 2)
        return struct.pack(f">{count}H", *range(address, address + count))


THREE = make_profile(
    make_point("cfg_a", 10),
    make_point("cfg_b", 11),
    make_point("cfg_c", 20),
    make_point("cfg_d", 30, table=Table.INPUT),
)
TIMEOUT = DeviceSilent("no reply", Fault.TIMEOUT)


def on_bus(
    test: Callable[[ModbusDevice, FakeLink], Awaitable[None]], profile: Profile = THREE, pause_s: float = 0
) -> None:
    async def main() -> None:
        clock = StepClock()
        link = FakeLink(clock)
        bus: Bus = ModbusBus("bus-1", link, clock, pause_s=pause_s)
        assert isinstance(bus, ModbusBus)
        device = bus.add_device("meter", 3, profile)
        async with bus.connection():
            assert link.opened == 1
            await test(device, link)
        assert link.opened == 0

    asyncio.run(main())


async def sweep(device: ModbusDevice) -> Sweep:
    return await device.reader([point.name for point in device.points]).read()


def test_a_sweep_has_every_point_and_the_time_of_the_last_reply() -> None:
    async def test(device: ModbusDevice, link: FakeLink) -> None:
        got = await sweep(device)
        assert got.values == {"cfg_a": 10, "cfg_b": 11, "cfg_c": 20, "cfg_d": 30}
        assert got.faults == {}
        assert got.taken_at == 1_000_030_000_000
        assert link.asked == [(3, 3, 10, 2), (3, 3, 20, 1), (3, 4, 30, 1)]

    on_bus(test)


def test_the_poll_plan_can_be_told() -> None:
    async def test(device: ModbusDevice, link: FakeLink) -> None:
        reader = device.reader(["cfg_b", "cfg_d"])
        assert reader.requests == (
            Request(what="holding 11+1", points=1, registers=1),
            Request(what="input 30+1", points=1, registers=1),
        )

    on_bus(test)


def test_a_refused_block_is_a_fault_of_its_points_and_the_others_are_read() -> None:
    async def test(device: ModbusDevice, link: FakeLink) -> None:
        link.fails[3, 10] = Refused("exception 4", 4)
        got = await sweep(device)
        assert got.values == {"cfg_c": 20, "cfg_d": 30}
        assert got.faults == {"cfg_a": Fault.EXCEPTION_4, "cfg_b": Fault.EXCEPTION_4}

    on_bus(test)


@pytest.mark.parametrize("failure", [TIMEOUT, Refused("exception 11", 11), Refused("exception 10", 10)])
def test_a_device_that_does_not_answer_its_first_block_is_not_asked_for_more(failure: Exception) -> None:
    async def test(device: ModbusDevice, link: FakeLink) -> None:
        link.fails[3, 10] = failure
        with pytest.raises(DeviceSilent) as caught:
            await sweep(device)
        assert caught.value.fault is getattr(failure, "fault")  # noqa: B009 (two types that both have it)
        assert len(link.asked) == 1

    on_bus(test)


def test_a_device_that_answers_nothing_but_nonsense_is_silent_with_that_fault() -> None:
    async def test(device: ModbusDevice, link: FakeLink) -> None:
        for address in (10, 20, 30):
            link.fails[3, address] = DeviceSilent("nonsense", Fault.REPLY_LENGTH)
        with pytest.raises(DeviceSilent) as caught:
            await sweep(device)
        assert caught.value.fault is Fault.REPLY_LENGTH
        assert len(link.asked) == 3

    on_bus(test)


def test_a_later_timeout_spares_what_came_before_and_after() -> None:
    async def test(device: ModbusDevice, link: FakeLink) -> None:
        link.fails[3, 20] = TIMEOUT
        got = await sweep(device)
        assert got.values == {"cfg_a": 10, "cfg_b": 11, "cfg_d": 30}
        assert got.faults == {"cfg_c": Fault.TIMEOUT}

    on_bus(test)


def test_the_second_timeout_of_a_sweep_ends_it() -> None:
    async def test(device: ModbusDevice, link: FakeLink) -> None:
        for address in (20, 40, 60):
            link.fails[3, address] = TIMEOUT
        got = await sweep(device)
        assert got.values == {"cfg_0": 0}
        assert got.faults == dict.fromkeys(["cfg_20", "cfg_40", "cfg_60"], Fault.TIMEOUT)
        assert len(link.asked) == 3

    on_bus(test, make_profile(*(make_point(f"cfg_{address}", address) for address in (0, 20, 40, 60))))


def test_a_link_that_breaks_before_the_first_answer_is_the_buses_matter() -> None:
    async def test(device: ModbusDevice, link: FakeLink) -> None:
        link.fails[3, 10] = LinkDown("gone")
        with pytest.raises(LinkDown):
            await sweep(device)

    on_bus(test)


def test_a_link_that_breaks_in_the_middle_keeps_what_was_read() -> None:
    async def test(device: ModbusDevice, link: FakeLink) -> None:
        link.fails[3, 20] = LinkDown("gone")
        got = await sweep(device)
        assert got.values == {"cfg_a": 10, "cfg_b": 11}
        assert got.faults == {"cfg_c": Fault.LINK_DOWN, "cfg_d": Fault.LINK_DOWN}
        assert got.taken_at == 1_000_010_000_000

    on_bus(test)


def test_multipliers_are_read_although_nobody_asked_for_them() -> None:
    profile = make_profile(
        make_point("ct_ratio", 6),
        make_point("current_l1", 100, "u16", "0.1", multiply_by=("ct_ratio",)),
    )

    async def test(device: ModbusDevice, link: FakeLink) -> None:
        reader = device.reader(["current_l1"])
        assert [request.points for request in reader.requests] == [0, 1]
        assert (await reader.read()).values == {"current_l1": 60}

    on_bus(test, profile)


def test_one_missing_register_costs_its_neighbours_only_the_first_sweeps() -> None:
    profile = make_profile(*(make_point(f"cfg_{address}", address) for address in range(8)))

    async def test(device: ModbusDevice, link: FakeLink) -> None:
        link.illegal = frozenset({5})
        reader = device.reader([point.name for point in device.points])
        with capture_events() as events:
            sweeps = [await reader.read() for _ in range(7)]
        assert [len(got.values) for got in sweeps] == [0, 4, 6, 7, 7, 7, 7]
        assert sweeps[-1].faults == {"cfg_5": Fault.EXCEPTION_2}
        assert [event["event"] for event in events] == ["block.split"] * 3 + ["points.quarantined"]
        assert events[0]["device"] == "meter"
        assert [request.what for request in reader.requests] == ["holding 0+5", "holding 6+2"]

    on_bus(test, profile)


def test_a_device_that_refuses_everything_is_not_asked_register_by_register() -> None:
    profile = make_profile(*(make_point(f"cfg_{address}", address) for address in range(64)))

    async def test(device: ModbusDevice, link: FakeLink) -> None:
        link.illegal = frozenset(range(64))
        reader = device.reader([point.name for point in device.points])
        for _ in range(10):
            got = await reader.read()
            assert len(got.faults) == 64
        assert len(reader.requests) <= 16

    on_bus(test, profile)


def test_a_meter_gets_its_pause_and_the_bus_its_own() -> None:
    slow = make_profile(make_point("cfg_a", 10), make_point("cfg_b", 20), min_pause_s=0.1)

    async def test(device: ModbusDevice, link: FakeLink) -> None:
        other = link_bus(device).add_device("other", 4, THREE, ["cfg_a"])
        for each in (device, other, device):
            await sweep(each)
        starts = [round(at - 1_000.0, 3) for at in link.at]
        # 10 ms each; 100 ms after each request to the meter, 50 ms after any request on the bus
        assert starts == [0.0, 0.11, 0.17, 0.23, 0.34]

    on_bus(test, slow, pause_s=0.05)


def link_bus(device: ModbusDevice) -> ModbusBus:
    bus = device._bus
    assert isinstance(bus, ModbusBus)
    return bus


@pytest.mark.parametrize(
    ("name", "unit", "points", "says"),
    [
        ("meter", 4, None, "is on bus bus-1 already"),
        ("bad name", 4, None, "is not a name"),
        ("other", 256, None, "256 is no unit id"),
        ("other", 4, ["cfg_x"], "has no point 'cfg_x'"),
    ],
)
def test_a_device_that_cannot_be_is_refused(name: str, unit: int, points: list[str] | None, says: str) -> None:
    async def test(device: ModbusDevice, link: FakeLink) -> None:
        with pytest.raises(ValueError, match=says):
            link_bus(device).add_device(name, unit, THREE, points)

    on_bus(test)


def test_a_reader_reads_only_what_the_device_delivers() -> None:
    async def test(device: ModbusDevice, link: FakeLink) -> None:
        other = link_bus(device).add_device("other", 4, THREE, ["cfg_a"])
        assert [point.name for point in other.points] == ["cfg_a"]
        with pytest.raises(ValueError, match="does not deliver cfg_b"):
            other.reader(["cfg_a", "cfg_b"])
        with pytest.raises(ValueError, match="a reader of no points"):
            other.reader([])

    on_bus(test)
