"""The whole of Wattline in virtual time: agent, broker, ingest and store, on simulated Modbus links.

Every simulated meter shows the seconds since the start in all its registers, and keeps a ledger of what it told. So the
test knows without our code what must be in the store, and that a value stands under its own time.
"""

import asyncio
import math
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

from agent.app import Ports, run_agent
from agent.build import build
from agent.plan import BusPlan
from agent.settings import load
from agent.spool_disk import Change, DiskFailed, Read, SqliteDisk, Stored
from centre.ingest import Ingest
from centre.store.base import SeriesKey
from centre.store.sqlite import SqliteStore
from drivers.base import DeviceSilent, LinkDown
from drivers.modbus.bus import ModbusBus
from drivers.modbus.pdu import Refused
from metering.faults import Fault
from metering.parcel import Received, open_parcel
from support.sim_broker import SimBroker
from support.virtual_time import VirtualClock
from wattline.clock import NS, Clock
from wattline.events import EventLog
from wattline.service import Notifier

POINTS = ("energy_active_import_total", "energy_active_export_total")
SITE, GATEWAY = "works", "hall-1"

Ledger = set[tuple[str, int]]
"""(device, whole seconds since the start) of each reply a meter gave."""


def agent_yaml(folder: Path, *, buses: int, devices: int, every: str) -> Path:
    """Settings of an agent with `devices` SDM120 on each of `buses`: bus-0-1, bus-0-2, ..."""
    lines = [f"site: {SITE}", f"gateway: {GATEWAY}", 'broker: {url: "mqtt://127.0.0.1:1883"}']
    lines += [f"spool: {{directory: {folder / 'spool'}, commit_interval: 30s, seal_interval: 5s}}", "buses:"]
    for bus in range(buses):
        lines += [f"  - name: bus-{bus}", f"    tcp: 10.0.0.{bus + 1}:502", "    devices:"]
        for unit in range(1, devices + 1):
            keys = f"name: bus-{bus}-{unit}, unit: {unit}, profile: eastron-sdm120, every: {every}"
            lines.append(f"      - {{{keys}, points: [{', '.join(POINTS)}]}}")
    path = folder / "agent.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


