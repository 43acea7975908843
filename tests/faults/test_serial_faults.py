"""The rows of the fault list that a serial line can have, each injected on a real pseudo terminal under the real poller.

Every test asserts what the sweeps say afterwards, and the event in the journal. Meter 1 is the one in trouble, meter 2
the healthy one; a register holds its address, 10 and 11.
"""

import asyncio
import os
import pty
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from subprocess import PIPE
from typing import Any

import pytest

from agent.poller import PolledDevice, Poller
from agent.schedule import NS, PollGroup
from drivers.modbus.serial_bus import ModbusRtuBus
from drivers.modbus.serial_line import SerialLine
from metering.faults import Fault
from metering.sweep import Sweep
from support.points import make_point, make_profile
from support.pty_slave import PtySlave, pty_slave, registers, sealed
from wattline.clock import SystemClock
from wattline.events import EventLog, capture_events

pytestmark = pytest.mark.alone  # gaps of milliseconds on a line

Write = Callable[[bytes], None]
PROFILE = make_profile(make_point("voltage_l1_n", 10), make_point("voltage_l2_n", 11), timeout_s=0.05)
RIGHT = {"voltage_l1_n": 10, "voltage_l2_n": 11}


class Rig:
    """A poller at work; what it handed on and told."""

    def __init__(self, poller: Poller, slave: PtySlave, sweeps: list[Sweep], events: list[dict[str, Any]]) -> None:
        self.poller, self.slave, self.sweeps, self.events = poller, slave, sweeps, events

    def of(self, unit: int) -> list[Sweep]:
        return [sweep for sweep in self.sweeps if sweep.device == f"meter-{unit}"]

    def values(self, unit: int) -> list[dict[str, object]]:
        return [dict(sweep.values) for sweep in self.of(unit) if sweep.values]

    def faults(self, unit: int) -> set[Fault]:
        return {fault for sweep in self.of(unit) for fault in sweep.faults.values()}

    def told(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event]

    async def until(self, happened: Callable[[], object]) -> None:
        async with asyncio.timeout(25):
            while not happened():
                await asyncio.sleep(0.01)


def right(request: bytes, write: Write) -> None:
    write(registers(request))


def silent(request: bytes, write: Write) -> None:
    pass


