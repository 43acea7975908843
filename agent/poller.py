"""The poller of one bus: takes turns from the schedule, reads, and hands each sweep on. One task, `poll:<bus>`.

Every due time gives a sweep: values, or the fault that says why there are none. A device that does not answer is left
alone for 1 s to 60 s; then one probe at a time, after all others have been read and only for the time they leave free.
A lost connection is made again at once; when that fails, with growing and jittered delay.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from agent.health import BusCounters, DeviceHealth, delay_s
from agent.schedule import NS, PollGroup, Schedule, Turn, missed_groups
from drivers.base import Bus, Device, DeviceSilent, LinkDown, Reader
from metering.faults import ALL_POINTS, Fault
from metering.sweep import Sweep
from wattline.clock import Clock
from wattline.events import EventLog

_NAP_S: Final = 10.0  # a wall clock that is set is noticed within this
_LEAST_BOX_S: Final = 0.25  # a probe gets this much even on a full bus, or a device on it could never come back
_PROMISE_S: Final = 120.0

Sink = Callable[[Sweep], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledDevice:
    """A device of the bus and the groups of its points."""

    device: Device
    groups: tuple[PollGroup, ...]
    _readers: dict[tuple[int, ...], Reader] = field(default_factory=dict[tuple[int, ...], Reader], init=False)

    def reader(self, groups: tuple[int, ...]) -> Reader:
        """The reader of these groups' points, prepared once."""
        reader = self._readers.get(groups)
        if reader is None:
            reader = self.device.reader([point for group in groups for point in self.groups[group].points])
            self._readers[groups] = reader
        return reader


