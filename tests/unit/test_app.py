"""The agent whole, in virtual time: pollers, a real spool file, a simulated broker; started, disturbed, stopped."""

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent.app import Ports, run_agent
from agent.build import build
from agent.cli import check
from agent.plan import BusPlan
from agent.settings import load
from agent.spool_disk import SqliteDisk
from drivers.base import DeviceSilent
from drivers.modbus import catalogue
from drivers.modbus.bus import ModbusBus
from drivers.modbus.pdu import Refused
from metering.faults import Fault
from metering.parcel import open_parcel
from metering.quantities import IDENTITY
from metering.status import State, Status, decode_status
from metering.sweep import Sweep
from metering.topics import Topics
from support.sim_broker import SimBroker
from support.virtual_time import START_NS, VirtualClock, run
from wattline.clock import NS, Clock
from wattline.events import EventLog, capture_events
from wattline.service import Notifier

TOPICS = Topics("jiangjin-1", "press-shop")
SETTINGS = """\
site: jiangjin-1
gateway: press-shop
broker: {url: "mqtt://127.0.0.1:1883"}
spool: {directory: spool}
commit: puback
buses:
  - name: substation
    tcp: 127.0.0.1:502
    devices:
      - {name: incomer, unit: 1, profile: siemens-pac3200, every: 1s, asset: plant}
      - {name: line-1, unit: 2, profile: eastron-sdm120, every: {gauges: 1s, counters: 1min}}
  - name: workshop
    tcp: 127.0.0.1:503
    devices:
      - {name: line-2, unit: 1, profile: schneider-pm5100, every: 5s}
"""


class Meters:
    """A link all of whose registers hold zero."""

    def __init__(self) -> None:
        self.silent: set[int] = set()
        self.holes: set[tuple[int, int]] = set()
        self.asked = self.refused = 0

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def read(self, unit: int, function: int, address: int, count: int) -> bytes:
        await asyncio.sleep(0.01)
        if unit in self.silent:
            raise DeviceSilent("no reply", Fault.TIMEOUT)
        self.asked += 1
        if any((unit, address + n) in self.holes for n in range(count)):
            self.refused += 1
            raise Refused("exception 2", 2)
        return bytes(2 * count)


class Gateway:
    def __init__(self, broker: SimBroker, meters: Meters, stop: asyncio.Event) -> None:
        self.broker, self.meters, self.stop = broker, meters, stop

    def sweeps(self) -> list[Sweep]:
        return [
            sweep
            for topic, body in self.broker.published
            if topic == TOPICS.readings
            for sweep in open_parcel(body).sweeps
        ]

    def statuses(self) -> list[Status]:
        return [decode_status(payload) for topic, payload in self.broker.published if topic == TOPICS.status]


