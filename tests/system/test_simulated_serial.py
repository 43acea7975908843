"""The simulated serial line: the real agent reads it, byte timing is that of the line, and mishaps come as written."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from agent.app import Ports, run_agent
from agent.build import build
from agent.settings import load
from agent.spool_disk import SqliteDisk
from drivers.base import DeviceSilent
from drivers.modbus.pdu import Refused
from drivers.modbus.rtu import RtuLink
from drivers.modbus.rtu_frame import sealed
from drivers.modbus.serial_line import SerialLine
from drivers.modbus.tcp import TcpLink
from drivers.simulation.agent_yaml import agent_yaml
from drivers.simulation.served import ListenFailed
from drivers.simulation.servers import Servers
from drivers.simulation.simulator import Simulator, load_simulator
from metering.faults import ALL_POINTS, Fault
from metering.parcel import open_parcel
from metering.sweep import Sweep
from support.sim_broker import SimBroker
from wattline.clock import SystemClock
from wattline.events import EventLog, capture_events
from wattline.resources import config_dir
from wattline.service import Notifier

PLANT = """\
site: workshop
zone: Europe/Berlin
shifts: {always: {idle: 0.8}}
loads:
  saw: {carrier: electricity, rated: 8, shift: always}
  press: {carrier: electricity, rated: 22, shift: always}
  office: {carrier: electricity, rated: 3, shift: always}
endpoints:
  - name: line
    serial: {link: LINK, line: 38400 8N1, turnaround: 5ms}
    meters:
      - {name: saw, unit: 1, profile: eastron-sdm120, measures: saw, start: 100, every: 1s}
      - {name: press, unit: 2, profile: eastron-sdm120, measures: press, start: 200, every: 1s}
      - {name: office, unit: 3, profile: eastron-sdm120, measures: office, start: 300, every: 1s}
  - name: tcp
    listen: 127.0.0.1:0
    meters:
      - {name: saw-2, unit: 1, profile: eastron-sdm120, measures: saw}
      - {name: press-2, unit: 2, profile: eastron-sdm120, measures: press}
