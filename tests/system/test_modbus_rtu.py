"""The RTU link on real pseudo terminals: what a wrong line or meter sends is a fault with its reason, never a value."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from drivers.base import DeviceSilent, LinkDown
from drivers.modbus.pdu import Refused
from drivers.modbus.rtu import RtuLink
from drivers.modbus.serial_line import SerialLine
from metering.faults import Fault
from support.pty_slave import PtySlave, pty_slave, registers, sealed, words
from wattline.events import EventLog, capture_events

Write = Callable[[bytes], None]
Answer = Callable[[bytes, Write], None]
LINE = SerialLine.parse("115200 8N1")


def good(request: bytes, write: Write) -> None:
    write(registers(request))


def run(
    folder: Path,
    answer: Answer,
    test: Callable[[RtuLink, PtySlave], Awaitable[None]],
    *,
    turnaround_s: float = 0.1,
    line: SerialLine = LINE,
) -> None:
    async def main() -> None:
        with pty_slave(folder / "tty", answer) as slave:
            link = RtuLink(folder / "tty", line, EventLog(bus="rs485"), turnaround_s=turnaround_s)
            await link.open()
            try:
                await test(link, slave)
            finally:
                await link.close()

    asyncio.run(main())


async def fault_of(link: RtuLink, *, unit: int = 5, address: int = 100, count: int = 2) -> Fault:
    with pytest.raises((DeviceSilent, Refused)) as caught:
        await link.read(unit, 3, address, count)
    return caught.value.fault


RIGHT = registers(bytes.fromhex("05 03 00 64 00 02"))


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (b"", Fault.TIMEOUT),
        (sealed(b"\x06" + RIGHT[1:-2]), Fault.REPLY_UNIT),
        (sealed(b"\x05\x04" + RIGHT[2:-2]), Fault.REPLY_FUNCTION),
        (sealed(b"\x05\x10\x00\x64\x00\x02"), Fault.REPLY_FUNCTION),
        (sealed(b"\x05\x84\x02"), Fault.REPLY_FUNCTION),
        (sealed(b"\x05\x03\x02\x00\x64"), Fault.REPLY_LENGTH),
        (sealed(b"\x05\x03\x06\x00\x64\x00\x65\x00\x66"), Fault.REPLY_LENGTH),
        (sealed(b"\x05\x03\x00"), Fault.REPLY_LENGTH),
        (sealed(b"\x05\x03\x03\x00\x64\x00"), Fault.REPLY_LENGTH),
        (RIGHT[:-1], Fault.REPLY_LENGTH),
        (RIGHT[:4], Fault.REPLY_LENGTH),
        (RIGHT[:-1] + bytes([RIGHT[-1] ^ 1]), Fault.REPLY_CHECKSUM),
        (RIGHT[:4] + b"\x01" + RIGHT[5:], Fault.REPLY_CHECKSUM),
        (b"\xff\xaa\x55" * 6, Fault.REPLY_CHECKSUM),
        (sealed(b"\x05\x83\x02"), Fault.EXCEPTION_2),
        (sealed(b"\x05\x83\x06"), Fault.EXCEPTION_6),
        (sealed(b"\x05\x83\x63"), Fault.EXCEPTION_OTHER),
    ],
)
def test_each_wrong_answer_has_its_fault(tmp_path: Path, reply: bytes, fault: Fault) -> None:
    def answer(request: bytes, write: Write) -> None:
        write(reply if request[2:4] == b"\x00\x64" else registers(request))

    async def test(link: RtuLink, slave: PtySlave) -> None:
        assert await fault_of(link) is fault
        assert await link.read(5, 3, 7, 3) == words(7, 3)

    run(tmp_path, answer, test)


@pytest.mark.parametrize("before", [b"\x00", b"\x05", b"\x05\x03", b"\x05\x03\x04\xff\xff", b"\xff" * 30])
@pytest.mark.parametrize("after", [b"", b"\x00\xff"])
def test_garbage_around_a_reply_is_passed_over(tmp_path: Path, before: bytes, after: bytes) -> None:
    def answer(request: bytes, write: Write) -> None:
        write(before + registers(request) + after)

    async def test(link: RtuLink, slave: PtySlave) -> None:
        for address in range(3):
            assert await link.read(5, 3, address, 2) == words(address, 2)

    run(tmp_path, answer, test)


def test_our_own_echo_is_stripped_and_alone_it_is_no_answer(tmp_path: Path) -> None:
    def answer(request: bytes, write: Write) -> None:
        write(request)
        if request[0] == 5:
            write(registers(request))

    async def test(link: RtuLink, slave: PtySlave) -> None:
        for count in (1, 2, 125):
            assert await link.read(5, 3, 1024, count) == words(1024, count)
        with pytest.raises(DeviceSilent, match="only our own echo") as caught:
            await link.read(6, 3, 1024, 2)
        assert caught.value.fault is Fault.TIMEOUT

    run(tmp_path, answer, test)


def test_gaps_of_12_ms_between_bytes_are_borne(tmp_path: Path) -> None:
    def answer(request: bytes, write: Write) -> None:
        for byte in registers(request):
            time.sleep(0.012)
            write(bytes([byte]))

    async def test(link: RtuLink, slave: PtySlave) -> None:
        assert await link.read(1, 3, 7, 10) == words(7, 10)

    run(tmp_path, answer, test)


def test_a_dribble_of_bytes_does_not_move_the_deadline(tmp_path: Path) -> None:
    def answer(request: bytes, write: Write) -> None:
        for byte in registers(request):
            write(bytes([byte]))
            time.sleep(0.04)

    async def test(link: RtuLink, slave: PtySlave) -> None:
        assert await fault_of(link, count=40) is Fault.REPLY_LENGTH

    run(tmp_path, answer, test)


def test_the_longest_reply_arrives_whole(tmp_path: Path) -> None:
    async def test(link: RtuLink, slave: PtySlave) -> None:
        for count in (1, 30, 31, 32, 125):
            assert await link.read(1, 4, 7, count) == words(7, count)

    run(tmp_path, good, test)


def test_a_reply_that_is_one_request_late_is_never_a_value(tmp_path: Path) -> None:
    """The meter answers each request only when the next one has come: unit, function and length all fit."""
    held: list[bytes] = []

    def answer(request: bytes, write: Write) -> None:
        held.append(request)
        if len(held) > 1:
            write(registers(held[-2]))

    async def test(link: RtuLink, slave: PtySlave) -> None:
        for n in range(6):
            try:
                data = await link.read(1, 3, 100 * n, 2)
            except DeviceSilent:
                continue
            assert data == words(100 * n, 2)

    run(tmp_path, answer, test, turnaround_s=0.02)


def test_late_replies_of_any_delay_are_never_a_value(tmp_path: Path) -> None:
    rng = random.Random(3)

    def answer(request: bytes, write: Write) -> None:
        time.sleep(rng.choice((0, 0, 0, 0, 0, 0, 0, 0.05, 0.12, 0.3)))
        write(registers(request))

    async def test(link: RtuLink, slave: PtySlave) -> None:
        right = 0
        for n in range(40):
            try:
                right += await link.read(1, 3, 10 * n, 2) == words(10 * n, 2) or -1000
            except DeviceSilent:
                continue
        assert right > 5

    run(tmp_path, answer, test, turnaround_s=0.01)


def test_a_cancelled_read_leaves_the_link_usable_and_its_reply_unused(tmp_path: Path) -> None:
    def answer(request: bytes, write: Write) -> None:
        if request[2:4] == b"\x00\x64":
            time.sleep(0.05)
        write(registers(request))

    async def test(link: RtuLink, slave: PtySlave) -> None:
        reading = asyncio.create_task(link.read(1, 3, 100, 2))
        await asyncio.sleep(0.02)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await link.read(1, 3, 10, 2) == words(10, 2)

    run(tmp_path, answer, test)


def test_closing_does_not_wait_for_a_reply_and_fails_who_waits(tmp_path: Path) -> None:
    async def test(link: RtuLink, slave: PtySlave) -> None:
        reading = asyncio.create_task(link.read(1, 3, 100, 2))
        await asyncio.sleep(0.02)
        async with asyncio.timeout(5):
            await link.close()
        with pytest.raises((DeviceSilent, LinkDown)):
            await reading
        with pytest.raises(LinkDown, match="is not open"):
            await link.read(1, 3, 0, 1)

    run(tmp_path, lambda request, write: None, test, turnaround_s=30)


def test_bytes_that_come_while_nothing_is_asked_are_dropped(tmp_path: Path) -> None:
    async def test(link: RtuLink, slave: PtySlave) -> None:
        slave.write(registers(bytes.fromhex("01 03 00 64 00 02")))
        assert await link.read(1, 3, 10, 2) == words(10, 2)

    run(tmp_path, good, test)


def test_an_adapter_that_is_pulled_out_and_put_back_works_after_open(tmp_path: Path) -> None:
    async def test(link: RtuLink, slave: PtySlave) -> None:
        for _ in range(3):
            assert await link.read(1, 3, 10, 2) == words(10, 2)
            slave.unplug()
            with pytest.raises(LinkDown, match=r"hung up|Input/output error"):
                await link.read(1, 3, 10, 2)
            with pytest.raises(LinkDown):
                await link.read(1, 3, 10, 2)
            with pytest.raises(LinkDown, match=r"open .*tty: No such file"):
                await link.open()
            slave.plug()
            await link.open()

    run(tmp_path, good, test)


def test_a_port_that_became_another_device_is_down_at_the_next_silence(tmp_path: Path) -> None:
    async def test(link: RtuLink, slave: PtySlave) -> None:
        (tmp_path / "tty").unlink()
        (tmp_path / "tty").symlink_to("/dev/null")
        with pytest.raises(LinkDown, match="replugged as another device"):
            await link.read(1, 3, 10, 2)

    run(tmp_path, lambda request, write: None, test)


def test_a_port_that_another_program_has_names_it(tmp_path: Path) -> None:
    async def main() -> None:
        with pty_slave(tmp_path / "tty", good):
            holder = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    "import sys; f = open(sys.argv[1], 'rb', 0); print(flush=True); input()",
                    tmp_path / "tty",
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            with holder:
                assert holder.stdout is not None
                holder.stdout.readline()
                link = RtuLink(tmp_path / "tty", LINE, EventLog())
                with pytest.raises(LinkDown, match=rf"the port is taken by .*python.* \(pid {holder.pid}\)"):
                    await link.open()
                holder.kill()
            await link.open()
            await link.close()

    asyncio.run(main())


def test_the_kernel_is_asked_for_direction_control_and_a_refusal_says_what_to_do(tmp_path: Path) -> None:
    async def main() -> None:
        with pty_slave(tmp_path / "tty", good), pytest.raises(LinkDown, match="needs no `rs485: true`"):
            await RtuLink(tmp_path / "tty", LINE, EventLog(), rs485=True).open()

    asyncio.run(main())


def test_no_descriptor_is_left_when_opening_fails_or_the_link_is_closed(tmp_path: Path) -> None:
    async def test(link: RtuLink, slave: PtySlave) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            await link.open()
            with pytest.raises(LinkDown):
                await RtuLink(tmp_path / "none", LINE, EventLog()).open()
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    run(tmp_path, good, test)


def test_frames_are_told_to_the_debug_log(tmp_path: Path) -> None:
    async def test(link: RtuLink, slave: PtySlave) -> None:
        await link.read(1, 4, 7, 1)

    with capture_events() as events:
        run(tmp_path, good, test)
    assert [(e["event"], e["frame"], e["bus"]) for e in events] == [
        ("frame.sent", "01 04 00 07 00 01 80 0b", "rs485"),
        ("frame.received", "01 04 02 00 07 f8 f2", "rs485"),
    ]