def life(
    tmp_path: Path,
    script: Callable[[Gateway], Awaitable[None]],
    notifier: Notifier | None = None,
    settings: str = SETTINGS,
) -> tuple[Gateway, list[dict[str, Any]]]:
    path = tmp_path / "agent.yaml"
    path.write_text(settings.replace("directory: spool", f"directory: {tmp_path / 'spool'}"))
    plan = load(path).plan()

    async def main(clock: VirtualClock) -> Gateway:
        broker, meters, stop = SimBroker(), Meters(), asyncio.Event()

        def bus(of: BusPlan, clock: Clock) -> ModbusBus:
            return ModbusBus(of.name, meters, clock)

        ports = Ports(
            clock=clock,
            broker=broker.client("press-shop"),
            disk=SqliteDisk(tmp_path / "spool", budget=plan.spool.budget),
            random=Random(1),
            notifier=notifier or Notifier({}),
            log=EventLog(),
        )
        gateway = Gateway(broker, meters, stop)
        async with asyncio.timeout(3600), asyncio.TaskGroup() as tasks:
            tasks.create_task(run_agent(plan, build(plan, clock, bus), ports, stop))
            await script(gateway)
            stop.set()
        return gateway

    with capture_events() as events:
        return run(main, START_NS + NS // 2), events


async def ten_minutes(gateway: Gateway) -> None:
    await asyncio.sleep(600)


def test_every_reading_of_ten_minutes_is_published_and_the_stop_says_goodbye(tmp_path: Path) -> None:
    gateway, events = life(tmp_path, ten_minutes)
    seconds = {
        name: [s.taken_at // NS for s in gateway.sweeps() if s.device == name and set(s.values) != {IDENTITY}]
        for name in ("incomer", "line-1", "line-2")
    }
    start = START_NS // NS
    assert seconds["incomer"] == seconds["line-1"] == list(range(start + 1, start + 601))
    assert seconds["line-2"] == list(range(start + 5, start + 601, 5))
    last = gateway.statuses()[-1]
    assert last.state is State.STOPPED
    assert last.counters["acquired"] == sum(len(sweep.values) for sweep in gateway.sweeps())
    assert (last.counters["dropped"], last.counters["silent"], last.counters["missed"]) == (0, 0, 0)
    assert [event["event"] for event in events if event["level"] != "info"] == []
    assert events[-1]["event"] == "agent.stopped"


def test_the_status_tells_the_centre_what_to_expect(tmp_path: Path) -> None:
    gateway, _ = life(tmp_path, ten_minutes)
    first = gateway.statuses()[0]
    assert first.state is State.ONLINE
    assert first.devices is not None
    incomer, line_1, _ = first.devices
    assert (incomer.bus, incomer.profile, incomer.interval_s, incomer.asset) == (
        "substation",
        "siemens-pac3200",
        1,
        "plant",
    )
    by_name = {point.name: point for point in line_1.points}
    assert by_name["energy_active_import_total"].interval_s == 60
    assert by_name["voltage_l1_n"].interval_s is None
    assert 10 <= len(gateway.statuses()) <= 13, "once a minute"


def test_a_broker_that_is_away_at_the_stop_leaves_all_on_disk_for_the_next_start(tmp_path: Path) -> None:
    async def first_life(gateway: Gateway) -> None:
        await asyncio.sleep(60)
        gateway.broker.go_down()
        await asyncio.sleep(60)

    async def second_life(gateway: Gateway) -> None:
        await asyncio.sleep(60)

    first, _ = life(tmp_path, first_life)
    second, _ = life(tmp_path, second_life)
    seen = {sweep.taken_at // NS for sweep in (*first.sweeps(), *second.sweeps()) if sweep.device == "incomer"}
    assert seen >= set(range(START_NS // NS + 1, START_NS // NS + 120))


def test_the_service_manager_hears_of_readiness_health_and_stop(tmp_path: Path) -> None:
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"})
        asked: list[None] = []

        def drain() -> None:
            asked.append(None)
            while True:
                try:
                    heard.append(manager.recv(4096).decode())
                except BlockingIOError:
                    return

        async def draining(gateway: Gateway) -> None:
            for _ in range(60):
                await asyncio.sleep(1)
                drain()
                if len(asked) == 30:
                    gateway.meters.silent.add(2)

        life(tmp_path, draining, notifier)
        drain()
        notifier.close()
    assert "READY=1" in heard
    assert heard.count("WATCHDOG=1") == 5
    # each second: 3 requests to each of two meters, 10 ms each, and the SDM120's two pauses of 100 ms
    assert any(line.startswith("STATUS=3 devices, 3 answering; busiest bus 26%; broker connected; ") for line in heard)
    assert any(re.match(r"STATUS=3 devices, 2 answering; busiest bus \d+%; broker connected; ", line) for line in heard)
    assert heard[-1] == "STOPPING=1"


@pytest.mark.parametrize("rare", ["commit_interval: 10min", "seal_interval: 10min"])
def test_an_agent_that_seals_as_rarely_as_its_settings_allow_does_not_starve_the_watchdog(
    tmp_path: Path, rare: str
) -> None:
    async def script(gateway: Gateway) -> None:
        if rare.startswith("commit"):
            gateway.broker.go_down()
        await asyncio.sleep(1500)

    settings = SETTINGS.replace("spool}", f"spool, {rare}}}").replace("every: 1s", "every: 15s")
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "30000000"})
    _, events = life(tmp_path, script, notifier, settings)
    notifier.close()
    assert [event for event in events if event["event"] == "watchdog.starved"] == []


def test_a_poller_that_dies_ends_the_agent_loudly_and_saves_what_was_read(tmp_path: Path) -> None:
    class Bug(Exception):
        pass

    async def script(gateway: Gateway) -> None:
        await asyncio.sleep(3)

        async def read(*_: int) -> bytes:
            raise Bug

        gateway.meters.read = read  # type: ignore[method-assign]
        await asyncio.sleep(60)

    try:
        life(tmp_path, script)
    except* Bug:
        pass
    else:
        raise AssertionError("the bug was swallowed")
    gateway, _ = life(tmp_path, ten_minutes)
    saved = [sweep for sweep in gateway.sweeps() if sweep.device == "incomer"]
    assert len(saved) > 600


def test_a_refused_register_is_reported_everywhere_and_left_alone_after_a_restart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hole = catalogue.load("eastron-sdm120").points["voltage_l1_n"].address

    async def script(gateway: Gateway) -> None:
        gateway.meters.holes = {(2, hole)}
        await asyncio.sleep(120)

    gateway, events = life(tmp_path, script)
    (event,) = [event for event in events if event["event"] == "points.quarantined"]
    assert (event["device"], event["points"], event["fault"]) == ("line-1", "voltage_l1_n", "exception_2")
    last = [sweep for sweep in gateway.sweeps() if sweep.device == "line-1"][-1]
    assert last.faults == {"voltage_l1_n": Fault.EXCEPTION_2}
    assert "power_active_total" in last.values
    assert gateway.statuses()[-1].counters["points_quarantined"] == 1
    assert gateway.statuses()[-1].counters["faults.exception_2"] > 100

    again, _ = life(tmp_path, script)
    assert again.meters.asked > 100
    assert again.meters.refused == 0

    assert check([str(tmp_path / "agent.yaml"), "--json"]) == 0
    warnings = json.loads(capsys.readouterr().out)["warnings"]
    assert any("line-1: the meter refuses voltage_l1_n" in each and "on_request" in each for each in warnings)
