"""The running agent: pollers -> spool -> publisher in one TaskGroup, and a stop that leaves nothing behind.

All it touches of the world (clock, broker, disk, service manager, chance) is a parameter, so that the whole agent runs
under a virtual clock.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from agent.build import Plant
from agent.figures import status_counters
from agent.honest_time import HonestTime
from agent.identity import IdentityBook
from agent.inspector import Inspector
from agent.plan import GatewayPlan
from agent.poller import Poller
from agent.publisher import Publisher
from agent.side_files import SideFiles
from agent.spool import Spool
from agent.spool_disk import Disk
from agent.wake_ups import WakeUps
from drivers.modbus.refusal_book import RefusalBook
from metering.status import State, Status
from metering.topics import Topics
from wattline import __version__
from wattline.broker import Broker
from wattline.cancellation import end
from wattline.certificate import ExpiryWatch
from wattline.clock import Clock
from wattline.events import EventLog
from wattline.service import Notifier, Watchdog

_GRACE_S: Final = 5.0
_LOOK_S: Final = 5.0
_SPOOL_PROMISE_S: Final = 60.0  # beyond the time in which the settings have it seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The world outside."""

    clock: Clock
    broker: Broker
    disk: Disk
    random: Random
    notifier: Notifier
    log: EventLog
    synchronised: Callable[[], bool | None] = lambda: None
    """Whether somebody keeps the clock right; None when nobody can tell."""
    side_files: SideFiles | None = None


async def run_agent(plan: GatewayPlan, plant: Plant, ports: Ports, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then everything acquired is on disk and, as far as 5 s allow, published.

    Raises SpoolTaken when another agent uses the spool; anything unforeseen ends it with an ExceptionGroup.
    """
    time = HonestTime(ports.clock, ports.synchronised, ports.log)
    spool = Spool(
        site=plan.site,
        gateway=plan.gateway,
        disk=ports.disk,
        clock=ports.clock,
        events=ports.log,
        seal_interval_s=plan.spool.seal_interval_s,
        commit_interval_s=plan.spool.commit_interval_s,
        time=time,
        side_files=ports.side_files,
        keep_all=plan.spool.keeps_all,
    )
    async with spool:
        agent = _Agent(plan, plant, ports, spool, time)
        await agent.run(stop)
    ports.log.info("agent.stopped", **spool.stats().counters())


class _Agent:
    """The tasks around one open spool."""

    def __init__(self, plan: GatewayPlan, plant: Plant, ports: Ports, spool: Spool, time: HonestTime) -> None:
        self._plant, self._ports, self._spool, self._time = plant, ports, spool, time
        self._certificate = plan.broker.certificate
        self._inspector = Inspector(plant.plausibility, plant.identities, ports.log)
        self._watchdog = Watchdog(ports.notifier, ports.clock, ports.log)
        self._seals_within_s = max(plan.spool.seal_interval_s, plan.spool.commit_interval_s) + _SPOOL_PROMISE_S
        self._wake_ups = WakeUps(ports.clock)
        self._pollers = [self._poller(index) for index in range(len(plant.buses))]
        self._publisher = Publisher(
            spool=spool,
            broker=ports.broker,
            topics=Topics(plan.site, plan.gateway),
            clock=ports.clock,
            events=ports.log,
            random=ports.random,
            status=self._status,
            release=plan.release,
            spread_s=plan.broker.spread_s,
            bytes_s=plan.broker.bytes_s,
            history=plan.spool.history_s > 0,
        )

    def _poller(self, index: int) -> Poller:
        planned = self._plant.buses[index]
        part = f"poll:{planned.bus.name}"
        return Poller(
            planned.bus,
            planned.devices,
            sink=self._spool.append,
            clock=self._ports.clock,
            random=self._ports.random,
            log=self._ports.log,
            promise=lambda within_s: self._watchdog.promise(part, within_s),
            round_trips=planned.bus.round_trips,
            judge=self._inspector.judge,
            wake_ups=self._wake_ups,
        )

    async def run(self, stop: asyncio.Event) -> None:
        notifier, log = self._ports.notifier, self._ports.log
        async with asyncio.TaskGroup() as tasks:
            helpers = [
                tasks.create_task(self._spool.run(), name="spool"),
                tasks.create_task(self._watchdog.run(), name="watchdog"),
                tasks.create_task(self._look(), name="look"),
            ]
            tasks.create_task(self._publisher.run(), name="publisher")
            polls = [
                tasks.create_task(poller.run(), name=f"poll:{planned.bus.name}")
                for poller, planned in zip(self._pollers, self._plant.buses, strict=True)
            ]
            log.info("agent.started", devices=len(self._plant.inventory), buses=len(polls), version=__version__)
            if self._certificate is not None:
                expiry = ExpiryWatch(self._certificate, log)
                helpers.append(tasks.create_task(expiry.run(self._ports.clock), name="certificate"))
            notifier.ready()
            await stop.wait()
            notifier.stopping()
            log.info("agent.stopping")
            await end(polls)
            self._spool.seal()
            await self._publisher.stop(_GRACE_S)
            await end(helpers)

    async def _look(self) -> None:
        """Tell the service manager how things are, and the watchdog that what is acquired also gets sealed."""
        acquired = sealed = -1
        writable = True
        while True:
            stats = self._spool.stats()
            if stats.acquired == acquired or stats.parcels_sealed != sealed:
                self._watchdog.promise("spool", self._seals_within_s)
                acquired, sealed = stats.acquired, stats.parcels_sealed
            self._time.look()
            self._ports.notifier.status(self.summary())
            for book in (self._plant.refusals, self._plant.identities):
                if book.changed:
                    writable = await self._remember(book, writable)
            await asyncio.sleep(_LOOK_S)

    async def _remember(self, book: RefusalBook | IdentityBook, writable: bool) -> bool:
        """Write down what the meters refused, or who they are; a disk that fails costs to learn it again."""
        try:
            await asyncio.to_thread(book.write, book.text())
        except OSError as err:
            if writable:
                self._ports.log.warning("quarantine.unwritable", error=str(err))
            return False
        return True

    def summary(self) -> str:
        """One line for the operator."""
        stats = self._spool.stats()
        devices = len(self._plant.inventory)
        answering = sum(poller.answering for poller in self._pollers)
        broker = "connected" if self._publisher.connected else "away"
        disk = "" if stats.durable else "; DISK FAILS, readings are kept in memory"
        waiting = stats.parcels_pending
        shut = self._plant.refusals.quarantined
        refused = f"; {shut} points refused by their meters, see `wattline check`" if shut else ""
        busiest = max((poller.figures.use for poller in self._pollers), default=0.0)
        return (
            f"{devices} devices, {answering} answering; busiest bus {busiest:.0%}; broker {broker};"
            f" {waiting} parcels waiting{refused}{disk}"
        )

    def _status(self, state: State) -> Status:
        counters = [poller.counters for poller in self._pollers]
        return Status(
            state=state,
            software=f"wattline {__version__}",
            epoch=self._spool.epoch,
            at=self._ports.clock.now_ns(),
            counters={
                **self._spool.stats().counters(),
                **self._publisher.counters,
                "sweeps": sum(each.sweeps for each in counters),
                "silent": sum(each.silent for each in counters),
                "missed": sum(each.missed for each in counters),
                "reconnects": sum(each.reconnects for each in counters),
                "points_quarantined": self._plant.refusals.quarantined,
                **status_counters(
                    {
                        planned.bus.name: poller.figures
                        for planned, poller in zip(self._plant.buses, self._pollers, strict=True)
                    }
                ),
            },
            devices=self._plant.inventory,
        )
