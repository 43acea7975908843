"""The agent of a simulated run as a process: the whole of it, with a disk and links of the weather."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Final

from agent.app import Ports, run_agent
from agent.build import build
from agent.plan import BusPlan, GatewayPlan
from agent.settings import load
from drivers.modbus.bus import ModbusBus
from support.sim_broker import SimBroker
from support.sim_ledger import POINTS, Ledger, Wrong
from support.sim_orders import Port
from support.sim_ports import FaultyDisk, FaultyLink, MortalSideFiles, serials_on
from support.sim_process import SimProcess
from support.sim_schedule import Schedule, Weather
from support.virtual_time import VirtualClock
from wattline.clock import Clock
from wattline.events import EventLog
from wattline.service import Notifier

SITE, GATEWAY = "works", "hall-1"
COMMIT_S: Final = 30.0
"""T of the guarantee: what is older is durable, while the disk works."""

DISK_BAD: Final = frozenset({"disk fails", "disk unsure", "disk slow"})
_BUDGET: Final = 256 * 1024 * 1024


@lru_cache(maxsize=16)
def _plan(interval_s: int, devices: tuple[int, ...]) -> GatewayPlan:
    lines = [f"site: {SITE}", f"gateway: {GATEWAY}", 'broker: {url: "mqtt://127.0.0.1:1883"}']
    lines += [f"spool: {{directory: /spool, commit_interval: {COMMIT_S:.0f}s, seal_interval: 5s}}", "buses:"]
    for bus, count in enumerate(devices):
        lines += [f"  - name: bus-{bus}", f"    tcp: 10.0.0.{bus + 1}:502", "    devices:"]
        for unit in range(1, count + 1):
            keys = f"name: bus-{bus}-{unit}, unit: {unit}, profile: eastron-sdm120, every: {interval_s}s"
            lines.append(f"      - {{{keys}, points: [{', '.join(POINTS)}]}}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent.yaml"
        path.write_text("\n".join(lines) + "\n")
        return load(path).plan()


class SimAgent(SimProcess):
    """`directory` is its spool, `clock` its own, `told_before` how many replies there were before it was started."""

    def __init__(
        self,
        broker: SimBroker,
        clock: VirtualClock,
        directory: Path,
        plot: Schedule,
        *,
        ledger: Ledger,
        weather: Weather,
        chance: Random,
        port: Callable[[str], Port],
    ) -> None:
        super().__init__("agent", broker)
        plan = _plan(plot.interval_s, plot.devices)
        self.plan = replace(plan, spool=replace(plan.spool, directory=directory, budget=_BUDGET))
        self.directory, self.clock = directory, clock
        self._memory = directory.with_name("side") if plot.side_files else None
        self.told_before = 0
        self._ledger, self._weather, self._chance, self._port = ledger, weather, chance, port

    def start(self) -> None:
        self._disk = FaultyDisk(
            self.directory, budget=_BUDGET, ledger=self._ledger, weather=self._weather, port=self._port("commit")
        )
        self._side = None if self._memory is None else MortalSideFiles(self._memory)
        self.told_before = len(self._ledger.told)
        self._ledger.started_at = self.clock.monotonic()
        self._stop = asyncio.Event()
        ports = Ports(
            clock=self.clock,
            broker=self._broker.client(self.name),
            disk=self._disk,
            random=self._chance,
            notifier=Notifier({}),
            log=EventLog(),
            side_files=self._side,
        )
        self._links: list[FaultyLink] = []
        self._begin(run_agent(self.plan, build(self.plan, self.clock, self._bus), ports, self._stop))

    def _bus(self, plan: BusPlan, clock: Clock) -> ModbusBus:
        link = FaultyLink(plan.name, clock, self._ledger, self._weather, self._chance, self._port("meter read"))
        self._links.append(link)
        return ModbusBus(plan.name, link, clock)

    async def kill(self, *, power: bool) -> None:
        running, self.task = self.task, None
        if running is None:
            return
        self._disk.die(power=power)
        if self._side is not None:
            self._side.die(power=power)
        self._ledger.killed(self.clock.monotonic(), kept=self._side is not None and not power)
        for link in self._links:
            link.dead = True
        await self._end(running)

    async def stop(self) -> None:
        """As SIGTERM does."""
        running = self.task
        if running is None:
            return
        self._stop.set()
        done, _ = await asyncio.wait({running}, timeout=120.0)
        if not done:
            raise Wrong("the agent does not stop")
        if self.task is None:  # it was killed on the way
            return
        self.task = None
        running.result()
        now = self.clock.monotonic()
        bad_s = self._weather.spells_of(DISK_BAD, now - 2 * COMMIT_S, now)
        works = bad_s == 0 and self._port("commit").obeyed_at < now - COMMIT_S
        self._ledger.stopped(now, disk_works=works)

    def lose_card(self) -> None:
        """While it is down: the card is another, empty one."""
        self._ledger.lost_cards |= serials_on(self.directory)
        for path in self.directory.glob("*"):
            path.unlink()
