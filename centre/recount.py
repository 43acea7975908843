"""Counts a stretch of a series again: from stored readings to quarters of an hour, gaps filled by earlier weekdays."""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from centre.accounting.gap_filling import (
    checked,
    fill,
    may_be_checked,
    needs_profile,
    same_weekdays,
    shaped,
    weekday_profile,
)
from centre.accounting.intervals import QUARTER_NS, Interval, cut
from centre.accounting.power_integral import integrate
from centre.accounting.registers import HOUR_NS, Register, Sample, Step, deltas
from centre.accounting.zones import quarter_floor
from centre.carriers import CARRIERS, Flow
from centre.plant import Plant
from centre.points import MeterPoints
from centre.register_samples import samples_in
from centre.store.base import FAR_NS, Columns, Dirty, Reading, SeriesKey, Store
from centre.thinning import Outline, outlined, thinned
from wattline.clock import NS

CHUNK_NS: Final = 16 * QUARTER_NS  # bounds memory, and for how long other tasks wait
CHUNK_READINGS: Final = 200_000
BEFORE: Final = 32  # readings before a stretch, so that the state of the register at its start is known
AFTER: Final = 3  # and behind it: as many as decide whether its last step was an error
_GUESS: Final = 2 * AFTER
_PER_UNIT: Final = {"W": 1000}

History = Callable[[int, int], Awaitable[Mapping[int, Interval]]]
"""The accounted quarters of the series in [t0, t1), by start."""