def run(
    folder: Path,
    answer: Callable[[bytes, Write], None],
    test: Callable[[Rig], Awaitable[None]],
    *,
    others: Callable[[bytes, Write], None] = right,
    sink: Callable[[Sweep], None] | None = None,
    prepare: Callable[[], None] | None = None,
) -> None:
    """`answer` is that of unit 1, `others` that of unit 2; `prepare` is called before the port is opened."""

    def answers(request: bytes, write: Write) -> None:
        (answer if request[0] == 1 else others)(request, write)

    async def main(events: list[dict[str, Any]]) -> None:
        clock, sweeps = SystemClock(), list[Sweep]()
        bus = ModbusRtuBus("rs485", folder / "tty", SerialLine.parse("115200 8N1"), turnaround_s=0.05, clock=clock)
        devices = [bus.add_device(f"meter-{unit}", unit, PROFILE) for unit in (1, 2)]
        groups = (PollGroup(interval_ns=NS // 5, points=tuple(PROFILE.points)),)

        def take(sweep: Sweep) -> None:
            sweeps.append(sweep)
            if sink is not None:
                sink(sweep)

        poller = Poller(
            bus,
            [PolledDevice(device=device, groups=groups) for device in devices],
            sink=take,
            clock=clock,
            random=Random(1),
            log=EventLog(),
        )
        with pty_slave(folder / "tty", answers) as slave:
            if prepare is not None:
                prepare()
            polling = asyncio.create_task(poller.run())
            try:
                await test(Rig(poller, slave, sweeps, events))
                assert not polling.done()
            finally:
                polling.cancel()
                with suppress(asyncio.CancelledError):
                    await polling
        assert all(values == RIGHT for sweep in sweeps if sweep.device != "meter-1" and (values := sweep.values))

    with capture_events() as events:
        asyncio.run(main(events))


def test_row_04_one_silent_unit_is_alone_with_its_fault_and_comes_back(tmp_path: Path) -> None:
    dead = True

    def answer(request: bytes, write: Write) -> None:
        if not dead:
            write(registers(request))

    async def test(rig: Rig) -> None:
        nonlocal dead
        await rig.until(lambda: rig.told("device.silent"))
        before = len(rig.values(2))
        await rig.until(lambda: len(rig.values(2)) >= before + 10)
        assert not rig.values(1)
        assert rig.faults(1) == {Fault.TIMEOUT, Fault.BACKOFF}
        assert not rig.faults(2)
        [event] = rig.told("device.silent")
        assert (event["device"], event["fault"], event["level"]) == ("meter-1", Fault.TIMEOUT, "warning")
        dead = False
        await rig.until(lambda: rig.told("device.back"))
        assert rig.values(1)[0] == RIGHT

    run(tmp_path, answer, test)


def test_row_05_a_cut_cable_is_one_line_and_a_fault_for_every_meter(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until(lambda: len(rig.of(1)) > 20 and len(rig.of(2)) > 20)
        assert not rig.values(1)
        assert not rig.values(2)
        assert rig.faults(1) | rig.faults(2) == {Fault.TIMEOUT, Fault.BACKOFF}
        [event] = rig.told("bus.silent")
        assert (event["bus"], event["devices"]) == ("rs485", 2)
        assert not rig.told("device.silent")

    run(tmp_path, silent, test, others=silent)


def test_row_06_a_late_answer_is_dropped_and_never_the_next_ones(tmp_path: Path) -> None:
    """Registers hold the number of the request: an older number in a sweep would be an older answer."""
    asked: list[int] = []
    wrong: list[object] = []

    def answer(request: bytes, write: Write) -> None:
        asked.append(request[5])
        if len(asked) % 4 == 2:
            time.sleep(0.2)
        write(sealed(request[:2] + bytes((2 * request[5],)) + len(asked).to_bytes(2, "big") * request[5]))

    def sink(sweep: Sweep) -> None:
        if sweep.device == "meter-1" and sweep.values and set(sweep.values.values()) != {len(asked)}:
            wrong.append(sweep)

    async def test(rig: Rig) -> None:
        await rig.until(lambda: len(rig.values(1)) >= 6 and Fault.TIMEOUT in rig.faults(1))
        assert not wrong
        assert any(frame["frame"] for frame in rig.told("frame.received"))

    run(tmp_path, answer, test, sink=sink)


def test_row_09_the_answer_of_another_unit_is_refused(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until(lambda: rig.told("device.silent"))
        assert not rig.values(1)
        assert rig.faults(1) <= {Fault.REPLY_UNIT, Fault.BACKOFF}
        [event] = rig.told("device.silent")
        assert event["fault"] is Fault.REPLY_UNIT
        assert "unit 9 answered" in event["error"]

    run(tmp_path, lambda request, write: write(sealed(b"\x09" + registers(request)[1:-2])), test)


def test_row_10_two_meters_at_one_address_are_a_clash_and_no_value_of_either(tmp_path: Path) -> None:
    def answer(request: bytes, write: Write) -> None:
        write(registers(request))
        time.sleep(0.02)
        write(registers(request, fill=500))

    async def test(rig: Rig) -> None:
        await rig.until(lambda: rig.told("device.silent") and len(rig.values(2)) > 10)
        assert not rig.values(1)
        assert rig.faults(1) <= {Fault.CLASH, Fault.BACKOFF}
        [event] = rig.told("device.silent")
        assert (event["device"], event["fault"]) == ("meter-1", Fault.CLASH)
        assert "two meters have this unit id" in event["error"]
        assert not rig.faults(2)

    run(tmp_path, answer, test)


def test_row_10_a_second_meter_that_is_added_later_is_found_by_its_answers(tmp_path: Path) -> None:
    added = False

    def answer(request: bytes, write: Write) -> None:
        write(registers(request))
        if added:
            time.sleep(0.01)
            write(registers(request, fill=500))

    async def test(rig: Rig) -> None:
        nonlocal added
        await rig.until(lambda: len(rig.values(1)) >= 3)
        added = True
        await rig.until(lambda: rig.told("device.silent"))
        assert all(values == RIGHT for values in rig.values(1)), "those of the first meter, never mixed"
        assert rig.told("device.silent")[0]["fault"] is Fault.CLASH

    run(tmp_path, answer, test)


def test_row_11_damaged_and_broken_off_answers_are_faults_and_are_counted(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def answer(request: bytes, write: Write) -> None:
        asked.append(request)
        whole = registers(request)
        damaged = whole[:-1] + bytes((whole[-1] ^ 0x10,))
        write(damaged if len(asked) % 2 else whole[:-3])

    async def test(rig: Rig) -> None:
        await rig.until(lambda: rig.told("device.silent"))
        assert not rig.values(1)
        assert not rig.faults(2)
        assert Fault.REPLY_CHECKSUM in rig.faults(1)
        assert rig.poller.counters.faults[Fault.REPLY_CHECKSUM] >= 1
        assert len(asked) < len(rig.of(1)) + 3, "no storm of retries"
        assert rig.told("device.silent")[0]["fault"] is Fault.REPLY_LENGTH

    run(tmp_path, answer, test)


def test_row_12_garbage_before_and_after_costs_nothing(tmp_path: Path) -> None:
    def answer(request: bytes, write: Write) -> None:
        write(b"\x00\xff\x01" + registers(request) + b"\x00")

    async def test(rig: Rig) -> None:
        await rig.until(lambda: len(rig.values(1)) >= 10 and len(rig.values(2)) >= 10)
        assert all(values == RIGHT for values in rig.values(1))
        assert not rig.faults(1) | rig.faults(2)
        assert rig.told("frame.received")

    run(tmp_path, answer, test)


def test_row_13_our_own_echo_is_stripped_and_alone_it_is_named(tmp_path: Path) -> None:
    alone = False

    def answer(request: bytes, write: Write) -> None:
        write(request if alone else request + registers(request))

    async def test(rig: Rig) -> None:
        nonlocal alone
        await rig.until(lambda: len(rig.values(1)) >= 5)
        assert all(values == RIGHT for values in rig.values(1))
        assert not rig.faults(1)
        alone = True
        await rig.until(lambda: rig.told("device.silent"))
        assert "only our own echo" in rig.told("device.silent")[0]["error"]
        assert rig.faults(1) <= {Fault.TIMEOUT, Fault.BACKOFF}

    run(tmp_path, answer, test)


def test_row_14_gaps_of_12_ms_within_an_answer_are_accepted(tmp_path: Path) -> None:
    def answer(request: bytes, write: Write) -> None:
        for byte in registers(request):
            time.sleep(0.012)
            write(bytes((byte,)))

    async def test(rig: Rig) -> None:
        await rig.until(lambda: len(rig.values(1)) >= 3)
        assert all(values == RIGHT for values in rig.values(1))
        assert not rig.told("device.silent")

    run(tmp_path, answer, test)


def test_row_29_an_adapter_that_comes_back_under_another_number_works_again(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        await rig.until(lambda: rig.values(2))
        before = (tmp_path / "tty").readlink()
        began, cpu_s = time.monotonic(), time.process_time()
        rig.slave.unplug()
        await rig.until(lambda: rig.told("bus.down") and Fault.LINK_DOWN in rig.faults(2))
        holder = pty.openpty()  # takes the number that is free now
        await asyncio.sleep(2.0)
        assert (time.process_time() - cpu_s) / (time.monotonic() - began) < 0.2, "no busy loop on a dead descriptor"
        read = len(rig.values(2))
        rig.slave.plug()
        assert (tmp_path / "tty").readlink() != before
        await rig.until(lambda: len(rig.values(2)) > read + 3 and len(rig.told("bus.up")) == 2)
        assert [each["event"] for each in rig.events if each["event"].startswith("bus.")][-2:] == ["bus.down", "bus.up"]
        for fd in holder:
            os.close(fd)

    run(tmp_path, right, test)


def test_row_30_a_taken_port_names_its_owner_and_is_used_when_it_is_free(tmp_path: Path) -> None:
    hold = "import sys; f = open(sys.argv[1], 'rb', 0); print(flush=True); input()"
    holder: list[subprocess.Popen[bytes]] = []

    def take() -> None:
        holder.append(subprocess.Popen([sys.executable, "-c", hold, tmp_path / "tty"], stdin=PIPE, stdout=PIPE))
        assert holder[0].stdout is not None
        holder[0].stdout.readline()

    async def test(rig: Rig) -> None:
        with holder[0] as process:
            await rig.until(lambda: rig.told("bus.down") and Fault.LINK_DOWN in rig.faults(2))
            [event] = rig.told("bus.down")
            assert f"(pid {process.pid})" in event["error"]
            assert "the port is taken by" in event["error"]
            assert not rig.values(1)
            process.kill()
        await rig.until(lambda: rig.values(1) and rig.values(2))
        assert rig.told("bus.up")

    run(tmp_path, right, test, prepare=take)
