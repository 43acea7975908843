"""When each device is due: boundaries of the wall clock in UTC, earliest deadline first. Pure; time is an argument.

Every interval counts from the epoch, so 15min hits every quarter of an hour and 1s every full second, without drift;
all devices of all buses that are due at one boundary cost one wake-up. A device with several poll groups has one turn
for all that are due: one read of the union, one stamp, fewer requests, and no point is asked twice.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import Final

from metering.quantities import IDENTITY, Kind
from metering.sweep import PointInfo

NS: Final = 1_000_000_000
IDENTITY_S: Final = Decimal(900)
_ONLY: Final = (0,)
MAX_MISSED: Final = 60
"""Of the boundaries one late turn has missed, so many are named; a longer gap is a stopped process or a set clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollGroup:
    """Points of one device that are read at the same interval (ns)."""

    interval_ns: int
    points: tuple[str, ...]


def poll_groups(points: Iterable[PointInfo], *, gauges_s: Decimal, counters_s: Decimal) -> tuple[PollGroup, ...]:
    """The groups of a device, shortest interval first: gauges, what only moves slowly (counters and states), and the
    identity of the meter, which is read when it may have changed besides."""
    by_interval: dict[int, list[str]] = {}
    for point in points:
        seconds = gauges_s if point.kind is Kind.GAUGE else counters_s
        if point.name == IDENTITY:
            seconds = max(seconds, IDENTITY_S)
        by_interval.setdefault(int(seconds * NS), []).append(point.name)
    return tuple(PollGroup(interval_ns=ns, points=tuple(names)) for ns, names in sorted(by_interval.items()))


def boundary_after(now_ns: int, interval_ns: int) -> int:
    """The first multiple of the interval since the epoch that is later than `now_ns`."""
    return (now_ns // interval_ns + 1) * interval_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One device is to be read now.

    `groups` are the indexes of the poll groups to read, ascending. `due_ns` is the boundary the turn serves; None when
    it only makes up for an earlier one. `missed` are boundaries (ns, group) that passed unserved, the latest
    MAX_MISSED of each group.
    """

    device: int
    groups: tuple[int, ...]
    due_ns: int | None
    missed: tuple[tuple[int, int], ...] = ()


class Schedule:
    """The due times of the devices of one bus; hands out one turn at a time."""

    def __init__(self, intervals_ns: Sequence[Sequence[int]], now_ns: int) -> None:
        """`intervals_ns` by device and poll group; each group is first due at the boundary at or after `now_ns`."""
        self._intervals = [tuple(device) for device in intervals_ns]
        self._due: list[list[int]] = []
        self._waiting: list[tuple[int, int]] = []  # (due, device)
        self._ready: list[tuple[int, int]] = []  # (deadline, device)
        self._restart(now_ns)

    def _restart(self, now_ns: int) -> None:
        self._due = [[boundary_after(now_ns - 1, interval) for interval in device] for device in self._intervals]
        self._waiting = [(min(dues), device) for device, dues in enumerate(self._due)]
        self._ready = []
        heapify(self._waiting)

    def next_due(self, now_ns: int) -> int:
        """When the next turn can be taken (UTC ns); not after `now_ns` when one is ready.

        A wall clock that was set back would leave every due time in the far future: then all start anew.
        """
        if self._ready:
            return now_ns
        due, device = self._waiting[0]
        if due - now_ns > max(self._intervals[device]):
            self._restart(now_ns)
            due, _ = self._waiting[0]
        return due

    def take(self, now_ns: int) -> Turn | None:
        """The turn with the earliest deadline (due time + interval) of those due, or None; each is given once.

        However late, a group is read once and then waits for its next boundary.
        """
        while self._waiting and self._waiting[0][0] <= now_ns:
            _, device = heappop(self._waiting)
            heappush(self._ready, (self._deadline(device, now_ns), device))
        while self._ready:
            _, device = heappop(self._ready)
            turn = self._turn(device, now_ns)
            if turn.groups:  # none are left when the clock was set back meanwhile
                return turn
        return None

    def retry(self, turn: Turn, at_ns: int) -> None:
        """Give the groups of a failed turn another one at `at_ns`, each unless its next boundary comes before."""
        dues = self._due[turn.device]
        sooner = [group for group in turn.groups if at_ns < dues[group]]
        if sooner:
            for group in sooner:
                dues[group] = at_ns
            # a device stands in the heap once: its entry moves forward
            self._waiting = [entry for entry in self._waiting if entry[1] != turn.device]
            self._waiting.append((min(dues), turn.device))
            heapify(self._waiting)

    def _deadline(self, device: int, now_ns: int) -> int:
        dues, intervals = self._due[device], self._intervals[device]
        if len(dues) == 1:
            return dues[0] + intervals[0]
        return min(due + interval for due, interval in zip(dues, intervals, strict=True) if due <= now_ns)

    def _turn(self, device: int, now_ns: int) -> Turn:
        dues, intervals = self._due[device], self._intervals[device]
        if len(dues) == 1 and dues[0] <= now_ns < dues[0] + intervals[0] and dues[0] % intervals[0] == 0:
            return self._usual_turn(device)
        groups = tuple(group for group, due in enumerate(dues) if due <= now_ns)
        served: list[int] = []
        missed: list[tuple[int, int]] = []
        for group in groups:
            interval = intervals[group]
            first = boundary_after(dues[group] - 1, interval)
            latest = now_ns // interval * interval
            if first <= latest:
                served.append(latest)
                first = max(first, latest - MAX_MISSED * interval)
                missed += [(due, group) for due in range(first, latest, interval)]
            dues[group] = latest + interval
        heappush(self._waiting, (min(dues), device))
        return Turn(
            device=device,
            groups=groups,
            due_ns=max(served, default=None),
            missed=tuple(missed),
        )

    def _usual_turn(self, device: int) -> Turn:
        """Of a device with one group, at the boundary it is due at."""
        (due,) = self._due[device]
        self._due[device][0] = next_due = due + self._intervals[device][0]
        heappush(self._waiting, (next_due, device))
        return Turn(device=device, groups=_ONLY, due_ns=due)


def missed_groups(missed: Collection[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    """The groups missed at each boundary, by boundary in order: what one fault sweep each tells."""
    by_due: dict[int, list[int]] = {}
    for due, group in sorted(missed):
        by_due.setdefault(due, []).append(group)
    return {due: tuple(groups) for due, groups in by_due.items()}
