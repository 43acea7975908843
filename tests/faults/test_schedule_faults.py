"""Faults of devices, registers and counters, each injected into the real agent or centre code; see README.md."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest

from agent.plan import Rated
from agent.quality import Plausibility
from centre.accounting.registers import Flag, RegisterRule, Sample, deltas
from drivers.modbus import catalogue
from drivers.modbus.plan import plan
from drivers.modbus.read_plan import ReadPlan
from drivers.modbus.refusals import Refusals
from metering.faults import ALL_POINTS, Fault
from metering.sweep import Sweep
from support.hostile_server import Answer, Asked, frame, good
from support.points import make_point, make_profile
from support.polled_bus import Polled, polled

Script = Callable[[Polled], Awaitable[None]]
THREE = {"line-1": 1, "line-2": 2, "line-3": 3}
PROFILE = make_profile(*(make_point(f"cfg_{n}", n) for n in (0, 1, 2, 100, 101, 102)))
HIGH = {"cfg_100", "cfg_101", "cfg_102"}
MINUTE = 60_000_000_000


def exception(asked: Asked, code: int) -> bytes:
    return frame(asked.transaction, asked.unit, bytes((asked.function | 0x80, code)))


def answering(reply: Callable[[Asked], bytes | None]) -> Answer:
    """A server that sends what `reply` gives, nothing for None."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        told = reply(asked)
        if told is not None:
            writer.write(told)
            await writer.drain()

    return answer


def poll(reply: Callable[[Asked], bytes | None], script: Script, units: dict[str, int] | None = None) -> Polled:
    async def main() -> Polled:
        async with polled(answering(reply), units or THREE, PROFILE) as state:
            await script(state)
            return state

    return asyncio.run(main())


def test_row_04_one_silent_unit_behind_a_gateway_is_alone_with_it() -> None:
    async def script(state: Polled) -> None:
        await state.until(lambda: len(state.told("device.silent")) == 1 and len(state.values("line-1")) >= 30)

    state = poll(lambda asked: None if asked.unit == 2 else good(asked), script)
    assert state.told("device.silent")[0]["device"] == "line-2"
    assert state.told("device.silent")[0]["bus"] == "substation"
    assert not state.values("line-2")
    assert state.faults("line-2") >= {Fault.TIMEOUT, Fault.BACKOFF}
    for name in ("line-1", "line-3"):
        assert state.faults(name) <= {Fault.OVERRUN}
    asked = [each.unit for each in state.server.seen]
    assert asked.count(2) < asked.count(1) / 4
    assert state.server.connections == 1


def test_row_05_all_silent_is_one_line_for_the_bus() -> None:
    quiet = [False]

    async def script(state: Polled) -> None:
        await state.until(lambda: len(state.values("line-3")) >= 2)
        quiet[0] = True
        await state.until(lambda: state.told("bus.silent") != [] or state.told("bus.down") != [])
        before = len(state.events)
        await state.until(lambda: all(Fault.BACKOFF in state.faults(name) for name in THREE))
        assert [e["event"] for e in state.events[before:] if e["event"].startswith("device.")] == []
        quiet[0] = False
        count = len(state.values("line-2"))
        await state.until(lambda: len(state.values("line-2")) > count + 2)

    state = poll(lambda asked: None if quiet[0] else good(asked), script)
    assert len(state.told("bus.silent")) + len(state.told("bus.down")) == 1
    assert not state.told("device.silent")


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_row_20_an_exception_costs_only_the_registers_it_is_about(code: int) -> None:
    async def script(state: Polled) -> None:
        await state.until(lambda: len(state.values("line-1")) >= 12 and state.told("points.faulty") != [])

    state = poll(
        lambda asked: exception(asked, code) if asked.address >= 100 else good(asked), script, units={"line-1": 1}
    )
    for sweep in state.values("line-1"):
        assert sweep.values.keys() == {"cfg_0", "cfg_1", "cfg_2"}
        assert sweep.faults == dict.fromkeys(HIGH, Fault(f"exception_{code}"))
    assert state.told("points.faulty")[0]["fault"] == f"exception_{code}"
    assert bool(state.told("points.quarantined")) == (code != 4)
    refused = sum(asked.address >= 100 for asked in state.server.seen)
    assert refused <= (len(state.sweeps) + 1 if code == 4 else 9), "quarantined, not asked for ever"
    assert not state.told("device.silent")


def test_row_20_a_register_in_the_middle_is_quarantined_alone() -> None:
    async def script(state: Polled) -> None:
        await state.until(lambda: [len(s.values) for s in state.of("line-1")][-3:] == [5, 5, 5])

    state = poll(
        lambda asked: exception(asked, 2) if asked.address <= 101 < asked.address + asked.count else good(asked),
        script,
        units={"line-1": 1},
    )
    assert state.of("line-1")[-1].faults == {"cfg_101": Fault.EXCEPTION_2}
    assert [event["points"] for event in state.told("points.quarantined")] == ["cfg_101"]


@pytest.mark.parametrize("code", [5, 6])
def test_row_21_a_busy_device_is_asked_later_and_is_not_given_up(code: int) -> None:
    busy = [True]

    async def script(state: Polled) -> None:
        await state.until(lambda: len(state.of("line-1")) >= 5)
        busy[0] = False
        await state.until(lambda: len(state.values("line-1")) >= 3)

    state = poll(
        lambda asked: exception(asked, code) if busy[0] and asked.unit == 1 else good(asked), script, units=THREE
    )
    assert state.of("line-1")[0].faults == dict.fromkeys(PROFILE.points, Fault(f"exception_{code}"))
    assert state.told("points.faulty")[0]["fault"] == f"exception_{code}"
    assert not state.told("device.silent")
    assert not state.told("points.quarantined")
    assert len(state.server.seen) <= 2 * len(state.sweeps) + 2, "no request beside the schedule"
    assert {asked.function for asked in state.server.seen} == {3}, "and nothing is ever written"


