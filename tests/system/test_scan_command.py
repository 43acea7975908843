"""`wattline scan` against real servers: who answers, what it is, settings that load; gateways, deaf meters, silence."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agent.settings import load
from drivers.commission.scan import Scanned, Scanner
from drivers.modbus import catalogue
from drivers.modbus.tcp import TcpLink
from drivers.simulation.demo_files import free_ports
from drivers.simulation.simulator import load_simulator
from support.hostile_server import Asked, frame, good, hostile_server
from wattline.clock import SystemClock
from wattline.events import EventLog
from wattline.resources import config_dir

PLANT = config_dir() / "demo" / "plant.yaml"
HEAD = "site: a\ngateway: b\nbroker: {url: 'mqtt://127.0.0.1'}\nspool: {directory: spool}\n"


class Unwatched:
    def asking(self, done: int, of: int, left_s: float, what: str) -> None:
        pass

    def found(self, unit: int, said: str) -> None:
        pass


def with_plant(tmp_path: Path, test: Callable[[list[int]], Awaitable[None]]) -> None:
    async def main() -> None:
        plant = tmp_path / "plant.yaml"
        plant.write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", PLANT.read_text()))
        clock = SystemClock()
        async with load_simulator(plant, clock.now_ns()).servers(clock) as servers:
            await test(servers.ports)

    asyncio.run(main())


async def wattline(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "wattline", "scan", *map(str, args)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    assert "\033" not in done.stdout + done.stderr, "no bar and no colours in a pipe"
    return done


def test_a_plant_is_found_and_its_settings_load(tmp_path: Path) -> None:
    """Siblings that share voltages and currents with the meter are told apart, or stand beside it."""

    async def test(ports: list[int]) -> None:
        where = [f"127.0.0.1:{port}" for port in ports[:2]]
        done = await wattline("--tcp", *where, "--units", "1,3,11-14")
        assert done.returncode == 0
        assert "asking 6 unit ids at" in done.stderr
        assert "at most 18 s if none answers" in done.stderr
        assert "Reads only" in done.stderr
        path = tmp_path / "agent.yaml"
        path.write_text(HEAD + done.stdout)
        buses = load(path).buses
        assert [bus.tcp for bus in buses] == where
        assert [(device.unit, device.profile) for bus in buses for device in bus.devices] == [
            (1, "schneider-pm5100"),
            (3, "siemens-pac3200"),
            (11, "abb-b23"),
            (12, "eastron-sdm630"),
            (13, "carlo-gavazzi-em340"),
            (14, "eastron-sdm120"),
        ]
        assert re.search("# ABB .*, sure, it says so itself: model_code", done.stdout)
        assert "# Eastron SDM120-Modbus, or eastron-sdm230; compare the type plate" in done.stdout

    with_plant(tmp_path, test)


def test_what_nobody_knows_is_told_with_the_next_command(tmp_path: Path) -> None:
    async def test(ports: list[int]) -> None:
        done = await wattline("--tcp", f"127.0.0.1:{ports[0]}", "--units", "2", "--ids-only")
        assert done.returncode == 0
        assert f"#   wattline read --tcp 127.0.0.1:{ports[0]} --unit 2 --registers holding:0+40 --guess" in done.stdout
        assert all(line.startswith("#") for line in done.stdout.splitlines())
        (told,) = json.loads(
            (await wattline("--tcp", f"127.0.0.1:{ports[0]}", "--units", "1,2", "--ids-only", "--json")).stdout
        )
        assert [unit["unit"] for unit in told["units"]] == [1, 2]

    with_plant(tmp_path, test)


def test_an_endpoint_that_is_not_there_is_told_and_the_others_are_scanned(tmp_path: Path) -> None:
    async def test(ports: list[int]) -> None:
        gone = f"127.0.0.1:{free_ports(1)[0]}"
        done = await wattline("--tcp", gone, f"127.0.0.1:{ports[0]}", "--units", "1,77", "--ids-only")
        assert done.returncode == 0
        assert f"not to the end: connect to {gone}" in done.stdout
        assert "# unit 1: it answers" in done.stdout.replace("#       ", "")
        done = await wattline("--tcp", gone, "--units", "1")
        assert done.returncode == 1
        assert "nothing listens at this port: is Modbus TCP switched on" in done.stdout
        assert "nothing answered. Try:" in done.stderr

    with_plant(tmp_path, test)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--tcp", "x", "--units", "0-300"],
        ["--tcp", "x", "--timeout", "0"],
        ["--tcp", "x", "--serial", "/dev/x"],
        ["--tcp", "x", "--lines", "9600"],
        ["--serial", "ttyUSB0"],
        ["--serial", "/dev/x", "--lines", "9601"],
        ["--serial", "/dev/x", "--lines", "9600", "7E1"],
    ],
)
def test_wrong_usage_is_exit_2(args: list[str]) -> None:
    done = subprocess.run([sys.executable, "-P", "-m", "wattline", "scan", *args], capture_output=True, timeout=60)
    assert done.returncode == 2


def scanned(answer: Callable[[Asked, asyncio.StreamWriter], Awaitable[None]], units: range) -> Scanned:
    """A scan by hand of a server that answers as the test says."""

    async def main() -> Scanned:
        async with hostile_server(answer) as server:
            link = TcpLink("127.0.0.1", server.port, 5.0, EventLog())  # to connect; the scanner sets the rest

            def wait(seconds: float) -> None:
                link.timeout_s = seconds

            scanner = Scanner(link, SystemClock(), timeout_s=0.05, watcher=Unwatched(), wait=wait)
            return await scanner.scan(units, [])

    return asyncio.run(main())


def test_an_exception_is_an_answer_and_a_gateways_word_is_not() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        code = {1: 2, 2: 11, 3: 10, 4: 6}.get(asked.unit)
        reply = good(asked) if code is None else frame(asked.transaction, asked.unit, bytes([0x83, code]))
        writer.write(reply)

    found = scanned(answer, range(1, 6))
    assert [(one.unit, one.said) for one in found.units] == [
        (1, "it answers, with exception 2"),
        (4, "it answers, with exception 6"),
        (5, "it answers"),
    ]


def test_units_after_many_silent_ones_are_still_found() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.unit in {1, 9}:
            writer.write(good(asked))

    assert [one.unit for one in scanned(answer, range(1, 11)).units] == [1, 9]


def test_a_meter_that_hangs_up_on_other_unit_ids_is_found() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.unit == 3:
            writer.write(good(asked))
        else:
            writer.transport.abort()

    assert [one.unit for one in scanned(answer, range(1, 6)).units] == [3]


def test_a_slow_gateway_does_not_hide_the_unit_after_a_silent_one() -> None:
    """The gateway works one request after the other and takes 0.3 s to give a silent unit up; we would wait 0.05 s."""
    free_at = [0.0]

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        silent = asked.unit % 2 == 1
        free_at[0] = max(free_at[0], loop.time()) + (0.3 if silent else 0.0)
        reply = frame(asked.transaction, asked.unit, b"\x83\x0b") if silent else good(asked)
        loop.call_at(free_at[0], writer.write, reply)

    with contextlib.suppress(asyncio.CancelledError):
        assert [one.unit for one in scanned(answer, range(1, 7)).units] == [2, 4, 6]


def test_a_meter_that_ignores_the_unit_id_is_one_meter() -> None:
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(good(asked))

    found = scanned(answer, range(1, 21))
    assert found.deaf
    assert [one.unit for one in found.units] == [1]


def test_every_shipped_profile_has_something_to_be_known_by() -> None:
    from drivers.commission.identify import telling_points  # noqa: PLC0415

    for name in catalogue.names():
        assert telling_points(catalogue.load(name)), name
