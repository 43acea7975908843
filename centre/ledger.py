"""The ledger keeps the accounted intervals up to date: what readings touched is computed again, with its hours and day.

The store remembers which counters have unaccounted readings, across restarts. A late reading is nothing special: it
soils the stretch between its neighbours, and that stretch is computed from all readings again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final

from centre.accounting.intervals import QUARTER_NS, Interval, cut, merge
from centre.accounting.registers import Sample, deltas
from centre.accounting.zones import day_bounds, hour_bounds, local_day, quarter_floor
from centre.plant import Plant
from centre.points import Directory, MeterPoints
from centre.store.base import Bucket, Dirty, Grain, Reading, SeriesKey, Store, StoreError
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
        for at, value in readings
        if not isinstance(value, str)
    ]


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
        counted: dict[SeriesKey, tuple[Plant, MeterPoints]] = {}
        for plant in self.plants:
            for points in await self.directory.points(plant):
                if points.counter is not None:
                    counted[points.counter] = (plant, points)
                    await self.store.require(points.counter, points.fingerprint(plant))
        outdated = await self.store.dirty(_PER_CYCLE)
        sheet = _Sheet()
        changed = 0
        for dirty in outdated:
            known = counted.get(dirty.series)
            if known is not None:
                changed += await self._account(dirty, *known, sheet)
            sheet.settled[dirty.series] = dirty.mark
        changed += await self._enter(sheet)
        return changed

    async def _account(self, dirty: Dirty, plant: Plant, points: MeterPoints, sheet: "_Sheet") -> int:
        """Put the intervals of what is dirty on the sheet, which is entered whenever it is full."""
        series = dirty.series
        before = await self.store.before(series, dirty.first, _AFTER)
        behind = await self.store.read(series, dirty.last + 1, _FAR, limit=_AFTER)
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
            *await self.store.before(series, start, _BEFORE),
            *await self.store.read(series, start, end, limit=_CHUNK_READINGS),
            *await self.store.read(series, end, _FAR, limit=_AFTER),
        ]
        samples = samples_of(readings)
        register = deltas(samples, points.rule)
        return cut(register, samples, start=start, end=end, max_gap_ns=points.max_gap_ns)