class SimLink:
    """A Modbus link whose every meter answers after 20 ms with the seconds since the start.

    `silent` units do not answer, reads over `holes` (unit, register) are refused, nothing works while it is `cut`.
    """

    def __init__(self, bus: str, clock: Clock, start_ns: int, ledger: Ledger) -> None:
        self.silent: set[int] = set()
        self.holes: set[tuple[int, int]] = set()
        self.cut = False
        self._bus, self._clock, self._start_ns, self._ledger = bus, clock, start_ns, ledger

    async def open(self) -> None:
        if self.cut:
            raise LinkDown("no route to host")

    async def close(self) -> None: ...

    async def read(self, unit: int, function: int, address: int, count: int) -> bytes:
        await asyncio.sleep(0.02)
        if self.cut:
            raise LinkDown("no route to host")
        if unit in self.silent:
            await asyncio.sleep(1.0)
            raise DeviceSilent("no reply", Fault.TIMEOUT)
        if any((unit, register) in self.holes for register in range(address, address + count)):
            raise Refused("exception 2", 2)
        second = (self._clock.now_ns() - self._start_ns) // NS
        self._ledger.add((f"{self._bus}-{unit}", second))
        return struct.pack(">f", float(second)) * (count // 2)


class MortalDisk(SqliteDisk):
    """The real spool disk with a witness of what was made durable; `die` is SIGKILL: nothing is written any more."""

    def __init__(self, directory: Path, durable: Ledger, start_ns: int) -> None:
        super().__init__(directory, budget=256 * 1024 * 1024)
        self._durable, self._start_ns = durable, start_ns
        self._dead = False

    def die(self) -> None:
        self._dead = True
        self._file.close()

    def _check(self) -> None:
        if self._dead:
            raise DiskFailed("the process is dead")

    async def open(self) -> Stored:
        self._check()
        return await super().open()

    async def read(self, after: int, before: int, limit: int, max_bytes: int) -> Read:
        self._check()
        return await super().read(after, before, limit, max_bytes)

    async def commit(self, change: Change) -> Stored:
        self._check()
        stored = await super().commit(change)
        for parcel in change.insert:
            self._durable.update(told(open_parcel(parcel.body), self._start_ns))
        return stored


def told(parcel: Received, start_ns: int) -> Iterator[tuple[str, int]]:
    for sweep in parcel.sweeps:
        if sweep.values:
            yield sweep.device, (sweep.taken_at - start_ns) // NS


class SimPlant:
    """Agent and centre around one simulated broker. `ledger`: what meters told; `durable`: what reached the spool."""

    def __init__(self, clock: VirtualClock, folder: Path, *, buses: int, devices: int, every: str, seed: int) -> None:
        self.clock, self.folder = clock, folder
        self.start_ns = clock.now_ns()
        self.random = Random(seed)
        self.broker = SimBroker()
        self.broker.keep_published = False
        self.ledger: Ledger = set()
        self.durable: Ledger = set()
        self.links: list[SimLink] = []
        self.plan = load(agent_yaml(folder, buses=buses, devices=devices, every=every)).plan()
        self.redelivered = 0
        self._agent: asyncio.Task[None] | None = None
        self._ingest: asyncio.Task[None] | None = None
        self._ingests: list[Ingest] = []

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    # --- agent ------------------------------------------------------------------------------------------------

    def start_agent(self) -> None:
        self._disk = MortalDisk(self.plan.spool.directory, self.durable, self.start_ns)
        self._stop = asyncio.Event()
        ports = Ports(
            clock=self.clock,
            broker=self.broker.client("agent"),
            disk=self._disk,
            random=self.random,
            notifier=Notifier({}),
            log=EventLog(),
        )
        self.links.clear()
        plant = build(self.plan, self.clock, self._bus)
        self._agent = asyncio.create_task(run_agent(self.plan, plant, ports, self._stop), name="agent")

    def _bus(self, plan: BusPlan, clock: Clock) -> ModbusBus:
        link = SimLink(plan.name, clock, self.start_ns, self.ledger)
        self.links.append(link)
        return ModbusBus(plan.name, link, clock)

    async def stop_agent(self) -> None:
        assert self._agent is not None
        self._stop.set()
        await self._agent

    async def kill_agent(self) -> None:
        assert self._agent is not None
        self._disk.die()
        self._agent.cancel()
        await asyncio.wait({self._agent})
        assert self._agent.cancelled(), self._agent.exception()

    # --- centre -----------------------------------------------------------------------------------------------

    def start_centre(self) -> None:
        self._ingest = asyncio.create_task(self._serve(), name="centre")

    async def _serve(self) -> None:
        async with SqliteStore(self.folder / "centre.db", inline=True) as store:
            client = self.broker.client("centre", persistent=True)
            ingest = Ingest(broker=client, store=store, clock=self.clock, dead_letters=self.folder / "dead")
            self._ingests.append(ingest)
            await ingest.run()

    async def kill_centre(self) -> None:
        """Whatever it was at: between write and acknowledgement is as good as anywhere."""
        assert self._ingest is not None
        self._ingest.cancel()
        with suppress(asyncio.CancelledError):
            await self._ingest

    @property
    def refused(self) -> int:
        return sum(ingest.counts.refused for ingest in self._ingests)

    # --- the end ----------------------------------------------------------------------------------------------

    async def stored(self) -> Ledger:
        """What the store holds of every device; asserts that each value stands once, under its own time."""
        found: Ledger = set()
        async with SqliteStore(self.folder / "centre.db", inline=True) as store:
            for bus in self.plan.buses:
                for device in bus.devices:
                    series = [SeriesKey(SITE, device.name, point) for point in POINTS]
                    first, second = [await store.read(key, 0, 1 << 62, limit=10_000_000) for key in series]
                    assert first == second
                    seconds = [(reading.at - self.start_ns) // NS for reading in first]
                    assert seconds == [math.floor(float(reading.value)) for reading in first]
                    assert len(seconds) == len(set(seconds))
                    found.update((device.name, second) for second in seconds)
            totals = await store.totals()
            assert totals.readings == len(found) * len(POINTS)
            self.redelivered = totals.redelivered_parcels
        return found