"""
POINTS = ("energy_active_import_total", "power_active_total", "voltage_l1_n")
VOLTAGE = (4, 0, 2)  # function, address, count of a value every SDM120 has


def plant(folder: Path, faults: str = "") -> Simulator:
    path = folder / "plant.yaml"
    path.write_text(PLANT.replace("LINK", str(folder / "ttyPLANT")) + faults)
    return load_simulator(path, SystemClock().now_ns())


def test_the_agent_reads_three_meters_on_the_line_and_one_that_falls_silent_comes_back(tmp_path: Path) -> None:
    simulator = plant(tmp_path, "faults: [{meter: press, at: 3s, for: 3s, kind: silence}]\n")
    settings = agent_yaml(simulator.file).replace("directory: spool", f"directory: {tmp_path / 'spool'}")
    settings = settings.replace("every: 1s}", f"every: 1s, points: [{', '.join(POINTS)}]}}")
    path = tmp_path / "agent.yaml"
    path.write_text(settings[: settings.index("  - name: tcp")])

    async def main() -> list[Sweep]:
        clock, broker, stop = SystemClock(), SimBroker(), asyncio.Event()
        agent_plan = load(path).plan()
        disk = SqliteDisk(agent_plan.spool.directory, budget=agent_plan.spool.budget)
        ports = Ports(
            clock=clock, broker=broker.client("agent"), disk=disk, random=Random(1), notifier=Notifier(), log=EventLog()
        )
        async with simulator.servers(clock):
            agent = asyncio.create_task(run_agent(agent_plan, build(agent_plan, clock), ports, stop))
            async with asyncio.timeout(60):
                while not any(event["event"] == "device.back" for event in events):
                    assert not agent.done(), agent.exception()
                    await asyncio.sleep(0.1)
                await asyncio.sleep(1)
            stop.set()
            await agent
        bodies = [body for topic, body in broker.published if topic.endswith("/readings")]
        return [sweep for body in bodies for sweep in open_parcel(body).sweeps]

    with capture_events() as events:
        sweeps = asyncio.run(main())
    assert [event["device"] for event in events if event["event"] in ("device.silent", "device.back")] == ["press"] * 2
    assert not (tmp_path / "ttyPLANT").is_symlink()
    for name in ("saw", "press", "office"):
        mine = [sweep for sweep in sweeps if sweep.device == name]
        answered = [sweep for sweep in mine if sweep.values]
        assert len(answered) >= 4
        for sweep in answered:
            meter = simulator.meters[name]
            moment = meter.moment(sweep.taken_at)
            for point in POINTS:
                said = sweep.values.get(point)
                true = meter.value(point, moment)
                if said is not None and true is not None:
                    assert float(said) == pytest.approx(true, rel=1e-2, abs=0.01)
            assert sweep.values.keys() | sweep.faults.keys() == set(POINTS)  # silence may begin between two blocks
        reasons = {reason for sweep in mine for reason in sweep.faults.values()}
        assert all(ALL_POINTS in sweep.faults for sweep in mine if not sweep.values)
        assert reasons <= ({Fault.TIMEOUT, Fault.BACKOFF} if name == "press" else set())
        assert bool(reasons) is (name == "press")


def test_no_byte_comes_before_the_line_could_have_carried_it(tmp_path: Path) -> None:
    line = SerialLine.parse("38400 8N1")

    async def main() -> None:
        async with plant(tmp_path).servers(SystemClock()):
            end = os.open(tmp_path / "ttyPLANT", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                asked_at = time.monotonic()
                os.write(end, sealed(bytes((1, *VOLTAGE[:1], 0, 0, 0, 2))))
                got = b""
                while len(got) < 9:
                    await asyncio.sleep(0.0005)
                    try:
                        got += os.read(end, 512)
                    except BlockingIOError:
                        continue
                    earliest = 8 * line.character_s + line.silence_s + 0.005 + len(got) * line.character_s
                    assert time.monotonic() - asked_at >= earliest
            finally:
                os.close(end)

    asyncio.run(main())


Ask = Callable[[int], Awaitable[bytes]]


def on_both(folder: Path, faults: str, test: Callable[[Ask], Awaitable[None]]) -> None:
    """`test` on the serial line and over TCP; its argument reads a voltage of a unit."""

    async def main() -> None:
        simulator = plant(folder, faults)
        async with simulator.servers(SystemClock()) as servers:
            rtu = RtuLink(folder / "ttyPLANT", SerialLine.parse("38400 8N1"), EventLog(bus="line"), turnaround_s=0.1)
            tcp = TcpLink("127.0.0.1", servers.ports[1], 0.15, EventLog(bus="tcp"))
            for link in (rtu, tcp):
                await link.open()
                try:
                    await test(lambda unit, link=link: link.read(unit, *VOLTAGE))  # type: ignore[misc]
                finally:
                    await link.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("mishap", "fault"),
    [
        ("kind: silence", {Fault.TIMEOUT}),
        ("kind: delay, by: 10s", {Fault.TIMEOUT}),
        ("kind: late", {Fault.TIMEOUT}),
        ("kind: wrong_unit", {Fault.REPLY_UNIT}),
        ("kind: short", {Fault.REPLY_LENGTH}),
        ("kind: garbage", {Fault.REPLY_CHECKSUM, Fault.REPLY_PROTOCOL}),
        ("kind: exception, code: 6", {Fault.EXCEPTION_6}),
        ("kind: hole, registers: [1, 1]", {Fault.EXCEPTION_2}),
    ],
)
def test_each_mishap_is_the_fault_it_should_be_and_the_neighbour_answers(
    tmp_path: Path, mishap: str, fault: set[Fault]
) -> None:
    async def test(ask: Ask) -> None:
        assert len(await ask(2)) == 4
        with pytest.raises((DeviceSilent, Refused)) as caught:
            await ask(1)
        assert caught.value.fault in fault
        if Fault.REPLY_PROTOCOL not in fault:  # there the connection ends, as it must
            assert len(await ask(2)) == 4

    script = "".join(f"  - {{meter: {meter}, at: 0s, {mishap}}}\n" for meter in ("saw", "saw-2"))
    on_both(tmp_path, f"faults:\n{script}", test)


def test_a_delay_within_the_time_out_is_only_a_delay(tmp_path: Path) -> None:
    async def test(ask: Ask) -> None:
        assert len(await ask(1)) == 4

    script = "".join(f"  - {{meter: {meter}, at: 0s, kind: delay, by: 40ms}}\n" for meter in ("saw", "saw-2"))
    on_both(tmp_path, f"faults:\n{script}", test)


def test_a_file_in_the_place_of_the_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ttyPLANT").write_text("mine")
    simulator = plant(tmp_path)

    async def main(servers: Servers) -> None:
        async with servers:
            pass

    with pytest.raises(ListenFailed, match="is there already"):
        asyncio.run(main(simulator.servers(SystemClock())))
    assert (tmp_path / "ttyPLANT").read_text() == "mine"


def test_the_shipped_example_is_a_plant() -> None:
    simulator = load_simulator(config_dir() / "examples" / "serial-bus.yaml", SystemClock().now_ns())
    assert len(simulator.file.faults) == 8
