"""One simulated run: agent, broker, ingest and store in one thread for six virtual hours, with the faults of a seed."""

import asyncio
import logging
import tempfile
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Final, cast
from unittest.mock import patch

import agent.app
import agent.publisher
import centre.ingest
from agent.app import Ports, run_agent
from agent.build import build
from agent.plan import BusPlan, GatewayPlan
from agent.settings import load
from agent.spool_disk import DiskFailed
from centre.ingest import Ingest
from centre.store.base import GatewayKey, SeriesKey
from drivers.modbus.bus import ModbusBus
from metering.topics import Topics, decode_committed
from support.sim_broker import SimBroker, not_authorised
from support.sim_ledger import POINTS, Ledger, Wrong
from support.sim_ports import FaultyDisk, FaultyLink, FaultyStore, serials_on
from support.sim_schedule import BLOWS, Fault, Schedule, Weather, schedule
from support.virtual_time import START_NS, VirtualClock, VirtualLoop, run
from wattline.broker import BrokerError
from wattline.clock import NS, Clock
from wattline.events import EventLog
from wattline.service import Notifier

SITE, GATEWAY = "works", "hall-1"
T_S: Final = 30.0
_KEEPALIVE_S: Final = 45.0
_BUDGET: Final = 256 * 1024 * 1024
_TOPICS: Final = Topics(SITE, GATEWAY)
_DISK_BAD: Final = frozenset({"disk fails", "disk unsure", "disk slow"})
_RESTARTS_S: Final = 300.0
_TICK_S: Final = 1e-6  # what a sum of floats may be off


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one seed: replies of the meters, how many of them were lost for an allowed cause, blows that fell."""

    seed: int
    told: int
    lost: int
    kills: int
    redelivered: int
    commits: int


@lru_cache(maxsize=16)
def _plan(interval_s: int, devices: tuple[int, ...]) -> GatewayPlan:
    lines = [f"site: {SITE}", f"gateway: {GATEWAY}", 'broker: {url: "mqtt://127.0.0.1:1883"}']
    lines += [f"spool: {{directory: /spool, commit_interval: {T_S:.0f}s, seal_interval: 5s}}", "buses:"]
    for bus, count in enumerate(devices):
        lines += [f"  - name: bus-{bus}", f"    tcp: 10.0.0.{bus + 1}:502", "    devices:"]
        for unit in range(1, count + 1):
            keys = f"name: bus-{bus}-{unit}, unit: {unit}, profile: eastron-sdm120, every: {interval_s}s"
            lines.append(f"      - {{{keys}, points: [{', '.join(POINTS)}]}}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent.yaml"
        path.write_text("\n".join(lines) + "\n")
        return load(path).plan()


class World:
    """What a schedule is played on."""

    def __init__(
        self, clock: VirtualClock, folder: Path, plot: Schedule, orders: Mapping[int, str] | None = None
    ) -> None:
        """`orders`: what becomes of the n-th commit of the spool, counted from 1; see FaultyDisk."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._plot = plot
        self._chance = Random(f"wattline run {plot.seed}")
        self._agent_clock, self._centre_clock = VirtualClock(loop, START_NS), clock
        self._now: Callable[[], float] = loop.time
        self.weather = Weather(plot.faults, loop.time)
        self.ledger = Ledger(T_S, lambda first, last: self.weather.spells_of(_DISK_BAD, first, last))
        self._folder = folder
        plan = _plan(plot.interval_s, plot.devices)
        self._plan = replace(plan, spool=replace(plan.spool, directory=folder / "spool", budget=_BUDGET))
        self.kills = 0
        self._broker = self._make_broker()
        self._agent: asyncio.Task[None] | None = None
        self._centre: asyncio.Task[None] | None = None
        self._agent_starts_at = self._centre_starts_at = 0.0
        self._kill_centre_on_write = False
        self.commits = 0
        self.orders = dict(orders or {})
        self._ordered_at = float("-inf")
        self._dying: set[asyncio.Task[None]] = set()

    def _make_broker(self) -> SimBroker:
        broker, size, chance = SimBroker(), self.weather.size, self._chance
        broker.keep_published = False

        def refuse(topic: str) -> Exception | None:
            refused = size("topic refused") is not None and topic == _TOPICS.readings
            return not_authorised(topic) if refused else None

        def swallow(topic: str) -> bool:
            if topic == _TOPICS.readings:
                return size("broker swallows") is not None
            return topic == _TOPICS.committed and size("committed lost") is not None

        def ack_after_s(topic: str) -> float:
            lost, late = size("acks lost"), size("acks late")
            if lost is not None and chance.random() < lost:
                return float("inf")
            return 0.0 if late is None else chance.uniform(0.0, 20.0 * late)

        def late_s(topic: str) -> float:
            late = size("committed late") if topic == _TOPICS.committed else None
            return 0.0 if late is None else 300.0 * late

        broker.refuse, broker.swallow, broker.ack_after_s, broker.late_s = refuse, swallow, ack_after_s, late_s
        broker.copies = lambda topic: 1 if size("delivered twice") is None else chance.choice((1, 2, 3))
        return broker

    # --- agent ------------------------------------------------------------------------------------------------

    def start_agent(self) -> None:
        self._disk = FaultyDisk(
            self._plan.spool.directory,
            budget=self._plan.spool.budget,
            ledger=self.ledger,
            weather=self.weather,
            order=self._next_order,
            die_in_commit=lambda: self._die(self._kill_agent(power=True)),
        )
        self._stop = asyncio.Event()
        ports = Ports(
            clock=self._agent_clock,
            broker=self._broker.client("agent"),
            disk=self._disk,
            random=self._chance,
            notifier=Notifier({}),
            log=EventLog(),
        )
        self._links: list[FaultyLink] = []
        plant = build(self._plan, self._agent_clock, self._bus)
        self._agent = asyncio.create_task(run_agent(self._plan, plant, ports, self._stop), name="agent")

    def _next_order(self) -> str | None:
        self.commits += 1
        order = self.orders.get(self.commits)
        if order is not None:
            self._ordered_at = self._now()
        return order

    def _bus(self, plan: BusPlan, clock: Clock) -> ModbusBus:
        link = FaultyLink(plan.name, clock, self.ledger, self.weather, self._chance)
        self._links.append(link)
        return ModbusBus(plan.name, link, clock)

    def _die(self, dying: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(dying)
        self._dying.add(task)

    async def _kill_agent(self, *, power: bool) -> None:
        running, self._agent = self._agent, None
        if running is None:
            return
        self._disk.die(power=power)
        self.ledger.killed(self._now())
        for link in self._links:
            link.dead = True
        await self._end_task(running)
        self._broker.drop("agent")

    async def _end_task(self, task: asyncio.Task[None]) -> None:
        """Nothing it says is heard any more; see wattline.cancellation for why it may have to be told twice."""
        self._broker.freeze(task.get_name(), seen_after_s=_KEEPALIVE_S)
        self.kills += 1
        for _ in range(5):
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
            if task.done():
                break
        if not task.done():
            raise Wrong(f"the {task.get_name()} does not end when it is cancelled")
        if not task.cancelled() and not _was_cut(task.exception()):
            task.result()

    async def _stop_agent(self) -> None:
        running = self._agent
        if running is None:
            return
        self._stop.set()
        done, _ = await asyncio.wait({running}, timeout=120.0)
        if not done:
            raise Wrong("the agent does not stop")
        if self._agent is None:  # it was killed on the way
            return
        self._agent = None
        running.result()
        bad_s = self.weather.spells_of(_DISK_BAD, self._now() - 2 * T_S, self._now())
        self.ledger.stopped(self._now(), disk_works=bad_s == 0 and self._ordered_at < self._now() - T_S)

    def _lose_card(self) -> None:
        directory = self._plan.spool.directory
        self.ledger.lost_cards |= serials_on(directory)
        for path in directory.glob("*"):
            path.unlink()

    # --- centre -----------------------------------------------------------------------------------------------

    def start_centre(self) -> None:
        self._centre = asyncio.create_task(self._serve(), name="centre")

    async def _serve(self) -> None:
        async with self._store() as store:
            client = self._broker.client("centre", persistent=True)
            dead = self._folder / "dead"
            self._ingest = Ingest(broker=client, store=store, clock=self._centre_clock, dead_letters=dead)
            await self._ingest.run()

    def _store(self) -> FaultyStore:
        return FaultyStore(self._folder / "centre.db", self.weather, self._on_written)

    async def _on_written(self) -> None:
        if self._kill_centre_on_write:
            self._kill_centre_on_write = False
            self._die(self._kill_centre())
            await asyncio.sleep(3600.0)

    async def _kill_centre(self) -> None:
        running, self._centre = self._centre, None
        if running is not None:
            await self._end_task(running)
            self._broker.drop("centre")

    # --- the run ----------------------------------------------------------------------------------------------

    async def play(self) -> Outcome:
        self.start_centre()
        self.start_agent()
        broker_edges = [
            (fault.at + after, fault)
            for fault in self._plot.faults
            if fault.kind in ("broker down", "broker killed", "broker slow", "broker mute")
            for after in (0.0, fault.lasts + 2 * _TICK_S)  # `_until` may return a tick early: then it still lasts
        ]
        blows = [(fault.at, fault) for fault in self._plot.faults if fault.kind in BLOWS]
        for at, fault in sorted([*broker_edges, *blows], key=lambda each: each[0]):
            await self._until(at)
            if fault.kind in BLOWS:
                await self._strike(fault)
            self._set_broker()
        await self._until(self._plot.length_s)
        return await self._end()

    async def _until(self, second: float) -> None:
        """Wait, start again what was killed when its time has come, and see that all that should live does."""
        while (now := self._now()) < second - _TICK_S:
            if self._agent is None and now >= self._agent_starts_at:
                self.start_agent()
            if self._centre is None and now >= self._centre_starts_at:
                self.start_centre()
            due = [second, now + _RESTARTS_S]
            due += [at for at in (self._agent_starts_at, self._centre_starts_at) if at > now]
            await asyncio.sleep(max(_TICK_S, min(due) - now))
            self._look()

    def _look(self) -> None:
        for task in (self._agent, self._centre, *self._dying):
            if task is not None and task.done():
                task.result()
        for name, task in (("agent", self._agent), ("centre", self._centre)):
            if task is not None and task.done():
                raise Wrong(f"the {name} ended by itself")
        self._dying = {task for task in self._dying if not task.done()}

    def _set_broker(self) -> None:
        size, broker = self.weather.size, self._broker
        killed = size("broker killed") is not None
        down = killed or size("broker down") is not None
        if down and broker.up:
            broker.go_down(forget=killed)
        elif not down and not broker.up:
            broker.come_up()
        slow = size("broker slow")
        broker.delay_s = 0.02 if slow is None else 0.02 + 10.0 * slow
        broker.mute = size("broker mute") is not None

    async def _strike(self, fault: Fault) -> None:
        now = self._now()
        match fault.kind:
            case "agent killed" | "agent loses power":
                self._agent_starts_at = now + fault.lasts
                await self._kill_agent(power=fault.kind == "agent loses power")
            case "agent killed in commit":
                self._agent_starts_at = now + fault.lasts
                self.orders[self.commits + 1] = "die before" if fault.size < 0.5 else "die after"
            case "agent restarted" | "card lost":
                await self._stop_agent()
                self._agent_starts_at = self._now() + fault.lasts
                if fault.kind == "card lost":
                    self._lose_card()
            case "centre killed":
                self._centre_starts_at = now + fault.lasts
                await self._kill_centre()
            case "centre killed after write":
                self._centre_starts_at = now + fault.lasts
                self._kill_centre_on_write = True
            case "agent cut off" | "centre cut off":
                self._broker.drop(fault.kind.split()[0])
            case "agent half open" | "centre half open":
                self._broker.freeze(fault.kind.split()[0], seen_after_s=_KEEPALIVE_S)
            case "committed forged":
                self._broker.route(_TOPICS.committed, self._forged(fault.size), retain=True)
            case "clock set":
                # within a day, beyond which the centre waits with what comes from the future
                wrong_ns = self._agent_clock.now_ns() - self._centre_clock.now_ns()
                self._agent_clock.step(int((fault.size - 0.5) * 2 * 20 * 3600 * NS) - wrong_ns)
            case _:
                raise AssertionError(fault)

    def _forged(self, size: float) -> bytes:
        """No JSON, epochs that never were, or what is not sent yet."""
        if size < 0.2:
            return b"\xff{not json"
        if size < 0.5:
            return b'{"version":1,"epochs":{"7":[[1,4000000]],"99999999999999999999":[[1,2]]}}'
        told = self._broker.retained.get(_TOPICS.committed)
        epochs: dict[int, int] = {}
        with suppress(ValueError):
            if told is not None:
                epochs = {epoch: ranges[-1][1] for epoch, ranges in decode_committed(told).epochs.items() if ranges}
        newest = max(epochs, default=START_NS // NS)
        first = epochs.get(newest, 0) + 100_000
        return b'{"version":1,"epochs":{"%d":[[%d,%d]]}}' % (newest, first, first + 10**9)

    # --- the end ----------------------------------------------------------------------------------------------

    async def _end(self) -> Outcome:
        await self._stop_agent()
        await asyncio.sleep(5.0)
        await self._kill_centre()
        left = serials_on(self._plan.spool.directory)
        if left:
            raise Wrong(
                f"after {self._plot.length_s:.0f} s the spool still holds {len(left)} replies, such as {min(left)}"
            )
        async with self._store() as store:
            stored = {
                point: [
                    (reading.at, float(reading.value), device.name)
                    for bus in self._plan.buses
                    for device in bus.devices
                    for reading in await store.read(SeriesKey(SITE, device.name, point), 0, 1 << 62, limit=1_000_000)
                ]
                for point in POINTS
            }
            totals = await store.totals()
            (gateway,) = [row for row in await store.gateways() if row.key == GatewayKey(SITE, GATEWAY)]
        lost = self.ledger.judge(stored, dropped=gateway.counters["dropped"])
        return Outcome(
            self._plot.seed, len(self.ledger.told), lost, self.kills, totals.redelivered_parcels, self.commits
        )


def _was_cut(error: BaseException | None) -> bool:
    """A task that was cancelled while another of its group failed raises that failure only (before Python 3.13)."""
    if isinstance(error, BaseExceptionGroup):
        return all(_was_cut(each) for each in cast("BaseExceptionGroup[BaseException]", error).exceptions)
    return isinstance(error, BrokerError | DiskFailed)


@contextmanager
def silent_events(*, silent: bool) -> Generator[None]:
    logger = logging.getLogger("wattline.events")
    before = logger.level
    if silent:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def fewer_wake_ups() -> Generator[None]:
    """What only looks and tells, rarely: a third of the time of a run."""
    slower = ((agent.app, "_LOOK_S", 60.0), (agent.publisher, "_STATUS_S", 300.0), (centre.ingest, "_IDLE_NS", 60 * NS))
    with ExitStack() as stack:
        for module, name, value in slower:
            stack.enter_context(patch.object(module, name, value))
        yield


def run_seed(seed: int, *, events: bool = False) -> Outcome:
    """Six virtual hours; raises Wrong, or whatever the product raised."""
    return run_schedule(schedule(seed), events=events)


def run_schedule(plot: Schedule, *, orders: Mapping[int, str] | None = None, events: bool = False) -> Outcome:
    """As `run_seed`; `orders` see World."""
    memory = Path("/dev/shm")
    with (
        fewer_wake_ups(),
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        silent_events(silent=not events),
    ):
        return run(lambda clock: World(clock, Path(folder), plot, orders).play())