@dataclass(slots=True)
class Recount:
    """One series to be counted again; keeps what it read, and the shapes of the gaps it met."""

    store: Store
    series: SeriesKey
    plant: Plant
    points: MeterPoints
    history: History
    check: History | None = None
    _read: tuple[int, int, Columns] | None = None
    _outline: tuple[int, int, Outline] | None = None
    _shapes: dict[Step, tuple[Step, ...]] = field(default_factory=dict[Step, tuple[Step, ...]])

    async def bounds(self, dirty: Dirty) -> tuple[int, int]:
        """The stretch that the readings of `dirty` can have changed: up to as many readings around as decide."""
        assert self.points.interval_s is not None
        if outline := await self._outlined(dirty):
            self._outline = outline
            return outline[:2]
        poll = int(self.points.interval_s * NS)
        start, end = quarter_floor(dirty.first - _GUESS * poll), quarter_floor(dirty.last) + QUARTER_NS
        if end - start <= CHUNK_NS:
            found = await self._columns(start, end)
            first, behind = bisect_left(found.times, dirty.first), bisect_left(found.times, dirty.last + 1)
            before = found.times[first - AFTER] if first >= AFTER else 0
            after = found.times[behind:][AFTER - 1 :] or (found.times[behind:] and found.times[-1:])
            until = quarter_floor(after[0]) + QUARTER_NS if after else end
            if not found.suspects and before >= start and until <= end:
                self._read = (start, end, found)
                return quarter_floor(before), end
        earlier = await self._back(dirty.first, AFTER)
        later = await self._ahead(dirty.last + 1)
        return (
            quarter_floor(earlier[0].at if earlier else dirty.first),
            quarter_floor(later[-1].at if later else dirty.last) + QUARTER_NS,
        )

    async def quarters(self, start: int, end: int, step_ns: int = QUARTER_NS) -> list[Interval]:
        """The intervals of [start, end) from all readings in it and enough on both sides; of `step_ns`, where told."""
        gap = self.points.max_gap_ns
        if self._outline is not None and self._outline[0] <= start and end <= self._outline[1]:
            register, samples, readings = self._outline[2]
            register = await self._filled(register)
            return cut(register, samples, start=start, end=end, max_gap_ns=gap, readings=readings)
        known = self._read
        columns = known[2] if known is not None and known[0] <= start and end <= known[1] else None
        if columns is None:
            columns = await self._columns(start, end)
        register, samples = self._register(columns, step_ns)
        if columns.suspects:
            register = replace(register, suspects=tuple(sorted(columns.suspects.union(register.suspects))))
        register = await self._filled(register)
        return cut(register, samples, start=start, end=end, max_gap_ns=gap, step_ns=step_ns, times=columns.times)

    async def _outlined(self, dirty: Dirty) -> tuple[int, int, Outline] | None:
        """The stretch of `dirty` and what counts in it, where the store is certain of all readings since."""
        if self.points.integrated:
            return None
        found = await self.store.climbs(self.series, dirty.first, before=AFTER)
        if found is None:
            return None
        start, end = quarter_floor(found[0]), quarter_floor(found[1][-1].last) + QUARTER_NS
        outline = outlined(found[1], start, self.points.rule, before=BEFORE)
        return None if outline is None or dirty.last >= end else (start, end, outline)

    def _register(self, columns: Columns, step_ns: int) -> tuple[Register, list[Sample]]:
        # what lies within a quarter of an hour is thinned out
        quick = step_ns == QUARTER_NS and not columns.suspects and not self.points.integrated
        if quick and (found := thinned(columns.times, columns.values, self.points.rule)) is not None:
            return found
        samples = _believed(columns)
        return register_of(self.points, samples), samples

    async def _filled(self, register: Register) -> Register:
        """Gaps take what the check meter counted; long ones without one the shape of the same weekdays before."""
        gap = self.points.max_gap_ns
        if self.check is not None:
            beside: dict[Step, tuple[Step, ...]] = {}
            for step in register.steps:
                if may_be_checked(step, gap):
                    if step not in self._shapes:
                        found = await self.check(quarter_floor(step.start), quarter_floor(step.end) + QUARTER_NS)
                        self._shapes[step] = checked(step, found)
                    if self._shapes[step] == (step,):
                        del self._shapes[step]
                    else:
                        beside[step] = self._shapes[step]
            register = fill(register, beside)
        long = [step for step in register.steps if step.end - step.start > gap and needs_profile(step, gap)]
        for step in long:
            if step not in self._shapes:
                days = zip(
                    same_weekdays(quarter_floor(step.start), self.plant.zone),
                    same_weekdays(quarter_floor(step.end), self.plant.zone),
                    strict=True,
                )
                history: dict[int, Interval] = {}
                for first, last in days:
                    history |= await self.history(first - HOUR_NS, last + HOUR_NS)
                self._shapes[step] = shaped(step, weekday_profile(history, self.plant.zone))
        return fill(register, {step: self._shapes[step] for step in long}) if long else register

    # --- readings

    async def _columns(self, start: int, end: int) -> Columns:
        found = await self.store.columns(self.series, start, end, before=BEFORE, after=AFTER, limit=CHUNK_READINGS)
        if not found.suspects:
            return found
        readings = [
            *await self._back(start, BEFORE),
            *await self.store.read(self.series, start, end, limit=CHUNK_READINGS),
            *await self._ahead(end),
        ]
        return Columns(
            [reading.at for reading in readings],
            [reading.value for reading in readings],
            frozenset(reading.at for reading in readings if reading.suspect),
        )

    async def _back(self, at: int, count: int) -> list[Reading]:
        """The last `count` readings before `at`, or as many more as it takes to reach one that is not suspect."""
        readings = await self.store.before(self.series, at, count)
        while len(readings) == count < CHUNK_READINGS and all(reading.suspect for reading in readings):
            count *= 8
            readings = await self.store.before(self.series, at, count)
        return list(readings)

    async def _ahead(self, at: int) -> list[Reading]:
        """The first readings from `at`: as many as decide, or as it takes to reach one that is not suspect."""
        count = AFTER
        readings = await self.store.read(self.series, at, FAR_NS, limit=count)
        while len(readings) == count < CHUNK_READINGS and all(reading.suspect for reading in readings):
            count *= 8
            readings = await self.store.read(self.series, at, FAR_NS, limit=count)
        return list(readings)


def register_of(points: MeterPoints, samples: Sequence[Sample]) -> Register:
    """The steps between readings that are believed: of a register, or of the integral of a gauge."""
    if not points.integrated:
        return deltas(samples, points.rule)
    per_unit = _PER_UNIT.get(CARRIERS[points.meter.carrier].gauge_unit, 1)
    sign = -1 if points.meter.flow is Flow.EXPORT else 1
    return integrate(samples, limit_ns=points.max_gap_ns, per_unit=per_unit, sign=sign)


def _believed(columns: Columns) -> list[Sample]:
    found = samples_in(columns)
    return [sample for sample in found if sample.at not in columns.suspects] if columns.suspects else found
