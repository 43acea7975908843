"""Faults of a TCP connection and of the replies over it, each injected into the real poller and bus; see README.md."""

import asyncio
import os
import shutil
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest

from metering.faults import Fault
from support.cable import cable
from support.hostile_server import Answer, Asked, frame, good, hostile_server
from support.points import make_point, make_profile
from support.polled_bus import Polled, polled, polling

Script = Callable[[Polled], Awaitable[None]]
Reply = Callable[[Asked], bytes]
THREE = {"line-1": 1, "line-2": 2, "line-3": 3}
PROFILE = make_profile(make_point("cfg_0", 0), make_point("cfg_1", 1))
NOT_ASKED = {Fault.BACKOFF, Fault.OVERRUN}


async def well(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(good(asked))


def unit_2(reply: Reply) -> Answer:
    """Unit 2 answers with `reply`, the others well."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(asked) if asked.unit == 2 else good(asked))

    return answer


def poll(answer: Answer, script: Script) -> Polled:
    async def main() -> Polled:
        async with polled(answer, THREE, PROFILE) as state:
            await script(state)
            return state

    return asyncio.run(main())


async def until_told_and_others_read(state: Polled) -> None:
    """line-2 is told to be silent, and the others are read on."""
    await state.until(lambda: state.told("device.silent") != [])
    before = len(state.values("line-1")), len(state.values("line-3"))
    await state.until(
        lambda: len(state.values("line-1")) > before[0] + 5 and len(state.values("line-3")) > before[1] + 5
    )


def check_only_line_2(state: Polled, fault: Fault) -> None:
    (told,) = state.told("device.silent")
    assert (told["device"], told["bus"], told["fault"]) == ("line-2", "substation", fault)
    assert not state.values("line-2")
    assert fault in state.faults("line-2") <= {fault, *NOT_ASKED}
    for name in ("line-1", "line-3"):
        assert state.faults(name) <= {Fault.OVERRUN}
        assert all(sweep.values == {"cfg_0": 0, "cfg_1": 1} for sweep in state.values(name))
    assert not state.told("bus.down")


# --- the connection -------------------------------------------------------------------------------------------


def test_row_01_a_refused_connection_is_told_once_and_works_again_after_the_reboot() -> None:
    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        endpoint = listener.getsockname()
        async with polling(endpoint, THREE, PROFILE) as state:
            async with hostile_server(well, listener):
                await state.until(lambda: len(state.values("line-3")) >= 3)
            await state.until(lambda: all(Fault.LINK_DOWN in state.faults(name) for name in THREE))
            (told,) = state.told("bus.down")
            assert told["bus"] == "substation"
            assert "refused" in str(told["error"]) or "Connect call failed" in str(told["error"])
            before = {name: len(state.values(name)) for name in THREE}
            async with hostile_server(well, socket.create_server(endpoint)):
                await state.until(lambda: all(len(state.values(name)) > before[name] + 2 for name in THREE))
            assert len(state.told("bus.up")) == 2
            assert not state.told("device.silent")

    asyncio.run(main())


def test_a_unit_that_makes_the_server_hang_up_is_alone_with_it() -> None:
    async def hang_up_on_unit_2(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.unit == 2:
            writer.close()
        else:
            writer.write(good(asked))

    state = poll(hang_up_on_unit_2, until_told_and_others_read)
    check_only_line_2(state, Fault.LINK_DOWN)
    assert len(state.told("bus.up")) == 1


def test_row_02_a_lost_syn_is_a_link_down_and_the_other_bus_is_on_time() -> None:
    """A full queue of connections drops each further SYN, as a firewall does."""

    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        endpoint = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(endpoint)
        async with (
            hostile_server(well) as other,
            polling(("127.0.0.1", other.port), THREE, PROFILE, name="other") as fine,
            polling(endpoint, THREE, PROFILE) as state,
        ):
            await state.until(lambda: all(Fault.LINK_DOWN in state.faults(name) for name in THREE))
            before = len(fine.values("line-1"))
            await state.until(lambda: len(fine.values("line-1")) > before + 10)
            (told,) = state.told("bus.down")
            assert (told["bus"], "no answer in 0.3 s" in str(told["error"])) == ("substation", True)
            assert not any(state.values(name) for name in THREE)
            for name in THREE:
                assert fine.faults(name) <= {Fault.OVERRUN}
            for each in waiting:
                each.close()
            async with hostile_server(well, listener):
                await state.until(lambda: all(len(state.values(name)) > 2 for name in THREE))
        assert {event["bus"] for event in state.told("bus.up")} == {"substation", "other"}

    asyncio.run(main())


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="a network namespace takes root and ip")
def test_row_03_a_half_open_connection_is_seen_within_two_time_outs_and_made_anew() -> None:
    async def main() -> None:
        with cable() as wire:
            async with (
                hostile_server(well, wire.listener),
                polling(wire.endpoint, {"line-1": 1}, PROFILE, timeout_s=0.6) as state,
            ):
                await state.until(lambda: len(state.values("line-1")) >= 5)
                wire.pull()
                await state.until(lambda: state.told("bus.down") != [])
                timeouts = [sweep for sweep in state.of("line-1") if Fault.TIMEOUT in sweep.faults.values()]
                assert len(timeouts) <= 2
                assert "connect to" in str(state.told("bus.down")[0]["error"])
                await state.until(lambda: Fault.LINK_DOWN in state.faults("line-1"))
                wire.plug()
                before = len(state.values("line-1"))
                await state.until(lambda: len(state.values("line-1")) > before + 3)
                assert len(state.told("bus.up")) == 2

    asyncio.run(main())


# --- replies --------------------------------------------------------------------------------------------------


def test_row_07_of_a_late_and_a_right_reply_in_one_segment_the_right_one_is_used() -> None:
    late: list[bytes] = []
    foreign: set[int] = set()

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        mark = (len(foreign) + 1) * 10
        if asked.unit == 2 and not late:
            foreign.add(mark)
            late.append(good(asked, fill=mark))
            return
        writer.write(b"".join(late) + good(asked))
        late.clear()

    async def script(state: Polled) -> None:
        await state.until(lambda: len(foreign) >= 3 and len(state.values("line-1")) >= 10)

    state = poll(answer, script)
    for name in THREE:
        assert all(sweep.values == {"cfg_0": 0, "cfg_1": 1} for sweep in state.values(name))
    assert Fault.TIMEOUT in state.faults("line-2")
    assert state.faults("line-2") <= {Fault.TIMEOUT, *NOT_ASKED}
    assert state.server.connections == 1
    assert state.told("frame.late")


def test_row_08_a_gateway_that_does_not_echo_the_transaction_is_rejected() -> None:
    async def script(state: Polled) -> None:
        await until_told_and_others_read(state)

    state = poll(unit_2(lambda asked: b"\0\0" + good(asked)[2:]), script)
    check_only_line_2(state, Fault.REPLY_TRANSACTION)
    asked = sum(each.unit == 2 for each in state.server.seen)
    assert state.server.connections <= asked + 1, "one new connection for each, and no storm of them"
    assert "which was not asked" in str(state.told("device.silent")[0]["error"])


def pdu(reply: bytes) -> Reply:
    return lambda asked: frame(asked.transaction, asked.unit, reply)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        pytest.param(lambda asked: frame(asked.transaction, 1, good(asked)[7:]), Fault.REPLY_UNIT, id="another unit"),
        pytest.param(lambda asked: frame(asked.transaction, 0, good(asked)[7:]), Fault.REPLY_UNIT, id="unit 0"),
    ],
)
def test_row_09_the_reply_of_another_unit_is_refused(reply: Reply, fault: Fault) -> None:
    state = poll(unit_2(reply), until_told_and_others_read)
    check_only_line_2(state, fault)
    assert state.server.connections == 1


@pytest.mark.parametrize("registers", [b"\0\1", b"\0\1" * 120])
def test_row_15_fewer_or_more_registers_than_asked_are_no_values(registers: bytes) -> None:
    state = poll(unit_2(pdu(bytes((3, len(registers))) + registers)), until_told_and_others_read)
    check_only_line_2(state, Fault.REPLY_LENGTH)
    assert state.server.connections == 1


@pytest.mark.parametrize("reply", [b"\x04\x04\0\1\0\2", b"\x10\0\0\0\2"])
def test_row_16_the_reply_of_another_function_is_refused(reply: bytes) -> None:
    state = poll(unit_2(pdu(reply)), until_told_and_others_read)
    check_only_line_2(state, Fault.REPLY_FUNCTION)
    assert state.server.connections == 1


@pytest.mark.parametrize("reply", [b"\x03\x03\0\1\0", b"\x03\x00", b"\x03\x00\0\1\0\2"])
def test_row_17_an_odd_or_no_byte_count_is_refused(reply: bytes) -> None:
    state = poll(unit_2(pdu(reply)), until_told_and_others_read)
    check_only_line_2(state, Fault.REPLY_LENGTH)
    assert state.server.connections == 1


@pytest.mark.parametrize("function", [0x2B, 0xFF])
def test_row_18_an_unknown_function_does_not_harm_the_link_and_the_device_comes_back(function: int) -> None:
    mad = [True]

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        wrong = frame(asked.transaction, asked.unit, bytes((function, 1, 2, 3)))
        writer.write(wrong if asked.unit == 2 and mad[0] else good(asked))

    async def script(state: Polled) -> None:
        await until_told_and_others_read(state)
        check_only_line_2(state, Fault.REPLY_FUNCTION)
        mad[0] = False
        await state.until(lambda: len(state.values("line-2")) > 2)

    state = poll(answer, script)
    assert [event["device"] for event in state.told("device.back")] == ["line-2"]
    assert state.server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(lambda asked: frame(asked.transaction, 2, b"\x03\x04", protocol=0x1234), id="protocol"),
        pytest.param(lambda asked: frame(asked.transaction, 2, b"\x03\x04\0\1\0\2", length=65535), id="length"),
        pytest.param(lambda asked: frame(asked.transaction, 2, b"\x03\x04", length=1), id="no PDU"),
        pytest.param(lambda asked: b"SSH-2.0-OpenSSH_9.2\r\n", id="another service"),
        pytest.param(lambda asked: b"\xff" * 1_000_000, id="a flood"),
    ],
)
def test_row_19_what_is_not_modbus_ends_the_connection_and_the_device_comes_back(reply: Reply) -> None:
    mad = [True]

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(asked) if asked.unit == 2 and mad[0] else good(asked))

    async def script(state: Polled) -> None:
        await until_told_and_others_read(state)
        check_only_line_2(state, Fault.REPLY_PROTOCOL)
        mad[0] = False
        await state.until(lambda: len(state.values("line-2")) > 2)

    state = poll(answer, script)
    assert "not Modbus" in str(state.told("device.silent")[0]["error"])
    assert [event["device"] for event in state.told("device.back")] == ["line-2"]
    assert state.server.connections > 1
    assert state.told("frame.refused"), "its bytes are in the debug log"


def test_row_23_a_dribble_of_bytes_does_not_move_the_deadline() -> None:
    slow = [True]

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        for byte in good(asked):
            writer.write(bytes((byte,)))
            await asyncio.sleep(1.0 if slow[0] else 0)

    async def script(state: Polled) -> None:
        await state.until(lambda: all(Fault.TIMEOUT in state.faults(name) for name in THREE))
        await state.until(lambda: bool(state.told("bus.silent") or state.told("device.silent")))
        assert not any(state.values(name) for name in THREE)
        slow[0] = False
        await state.until(lambda: all(len(state.values(name)) > 2 for name in THREE))

    state = poll(answer, script)
    for name in THREE:
        assert state.faults(name) <= {Fault.TIMEOUT, Fault.LINK_DOWN, *NOT_ASKED}
        assert all(sweep.values == {"cfg_0": 0, "cfg_1": 1} for sweep in state.values(name))


def test_row_24_what_the_meter_says_when_it_has_no_value_is_none() -> None:
    profile = make_profile(
        make_point("cfg_low", 0, "i16", sentinel="0x8000"),
        make_point("cfg_ones", 1, sentinel="0xFFFF"),
        make_point("cfg_long", 2, "u64", sentinel="0xFFFFFFFFFFFFFFFF"),
        make_point("cfg_nan", 6, "f32"),
        make_point("cfg_infinite", 8, "f32"),
        make_point("cfg_fine", 10),
    )
    registers = struct.pack(">HHQffH", 0x8000, 0xFFFF, 2**64 - 1, float("nan"), float("-inf"), 7)

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        data = registers[2 * asked.address : 2 * (asked.address + asked.count)]
        writer.write(frame(asked.transaction, asked.unit, bytes((3, len(data))) + data))

    async def main() -> Polled:
        async with polled(answer, {"line-1": 1}, profile) as state:
            await state.until(lambda: len(state.values("line-1")) >= 3 and len(state.told("points.faulty")) >= 2)
            return state

    state = asyncio.run(main())
    for sweep in state.values("line-1"):
        assert sweep.values == {"cfg_fine": 7}
        assert sweep.faults == {
            "cfg_low": Fault.SENTINEL,
            "cfg_ones": Fault.SENTINEL,
            "cfg_long": Fault.SENTINEL,
            "cfg_nan": Fault.NOT_FINITE,
            "cfg_infinite": Fault.NOT_FINITE,
        }
    assert {event["fault"] for event in state.told("points.faulty")} == {Fault.SENTINEL, Fault.NOT_FINITE}
    assert not state.told("device.silent")
