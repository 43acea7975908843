"""The ledger keeps the accounted intervals up to date: what readings touched is computed again, with its hours and day.

The store remembers which counters have unaccounted readings, across restarts. A late reading is nothing special: it
soils the stretch between its neighbours, and that stretch is computed from all readings again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from centre.accounting.intervals import QUARTER_NS, Interval, cut, merge
from centre.accounting.registers import Sample, deltas
from centre.accounting.zones import day_bounds, hour_bounds, local_day, quarter_floor
from centre.plant import Plant
from centre.points import Directory, MeterPoints
from centre.store.base import Bucket, Dirty, Grain, Reading, SeriesKey, Store, StoreError
from metering.quantities import IDENTITY
from wattline.clock import NS, Clock
from wattline.events import EventLog

_BEFORE: Final = 32  # readings before a stretch, so that the state of the register at its start is known
_AFTER: Final = 3  # and behind it: as many as decide whether its last step was an error
_CHUNK_NS: Final = 16 * QUARTER_NS  # bounds memory, and for how long other tasks wait
_CHUNK_READINGS: Final = 200_000
_PER_CYCLE: Final = 500
_FULL_SHEET: Final = 5000
_FAR: Final = 2**63 - 1


def samples_of(readings: Sequence[Reading]) -> list[Sample]:
    """Exact register values: a double stands for its shortest text, which is what came over the wire."""
    return [
        Sample(at, value if isinstance(value, Decimal) else Decimal(repr(value)))
        for at, value, _ in readings
        if not isinstance(value, str)
    ]


def epoch_of(readings: Sequence[Sample]) -> int | None:
    """The first reading of the new meter, in a stretch in which the meter was changed; None when there is none yet.

    It is where the register fell, else the end of the longest pause: nobody changes a meter while it answers.
    """
    pairs = list(pairwise(readings))
    fell = next((new.at for old, new in pairs if new.value < old.value), None)
    return fell or max(((new.at - old.at, new.at) for old, new in pairs), default=(0, None))[1]


def day_parts(quarters: Sequence[Interval], plant: Plant, start: int, end: int) -> list[Bucket]:
    """The hours and the day [start, end) made of its quarters; hours without any quarter are left out."""
    hours: dict[tuple[int, int], list[Interval]] = {}
    for quarter in quarters:
        hours.setdefault(hour_bounds(quarter.start, plant.zone), []).append(quarter)
    parts = [
        Bucket(grain=Grain.HOUR, interval=merge(inside, start=first, end=last))
        for (first, last), inside in hours.items()
    ]
    return [*parts, Bucket(grain=Grain.DAY, interval=merge(quarters, start=start, end=end))]


def _identity(series: SeriesKey) -> SeriesKey:
    """The serial number of the meter that `series` is of."""
    return series._replace(point=IDENTITY)


def _identifies(series: SeriesKey) -> bool:
    return series.point == IDENTITY


@dataclass(slots=True)
class _Sheet:
    """Intervals that are computed and not written yet, and the series that are settled with them."""

    buckets: dict[SeriesKey, list[Bucket]] = field(default_factory=dict[SeriesKey, list[Bucket]])
    settled: dict[SeriesKey, int] = field(default_factory=dict[SeriesKey, int])
    size: int = 0

    def add(self, series: SeriesKey, buckets: Sequence[Bucket]) -> None:
        self.buckets.setdefault(series, []).extend(buckets)
        self.size += len(buckets)

    def clear(self) -> None:
        self.buckets.clear()
        self.settled.clear()
        self.size = 0


@dataclass(slots=True)
class Ledger:
    """Runs beside ingest on the same store."""

    store: Store
    clock: Clock
    plants: Sequence[Plant]
    directory: Directory
    every_s: float = 5.0
    log: EventLog = field(default_factory=EventLog)
    _failed: bool = False
    _epochs: dict[SeriesKey, tuple[int, ...]] = field(default_factory=dict[SeriesKey, tuple[int, ...]])

    async def run(self) -> None:
        """Catch up, then keep up, until cancelled."""
        while True:
            try:
                await self.cycle()
            except StoreError as err:
                if not self._failed:
                    self.log.error("ledger.failed", error=str(err))  # noqa: TRY400 - an event, not a traceback
                self._failed = True
            else:
                self._failed = False
            await self.clock.sleep_until(self.clock.now_ns() + int(self.every_s * NS))

    async def cycle(self) -> int:
        """Settle what is outdated now; returns how many intervals changed. Raises StoreError."""
        told = {dirty.series: dirty.mark for dirty in await self.store.dirty(_PER_CYCLE) if _identifies(dirty.series)}
        self._epochs = {key: at for key, at in self._epochs.items() if _identity(key) not in told}
        counted: dict[SeriesKey, tuple[Plant, MeterPoints]] = {}
        for plant in self.plants:
            for points in await self.directory.points(plant):
                if points.counter is not None:
                    known = replace(points, epochs=await self._epochs_of(points.counter))
                    counted[points.counter] = (plant, known)
                    await self.store.require(points.counter, known.fingerprint(plant))
        outdated = await self.store.dirty(_PER_CYCLE)
        sheet = _Sheet()
        changed = 0
        for dirty in outdated:
            if _identifies(dirty.series) and told.get(dirty.series) != dirty.mark:
                continue  # came meanwhile: it is looked at in the next cycle
            account = counted.get(dirty.series)
            if account is not None:
                changed += await self._account(dirty, *account, sheet)
            sheet.settled[dirty.series] = dirty.mark
        changed += await self._enter(sheet)
        return changed

    async def _account(self, dirty: Dirty, plant: Plant, points: MeterPoints, sheet: "_Sheet") -> int:
        """Put the intervals of what is dirty on the sheet, which is entered whenever it is full."""
        series = dirty.series
        before = await self._back(series, dirty.first, _AFTER)
        behind = await self._ahead(series, dirty.last + 1)
        start = quarter_floor(before[0].at if before else dirty.first)
        end = quarter_floor(behind[-1].at if behind else dirty.last) + QUARTER_NS
        changed = 0
        day = local_day(start, plant.zone)
        while (bounds := day_bounds(day, plant.zone))[0] < end:
            first, last = max(start, bounds[0]), min(end, bounds[1])
            new: list[Interval] = []
            for at in range(first, last, _CHUNK_NS):
                new += await self._quarters(series, points, at, min(at + _CHUNK_NS, last))
            stored = await self.store.read_rollup(series, Grain.QUARTER, *bounds)
            whole = {bucket.interval.start: bucket.interval for bucket in stored}
            whole |= {quarter.start: quarter for quarter in new}
            parts = day_parts([whole[at] for at in sorted(whole)], plant, *bounds)
            sheet.add(series, [*(Bucket(grain=Grain.QUARTER, interval=quarter) for quarter in new), *parts])
            if sheet.size > _FULL_SHEET:
                changed += await self._enter(sheet)
            day += timedelta(days=1)
        return changed

    async def _enter(self, sheet: "_Sheet") -> int:
        """Write what is on the sheet, in one step for many series: a step costs the disk a flush."""
        if not sheet.size and not sheet.settled:
            return 0
        changed = await self.store.write_rollup(sheet.buckets, settled=sheet.settled)
        sheet.clear()
        return changed

    async def _quarters(self, series: SeriesKey, points: MeterPoints, start: int, end: int) -> list[Interval]:
        """The intervals of [start, end) from all readings in it and enough on both sides."""
        readings = [
            *await self._back(series, start, _BEFORE),
            *await self.store.read(series, start, end, limit=_CHUNK_READINGS),
            *await self._ahead(series, end),
        ]
        register = deltas(samples_of([reading for reading in readings if not reading.suspect]), points.rule)
        doubted = {reading.at for reading in readings if reading.suspect}
        if doubted:
            register = replace(register, suspects=tuple(sorted(doubted.union(register.suspects))))
        return cut(register, samples_of(readings), start=start, end=end, max_gap_ns=points.max_gap_ns)

    async def _back(self, series: SeriesKey, at: int, count: int) -> Sequence[Reading]:
        """The last `count` readings before `at`, or as many more as it takes to reach one that is not suspect."""
        readings = await self.store.before(series, at, count)
        while len(readings) == count < _CHUNK_READINGS and all(reading.suspect for reading in readings):
            count *= 8
            readings = await self.store.before(series, at, count)
        return readings

    async def _ahead(self, series: SeriesKey, at: int) -> Sequence[Reading]:
        """The first readings from `at`: as many as decide, or as it takes to reach one that is not suspect."""
        count = _AFTER
        readings = await self.store.read(series, at, _FAR, limit=count)
        while len(readings) == count < _CHUNK_READINGS and all(reading.suspect for reading in readings):
            count *= 8
            readings = await self.store.read(series, at, _FAR, limit=count)
        return readings

    async def _epochs_of(self, counter: SeriesKey) -> tuple[int, ...]:
        """When the meters behind a counter were changed, as their serial numbers tell."""
        if counter not in self._epochs:
            found: list[int | None] = []
            for last, first in await self.store.changes(_identity(counter)):
                inside = await self.store.read(counter, last + 1, first + 1, limit=_CHUNK_READINGS)
                inside = inside or await self.store.read(counter, first + 1, _FAR, limit=1)
                found.append(epoch_of(samples_of([*await self.store.before(counter, last + 1, 1), *inside])))
            if None in found:
                return tuple(at for at in found if at is not None)  # not for long: its first reading is still to come
            self._epochs[counter] = tuple(at for at in found if at is not None)
        return self._epochs[counter]
