"""`wattline read` against real servers: values, faults in words, exit status, JSON, watching, and an unknown meter."""

import asyncio
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from drivers.modbus import catalogue
from drivers.simulation.demo_files import free_ports
from drivers.simulation.image import ReadRefused
from drivers.simulation.served import Served
from drivers.simulation.servers import Servers
from drivers.simulation.simulator import load_simulator
from support.modbus_server import modbus_server
from support.pty_slave import pty_slave, registers
from wattline.clock import SystemClock
from wattline.resources import config_dir

PLANT = config_dir() / "demo" / "plant.yaml"


def command(*args: object) -> list[str]:
    return [sys.executable, "-P", "-m", "wattline", *map(str, args)]


async def wattline(*args: object) -> subprocess.CompletedProcess[str]:
    """Run beside the server that lives in this loop."""
    done = await asyncio.to_thread(subprocess.run, command(*args), capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert "\033" not in done.stdout, "no colours in a pipe"
    return done


def with_plant(tmp_path: Path, test: Callable[[int, Path], Awaitable[None]]) -> None:
    """`test` gets the port of the first endpoint (units 1 to 4) and an agent.yaml that knows its units 1 and 9."""

    async def main() -> None:
        plant = tmp_path / "plant.yaml"
        plant.write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", PLANT.read_text()))
        clock = SystemClock()
        async with load_simulator(plant, clock.now_ns()).servers(clock) as servers:
            agent = tmp_path / "agent.yaml"
            agent.write_text(
                "site: a\ngateway: b\nbroker: {url: 'mqtt://127.0.0.1', password: {credential: none}, username: u}\n"
                f"spool: {{directory: spool}}\nbuses:\n  - name: bus\n    tcp: 127.0.0.1:{servers.ports[0]}\n"
                "    devices:\n"
                "      - {name: incomer, unit: 1, profile: schneider-pm5100, every: 1s}\n"
                "      - {name: gone, unit: 9, profile: schneider-pm5100, every: 1s}\n"
            )
            await test(servers.ports[0], agent)

    asyncio.run(main())


def test_a_device_of_the_settings_is_read_without_its_secrets(tmp_path: Path) -> None:
    async def test(port: int, agent: Path) -> None:
        done = await wattline("read", agent, "incomer")
        assert (done.returncode, done.stderr) == (0, "")
        assert re.search(r"voltage_l1_n +2[23]\d(\.\d+)? +V\n", done.stdout)
        assert "energy_active_import_total *" in done.stdout
        assert "* not verified by two sources" in done.stdout
        raw = await wattline("read", agent, "incomer", "--raw")
        assert re.search(r"voltage_l1_n +2[23]\d(\.\d+)? +V +holding 3027 +f32 +436\w \w{4}\n", raw.stdout)
        told = json.loads((await wattline("read", agent, "incomer", "--json")).stdout)
        assert told["complete"] is True
        points = {point["point"]: point for point in told["points"]}
        assert points["frequency"]["value"] == pytest.approx(50, abs=0.2)
        assert points["frequency"]["text"] == points["frequency"]["text"].strip()
        assert set(points) >= {p.name for p in catalogue.load("schneider-pm5100").standard_points}

    with_plant(tmp_path, test)


def test_a_missing_unit_is_told_in_words_with_exit_1(tmp_path: Path) -> None:
    async def test(port: int, agent: Path) -> None:
        done = await wattline("read", agent, "gone")
        assert done.returncode == 1
        assert "the gateway got no answer from this unit: check unit id, wiring, baud and parity" in done.stdout
        told = json.loads((await wattline("read", agent, "gone", "--json")).stdout)
        assert {point["fault"] for point in told["points"]} == {"exception_11"}

    with_plant(tmp_path, test)


def test_a_wrong_name_is_exit_78_and_names_what_there_is(tmp_path: Path) -> None:
    async def test(port: int, agent: Path) -> None:
        for args in ([agent], [agent, "incommer"]):
            done = await wattline("read", *args)
            assert done.returncode == 78
            assert "there are: incomer, gone" in done.stderr
        done = await wattline("read", "--tcp", f"127.0.0.1:{port}", "--profile", "schneider-pm51")
        assert (done.returncode, "did you mean schneider-pm5100" in done.stderr) == (78, True)
        done = await wattline(
            "read", "--tcp", f"127.0.0.1:{port}", "--profile", "schneider-pm5100", "--points", "voltages"
        )
        assert (done.returncode, "near it: voltage" in done.stderr) == (78, True)

    with_plant(tmp_path, test)


def test_only_some_points_of_a_meter_in_no_file(tmp_path: Path) -> None:
    async def test(port: int, agent: Path) -> None:
        done = await wattline(
            "read", "--tcp", f"127.0.0.1:{port}", "--unit", 2, "--profile", "siemens-pac3200", "--points", "frequency"
        )
        assert done.returncode == 0
        assert "1 of 1 points read" in done.stdout

    with_plant(tmp_path, test)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--tcp", "x"],
        ["agent.yaml", "m", "--tcp", "x", "--profile", "p"],
        ["agent.yaml", "m", "--unit", "3"],
        ["--tcp", "x", "--unit", "300", "--profile", "p"],
        ["--tcp", "x:99999", "--profile", "p"],
        ["--tcp", "x", "--registers", "coils:0+3"],
        ["--tcp", "x", "--registers", "holding:65530+40"],
        ["--tcp", "x", "--profile", "p", "--guess"],
        ["--tcp", "x", "--serial", "/dev/x", "--profile", "p"],
        ["--tcp", "x", "--line", "9600 8N1", "--profile", "p"],
        ["--tcp", "x", "--profile", "p", "--watch", "0"],
    ],
)
def test_what_does_not_go_together_is_exit_2(args: list[str]) -> None:
    done = subprocess.run(command("read", *args), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "error: " in done.stderr


def test_nobody_there_is_told_in_words() -> None:
    port = free_ports(1)[0]
    for what in (["--profile", "eastron-sdm630"], ["--registers", "input:0+4"]):
        done = subprocess.run(
            command("read", "--tcp", f"127.0.0.1:{port}", *what), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1
        assert "no connection: check address, cable and power" in done.stdout
        assert "nothing listens at this port" in done.stdout
        assert "Traceback" not in done.stderr


def test_plain_registers_are_shown_with_the_addresses_manuals_print() -> None:
    async def main() -> None:
        async with modbus_server(unit=5, input={10: 0x1234, 11: 0xFFFE}) as port:
            args = ("read", "--tcp", f"127.0.0.1:{port}", "--unit", 5, "--registers", "input:10+2")
            done = await wattline(*args)
            assert done.returncode == 0
            assert re.search(r"10 +11 +30011 +1234 +4660\n", done.stdout)
            assert re.search(r"11 +12 +30012 +FFFE +65534 +-2\n", done.stdout)
            told = json.loads((await wattline(*args, "--json")).stdout)
            assert [register["word"] for register in told["registers"]] == [0x1234, 0xFFFE]

    asyncio.run(main())


def test_a_meter_on_a_serial_line_is_read_and_an_unknown_one_looked_at(tmp_path: Path) -> None:
    def answer(request: bytes, write: Callable[[bytes], None]) -> None:
        write(registers(request))

    port = tmp_path / "line"
    with pty_slave(port, answer):
        place = ("--serial", port, "--line", "19200 8N1", "--unit", 3)
        done = subprocess.run(
            command("read", *place, "--registers", "input:10-12", "--json"), capture_output=True, text=True, timeout=60
        )
        assert [one["word"] for one in json.loads(done.stdout)["registers"]] == [10, 11, 12]
        done = subprocess.run(
            command("read", *place, "--profile", "carlo-gavazzi-em340", "--points", "voltage_l1_n"),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert re.search(r"voltage_l1_n +6553\.6 +V", done.stdout), done.stdout
    done = subprocess.run(command("read", *place, "--registers", "0-3"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "there is no port" in done.stderr


def test_any_link_of_the_settings_can_be_named() -> None:
    async def main() -> None:
        async with modbus_server(unit=5, input={10: 0x1234}) as port:
            done = await wattline("read", "--bus", f"tcp: 127.0.0.1:{port}", "--unit", 5, "--registers", "input:10")
            assert (done.returncode, "1234" in done.stdout) == (0, True)

    asyncio.run(main())
    done = subprocess.run(command("read", "--bus", "carrier: pigeon", "--registers", "0-1"), capture_output=True)
    assert done.returncode == 2
    assert b"--bus: carrier: is not a key that is known here; check its spelling" in done.stderr


class Growing:
    """Three voltages of a phase, a frequency, a counter that grows with each read; register 20 is refused."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, table: object, address: int, count: int, now_ns: object) -> bytes:
        if address <= 20 < address + count:
            raise ReadRefused(2)
        self.reads += 1
        image = struct.pack(">4fI", 231.3, 229.8, 230.4, 50.02, 84_123_109 + self.reads) + bytes(60)
        return image[2 * address : 2 * (address + count)]


def test_an_unknown_meter_is_made_sense_of_around_a_register_it_refuses() -> None:
    async def main() -> None:
        async with Servers([Served(("127.0.0.1", 0), {3: Growing()})], SystemClock()) as servers:
            args = ("read", "--tcp", f"127.0.0.1:{servers.ports[0]}", "--unit", 3, "--registers", "holding:0+24")
            done = await wattline(*args, "--guess", "--between", "0.1")
            assert done.returncode == 1
            assert "20: the meter has no such register" in done.stdout
            for line in (
                "voltage_l3_n: {address: 4, type: f32, unit: V}",
                "frequency: {address: 6, type: f32, unit: Hz}",
                "energy_active_import_total: {address: 8, type: u32, unit: kWh}",
            ):
                assert line in done.stdout
            told = json.loads((await wattline(*args, "--guess", "--between", "0.1", "--json")).stdout)
            assert [register["address"] for register in told["absent"]] == [20]
            assert any(one["likely"] and one["points"] == ["frequency"] for one in told["guesses"])

    asyncio.run(main())


def test_watching_redraws_in_place_on_a_terminal_and_ends_cleanly_with_ctrl_c(tmp_path: Path) -> None:
    def watch(agent: Path) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(command("read", agent, "incomer", "--watch", "0.1"), stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        until = time.monotonic() + 60
        while shown.count(b"points read") < 3 and time.monotonic() < until:
            if select.select([ours], [], [], 1)[0]:
                shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        status = process.wait(30)
        while select.select([ours], [], [], 0.2)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:
                break
        os.close(ours)
        return status, shown.decode()

    async def test(port: int, agent: Path) -> None:
        status, shown = await asyncio.to_thread(watch, agent)
        assert status == 0
        assert "\033[J" in shown
        assert "Traceback" not in shown

    with_plant(tmp_path, test)


def test_watching_in_a_pipe_is_one_json_object_a_line(tmp_path: Path) -> None:
    def watch(agent: Path) -> tuple[int, list[dict[str, object]]]:
        process = subprocess.Popen(
            command("read", agent, "incomer", "--watch", "0.1", "--json"), stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        return process.returncode, told

    async def test(port: int, agent: Path) -> None:
        status, told = await asyncio.to_thread(watch, agent)
        assert status == 0
        assert len({str(one["taken_at"]) for one in told}) == 3

    with_plant(tmp_path, test)
