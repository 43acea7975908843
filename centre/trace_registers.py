"""The register readings behind a meter's days: where a stretch of days begins and ends, and what happened between.

A stretch lies between two midnights that the register crossed in a plain small step. Its amount is the difference of
the register there. Where it is not (rollover, reset, another meter), all readings of the stretch are walked through
and what happened stands between the plain runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

from centre.accounting.gap_filling import may_be_checked, needs_profile
from centre.accounting.intervals import QUARTER_NS, ZERO, Interval
from centre.accounting.registers import Flag, RegisterRule, Sample, deltas
from centre.accounting.registers import Step as Advance
from centre.accounting.zones import quarter_floor
from centre.meter_changes import MeterChanges
from centre.points import MeterPoints
from centre.register_samples import samples_of
from centre.store.base import FAR_NS, Bucket, Grain, Reading, Registers, SeriesKey

_BEFORE: Final = 32
_AFTER: Final = 4
_NEWER: Final = 1000  # readings that may wait to be accounted
_MOST: Final = 3_000_000
CHECKED: Final = "the register does not know it: what the check meter beside it counted"
PAUSE_CHECKED: Final = "the part of a pause that lies in the period: as the check meter beside it counted"
PAUSE: Final = "the part of a pause that lies in the period: it has the shape of the same weekdays before"
_SHARE: Final = Decimal("1e-9")


class Edge(NamedTuple):
    """The register at a time: between two readings, or at one (then both are the same)."""

    at: int
    old: Sample
    new: Sample
    scale: Decimal

    @property
    def value(self) -> Decimal:
        """Scaled; rounded as the intervals are."""
        begun = self.old.value * self.scale
        if self.at == self.old.at:
            return begun
        amount = (self.new.value - self.old.value) * self.scale
        if self.at == self.new.at:
            return begun + amount
        part = amount * (self.at - self.old.at) / (self.new.at - self.old.at)
        return begun + part.quantize(_SHARE, ROUND_HALF_EVEN)


class Event(NamedTuple):
    """A step of the register that is no plain difference; `amount` None: not counted.

    `since` tells apart the shares of one in several periods.
    """

    old: Sample
    new: Sample
    amount: Decimal | None
    what: str
    since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Days from `begin` to `end`. Its amount is the sum of the runs (end less begin of each) and of the events."""

    begin: Edge
    end: Edge
    runs: tuple[tuple[Edge, Edge], ...]
    events: tuple[Event, ...]

    @property
    def amount(self) -> Decimal:
        return sum((last.value - first.value for first, last in self.runs), ZERO) + sum(
            (event.amount for event in self.events if event.amount is not None), ZERO
        )


async def stretches(store: Registers, points: MeterPoints, days: Sequence[Bucket]) -> tuple[Stretch, ...]:
    """The stretches of the days of which something is known, in order."""
    known = [day.interval for day in days if day.interval.amount is not None]
    counter = points.counter
    if not known or counter is None or points.integrated:
        return ()
    known_points = replace(points, epochs=await MeterChanges(store).of(counter))
    reader = _Reader(store, counter, known_points)
    bounds = [known[0].start, *(day.end for day in known)]
    edges = [await reader.edge(at, outer=place in {0, len(bounds) - 1}) for place, at in enumerate(bounds)]
    lead, tail = await reader.pause(bounds[0], first=True), await reader.pause(bounds[-1], first=False)
    edges[0] = edges[0] if lead is None else lead[0]
    edges[-1] = edges[-1] if tail is None else tail[0]
    found: list[Stretch] = []
    begun, amount = 0, ZERO
    for place, day in enumerate(known, 1):
        amount += day.amount or ZERO
        first, last = edges[begun], edges[place]
        if last is None or first is None:
            continue
        shares = [one[1] for one, at in ((lead, begun == 0), (tail, place == len(known))) if one is not None and at]
        plain = amount - sum((share.amount or ZERO for share in shares), ZERO)
        if day.open:
            last = await reader.accounted(first, last, plain)
        if first.scale == last.scale and last.value - first.value == plain:
            made = Stretch(begin=first, end=last, runs=((first, last),), events=())
        else:
            made = await reader.walk(first, last)
        found.append(replace(made, events=(*made.events, *shares)))
        begun, amount = place, ZERO
    return tuple(found)