@pytest.mark.parametrize("code", [10, 11])
def test_row_22_a_unit_the_gateway_cannot_reach_is_that_unit_and_not_the_link(code: int) -> None:
    async def script(state: Polled) -> None:
        await state.until(lambda: len(state.values("line-3")) >= 20 and state.told("device.silent") != [])

    state = poll(lambda asked: exception(asked, code) if asked.unit == 2 else good(asked), script)
    (event,) = state.told("device.silent")
    assert (event["device"], event["fault"]) == ("line-2", f"exception_{code}")
    assert state.faults("line-2") == {Fault(f"exception_{code}"), Fault.BACKOFF}
    assert state.faults("line-1") | state.faults("line-3") <= {Fault.OVERRUN}
    assert state.server.connections == 1


def test_row_25_a_wrong_word_order_or_scale_is_suspect_and_told() -> None:
    meter = make_profile(make_point("voltage_l1_n", 0, "f32"), make_point("power_active_total", 2, "f32"))
    rated = Rated(voltage_v=Decimal(230), power_w=Decimal(69_000))
    plausibility = Plausibility([point.info for point in meter.points.values()], rated)
    swapped = struct.pack(">f", 230.0)[2:] + struct.pack(">f", 230.0)[:2]
    kilo = struct.pack(">f", 5_000_000.0)

    async def main() -> Polled:
        reply = bytes((3, 8)) + swapped + kilo
        answer = answering(lambda asked: frame(asked.transaction, asked.unit, reply))
        async with polled(answer, {"line-1": 1}, meter, judge=plausibility.judged) as state:
            await state.until(lambda: state.told("points.faulty") != [] and len(state.sweeps) >= 3)
            return state

    state = asyncio.run(main())
    for sweep in state.sweeps:
        assert sweep.values["power_active_total"] == 5_000_000.0, "what the register said is kept"
        assert sweep.faults == {"voltage_l1_n": Fault.SUSPECT, "power_active_total": Fault.SUSPECT}
    (event,) = state.told("points.faulty")
    assert (event["fault"], event["count"], event["device"]) == ("suspect", 2, "line-1")


def test_row_26_a_rollover_is_the_right_difference_and_flagged() -> None:
    for modulus in (2**16, 2**32, 10**6):
        samples = [Sample(0, Decimal(modulus - 30)), Sample(60 * MINUTE, Decimal(20))]
        found = deltas(samples, RegisterRule(modulus=Decimal(modulus), limit=Decimal(600)))
        assert [step.amount for step in found.steps] == [Decimal(50)]


def test_row_27_a_reset_or_a_small_step_back_is_never_negative_energy() -> None:
    reset = deltas(
        [Sample(n * MINUTE, Decimal(value)) for n, value in enumerate(("5000", "0.5", "1.0"))],
        RegisterRule(limit=Decimal(600)),
    )
    assert all(step.amount is None or step.amount >= 0 for step in reset.steps)
    assert reset.steps[0].flag is not Flag.MEASURED
    back = deltas(
        [Sample(n * MINUTE, Decimal(value)) for n, value in enumerate(("100", "99.99", "100.5"))],
        RegisterRule(limit=Decimal(600)),
    )
    assert all(step.amount is None or step.amount >= 0 for step in back.steps)
    assert sum(step.amount or 0 for step in back.steps) <= Decimal("0.51")


@pytest.mark.parametrize("profile_id", catalogue.names())
def test_row_28_no_value_is_ever_put_together_from_two_requests(profile_id: str) -> None:
    profile = catalogue.load(profile_id)
    points = list(profile.points.values())
    for worth in (None, 0, 12):
        blocks = list(plan(points, profile.limits, points, worthwhile_gap=worth))
        refusals = Refusals()
        for name in list(profile.points)[::7]:
            refusals.shut(name, 2, 0)
        blocks += ReadPlan(profile, profile.points, refusals, worth).blocks
        for block in blocks:
            for point in block.points:
                assert block.address <= point.address
                assert point.end <= block.address + block.count


def test_row_66_an_old_value_never_comes_under_a_new_time() -> None:
    answered = [0]

    def reply(asked: Asked) -> bytes | None:
        answered[0] += 1
        fill = struct.unpack(">H", struct.pack(">H", answered[0]))[0]
        return good(asked, fill=fill) if answered[0] <= 6 else None

    async def script(state: Polled) -> None:
        await state.until(lambda: len([s for s in state.of("line-1") if not s.values]) >= 12)

    state = poll(reply, script, units={"line-1": 1})
    told = [sweep.values["cfg_0"] for sweep in state.values("line-1")]
    assert told == [1, 3, 5], "each answer once, none again when nothing answers any more"
    last = state.values("line-1")[-1]
    assert all(not sweep.values for sweep in state.of("line-1")[3:])
    assert all(
        ALL_POINTS in sweep.faults or Fault.LINK_DOWN in sweep.faults.values() for sweep in state.of("line-1")[3:]
    )
    with pytest.raises(FrozenInstanceError):
        last.taken_at = last.taken_at + 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        Sweep(device="line-1", values={}, faults={})  # type: ignore[call-arg]
