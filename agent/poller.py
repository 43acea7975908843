"""The poller of one bus: takes turns from the schedule, reads, and hands each sweep on. One task, `poll:<bus>`.

Every due time gives a sweep: values, or the fault that says why there are none. A device that does not answer is left
alone for 1 s to 10 s; then one probe at a time, after all others have been read and only for the time they leave free.
On a bus that has no free time a short probe is forced now and then. A lost connection is made again at once; when that
fails, with growing and jittered delay. A device that loses it again counts as one that does not answer: there are
gateways that hang up when they are asked for it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from agent.figures import BusFigures, figures
from agent.health import BUSY, FIRST_DELAY_S, LONGEST_LINK_DELAY_S, BusCounters, DeviceHealth, delay_s
from agent.news import FaultNews
from agent.schedule import NS, PollGroup, Schedule, Turn, missed_groups
from agent.wake_ups import WakeUps
from drivers.base import Bus, Device, DeviceSilent, LinkDown, Reader
from drivers.round_trips import RoundTrips
from metering.faults import ALL_POINTS, Fault
from metering.quantities import IDENTITY
from metering.sweep import Sweep
from wattline.clock import Clock
from wattline.events import EventLog

_LEAST_BOX_S: Final = 0.25  # a probe gets this much even on a full bus, or a device on it could never come back
_PATIENCE_S: Final = 2.0  # so long a probe waits for free time before it is forced
_FORCED_EVERY_S: Final = 6.0  # with the least box: at most 4 % of a full bus
_PROMISE_S: Final = 120.0
_PROMISE_AGAIN_S: Final = 10.0
_FIGURES_S: Final = 3600.0
_NAMED_POINTS: Final = 6

Sink = Callable[[Sweep], None]


class _HungUp(LinkDown):
    """The connection was lost by asking one device, and that device is in back-off for it."""


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
        round_trips: RoundTrips | None = None,
        judge: Callable[[Sweep], Sweep] = lambda sweep: sweep,
        wake_ups: WakeUps | None = None,
    ) -> None:
        """`sink` takes each sweep and must not block; `promise(s)` is told that work was done and will be within s.

        `round_trips` are those of the bus, where it measures them; `judge` marks what it does not believe of a sweep.
        Pollers that share `wake_ups` ask their devices together.
        """
        self.counters = BusCounters()
        self.link_up = False
        self._bus = bus
        self._devices = tuple(devices)
        self._sink = sink
        self._clock = clock
        self._random = random
        self._log = log.bind(bus=bus.name)
        self._promise = promise
        self._round_trips = round_trips or RoundTrips()
        self._judge = judge
        self._wake_ups = wake_ups or WakeUps(clock)
        self._health = [DeviceHealth() for _ in self._devices]
        self._news = [FaultNews() for _ in self._devices]
        intervals = [[group.interval_ns for group in polled.groups] for polled in self._devices]
        self._schedule = Schedule(intervals, clock.now_ns())
        for device in range(len(self._devices)):
            self._identify(device)
        self._pending: Turn | None = None
        self._probes: list[Turn] = []
        self._link_failures = 0
        self._lost_by: int | None = None  # the device in whose read the connection was lost, until one goes well
        self._all_silent = False
        self._forced_at = self._promise_at = float("-inf")
        self._figures_from = clock.monotonic()
        self._busy_before_s = 0.0

    @property
    def figures(self) -> BusFigures:
        """Use, round trips and faults, since the last hourly event or the start."""
        elapsed_s = self._clock.monotonic() - self._figures_from
        return figures(self.counters, self._busy_before_s, elapsed_s, self._round_trips)

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
            if self._probes and self._starving():
                await self._probe()
            now_ns = self._clock.now_ns()
            turn, self._pending = self._pending or self._schedule.take(now_ns), None
            if turn is not None:
                await self._take(turn)
            elif self._probes:
                await self._probe()
            else:
                await self._until(self._schedule.next_due(now_ns))

    def _starving(self) -> bool:
        """True when a probe has found no free time for long, and the last forced one is long enough ago."""
        now = self._clock.monotonic()
        if now < self._forced_at + _FORCED_EVERY_S:
            return False
        if now < min(self._health[turn.device].probe_at for turn in self._probes) + _PATIENCE_S:
            return False
        self._forced_at = now
        return True

    async def _until(self, due_ns: int) -> None:
        """Sleep until `due_ns`, or a nap only: the schedule is asked again."""
        self._works(self._clock.monotonic())
        await self._wake_ups.sleep(due_ns)

    def _works(self, now: float) -> None:
        """Promise again, though not at every poll: it is far from due."""
        if now >= self._promise_at:
            self._promise_at = now + _PROMISE_AGAIN_S
            self._promise(_PROMISE_S)

    async def _take(self, turn: Turn) -> None:
        if turn.missed:
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
        """Ask one device in back-off, the one that waits longest; the others soon after."""
        self._probes.sort(key=lambda turn: self._health[turn.device].probe_at)
        turn, *rest = self._probes
        self._probes = []
        for other in rest:
            self._absent(other, Fault.BACKOFF)
            if other.device != turn.device:
                self._retry(other, FIRST_DELAY_S)
        if all(health.failures for health in self._health):
            await self._read(turn)  # there is nobody to be late for, and only a full time-out shows a dead connection
            return
        now_ns = self._clock.now_ns()
        free_s = (self._schedule.next_due(now_ns) - now_ns) / NS
        await self._read(turn, max(free_s, _LEAST_BOX_S, 1.5 * self._health[turn.device].took_s))

    async def _read(self, turn: Turn, box_s: float | None = None) -> None:
        """Read one device and hand its sweep on; raises LinkDown with the turn kept for when the link is back, or
        _HungUp."""
        reader = self._devices[turn.device].reader(turn.groups)
        if turn.due_ns is not None:
            late_s = (self._clock.now_ns() - turn.due_ns) / NS
            self.counters.late_max_s = max(self.counters.late_max_s, late_s)
        began = self._clock.monotonic()
        try:
            if box_s is None:
                sweep = self._judge(await reader.read())
            else:
                async with asyncio.timeout(box_s):
                    sweep = self._judge(await reader.read())
        except LinkDown as err:
            if self._is_to_blame(turn.device):
                self._silent(turn, Fault.LINK_DOWN, str(err))
                raise _HungUp from err
            self._lost_by = turn.device
            self._pending = replace(turn, missed=())
            raise
        except DeviceSilent as err:
            self._silent(turn, err.fault, str(err))
        except TimeoutError:
            if box_s is None:
                raise
            self._silent(turn, Fault.TIMEOUT, f"no answer in the {box_s:.2f} s the other devices leave free")
        else:
            self._answered(turn, sweep, self._clock.monotonic() - began)
        finally:
            ended = self._clock.monotonic()
            self.counters.busy_s += ended - began
        self._link_works()
        self._works(ended)
        if ended - self._figures_from >= _FIGURES_S:
            self._tell_figures()

    def _is_to_blame(self, device: int) -> bool:
        """Whether it is this device that the connection is lost by: by it once more, and not all devices fail."""
        health = self._health[device]
        again = self._lost_by == device or (health.failures > 0 and health.fault is Fault.LINK_DOWN)
        return again and any(not health.failures for n, health in enumerate(self._health) if n != device)

    def _answered(self, turn: Turn, sweep: Sweep, took_s: float) -> None:
        health = self._health[turn.device]
        self.counters.sweeps += 1
        health.took_s = took_s
        self._hand_on(sweep)
        if sweep.faults or self._news[turn.device].faulty:
            self._tell_faults(turn.device, sweep)
        if health.busy or (sweep.faults and not BUSY.isdisjoint(sweep.faults.values())):
            self._ask_busy_again(turn, sweep)
        if health.failures:
            self._back(turn.device)

    def _hand_on(self, sweep: Sweep) -> None:
        if sweep.faults:
            self.counters.faults.update(sweep.faults.values())
        self._sink(sweep)

    def _tell_faults(self, device: int, sweep: Sweep) -> None:
        log = self._log.bind(device=sweep.device)
        news, fine = self._news[device].swept(sweep.values.keys(), sweep.faults, self._clock.monotonic())
        for fault, points in news.items():
            log.warning("points.faulty", fault=fault, count=len(points), points=", ".join(points[:_NAMED_POINTS]))
        if fine:
            log.info("points.fine")

    def _ask_busy_again(self, turn: Turn, sweep: Sweep) -> None:
        """A meter that is busy now may not be in a second; a slow group must not wait for its next due time."""
        groups = self._devices[turn.device].groups
        busy = tuple(n for n in turn.groups if any(sweep.faults.get(point) in BUSY for point in groups[n].points))
        after_s = self._health[turn.device].heard(turn.groups, busy)
        if after_s is not None:
            self._retry(replace(turn, groups=busy, missed=()), after_s)

    def _tell_figures(self) -> None:
        told = self.figures
        self._log.info("bus.figures", **told.fields())
        self._figures_from, self._busy_before_s = self._clock.monotonic(), self.counters.busy_s

    def _silent(self, turn: Turn, fault: Fault, why: str) -> None:
        health = self._health[turn.device]
        delay = health.failed(fault, self._clock.monotonic())
        self.counters.silent += 1
        self._absent(turn, fault)
        self._retry(turn, delay)
        if not health.silent or health.announced or not self.link_up:
            return
        if len(self._health) > 1 and all(each.failures for each in self._health):
            if not self._all_silent:
                self._all_silent = True
                self._log.warning("bus.silent", devices=len(self._health), fault=fault, error=why)
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
        self._identify(device)

    def _identify(self, device: int) -> None:
        """Ask soon who answers: a meter is swapped while it is silent, or while the gateway is off."""
        groups = tuple(n for n, group in enumerate(self._devices[device].groups) if group.points == (IDENTITY,))
        if groups:
            self._schedule.retry(Turn(device=device, groups=groups, due_ns=None), self._clock.now_ns())

    def _link_works(self) -> None:
        self._lost_by = None
        if self._link_failures:
            self.counters.reconnects += 1
            self._link_failures = 0
        if not self.link_up:
            self.link_up = True
            self._log.info("bus.up")

    async def _without_link(self, err: LinkDown) -> None:
        """Return when the connection is to be tried again; what falls due until then gets its fault."""
        if isinstance(err, _HungUp) and self._link_failures <= 1:
            return  # the others are to be read; they show whether the link is well
        self._link_failures += 1
        if self.link_up and self._link_failures == 1:
            return  # gateways close idle connections: the first loss is no news, the turn is taken again
        if self.link_up or self._link_failures == 1:
            self.link_up = False
            self._log.warning("bus.down", error=str(err))
        delay = min(delay_s(self._link_failures), LONGEST_LINK_DELAY_S) * self._random.uniform(0.5, 1.0)
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
        self._hand_on(Sweep(device=polled.device.name, taken_at=at_ns, values={}, faults=faults))

    def _name(self, turn: Turn) -> str:
        return self._devices[turn.device].device.name