class _Reader:
    def __init__(self, store: Registers, series: SeriesKey, points: MeterPoints) -> None:
        self._store = store
        self._series = series
        self._points = points
        self._rule = points.rule
        self._max_gap_ns = points.max_gap_ns

    async def edge(self, at: int, *, outer: bool) -> Edge | None:
        """The register at a midnight; None where it jumped or paused there, so that days have to be taken together.

        At the outer ends something has to stand: the share of a pause, or where the readings begin or end.
        """
        around = await self._around(at)
        samples = _believed(around)
        register = deltas(samples, self._rule)
        for step in register.steps:
            if step.start <= at <= step.end:
                old, new = (next(sample for sample in samples if sample.at == end) for end in (step.start, step.end))
                scale = self._rule.factor_at(old.at)
                plain = step.amount == (new.value - old.value) * scale
                if plain and (outer or new.at - old.at <= self._max_gap_ns):
                    return Edge(at, old, new, scale)
                return None
        samples = [sample for sample in samples if sample.at not in register.suspects]
        if not outer or not samples:
            return None
        nearest = next((sample for sample in samples if sample.at >= at), samples[-1])
        return Edge(nearest.at, nearest, nearest, self._rule.factor_at(nearest.at))

    async def accounted(self, first: Edge, last: Edge, amount: Decimal) -> Edge:
        """The end of a day that is still running: the store may hold readings already that are not accounted yet."""
        newer = (await self.walk(first, last)).amount - amount
        if newer:
            for sample in reversed(_believed(await self._store.before(self._series, last.at, _NEWER))):
                if (last.value - sample.value * last.scale) == newer:
                    return Edge(sample.at, sample, sample, last.scale)
        return last

    async def pause(self, at: int, *, first: bool) -> tuple[Edge, Event] | None:
        """Where a pause with the shape of other days lies over the period's edge: the register beside it, its share.

        The share is what the accounted quarters hold of it: what they count less what the register counted beside it.
        """
        around = await self._around(at)
        samples = {sample.at: sample for sample in _believed(around)}
        for step in deltas(list(samples.values()), self._rule).steps:
            if step.start < at < step.end and may_be_filled(step, self._points):
                old, new = samples[step.start], samples[step.end]
                beside = new if first else old
                inner = quarter_floor(old.at) if not first else quarter_floor(new.at - 1) + QUARTER_NS
                edge = Edge(beside.at, beside, beside, self._rule.factor_at(beside.at))
                reached = await self.edge(inner, outer=True)
                if reached is None:
                    return None
                quarters = await self._store.read_rollup(self._series, Grain.QUARTER, *sorted((at, inner)))
                counted = sum((one.interval.amount or ZERO for one in quarters), ZERO)
                what = PAUSE_CHECKED if any(substitute(one.interval) for one in quarters) else PAUSE
                return edge, Event(old, new, counted - abs(reached.value - edge.value), what)
        return None

    async def _around(self, at: int) -> list[Reading]:
        return [
            *await self._store.before(self._series, at, _BEFORE),
            *await self._store.read(self._series, at, FAR_NS, limit=_AFTER),
        ]

    async def walk(self, first: Edge, last: Edge) -> Stretch:
        """All steps between two edges: plain runs, and what happened between them."""
        readings = [
            *await self._store.before(self._series, first.at, _BEFORE),
            *await self._store.read(self._series, first.at, last.at, limit=_MOST),
            *await self._store.read(self._series, last.at, FAR_NS, limit=_AFTER),
        ]
        samples = {sample.at: sample for sample in _believed(readings)}
        steps = deltas(list(samples.values()), self._rule).steps
        runs: list[tuple[Edge, Edge]] = []
        events: list[Event] = []
        begun = first
        for step in steps:
            if step.end <= first.at or step.start >= last.at:
                continue
            old, new = samples[step.start], samples[step.end]
            scale = self._rule.factor_at(old.at)
            plain = step.amount == (new.value - old.value) * scale
            if plain and scale == begun.scale:
                continue
            runs.append((begun, Edge(old.at, old, old, begun.scale)))
            if plain:  # the register goes on, and is worth something else from here on
                begun = Edge(old.at, old, old, scale)
                continue
            beside = await self._substituted(step)
            what = CHECKED if beside else what_happened(step, old, new, self._rule)
            events.append(Event(old, new, beside or step.amount, what))
            begun = Edge(new.at, new, new, self._rule.factor_at(new.at))
        runs.append((begun, last))
        return Stretch(begin=first, end=last, runs=tuple(runs), events=tuple(events))

    async def _substituted(self, step: Advance) -> Decimal:
        """What stands in for a step of which the register knows nothing."""
        if step.amount is not None or not may_be_filled(step, self._points):
            return ZERO
        first = step.start + -step.start % QUARTER_NS
        quarters = await self._store.read_rollup(self._series, Grain.QUARTER, first, quarter_floor(step.end))
        return sum((substitute(one.interval) for one in quarters), ZERO)


def may_be_filled(step: Advance, points: MeterPoints) -> bool:
    """Whether the ledger may have given the step another shape than a straight line, or an amount."""
    gap = points.max_gap_ns
    with_check = points.meter.check is not None and may_be_checked(step, gap)
    return with_check or (step.end - step.start > gap and needs_profile(step, gap))


def substitute(found: Interval) -> Decimal:
    """What of an interval a check meter counted."""
    return dict(found.marked).get(Flag.SUBSTITUTED, ZERO)


def _believed(readings: Sequence[Reading]) -> list[Sample]:
    return samples_of([reading for reading in readings if not reading.suspect])


def what_happened(step: Advance, old: Sample, new: Sample, rule: RegisterRule) -> str:
    """In words, of a step that is no plain difference."""
    replaced = any(old.at < change.at <= new.at for change in rule.replacements)
    if replaced and step.amount is None:
        return "the meter was replaced, and nobody wrote down what this register showed: it is not in the sum"
    if replaced:
        return "the meter was replaced: (final - last) of the old one + (first - initial) of the new one, each scaled"
    if step.amount is None:
        return "the register jumped: what was counted between is not known and not in the sum"
    if step.flag is Flag.ESTIMATED:
        return "the register was reset: what it shows since it began at 0"
    if new.value >= old.value:
        return "the steam has another state from then on: this step counts by the one before"
    return f"the register rolled over at {rule.modulus_at(old.at)}"
