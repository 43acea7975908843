"""ModbusReader: what a sweep becomes when blocks fail, and how the plan learns beside it without costing the sweep."""

import asyncio
from collections.abc import Callable

import pytest

from drivers.base import DeviceSilent, LinkDown
from drivers.modbus import catalogue
from drivers.modbus.pdu import Refused
from drivers.modbus.plan import Block
from drivers.modbus.profile import Point
from drivers.modbus.reader import ModbusReader
from drivers.modbus.refusals import Refusals
from drivers.modbus.sunspec import Place
from metering.faults import Fault
from metering.sweep import Sweep
from support.points import make_point, make_profile
from support.virtual_time import VirtualClock, run
from wattline.events import EventLog

POINTS = tuple(make_point(f"cfg_{n}", n) for n in (0, 1, 2, 100, 101, 200))
Ask = Callable[[Block], bytes]


class Meter:
    """Answers as `reply` says, 10 ms each."""

    def __init__(self, reply: Ask) -> None:
        self.reply = reply
        self.asked: list[str] = []

    async def ask(self, block: Block) -> bytes:
        self.asked.append(str(block))
        await asyncio.sleep(0.01)
        return self.reply(block)


def good(block: Block) -> bytes:
    return bytes(2 * block.count)


def failing(at: dict[int, Exception]) -> Ask:
    """Fails for the blocks that begin at these addresses."""

    def reply(block: Block) -> bytes:
        if block.address in at:
            raise at[block.address]
        return good(block)

    return reply


def reader_of(
    meter: Meter,
    clock: VirtualClock,
    refusals: Refusals | None = None,
    points: tuple[Point, ...] = POINTS,
    gap: Callable[[], int | None] = lambda: None,
) -> ModbusReader:
    return ModbusReader(
        device="incomer",
        profile=make_profile(*points, max_gap=0 if gap() is None else 120),
        points=points,
        ask=meter.ask,
        clock=clock,
        log=EventLog(),
        refusals=refusals,
        gap=gap,
    )


def read_once(reply: Ask) -> tuple[Sweep, Meter, int]:
    async def main(clock: VirtualClock) -> tuple[Sweep, Meter, int]:
        meter = Meter(reply)
        start = clock.now_ns()
        sweep = await reader_of(meter, clock).read()
        return sweep, meter, sweep.taken_at - start

    return run(main)


def silent(fault: Fault = Fault.TIMEOUT) -> DeviceSilent:
    return DeviceSilent("no reply", fault)


def test_a_sweep_is_stamped_at_the_last_reply_that_came() -> None:
    sweep, meter, after_ns = read_once(failing({200: silent()}))
    assert after_ns == 20_000_000
    assert meter.asked == ["holding 0+3", "holding 100+2", "holding 200+1"]
    assert sweep.faults == {"cfg_200": Fault.TIMEOUT}


def test_the_first_time_out_ends_a_sweep_that_has_nothing_yet() -> None:
    with pytest.raises(DeviceSilent):
        read_once(failing({0: silent()}))


def test_two_time_outs_end_a_sweep_and_the_rest_has_the_same_fault() -> None:
    sweep, meter, _ = read_once(failing({100: silent(), 200: silent()}))
    assert sweep.values.keys() == {"cfg_0", "cfg_1", "cfg_2"}
    assert set(sweep.faults.values()) == {Fault.TIMEOUT}
    assert len(meter.asked) == 3


def test_a_gateway_that_says_that_the_unit_is_silent_is_believed() -> None:
    with pytest.raises(DeviceSilent) as caught:
        read_once(failing({0: Refused("exception 11", 11)}))
    assert caught.value.fault is Fault.EXCEPTION_11


def test_a_link_lost_in_mid_sweep_keeps_what_came() -> None:
    sweep, _, _ = read_once(failing({100: LinkDown("gone")}))
    assert sweep.faults == dict.fromkeys(("cfg_100", "cfg_101", "cfg_200"), Fault.LINK_DOWN)
    with pytest.raises(LinkDown):
        read_once(failing({0: LinkDown("gone")}))


def test_a_refused_block_is_parted_and_what_is_left_is_read_whole() -> None:
    def reply(block: Block) -> bytes:
        if block.address <= 1 < block.address + block.count:
            raise Refused("exception 2", 2)
        return good(block)

    async def main(clock: VirtualClock) -> None:
        meter = Meter(reply)
        reader = reader_of(meter, clock)
        sweeps = [await reader.read() for _ in range(7)]
        assert sweeps[-1].faults == {"cfg_1": Fault.EXCEPTION_2}
        assert len(sweeps[-1].values) == 5
        assert [request.what for request in reader.requests] == [
            "holding 0+1",
            "holding 2+1",
            "holding 100+2",
            "holding 200+1",
        ]
        for sweep in sweeps:
            assert {*sweep.values, *sweep.faults} == {point.name for point in POINTS}

    run(main)


def test_a_device_that_was_silent_is_asked_nothing_more_than_its_sweep() -> None:
    """A probe has little time: what it brought must not be lost for a question that teaches something."""

    async def main(clock: VirtualClock) -> None:
        refusals = Refusals()
        refusals.shut("cfg_200", 2, 0)
        meter = Meter(good)
        reader = reader_of(meter, clock, refusals)
        await reader.read()
        assert "holding 200+1" not in meter.asked
        await reader.read()
        assert meter.asked[-1] == "holding 200+1", "it is due long since"
        assert (await reader.read()).faults == {}

    run(main)


def test_a_new_worthwhile_gap_plans_anew() -> None:
    gaps = [0]

    async def main(clock: VirtualClock) -> None:
        reader = reader_of(Meter(good), clock, gap=lambda: gaps[0])
        assert len(reader.requests) == 3
        gaps[0] = 125
        await reader.read()
        assert len(reader.requests) == 2

    run(main)


def test_a_sunspec_meter_that_was_away_is_looked_at_again_before_it_is_read() -> None:
    """A common model of 65 registers instead of 66, in another unit or after an update, moves all that follows."""

    def sunspec(base: int, length: int, volts: int) -> Ask:
        at = base + 4 + length
        registers = {base: 0x5375, base + 1: 0x6E53, base + 2: 1, base + 3: length, at: 203, at + 1: 105, at + 8: volts}
        return lambda block: b"".join(
            registers.get(block.address + n, 0).to_bytes(2, "big") for n in range(block.count)
        )

    async def main(clock: VirtualClock) -> None:
        meter, place = Meter(sunspec(40000, 66, 2301)), Place()
        profile = catalogue.load("sunspec-meter")

        def reader(name: str) -> ModbusReader:
            return ModbusReader(
                device="roof", profile=profile, points=profile.select([name]), ask=meter.ask, clock=clock,
                log=EventLog(), place=place,
            )  # fmt: skip

        fast, slow = reader("voltage_l1_n"), reader("frequency")
        assert (await fast.read()).values == {"voltage_l1_n": 2301}
        meter.asked.clear()
        await slow.read()
        assert len(meter.asked) == 1  # what one reader found the others know
        meter.reply = _never
        with pytest.raises(DeviceSilent):
            await fast.read()
        for base, length in ((40000, 65), (40000, 65), (50000, 66)):
            meter.reply = sunspec(base, length, 2302)
            assert (await fast.read()).values == {"voltage_l1_n": 2302}
            assert (await slow.read()).values == {"frequency": 0}
            place.sure = False

    run(main)


def _never(_: Block) -> bytes:
    raise silent()