class Poller:
    """Owns one bus. `run` never ends but by cancellation; what is under way then is given up."""

    def __init__(
        self,
        bus: Bus,
        devices: Sequence[PolledDevice],
        *,
        sink: Sink,
        clock: Clock,
        random: Random,
        log: EventLog,
        promise: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`sink` takes each sweep and must not block; `promise(s)` is told that work was done and will be within s."""
        self.counters = BusCounters()
        self.link_up = False
        self._bus = bus
        self._devices = tuple(devices)
        self._sink = sink
        self._clock = clock
        self._random = random
        self._log = log.bind(bus=bus.name)
        self._promise = promise
        self._health = [DeviceHealth() for _ in self._devices]
        intervals = [[group.interval_ns for group in polled.groups] for polled in self._devices]
        self._schedule = Schedule(intervals, clock.now_ns())
        self._pending: Turn | None = None
        self._probes: list[Turn] = []
        self._link_failures = 0
        self._all_silent = False

    @property
    def answering(self) -> int:
        """How many devices are not silent."""
        return sum(not health.silent for health in self._health) if self.link_up else 0

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            try:
                async with self._bus.connection():
                    await self._serve()
            except LinkDown as err:
                await self._without_link(err)

    async def _serve(self) -> None:
        """Take turns while the connection lives; raises LinkDown."""
        while True:
            turn, self._pending = self._pending or self._schedule.take(self._clock.now_ns()), None
            if turn is not None:
                await self._take(turn)
            elif self._probes:
                await self._probe()
            else:
                await self._until(self._schedule.next_due(self._clock.now_ns()))

    async def _until(self, due_ns: int) -> None:
        """Sleep until `due_ns`, or a nap only: the schedule is asked again, for the clock may have been set."""
        self._promise(_PROMISE_S)
        left_s = (due_ns - self._clock.now_ns()) / NS
        if left_s > 0:
            await asyncio.sleep(min(left_s, _NAP_S))

    async def _take(self, turn: Turn) -> None:
        self._explain_missed(turn)
        health = self._health[turn.device]
        if not health.backing_off:
            await self._read(turn)
        elif self._clock.monotonic() >= health.probe_at:
            self._probes.append(turn)
        else:
            self._absent(turn, Fault.BACKOFF)
            self._retry(turn, health.probe_at - self._clock.monotonic())

    async def _probe(self) -> None:
        """Ask one device in back-off, the one that waits longest; the others wait for their next turn."""
        self._probes.sort(key=lambda turn: self._health[turn.device].probe_at)
        turn, *rest = self._probes
        self._probes = []
        for other in rest:
            self._absent(other, Fault.BACKOFF)
        if all(health.failures for health in self._health):
            await self._read(turn)  # there is nobody to be late for, and only a full time-out shows a dead connection
            return
        now_ns = self._clock.now_ns()
        free_s = (self._schedule.next_due(now_ns) - now_ns) / NS
        await self._read(turn, max(free_s, _LEAST_BOX_S))

    async def _read(self, turn: Turn, box_s: float | None = None) -> None:
        """Read one device and hand its sweep on; raises LinkDown with the turn kept for when the link is back."""
        reader = self._devices[turn.device].reader(turn.groups)
        if turn.due_ns is not None:
            late_s = (self._clock.now_ns() - turn.due_ns) / NS
            self.counters.late_max_s = max(self.counters.late_max_s, late_s)
        try:
            async with asyncio.timeout(box_s):
                sweep = await reader.read()
        except LinkDown:
            self._pending = replace(turn, missed=())
            raise
        except DeviceSilent as err:
            self._silent(turn, err.fault, str(err))
        except TimeoutError:
            if box_s is None:
                raise
            self._silent(turn, Fault.TIMEOUT, f"no answer in the {box_s:.2f} s the other devices leave free")
        else:
            self.counters.sweeps += 1
            self._sink(sweep)
            if self._health[turn.device].failures:
                self._back(turn.device)
        self._link_works()
        self._promise(_PROMISE_S)

    def _silent(self, turn: Turn, fault: Fault, why: str) -> None:
        health = self._health[turn.device]
        delay = health.failed(fault, self._clock.monotonic())
        self.counters.silent += 1
        self._absent(turn, fault)
        self._retry(turn, delay)
        if not health.silent or health.announced:
            return
        if len(self._health) > 1 and all(each.failures for each in self._health):
            if not self._all_silent:
                self._all_silent = True
                self._log.warning("bus.silent", devices=len(self._health), error=why)
        else:
            health.announced = True
            self._log.warning("device.silent", device=self._name(turn), fault=fault, error=why)

    def _back(self, device: int) -> None:
        health = self._health[device]
        if self._all_silent:
            self._all_silent = False
            self._log.info("bus.answering")
        if health.announced:
            after_s = round(self._clock.monotonic() - health.failing_since, 1)
            self._log.info("device.back", device=self._devices[device].device.name, after_s=after_s)
        health.answered()

    def _link_works(self) -> None:
        if self._link_failures:
            self.counters.reconnects += 1
            self._link_failures = 0
        if not self.link_up:
            self.link_up = True
            self._log.info("bus.up")

    async def _without_link(self, err: LinkDown) -> None:
        """Return when the connection is to be tried again; what falls due until then gets its fault."""
        self._link_failures += 1
        if self.link_up and self._link_failures == 1:
            return  # gateways close idle connections: the first loss is no news, the turn is taken again
        if self.link_up or self._link_failures == 1:
            self.link_up = False
            self._log.warning("bus.down", error=str(err))
        delay = delay_s(self._link_failures) * self._random.uniform(0.5, 1.0)
        again_at = self._clock.monotonic() + delay
        waiting = [*self._probes, *([self._pending] if self._pending else [])]
        self._probes, self._pending = [], None
        while (left_s := again_at - self._clock.monotonic()) > 0:
            now_ns = self._clock.now_ns()
            turn = waiting.pop() if waiting else self._schedule.take(now_ns)
            if turn is None:
                due_ns = self._schedule.next_due(now_ns)
                await self._until(min(due_ns, now_ns + int(left_s * NS) + 1))
            else:
                self._explain_missed(turn, Fault.LINK_DOWN)
                self._absent(turn, Fault.LINK_DOWN)
                self._retry(turn, left_s)

    def _retry(self, turn: Turn, after_s: float) -> None:
        """Ask again for what a slow group could not bring, before its next due time."""
        self._schedule.retry(turn, self._clock.now_ns() + int(after_s * NS) + 1)

    def _explain_missed(self, turn: Turn, fault: Fault = Fault.OVERRUN) -> None:
        self.counters.missed += len(turn.missed)
        for due_ns, groups in missed_groups(turn.missed).items():
            self._give_fault(turn.device, groups, due_ns, fault)

    def _absent(self, turn: Turn, fault: Fault) -> None:
        """Say why a due time brought nothing; a mere retry explained itself when it was due."""
        if turn.due_ns is not None:
            self._give_fault(turn.device, turn.groups, turn.due_ns, fault)

    def _give_fault(self, device: int, groups: tuple[int, ...], at_ns: int, fault: Fault) -> None:
        polled = self._devices[device]
        if len(groups) == len(polled.groups):
            faults = {ALL_POINTS: fault}
        else:
            faults = {point: fault for group in groups for point in polled.groups[group].points}
        self._sink(Sweep(device=polled.device.name, taken_at=at_ns, values={}, faults=faults))

    def _name(self, turn: Turn) -> str:
        return self._devices[turn.device].device.name
