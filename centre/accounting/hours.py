"""The completeness ledger: for a device and an hour what was expected, what came, and why the rest did not. Pure.

All are counts of readings, an hour is one of UTC. What no count explains is missing, or lost when its gateway has
nothing any more that could fill it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Final

from metering.faults import Fault
from metering.quantities import IDENTITY
from metering.sweep import DeviceInfo

NS: Final = 1_000_000_000
HOUR_NS: Final = 3600 * NS
_END: Final = 2**63
LATE_NS: Final = 60 * NS
"""A reading that is this old when it comes is late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Of one device and hour, as stored; each reading counts once, however often it came.

    `doubtful` of the received ones came in parcels whose times are in doubt, by metering.parcel.TimeQuality. `points`
    are faults of single points, `sweeps` those that stand for all points of the device, by reason.
    """

    received: int = 0
    late: int = 0
    doubtful: Mapping[str, int] = field(default_factory=dict[str, int])
    points: Mapping[str, int] = field(default_factory=dict[str, int])
    sweeps: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Plan:
    """What a gateway was told to read of a device, from `since` on; `info` None: nothing any more."""

    since: int
    gateway: str
    info: DeviceInfo | None


@dataclass(frozen=True, slots=True)
class Window:
    """Between `start` and `end` nothing came from a gateway that could still come; `cause` says why."""

    start: int
    end: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHour:
    """One line of the ledger: expected = received + faulty + lost + missing, unless more came than was expected.

    `late` of the received ones came more than a minute after they were read; `suspect` ones were not believed; the
    times of `doubtful` ones are in doubt, by metering.parcel.TimeQuality.
    """

    start_ns: int
    expected: int
    received: int
    late: int
    suspect: int
    doubtful: Mapping[str, int]
    faulty: Mapping[str, int]
    lost: Mapping[str, int]
    missing: int


def device_hours(
    plans: Sequence[Plan], tallies: Mapping[int, Tally], windows: Sequence[Window], *, start: int, end: int, now: int
) -> tuple[DeviceHour, ...]:
    """The lines of one device, from the hour of `start` to the last that begins before `end`.

    Nothing is expected yet from `now` on; in the running hour what is newer than that stands against what is missing.
    """
    first = start - start % HOUR_NS
    hours = range(first, min(end, now), HOUR_NS)
    expected = {at: _expected(plans, at, min(at + HOUR_NS, now)) for at in hours}
    faulty = {at: _faulty(tallies.get(at, Tally()), plans, at) for at in hours}
    received = {at: tallies[at].received if at in tallies else 0 for at in hours}
    absent = {at: expected[at] - received[at] - sum(faulty[at].values()) for at in hours}
    _carry(absent, _points(plans, end))
    lines: list[DeviceHour] = []
    for at in hours:
        tally = tallies.get(at, Tally())
        missing = max(absent[at], 0)
        lost = _lost(missing, expected[at], windows, at, min(at + HOUR_NS, now))
        lines.append(
            DeviceHour(
                start_ns=at,
                expected=expected[at],
                received=tally.received,
                late=tally.late,
                suspect=tally.points.get(Fault.SUSPECT, 0),
                doubtful=tally.doubtful,
                faulty=faulty[at],
                lost=lost,
                missing=missing - sum(lost.values()),
            )
        )
    return tuple(lines)


def windows_of(plans: Sequence[Plan], lost: Mapping[str, Sequence[Window]]) -> tuple[Window, ...]:
    """The windows of one device: those of each gateway, for as long as it was to read the device."""
    turns = [(gateway, next(turn).since) for gateway, turn in groupby(plans, key=lambda plan: plan.gateway)]
    begins = [0, *(since for _, since in turns[1:]), _END]
    return tuple(
        Window(max(window.start, begin), min(window.end, end), window.cause)
        for (gateway, _), (begin, end) in zip(turns, pairwise(begins), strict=True)
        for window in lost.get(gateway, ())
        if window.start < end and window.end > begin
    )


def _expected(plans: Sequence[Plan], start: int, end: int) -> int:
    """Due times in [start, end): polls fall on the multiples of their interval."""
    due = 0
    ends = [plan.since for plan in plans[1:]] + [end]
    for plan, until in zip(plans, ends, strict=True):
        begin, stop = max(start, plan.since), min(end, until)
        if plan.info is not None and begin < stop:
            for interval, points in _intervals(plan.info).items():
                due += points * (-(-stop // interval) + begin // -interval)
    return due


def _intervals(info: DeviceInfo) -> Mapping[int, int]:
    """Interval in ns -> how many points are read at it; the identity is read at other times besides."""
    found: dict[int, int] = {}
    for point in info.points:
        if point.name != IDENTITY:
            interval = int(Decimal(point.interval_s or info.interval_s) * NS)
            found[interval] = found.get(interval, 0) + 1
    return found


def _points(plans: Sequence[Plan], at: int) -> int:
    """How many points were to be read at `at`."""
    known = [plan.info for plan in plans if plan.since <= at and plan.info is not None]
    return sum(point.name != IDENTITY for point in known[-1].points) if known else 1


def _faulty(tally: Tally, plans: Sequence[Plan], at: int) -> dict[str, int]:
    found = {reason: count for reason, count in tally.points.items() if reason != Fault.SUSPECT}
    for reason, count in tally.sweeps.items():
        found[reason] = found.get(reason, 0) + count * _points(plans, at + HOUR_NS)
    return found


def _carry(absent: dict[int, int], points: int) -> None:
    """A poll due at the end of an hour is answered in the next: one sweep too many there is not missing here."""
    for hour, following in pairwise(sorted(absent)):
        moved = min(max(absent[hour], 0), max(-absent[following], 0), points)
        absent[hour] -= moved
        absent[following] += moved


def _lost(missing: int, expected: int, windows: Iterable[Window], start: int, end: int) -> dict[str, int]:
    """How many of the missing readings fall to each cause: at most what the windows hold, a sweep more at the edges."""
    found: dict[str, int] = {}
    for window in windows:
        overlap = min(window.end, end) - max(window.start, start)
        if overlap > 0 and missing > 0:
            share = min(missing, -(-expected * overlap // (end - start)) + 1)
            found[window.cause] = found.get(window.cause, 0) + share
            missing -= share
    return found
