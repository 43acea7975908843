"""The TCP link against servers that answer wrongly: each wrong answer is its own fault, and none is a value."""

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from drivers.base import DeviceSilent, LinkDown
from drivers.modbus import catalogue
from drivers.modbus.bus import ModbusTcpBus
from drivers.modbus.pdu import Refused, read_request
from drivers.modbus.tcp import MOST_AT_ONCE, TcpLink
from metering.faults import Fault
from support.hostile_server import Asked, frame, good, hostile_server, in_batches, linked, words
from wattline.clock import SystemClock
from wattline.events import EventLog, capture_events

Reply = Callable[[Asked], bytes]
REGISTERS = struct.pack(">BB2H", 3, 4, 11, 12)


def altered(**change: int) -> Reply:
    return lambda asked: frame(
        asked.transaction + change.get("transaction", 0),
        asked.unit + change.get("unit", 0),
        REGISTERS,
        protocol=change.get("protocol", 0),
        length=change.get("length"),
    )


def pdu(reply: bytes) -> Reply:
    return lambda asked: frame(asked.transaction, asked.unit, reply)


async def fault_of(reply: Reply) -> tuple[Fault, str | None]:
    """The fault of a read answered with `reply`, and the reason if the link closed itself (else None)."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(asked) if asked.address == 100 else good(asked))

    async with linked(answer) as (link, _):
        with pytest.raises((DeviceSilent, Refused)) as caught:
            await link.read(5, 3, 100, 2)
        assert "unit 5" in str(caught.value) or isinstance(caught.value, Refused)
        try:
            assert await link.read(5, 3, 0, 2) == words(0, 2)
        except LinkDown as err:
            return caught.value.fault, str(err)
        return caught.value.fault, None


@pytest.mark.parametrize(
    ("reply", "fault", "closes"),
    [
        (altered(unit=1), Fault.REPLY_UNIT, False),
        (pdu(b"\x04\x04\0\1\0\2"), Fault.REPLY_FUNCTION, False),
        (pdu(b"\x03\x02\0\1"), Fault.REPLY_LENGTH, False),
        (pdu(b"\x03\x06\0\1\0\2\0\3"), Fault.REPLY_LENGTH, False),
        (pdu(b"\x03\x04\0\1"), Fault.REPLY_LENGTH, False),
        (pdu(b"\x03\x04\0\1\0\2\0\3"), Fault.REPLY_LENGTH, False),
        (pdu(b"\x03\x02\0\1\0\2"), Fault.REPLY_LENGTH, False),
        (pdu(b"\x03"), Fault.REPLY_LENGTH, False),
        (pdu(b"\x83\x02"), Fault.EXCEPTION_2, False),
        (pdu(b"\x83\x06"), Fault.EXCEPTION_6, False),
        (pdu(b"\x83\x2a"), Fault.EXCEPTION_OTHER, False),
        (pdu(b"\x83"), Fault.REPLY_LENGTH, False),
        (pdu(b"\x83\x02\0"), Fault.REPLY_LENGTH, False),
        (pdu(b"\x84\x02"), Fault.REPLY_FUNCTION, False),
        (altered(transaction=1), Fault.REPLY_TRANSACTION, True),
        (altered(transaction=-1), Fault.REPLY_TRANSACTION, True),
        (altered(protocol=1), Fault.REPLY_PROTOCOL, True),
        (altered(length=0), Fault.REPLY_PROTOCOL, True),
        (altered(length=1), Fault.REPLY_PROTOCOL, True),
        (altered(length=255), Fault.REPLY_PROTOCOL, True),
        (lambda asked: b"HTTP/1.1 400 Bad Request\r\n\r\n", Fault.REPLY_PROTOCOL, True),
        (lambda asked: b"", Fault.TIMEOUT, False),
    ],
)
def test_each_wrong_answer_has_its_fault(reply: Reply, fault: Fault, closes: bool) -> None:
    got, reason = asyncio.run(fault_of(reply))
    assert got is fault
    assert (reason is not None) == closes


def run(
    answer: Callable[[Asked, asyncio.StreamWriter], Awaitable[None]], test: Callable[[TcpLink], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with linked(answer) as (link, _):
            await test(link)

    asyncio.run(main())


def test_a_late_reply_is_never_a_value() -> None:
    """The server answers each request only when the next one has come: every reply is one request late."""
    held: list[bytes] = []

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.address >= 100:
            held.append(good(asked))
            return
        writer.write(b"".join(held) + good(asked))

    async def test(link: TcpLink) -> None:
        for address in (100, 200):
            with pytest.raises(DeviceSilent) as caught:
                await link.read(1, 3, address, 2)
            assert caught.value.fault is Fault.TIMEOUT
        assert await link.read(1, 3, 10, 2) == words(10, 2)

    run(answer, test)


def test_a_late_reply_that_comes_while_nothing_is_asked_is_dropped() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.address == 100:
            await asyncio.sleep(0.3)
        writer.write(good(asked))

    async def test(link: TcpLink) -> None:
        with pytest.raises(DeviceSilent):
            await link.read(1, 3, 100, 2)
        await asyncio.sleep(0.2)
        assert await link.read(1, 3, 10, 2) == words(10, 2)

    run(answer, test)


def test_the_rest_of_half_a_reply_is_dropped_too() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        reply = good(asked)
        if asked.address != 100:
            writer.write(reply)
            return
        writer.write(reply[:9])
        asyncio.get_running_loop().call_later(0.3, writer.write, reply[9:])

    async def test(link: TcpLink) -> None:
        with pytest.raises(DeviceSilent) as caught:
            await link.read(1, 3, 100, 2)
        assert caught.value.fault is Fault.TIMEOUT
        await asyncio.sleep(0.2)
        assert await link.read(1, 3, 10, 2) == words(10, 2)

    run(answer, test)


def test_a_dribble_of_bytes_does_not_move_the_deadline() -> None:
    writes: list[int] = []

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        for byte in good(asked):
            writer.write(bytes([byte]))
            writes.append(byte)
            await asyncio.sleep(0.05)

    async def test(link: TcpLink) -> None:
        with pytest.raises(DeviceSilent) as caught:
            await link.read(1, 3, 0, 20)
        assert caught.value.fault is Fault.TIMEOUT
        assert 0 < len(writes) < 49

    run(answer, test)


def test_a_reply_in_pieces_within_the_deadline_is_a_value() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        for byte in good(asked):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)

    async def test(link: TcpLink) -> None:
        assert await link.read(1, 3, 7, 3) == words(7, 3)

    run(answer, test)


def test_bytes_nobody_asked_for_close_the_connection() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(good(asked) + frame(999, 1, REGISTERS))

    async def test(link: TcpLink) -> None:
        assert await link.read(1, 3, 7, 3) == words(7, 3)
        with pytest.raises(LinkDown, match="transaction 999, which was not asked"):
            await link.read(1, 3, 7, 3)

    run(answer, test)


def test_a_server_that_hangs_up_is_a_link_down_and_can_be_opened_again() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.address == 100:
            writer.transport.abort()
        else:
            writer.write(good(asked))

    async def test(link: TcpLink) -> None:
        for _ in range(2):
            with pytest.raises(LinkDown):
                await link.read(1, 3, 100, 2)
            with pytest.raises(LinkDown):
                await link.read(1, 3, 0, 2)
            await link.open()
            assert await link.read(1, 3, 0, 2) == words(0, 2)

    run(answer, test)


def test_three_requests_without_a_single_byte_end_the_connection() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        pass

    async def test(link: TcpLink) -> None:
        link.timeout_s = 0.02
        for _ in range(3):
            with pytest.raises(DeviceSilent):
                await link.read(1, 3, 0, 2)
        with pytest.raises(LinkDown, match="not a byte in answer to 3 requests"):
            await link.read(1, 3, 0, 2)

    run(answer, test)


def test_a_cancelled_read_leaves_the_link_usable_and_its_reply_unused() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.address == 100:
            asyncio.get_running_loop().call_later(0.05, writer.write, good(asked))
        else:
            writer.write(good(asked))

    async def test(link: TcpLink) -> None:
        reading = asyncio.create_task(link.read(1, 3, 100, 2))
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await asyncio.sleep(0.08)
        assert await link.read(1, 3, 10, 2) == words(10, 2)

    run(answer, test)


def test_replies_out_of_order_each_go_to_their_own_request() -> None:
    async def test(link: TcpLink) -> None:
        link.timeout_s = 5
        reads = [link.read(1, 3, 100 * n, 1 + n) for n in range(MOST_AT_ONCE)]
        assert await asyncio.gather(*reads) == [words(100 * n, 1 + n) for n in range(MOST_AT_ONCE)]

    run(in_batches(MOST_AT_ONCE, MOST_AT_ONCE, []), test)


def test_of_requests_under_way_one_without_reply_times_out_alone_and_its_late_reply_is_dropped() -> None:
    late: list[bytes] = []

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.address == 100:
            late.append(good(asked, fill=7))
        else:
            writer.write(good(asked) if asked.address else b"".join(late) + good(asked))

    async def test(link: TcpLink) -> None:
        reads = [link.read(1, 3, address, 2) for address in (100, 200, 300)]
        lost, *read = await asyncio.gather(*reads, return_exceptions=True)
        assert isinstance(lost, DeviceSilent)
        assert lost.fault is Fault.TIMEOUT
        assert read == [words(200, 2), words(300, 2)]
        assert await link.read(1, 3, 0, 2) == words(0, 2)

    run(answer, test)


def test_bytes_nobody_asked_for_fail_all_that_is_under_way() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.address == 300:
            writer.write(good(replace(asked, transaction=asked.transaction + 1000)))

    async def test(link: TcpLink) -> None:
        link.timeout_s = 5
        reads = [link.read(1, 3, address, 2) for address in (100, 200, 300)]
        for error in await asyncio.gather(*reads, return_exceptions=True):
            assert isinstance(error, DeviceSilent)
            assert error.fault is Fault.REPLY_TRANSACTION
        with pytest.raises(LinkDown):
            await link.read(1, 3, 0, 2)

    run(answer, test)


def test_a_burst_of_requests_without_reply_is_one_silence_not_many() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.address == 0:
            writer.write(good(asked))

    async def test(link: TcpLink) -> None:
        reads = [link.read(1, 3, 100, 2) for _ in range(MOST_AT_ONCE)]
        assert all(isinstance(each, DeviceSilent) for each in await asyncio.gather(*reads, return_exceptions=True))
        assert await link.read(1, 3, 0, 2) == words(0, 2)

    run(answer, test)


@pytest.mark.parametrize(("pipeline", "batches"), [(1, [1] * 8), (4, [4, 4]), (16, [8])])
def test_a_pipeline_costs_a_sweep_fewer_round_trips(pipeline: int, batches: list[int]) -> None:
    """The server answers only a full batch: a request too few under way, and none would ever be answered."""
    answered: list[int] = []

    async def main() -> None:
        async with hostile_server(in_batches(pipeline, 8, answered)) as server:
            bus = ModbusTcpBus("bus", "127.0.0.1", server.port, timeout_s=5, clock=SystemClock())
            device = bus.add_device("meter", 1, catalogue.load("janitza-umg604"))
            device.pipeline = pipeline
            reader = device.reader([point.name for point in device.points])
            async with bus.connection():
                sweeps = [await reader.read() for _ in range(2)]
        assert len(reader.requests) == 8
        assert sweeps[0].values == sweeps[1].values
        assert sweeps[0].values

    asyncio.run(main())
    assert answered == batches * 2


def test_a_sweep_given_up_leaves_nothing_under_way() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.transaction > 8:
            writer.write(good(asked))

    async def main() -> None:
        async with hostile_server(answer) as server:
            bus = ModbusTcpBus("bus", "127.0.0.1", server.port, timeout_s=0.2, clock=SystemClock())
            device = bus.add_device("meter", 1, catalogue.load("janitza-umg604"))
            device.pipeline = MOST_AT_ONCE
            reader = device.reader([point.name for point in device.points])
            async with bus.connection():
                with pytest.raises(DeviceSilent):
                    await reader.read()
                assert not any("Pipeline" in repr(task) or "_timed" in repr(task) for task in asyncio.all_tasks())
                assert (await reader.read()).values

    asyncio.run(main())


def test_a_refused_connection_and_an_unknown_host_are_link_down() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for host in ("127.0.0.1", "meter.invalid"):
        with pytest.raises(LinkDown, match=f"connect to {host}:{port}"):
            asyncio.run(TcpLink(host, port, 1.0, EventLog()).open())


def test_a_link_that_is_not_open_is_down() -> None:
    with pytest.raises(LinkDown, match="is not connected"):
        asyncio.run(TcpLink("127.0.0.1", 1, 0.1, EventLog()).read(1, 3, 0, 1))


@pytest.mark.parametrize(
    ("function", "address", "count"), [(6, 0, 1), (16, 0, 1), (3, 0, 0), (3, 0, 126), (3, 65535, 2)]
)
def test_nothing_but_a_read_of_registers_can_be_asked(function: int, address: int, count: int) -> None:
    with pytest.raises(ValueError, match="read"):
        read_request(function, address, count)


def test_frames_are_told_to_the_debug_log() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(good(asked))

    async def test(link: TcpLink) -> None:
        await link.read(1, 4, 7, 1)

    with capture_events() as events:
        run(answer, test)
    assert [(e["event"], e["frame"]) for e in events] == [
        ("frame.sent", "00 01 00 00 00 06 01 04 00 07 00 01"),
        ("frame.received", "00 01 00 00 00 05 01 04 02 00 07"),
    ]


@pytest.mark.slow
def test_twenty_thousand_broken_frames_give_no_wrong_value() -> None:
    """Each reply is the right one with a few bytes changed, cut or added; what is accepted must be what was asked."""
    rng = random.Random(4)
    accepted = wrong = closed = 0

    def broken(asked: Asked) -> bytes:
        reply = bytearray(good(asked))
        header = 9  # the registers themselves carry no check that a change could break: they are left alone
        for _ in range(rng.randrange(3)):
            reply[rng.randrange(header)] ^= 1 << rng.randrange(8)
        match rng.randrange(8):
            case 0:
                del reply[rng.randrange(len(reply)) :]
            case 1:
                reply += rng.randbytes(rng.randrange(1, 12))
            case 2:
                reply[:0] = rng.randbytes(rng.randrange(1, 12))
        return bytes(reply)

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(broken(asked))

    async def main() -> None:
        nonlocal accepted, wrong, closed
        async with linked(answer) as (link, _):
            link.timeout_s = 0.002
            for n in range(20_000):
                address, count = rng.randrange(60_000), rng.randrange(1, 5)
                try:
                    data = await link.read(1 + n % 3, 3 + n % 2, address, count)
                except LinkDown:
                    closed += 1
                    await link.close()
                    link.timeout_s = 1.0
                    await link.open()
                    link.timeout_s = 0.002
                except (DeviceSilent, Refused):
                    pass
                else:
                    accepted += 1
                    wrong += data != words(address, count)

    asyncio.run(main())
    assert wrong == 0
    assert accepted > 2_000
    assert closed > 1_000
