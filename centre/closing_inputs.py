"""What a month is closed on: whether the ledger has counted all of it, and what each meter counted."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from centre.accounting.calendar import Month, month_bounds
from centre.accounting.corrections import MeterMonth
from centre.accounting.intervals import Interval
from centre.closing_content import Counted, meter_month
from centre.day import place_of
from centre.plant import Plant
from centre.store.base import Grain, Store

_PENDING: Final = 10_000


async def nothing_edited(_site: str) -> bool:
    """Of plants that stay what they are."""
    return True


@dataclass(frozen=True, slots=True)
class Inputs:
    """`follows`: whether the ledger counts a site by its entities as they are now. Methods raise StoreError."""

    store: Store
    follows: Callable[[str], Awaitable[bool]]

    async def pending(self, site: str, end: int) -> bool:
        """Whether readings of before `end` (UTC ns), or an edit of the entities, are in no interval yet."""
        if not await self.follows(site):
            return True
        return any(dirty.series.site == site and dirty.first < end for dirty in await self.store.dirty(_PENDING))

    async def meters(self, plant: Plant, month: Month, counted: Counted) -> tuple[MeterMonth, ...]:
        """What the meters counted, in the order of their places; by days where somebody reads them by hand."""
        bounds = month_bounds(month, plant.zone, plant.metering_day)
        found: list[MeterMonth] = []
        for points in counted.points:
            quarters: list[Interval] = []
            if points.counter is not None:
                stored = await self.store.read_rollup(points.counter, Grain.QUARTER, *bounds)
                quarters = [bucket.interval for bucket in stored]
            if (manual := counted.manual.get(place_of(points.meter))) is not None:
                quarters = [*manual.days(plant, *bounds), *(part for part in quarters if not manual.counts(part))]
            found.append(await asyncio.to_thread(meter_month, points, quarters, *bounds))
        return tuple(sorted(found, key=lambda meter: meter.place))
