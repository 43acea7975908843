"""What left a plant by its outlets: hours of gauges become means, days and the whole of a period, as the rules say."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.alarms import Measured
from centre.accounting.exact import rounded
from centre.accounting.gauge_sums import HOUR_NS, Sums
from centre.accounting.pollutants import (
    Averaging,
    Day,
    Hour,
    Limit,
    Medium,
    Period,
    mean_day,
    mean_hour,
    summed,
)
from centre.accounting.zones import day_bounds, local_day
from centre.books.file import Books
from centre.gauge_hours import GaugeHours, Source
from centre.indicators import Sign
from centre.outlets import MeasuredPollutant, Outlet
from centre.period import Period as Month
from centre.plant import Plant
from centre.store.base import Store
from wattline.clock import NS, Clock

POLLUTANT_HOUR: Final = "pollutant_hour_percent"
POLLUTANT_DAY: Final = "pollutant_day_percent"
NO_HOUR_YET: Final = "no_hour_yet"
_UNDER_WAY_NS: Final = 60 * NS  # readings this young may still be on their way

Known = Mapping[Source, Mapping[int, Sums]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The hours of each day, and the days, that are over; `last` of all days, whether over or not."""

    hours: Mapping[date, range]
    ended: Collection[date]
    last: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitted:
    """A pollutant of an outlet in a period; `limit` and `averaging` are those of its last day."""

    outlet: Outlet
    measured: MeasuredPollutant
    limit: Limit
    averaging: Averaging
    hours: tuple[Hour, ...]
    days: tuple[Day, ...]
    whole: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Emissions:
    """Methods raise StoreError. Hours are kept in the books, where there are any."""

    store: Store
    clock: Clock
    books: Books | None = None

    async def of(self, plant: Plant, outlets: Sequence[Outlet], period: Month) -> tuple[Emitted, ...]:
        """Every pollutant of every outlet in a period, as far as it is over."""
        return await self._days(plant, outlets, list(period.days()))

    async def signs(self, plant: Plant, outlets: Sequence[Outlet]) -> list[Sign]:
        """The last hour and the last day that are over, of each pollutant that has a limit, in percent of it."""
        now = self.clock.now_ns()
        today = local_day(now - _UNDER_WAY_NS, plant.zone)
        found = await self._days(plant, outlets, [today - timedelta(days=1), today])
        return [sign for one in found for sign in _signs(plant, one, now)]

    async def _days(self, plant: Plant, outlets: Sequence[Outlet], days: Sequence[date]) -> tuple[Emitted, ...]:
        over = self.clock.now_ns() - _UNDER_WAY_NS
        bounds = {day: day_bounds(day, plant.zone) for day in days}
        asked = _Asked(
            hours={
                day: range(start, min(end, over) - HOUR_NS + 1, HOUR_NS)
                for day, (start, end) in bounds.items()
                if start + HOUR_NS <= over
            },
            ended={day for day, (_, end) in bounds.items() if end <= over},
            last=days[-1],
        )
        found: list[Emitted] = []
        for outlet in outlets:
            known = await self.sums(plant.site, outlet, asked.hours)
            found += [await asyncio.to_thread(_emitted, outlet, one, asked, known) for one in outlet.pollutants]
        return tuple(found)

    @property
    def gauges(self) -> GaugeHours:
        return GaugeHours(store=self.store, books=self.books)

    async def sums(
        self, site: str, outlet: Outlet, hours: Mapping[date, Sequence[int]]
    ) -> dict[Source, dict[int, Sums]]:
        """All that is measured at an outlet in hours, by day."""
        wanted: dict[Source, list[int]] = {}
        for day, starts in hours.items():
            rule = rule_on(outlet, day)
            measured = {source_of(outlet, one, rule) for one in outlet.pollutants}
            for source in measured.union(one for one in beside(outlet, rule) if one is not None):
                wanted.setdefault(source, []).extend(starts)
        return {source: await self.gauges.of(site, source, starts) for source, starts in wanted.items()}


def rule_on(outlet: Outlet, day: date) -> Averaging:
    """How means are made on a day."""
    found = outlet.rules.averaging_on(outlet.medium, day)
    assert found is not None, f"config/pollutants.yaml has no averaging of {outlet.medium}"
    return found


def source_of(outlet: Outlet, one: MeasuredPollutant, rule: Averaging) -> Source:
    """What is measured of a pollutant."""
    return Source(one.gauge, outlet.flow if outlet.medium is Medium.WATER else None, rule.hold_ns)


def beside(outlet: Outlet, rule: Averaging) -> tuple[Source | None, Source | None]:
    """What flows, and the oxygen in it, where they are measured."""
    oxygen = outlet.oxygen if outlet.medium is Medium.AIR else None
    flow, content = (None if gauge is None else Source(gauge, None, rule.hold_ns) for gauge in (outlet.flow, oxygen))
    return flow, content


def limit_on(outlet: Outlet, one: MeasuredPollutant, day: date) -> Limit:
    """What is allowed of it on a day; a limit without numbers where nothing is said."""
    found = outlet.rules.limit_on(one.standard, one.pollutant, day)
    if found is not None:
        return found
    return Limit(id="", unit=one.pollutant.unit, hour=None, day=None, oxygen=None, source="", confirmed=True)


def _emitted(outlet: Outlet, one: MeasuredPollutant, asked: _Asked, known: Known) -> Emitted:
    hours: list[Hour] = []
    days: list[Day] = []
    for day, at in asked.hours.items():
        rule, limit = rule_on(outlet, day), limit_on(outlet, one, day)
        measured = known[source_of(outlet, one, rule)]
        flow, oxygen = (None if of is None else known[of] for of in beside(outlet, rule))
        found = [
            mean_hour(
                start, measured[start], flow=None if flow is None else flow[start],
                oxygen=None if oxygen is None else oxygen[start], rule=rule, limit=limit,
            )
            for start in at
        ]  # fmt: skip
        hours += found
        if day in asked.ended:
            days.append(mean_day(day, found, rule, limit))
    return Emitted(
        outlet=outlet,
        measured=one,
        limit=limit_on(outlet, one, asked.last),
        averaging=rule_on(outlet, asked.last),
        hours=tuple(hours),
        days=tuple(days),
        whole=summed(hours, days, flow=outlet.flow is not None),
    )


def _signs(plant: Plant, found: Emitted, now: int) -> list[Sign]:
    hour = found.hours[-1] if found.hours else None
    day = found.days[-1] if found.days else None
    last = (
        (POLLUTANT_HOUR, found.limit.hour, None if hour is None else (hour.mean, hour.reason)),
        (POLLUTANT_DAY, found.limit.day, None if day is None else (day.mean, day.reason)),
    )
    return [
        Sign(
            indicator=indicator,
            site=plant.site,
            node=found.outlet.node,
            device=f"{found.outlet.id}/{found.measured.pollutant}",
            measured=_measured(now, limit, found.limit, mean),
        )
        for indicator, limit, mean in last
        if limit is not None
    ]


def _measured(now: int, limit: Decimal, of: Limit, found: tuple[Decimal | None, str | None] | None) -> Measured:
    mean, reason = (None, NO_HOUR_YET) if found is None else found
    if mean is None:
        return Measured(at=now, value=None, basis=reason or NO_HOUR_YET)
    value = rounded(Fraction(mean) / Fraction(limit) * 100, 4)
    return Measured(at=now, value=value, basis=f"{mean} of {limit} {of.unit}, {of.id}")
