"""Every reading of a meter in a period, with what it counted since the one before, interval by interval.

What is between two readings is cut at the ends of the intervals as the ledger cuts it, so that the lines of an interval
add up to it. A pause that was filled by the shape of other days joins the intervals it reaches into: these are compared
as one. Read chunk by chunk: however long the period, only a few hours of readings are held.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from centre.accounting.intervals import QUARTER_NS, ZERO, Interval
from centre.accounting.registers import Flag, Register, Sample, Step
from centre.accounting.zones import quarter_floor
from centre.meter_changes import MeterChanges
from centre.points import MeterPoints
from centre.recount import AFTER, BEFORE, CHUNK_NS, CHUNK_READINGS, register_of
from centre.register_samples import exact, samples_of
from centre.store.base import FAR_NS, Grain, Reading, Registers, SeriesKey
from centre.trace_registers import CHECKED, may_be_filled, substitute, what_happened

_SHARE: Final = Decimal("1e-9")
SUSPECT: Final = "the gateway did not believe it"
DROPPED: Final = "not believed: the readings around it contradict it"
FIRST: Final = "the reading that the next one is compared with"
WAITS: Final = "the next reading decides whether it is believed"
INTEGRAL: Final = "the mean of two rates x the time between"
UNKNOWN: Final = "too long a pause between two rates: nothing is known"


class Kind(StrEnum):
    READING = "reading"
    BEFORE = "before"  # what was counted from the reading before the first interval to its beginning
    BOUNDARY = "boundary"  # the end of an interval between two readings
    INTERVAL = "interval"  # the lines since the one before make this


class Line(NamedTuple):
    """One line of the list. `at`: UTC ns; of an interval its end, with `since` its beginning.

    `value`: what was read; of an interval what is accounted. `counted`: what was counted since the line before, x
    `scale`; None: this reading counts nothing, or what it counted is not known. `what`: why it is no plain difference.
    """

    kind: Kind
    at: int
    value: Decimal | str | None
    counted: Decimal | None
    scale: Decimal = Decimal(1)
    flag: str = ""
    what: str = ""
    since: int = 0

    @property
    def believed(self) -> bool:
        """Whether it is a reading that the next one is compared with."""
        return self.kind is Kind.READING and self.what not in {SUSPECT, DROPPED, WAITS}


async def listed(store: Registers, points: MeterPoints, intervals: Sequence[Interval]) -> AsyncIterator[Line]:
    """All lines of consecutive accounted intervals of a meter; raises StoreError."""
    if points.counter is None or not intervals:
        return
    known = replace(points, epochs=await MeterChanges(store).of(points.counter))
    around = await _whole(store, known, intervals)
    work = _Work(store=store, points=known, counter=points.counter, since=around[0].start)
    place = 0
    while place < len(around):
        first = place
        while place < len(around) and (place == first or around[place].end - around[first].start <= CHUNK_NS):
            place += 1
        for line in work.summed(await work.chunk(around[first:place]), around[first:place]):
            yield line


async def _whole(store: Registers, points: MeterPoints, intervals: Sequence[Interval]) -> list[Interval]:
    """With the quarters before and after that a pause over the edge of the period reaches into."""
    counter = points.counter
    assert counter is not None
    start, end = intervals[0].start, intervals[-1].end
    first, last = start, end
    for step in await _across(store, points, counter, start):
        first = quarter_floor(step.start)
    for step in await _across(store, points, counter, end):
        last = quarter_floor(step.end - 1) + QUARTER_NS
    before = await store.read_rollup(counter, Grain.QUARTER, first, start) if first < start else ()
    after = await store.read_rollup(counter, Grain.QUARTER, end, last) if end < last else ()
    return [*(found.interval for found in before), *intervals, *(found.interval for found in after)]


async def _across(store: Registers, points: MeterPoints, counter: SeriesKey, at: int) -> list[Step]:
    """The pause over `at` that was filled, if there is one."""
    around = [*await store.before(counter, at, BEFORE), *await store.read(counter, at, FAR_NS, limit=AFTER)]
    register = register_of(points, samples_of([reading for reading in around if not reading.suspect]))
    return [step for step in register.steps if step.start < at < step.end and _joins(step, points)]


def _joins(step: Step, points: MeterPoints) -> bool:
    """Whether the ledger may give the step's own total another shape than a straight line."""
    return step.amount is not None and may_be_filled(step, points)


