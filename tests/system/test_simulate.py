"""The simulated plant over real sockets: all meters answer our link and pymodbus's client, and their books balance."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient

from drivers.modbus.bus import ModbusTcpBus
from drivers.simulation.demo_files import free_ports
from drivers.simulation.served import ListenFailed
from drivers.simulation.simulator import Simulator, load_simulator
from metering.sweep import Sweep
from wattline.clock import SystemClock
from wattline.resources import config_dir

PLANT = config_dir() / "demo" / "plant.yaml"


@pytest.fixture
def plant_file(tmp_path: Path) -> Path:
    """The demo's plant on any free ports."""
    path = tmp_path / "plant.yaml"
    path.write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", PLANT.read_text()))
    return path


async def sweep_all(simulator: Simulator, ports: list[int], clock: SystemClock) -> dict[str, Sweep]:
    """Every meter read once through our own bus, all standard points."""

    async def sweep_bus(at: int, port: int) -> list[Sweep]:
        endpoint = simulator.file.endpoints[at]
        bus = ModbusTcpBus(endpoint.name, "127.0.0.1", port, timeout_s=3.0, pause_s=0.0, clock=clock)
        for meter in endpoint.meters:
            bus.add_device(meter.name, meter.unit, simulator.meters[meter.name].profile)
        async with bus.connection():
            return [await device.reader([point.name for point in device.points]).read() for device in bus.devices]

    swept = await asyncio.gather(*(sweep_bus(at, port) for at, port in enumerate(ports)))
    return {sweep.device: sweep for sweeps in swept for sweep in sweeps}


def test_every_meter_answers_every_point_and_shows_the_plant(plant_file: Path) -> None:
    async def main() -> None:
        clock = SystemClock()
        simulator = load_simulator(plant_file, clock.now_ns())
        async with simulator.servers(clock) as servers:
            sweeps = await sweep_all(simulator, servers.ports, clock)
        assert sweeps.keys() == simulator.meters.keys()
        for name, sweep in sweeps.items():
            meter = simulator.meters[name]
            lacking = {point for point in sweep.faults if meter.value(point, meter.moment(sweep.taken_at)) is not None}
            assert not lacking, f"{name}: {sweep.faults}"
            counted = float(sweep.values[meter.main_point])  # type: ignore[arg-type]
            now = meter.meter.start + simulator.plant.amount(
                meter.meter.measures, simulator.plant.origin_ns, sweep.taken_at
            )
            assert counted == pytest.approx(now, rel=1e-4, abs=0.11)

    asyncio.run(main())


def test_the_books_balance_over_the_wire(plant_file: Path) -> None:
    # a clock that stands still: all meters are read at one instant
    class Standing(SystemClock):
        def now_ns(self) -> int:
            return 1_780_300_000_000_000_000

    async def main() -> None:
        clock = Standing()
        simulator = load_simulator(plant_file, clock.now_ns())
        async with simulator.servers(clock) as servers:
            sweeps = await sweep_all(simulator, servers.ports, SystemClock())

        def power(name: str) -> float:
            return float(sweeps[name].values["power_active_total"])  # type: ignore[arg-type]

        lines = sum(map(power, ("line-1", "line-2", "line-3", "lighting-1")))
        assert power("workshop-1") == pytest.approx(lines * 1.006, rel=1e-5)
        feeders = sum(map(power, ("workshop-1", "workshop-2", "compressor", "chiller", "office")))
        assert power("incomer") + power("pv-roof") == pytest.approx(feeders * 1.009 + 5500, rel=1e-5)

    asyncio.run(main())


def test_pymodbus_client_reads_and_is_refused_as_by_a_gateway(plant_file: Path) -> None:
    async def main() -> None:
        clock = SystemClock()
        simulator = load_simulator(plant_file, clock.now_ns())
        async with simulator.servers(clock) as servers:
            client = AsyncModbusTcpClient("127.0.0.1", port=servers.ports[0], retries=0, timeout=3)
            assert await client.connect()
            voltage = await client.read_holding_registers(3027, count=2, device_id=1)
            volts = client.convert_from_registers(voltage.registers, client.DATATYPE.FLOAT32)
            assert isinstance(volts, float)
            assert 220 < volts < 240
            codes = [
                (await client.read_holding_registers(3027, count=2, device_id=99)).exception_code,
                (await client.read_holding_registers(60_000, count=2, device_id=1)).exception_code,
                (await client.read_input_registers(3027, count=2, device_id=1)).exception_code,
                (await client.read_coils(1, count=1, device_id=1)).exception_code,
                (await client.write_register(3027, 1, device_id=1)).exception_code,
            ]
            assert codes == [11, 2, 2, 1, 1]
            client.close()

    asyncio.run(main())


def test_a_taken_port_is_told_and_nothing_is_left_listening(plant_file: Path) -> None:
    async def main() -> None:
        clock = SystemClock()
        simulator = load_simulator(plant_file, clock.now_ns())
        async with simulator.servers(clock) as servers:
            taken = servers.ports[0]
            text = plant_file.read_text().replace("listen: 127.0.0.1:0", f"listen: 127.0.0.1:{taken}", 1)
            plant_file.write_text(text)
            with pytest.raises(ListenFailed, match=str(taken)):
                await load_simulator(plant_file, clock.now_ns()).servers(clock).__aenter__()

    asyncio.run(main())


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "wattline", "simulate", *args], capture_output=True, text=True, timeout=60
    )


def test_simulate_lists_the_meters_and_writes_agent_settings() -> None:
    listed = run("--list", str(PLANT))
    assert listed.returncode == 0
    assert "127.0.0.1:15021  1     incomer        schneider-pm5100" in listed.stdout
    written = run("--agent-yaml", str(PLANT))
    assert written.returncode == 0
    assert written.stdout.splitlines()[1:] == (PLANT.parent / "agent.yaml").read_text().splitlines()[1:]


def test_a_wrong_plant_file_ends_with_78_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text("site: here\n")
    done = run(str(path))
    assert done.returncode == 78
    assert f"{path}:1: endpoints: is missing" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_simulate_serves_until_it_is_told_to_stop(plant_file: Path, number: signal.Signals) -> None:
    port = free_ports(1)[0]
    plant_file.write_text(plant_file.read_text().replace("listen: 127.0.0.1:0", f"listen: 127.0.0.1:{port}", 1))
    command = [sys.executable, "-P", "-m", "wattline", "simulate", str(plant_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("serving") for line in lines)
        process.send_signal(number)
        assert process.wait(10) == os.EX_OK
