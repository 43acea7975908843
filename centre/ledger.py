"""The ledger keeps the accounted intervals up to date: what readings touched is computed again, with its hours and day.

The store remembers which counters have unaccounted readings, across restarts. A late reading is nothing special: it
soils the stretch between its neighbours, and that stretch is computed from all readings again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from centre.accounting.calendar import Month, month_bounds, month_of
from centre.accounting.gap_filling import LONGEST_NS, WEEKS
from centre.accounting.intervals import Interval, merge
from centre.accounting.registers import HOUR_NS, Flag
from centre.accounting.zones import day_bounds, hour_bounds, local_day
from centre.counting import checks_of, counted_of
from centre.meter_changes import MeterChanges, identifies
from centre.plant import Plant
from centre.points import Directory, MeterPoints
from centre.recount import CHUNK_NS, History, Recount
from centre.store.base import Bucket, Dirty, Grain, SeriesKey, Store, StoreError
from wattline.clock import NS, Clock
from wattline.events import EventLog

_PER_CYCLE: Final = 500
_FULL_SHEET: Final = 5000
_DAY_NS: Final = 86_400 * NS


def hours_of(quarters: Sequence[Interval], plant: Plant) -> dict[int, Interval]:
    """The clock hours made of their quarters, by start; hours without any quarter are left out."""
    hours: dict[tuple[int, int], list[Interval]] = {}
    for quarter in quarters:
        hours.setdefault(hour_bounds(quarter.start, plant.zone), []).append(quarter)
    return {first: merge(inside, start=first, end=last) for (first, last), inside in hours.items()}


def _stood_in(found: Interval) -> bool:
    return any(flag is Flag.SUBSTITUTED for flag, _ in found.marked)


@dataclass(slots=True)
class _Sheet:
    """Intervals that are computed and not written yet, and the series that are settled with them."""

    buckets: dict[SeriesKey, list[Bucket]] = field(default_factory=dict[SeriesKey, list[Bucket]])
    settled: dict[SeriesKey, int] = field(default_factory=dict[SeriesKey, int])
    size: int = 0
    changed: int = 0

    def add(self, series: SeriesKey, grain: Grain, intervals: Iterable[Interval]) -> None:
        buckets = [Bucket(grain=grain, interval=interval) for interval in intervals]
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
    plants: Collection[Plant]
    directory: Directory
    every_s: float = 5.0
    log: EventLog = field(default_factory=EventLog)
    _failed: bool = False
    _checks: dict[SeriesKey, SeriesKey] = field(default_factory=dict[SeriesKey, SeriesKey])
    _required: dict[SeriesKey, str] = field(default_factory=dict[SeriesKey, str])
    _touched: set[tuple[str, Month]] = field(default_factory=set[tuple[str, Month]])
    _seen: dict[str, Plant] = field(default_factory=dict[str, Plant])
    _changes: MeterChanges = field(init=False)

    def __post_init__(self) -> None:
        self._changes = MeterChanges(self.store)

    def follows(self, plant: Plant) -> bool:
        """Whether all that has to be counted anew because the plant is what it is now is known to be outdated."""
        return self._seen.get(plant.site) is plant

    def take(self) -> set[tuple[str, Month]]:
        """The sites and months of which something was computed again since this was last asked."""
        taken, self._touched = self._touched, set()
        return taken

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
        told = {dirty.series: dirty for dirty in await self.store.dirty(_PER_CYCLE)}
        self._changes.forget(told)
        counted: dict[SeriesKey, tuple[Plant, MeterPoints]] = {}
        for plant in self.plants:
            for points in counted_of(plant, await self.directory.points(plant)):
                if points.counter is not None:
                    known = replace(points, epochs=await self._changes.of(points.counter))
                    counted[points.counter] = (plant, known)
                    await self._require(points.counter, known.fingerprint(plant))
            self._seen[plant.site] = plant
        self._checks = checks_of(counted)
        outdated = await self.store.dirty(_PER_CYCLE)
        sheet = _Sheet()
        for dirty in outdated:
            meanwhile = dirty.series not in told or told[dirty.series].mark != dirty.mark
            if identifies(dirty.series) and meanwhile:
                continue  # it is looked at in the next cycle
            account = counted.get(dirty.series)
            if account is not None:
                start, end = await self._account(dirty, *account, sheet)
                for main in [main for main, check in self._checks.items() if check == dirty.series]:
                    await self._enter(sheet)
                    await self._stand_in(self._recount(main, *counted[main], sheet), start, end, sheet)
            elif not identifies(dirty.series):
                await self._require(dirty.series, "")  # so that all of it counts when it comes back
            if meanwhile:
                self._changes.note(dirty)  # the next cycle asks again
            sheet.settled[dirty.series] = dirty.mark
        await self._enter(sheet)
        return sheet.changed

    async def _require(self, counter: SeriesKey, fingerprint: str) -> None:
        if self._required.get(counter) != fingerprint:
            await self.store.require(counter, fingerprint)
            self._required[counter] = fingerprint

    async def _account(self, dirty: Dirty, plant: Plant, points: MeterPoints, sheet: _Sheet) -> tuple[int, int]:
        """Put the intervals of what is dirty on the sheet, and of what leans on them; returns their stretch."""
        series = dirty.series
        recount = self._recount(series, plant, points, sheet)
        start, end = await recount.bounds(dirty)
        await self._days(recount, start, end, sheet)
        for first, last in await self._leaning(series, start, end):
            await self._enter(sheet)  # their first day may be the last of those: it is read again
            await self._days(recount, first, last, sheet)
        return start, end

    def _recount(self, series: SeriesKey, plant: Plant, points: MeterPoints, sheet: _Sheet) -> Recount:
        def quarters(of: SeriesKey) -> History:
            async def stored(t0: int, t1: int) -> dict[int, Interval]:
                if of in sheet.buckets:
                    await self._enter(sheet)
                return await self._stored(of, Grain.QUARTER, t0, t1)

            return stored

        check = self._checks.get(series)
        return Recount(
            store=self.store, series=series, plant=plant, points=points, history=quarters(series),
            check=None if check is None else quarters(check),
        )  # fmt: skip

    async def _stand_in(self, recount: Recount, start: int, end: int, sheet: _Sheet) -> None:
        """Put on the sheet what a series lacks of [start, end), for which its check meter was counted again."""
        stored = await self._stored(recount.series, Grain.QUARTER, start, end)
        lacks = [at for at, found in stored.items() if found.estimated_ns or found.amount is None or _stood_in(found)]
        if lacks:
            gap = Dirty(series=recount.series, first=min(lacks), last=stored[max(lacks)].end - 1, mark=0)
            await self._days(recount, *await recount.bounds(gap), sheet)

    async def _leaning(self, series: SeriesKey, start: int, end: int) -> list[tuple[int, int]]:
        """Days behind `end` with gaps whose shape may be that of [start, end), up to four weeks before."""
        if end + 7 * _DAY_NS - HOUR_NS > self.clock.now_ns():
            return []
        near, far = start + 7 * _DAY_NS - LONGEST_NS, end + WEEKS * 7 * _DAY_NS + LONGEST_NS
        days = await self._stored(series, Grain.DAY, near - _DAY_NS, far)
        return [(max(at, end), day.end) for at, day in days.items() if day.estimated and day.end > end]

    async def _days(self, recount: Recount, start: int, end: int, sheet: _Sheet) -> None:
        """Put the quarters of [start, end) and all they are part of on the sheet, entered whenever it is full."""
        series, plant = recount.series, recount.plant
        days: dict[int, Interval] = {}
        day = local_day(start, plant.zone)
        while (bounds := day_bounds(day, plant.zone))[0] < end:
            first, last = max(start, bounds[0]), min(end, bounds[1])
            new: list[Interval] = []
            for at in range(first, last, CHUNK_NS):
                new += await recount.quarters(at, min(at + CHUNK_NS, last))
            around = hour_bounds(first, plant.zone)[0], hour_bounds(last - 1, plant.zone)[1]
            quarters = {} if (first, last) == around else await self._stored(series, Grain.QUARTER, *around)
            quarters |= {quarter.start: quarter for quarter in new}
            hours = hours_of([quarters[at] for at in sorted(quarters)], plant)
            whole = await self._stored(series, Grain.HOUR, *bounds) | hours
            days[bounds[0]] = merge([whole[at] for at in sorted(whole)], start=bounds[0], end=bounds[1])
            sheet.add(series, Grain.QUARTER, new)
            sheet.add(series, Grain.HOUR, hours.values())
            sheet.add(series, Grain.DAY, [days[bounds[0]]])
            if sheet.size > _FULL_SHEET:
                await self._enter(sheet)
            day += timedelta(days=1)
        await self._months(series, plant, days, sheet)

    async def _months(self, series: SeriesKey, plant: Plant, days: Mapping[int, Interval], sheet: _Sheet) -> None:
        """Put the months on the sheet, made of their stored days and of these new ones, by start."""
        for month in {month_of(at, plant.zone, plant.metering_day): None for at in days}:
            start, end = month_bounds(month, plant.zone, plant.metering_day)
            whole = await self._stored(series, Grain.DAY, start, end)
            whole |= {at: day for at, day in days.items() if start <= at < end}
            sheet.add(series, Grain.MONTH, [merge([whole[at] for at in sorted(whole)], start=start, end=end)])
            self._touched.add((plant.site, month))

    async def _stored(self, series: SeriesKey, grain: Grain, t0: int, t1: int) -> dict[int, Interval]:
        found = await self.store.read_rollup(series, grain, t0, t1)
        return {bucket.interval.start: bucket.interval for bucket in found}

    async def _enter(self, sheet: _Sheet) -> None:
        """Write what is on the sheet, in one step for many series: a step costs the disk a flush."""
        if sheet.size or sheet.settled:
            sheet.changed += await self.store.write_rollup(sheet.buckets, settled=sheet.settled)
            sheet.clear()