@dataclass(slots=True, kw_only=True)
class _Work:
    """One meter's list while it is made; `since`, `accounted`, `counted`: of the interval that is still open."""

    store: Registers
    points: MeterPoints
    counter: SeriesKey
    since: int
    accounted: Decimal | None = None
    counted: Decimal = ZERO
    begun: bool = False

    async def chunk(self, intervals: Sequence[Interval]) -> list[Line]:
        """The lines of (start, end] of a few intervals, in order; before the very first the reading it starts from."""
        start, end = intervals[0].start, intervals[-1].end
        readings = [
            *await self.store.before(self.counter, start, BEFORE),
            *await self.store.read(self.counter, start, end + 1, limit=CHUNK_READINGS),
            *await self.store.read(self.counter, end + 1, FAR_NS, limit=AFTER),
        ]
        samples = samples_of([reading for reading in readings if not reading.suspect])
        register = register_of(self.points, samples)
        values = {sample.at: sample for sample in samples}
        lines: list[Line] = []
        if not self.begun:
            for step in [step for step in register.steps if step.start <= start < step.end]:
                lines.append(self._reading(values[step.start]))
                if step.amount is not None and not self._filled(step):
                    lines.append(Line(Kind.BEFORE, start, None, _until(step, start), flag=step.flag))
            self.begun = True
        for step in register.steps:
            if step.start < end and step.end > start:
                lines += self._cut(step, values, intervals, start)
        lines += self._others(readings, register, values, start, end)
        joined = [step for step in register.steps if self._filled(step)]
        for interval in intervals:
            if not any(step.start < interval.end < step.end for step in joined):
                lines.append(Line(Kind.INTERVAL, interval.end, None, None))
        return sorted(lines, key=lambda line: (line.at, line.kind is Kind.INTERVAL))

    def summed(self, lines: Sequence[Line], intervals: Sequence[Interval]) -> Iterator[Line]:
        """`lines`, each interval with what is accounted and what its lines make."""
        accounted = iter(intervals)
        for line in lines:
            if line.kind is Kind.BEFORE:
                yield line
                continue
            if line.kind is not Kind.INTERVAL:
                self.counted += line.counted or ZERO
                yield line
                continue
            for found in accounted:
                self._account(found)
                if found.end == line.at:
                    break
            yield line._replace(value=self.accounted, counted=self.counted, since=self.since)
            self.since, self.accounted, self.counted = line.at, None, ZERO
        for found in accounted:
            self._account(found)

    def _account(self, found: Interval) -> None:
        if found.amount is not None:
            self.accounted = found.amount if self.accounted is None else self.accounted + found.amount

    def _cut(
        self, step: Step, values: Mapping[int, Sample], intervals: Sequence[Interval], start: int
    ) -> Iterator[Line]:
        """A step, in parts where intervals end inside it."""
        ends = [found.end for found in intervals]
        old, new = values[step.start], values[step.end]
        reached = max(step.start, start)
        whole = step.amount is None or self._filled(step)
        for at in ends:
            if not whole and reached < at < step.end:
                yield Line(Kind.BOUNDARY, at, None, _until(step, at) - _until(step, reached), flag=step.flag)
                reached = at
        if step.amount is None and may_be_filled(step, self.points):
            for found in intervals:
                if step.start <= found.start and found.end <= step.end and substitute(found):
                    yield Line(Kind.BOUNDARY, found.end, None, substitute(found), flag=Flag.SUBSTITUTED, what=CHECKED)
        if step.end <= ends[-1]:
            counted = None if step.amount is None else step.amount - (ZERO if whole else _until(step, reached))
            beside = self._filled(step) and any(step.start < found.end and substitute(found) for found in intervals)
            flag = Flag.SUBSTITUTED if beside else step.flag
            yield Line(
                Kind.READING, step.end, new.value, counted, self._scale(step.end), flag, self._what(step, old, new)
            )

    def _what(self, step: Step, old: Sample, new: Sample) -> str:
        if self.points.integrated:
            return INTEGRAL if step.amount is not None else UNKNOWN
        scale = self._scale(step.start)
        plain = step.amount == (new.value - old.value) * scale and scale == self._scale(step.end)
        return "" if plain else what_happened(step, old, new, self.points.rule)

    def _others(
        self, readings: Sequence[Reading], register: Register, values: Mapping[int, Sample], start: int, end: int
    ) -> Iterator[Line]:
        """The readings that end no step: the first of all, and those that are not believed."""
        ends = {step.end for step in register.steps}
        first = {step.start for step in register.steps[:1]}
        for reading in readings:
            if not start < reading.at <= end or reading.at in ends:
                continue
            if reading.suspect or isinstance(reading.value, str):
                value = reading.value if isinstance(reading.value, str) else exact(reading.value)
                yield Line(Kind.READING, reading.at, value, None, flag=Flag.SUSPECT, what=SUSPECT)
            elif reading.at in first:
                yield self._reading(values[reading.at])
            else:
                what = WAITS if reading.at == register.pending else DROPPED
                yield Line(Kind.READING, reading.at, values[reading.at].value, None, flag=Flag.SUSPECT, what=what)

    def _reading(self, found: Sample) -> Line:
        return Line(Kind.READING, found.at, found.value, None, self._scale(found.at), what=FIRST)

    def _filled(self, step: Step) -> bool:
        return _joins(step, self.points)

    def _scale(self, at: int) -> Decimal:
        return self.points.rule.factor_at(at)


def _until(step: Step, at: int) -> Decimal:
    """What a step had counted at `at`, rounded as the intervals are."""
    assert step.amount is not None
    if at <= step.start:
        return ZERO
    part = step.amount * (at - step.start) / (step.end - step.start)
    return part.quantize(_SHARE, ROUND_HALF_EVEN)
