"""`wattline scan --serial` on a pty: the baud rate is found, the meter known, its settings load; ports that are shut."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

from agent.settings import load
from drivers.commission.ports import trouble
from support.pty_slave import PtySlave, pty_slave, sealed

HEAD = "site: a\ngateway: b\nbroker: {url: 'mqtt://127.0.0.1'}\nspool: {directory: spool}\n"
QUICK = ("--timeout", "0.05")
MODEL_CODE = (0x8960, 1110585632)  # of an ABB B23


def command(*args: object) -> list[str]:
    return [sys.executable, "-P", "-m", "wattline", "scan", *map(str, args)]


def wattline(*args: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*args), capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    return done


class Line:
    """Units that hear only their own baud rate, and know one thing: their model code."""

    def __init__(self, units: dict[int, int]) -> None:
        self.units = units
        self.slave: PtySlave | None = None
        self.functions: set[int] = set()

    def answer(self, request: bytes, write: Callable[[bytes], None]) -> None:
        unit, function, address, count = struct.unpack(">BBHH", request[:6])
        self.functions.add(function)
        assert self.slave is not None
        if self.slave.baud_code != self.units.get(unit):
            return
        first, code = MODEL_CODE
        if (address, count) == (first, 2):
            write(sealed(struct.pack(">BBBI", unit, function, 4, code)))
        else:
            write(sealed(bytes((unit, function | 0x80, 2))))


def scanned(port: Path, units: dict[int, int], *args: object) -> tuple[subprocess.CompletedProcess[str], Line]:
    line = Line(units)
    with pty_slave(port, line.answer) as slave:
        line.slave = slave
        return wattline("--serial", port, *QUICK, *args), line


def test_a_meter_at_another_baud_rate_is_found_and_its_settings_load(tmp_path: Path) -> None:
    port = tmp_path / "line"
    done, line = scanned(port, {3: termios.B19200}, "--units", "2-4", "--lines", "9600,19200,4800", "8N1")
    assert done.returncode == 0
    assert "asking 3 unit ids on" in done.stderr
    assert "9600 8N1: 3 unit ids, at most 1 s if none answers" in done.stderr
    assert "19200 8N1, unit 3: ABB" in done.stderr
    assert "4800 8N1:" not in done.stderr, "the others are not asked once a setting has answered"
    assert line.functions <= {3, 4}, "reads only"
    path = tmp_path / "agent.yaml"
    path.write_text(HEAD + done.stdout)
    (bus,) = load(path).buses
    assert bus.serial is not None
    assert str(bus.serial.line) == "19200 8N1"
    assert [(device.unit, device.profile) for device in bus.devices] == [(3, "abb-b23")]
    assert "at 9600 8N1: none of 3 unit ids answered" in done.stdout


def test_meters_of_two_baud_rates_on_a_line_are_told_to_agree(tmp_path: Path) -> None:
    units = {1: termios.B9600, 2: termios.B19200}
    done, _ = scanned(tmp_path / "line", units, "--units", "1,2", "--lines", "9600,19200", "8N1", "--every-line")
    assert done.returncode == 0
    assert "# set these to 9600 8N1, as the others on the line are:" in done.stdout
    path = tmp_path / "agent.yaml"
    path.write_text(HEAD + done.stdout)
    assert [device.unit for device in load(path).buses[0].devices] == [1]


def test_ctrl_c_leaves_what_was_found(tmp_path: Path) -> None:
    line = Line({1: termios.B9600})
    port = tmp_path / "line"
    with pty_slave(port, line.answer) as line.slave:
        args = command("--serial", port, "--timeout", "1", "--lines", "9600", "8N1", "--ids-only")
        process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        while "unit 1: it answers" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "unit 1: it answers" in told
    assert "broken off" in told
    assert "Traceback" not in errors


def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    line = Line({2: termios.B9600})
    port = tmp_path / "line"
    with pty_slave(port, line.answer) as line.slave:
        ours, theirs = pty.openpty()
        args = command("--serial", port, *QUICK, "--lines", "9600", "8N1", "--units", "1-3", "--ids-only")
        process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        shown = b""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown += os.read(ours, 65536)
                except OSError:
                    break
        os.close(ours)
        assert process.wait(30) == 0
    assert "█" in shown.decode()
    assert re.search(r"2/3  .* left", shown.decode())


def test_nothing_found_says_what_to_try(tmp_path: Path) -> None:
    done, _ = scanned(tmp_path / "line", {}, "--units", "1", "--lines", "9600", "8N1")
    assert done.returncode == 1
    assert "swap A and B" in done.stderr
    assert "# nothing to put into agent.yaml yet" in done.stdout


def test_a_port_that_cannot_be_used_is_told_with_what_to_do(tmp_path: Path) -> None:
    done = wattline("--serial", tmp_path / "ttyUSB7", "--lines", "9600", "8N1")
    assert done.returncode == 1
    assert "there is no port" in done.stderr
    plain = tmp_path / "file"
    plain.write_text("")
    assert "is no serial port" in wattline("--serial", plain).stderr


def test_a_port_that_is_taken_is_asked_once_and_its_owner_named(tmp_path: Path) -> None:
    line = Line({})
    port = tmp_path / "line"
    with pty_slave(port, line.answer) as line.slave:
        fd = os.open(port, os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            done = wattline("--serial", port, *QUICK, "--units", "1")
        finally:
            os.close(fd)
    assert done.returncode == 1
    assert f"(pid {os.getpid()})" in done.stdout
    assert "A serial port serves one program" in done.stdout
    assert done.stdout.count("taken by") == 1


def test_no_permission_names_the_group(tmp_path: Path) -> None:
    line = Line({})
    port = tmp_path / "line"
    with pty_slave(port, line.answer) as line.slave:
        port.chmod(0)
        there = port.resolve()
        child = os.fork()
        if child == 0:
            if os.geteuid() == 0:
                os.setresuid(65534, 65534, 65534)
            said = trouble(there) or ""
            os._exit(0 if "dialout" in said else 1)
        assert os.waitpid(child, 0)[1] == 0
