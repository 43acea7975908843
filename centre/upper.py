"""The levels above plants at work: what was received, put together for parks, districts and cities by month."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from typing import Final

from centre.accounting.calendar import Month, first_day, month_bounds
from centre.accounting.factor_choice import FactorBook, FactorPolicy, ReportDates
from centre.accounting.factors import FactorRow
from centre.accounting.terms import ZERO, Input, weighted_shares
from centre.accounting.zones import day_bounds, local_day
from centre.books import entities as entity_rows
from centre.books import received
from centre.books.file import Books
from centre.books.received import Series
from centre.carriers import CARRIERS, Carrier, Flow
from centre.entities import Entities, EntityKind
from centre.entities_tree import members
from centre.errors import FigureError
from centre.manual import Manual
from centre.manual_figures import value_added
from centre.plant import Plant
from centre.store.base import Grain
from centre.upper_rollup import NOT_RECEIVED, Firm, PassedOn, Rollup, rollup
from centre.upper_settings import Levels, TransferMeter
from centre.upper_statistics import FirmUse, Statistics, statistics
from metering.intervals import NodeInterval
from wattline.clock import Clock

Spans = tuple[tuple[date, date], ...]
_MOST_TOLD: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """A plant below, as long as it was a member in the month (days, the last excluded)."""

    site: str
    industry: str | None
    spans: Spans


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelView:
    """The roll-up of one entity for a month. `unheard`: plants below that this centre is not told to take in."""

    key: str
    month: str
    members: tuple[MemberView, ...]
    unheard: tuple[str, ...]
    figures: Rollup


@dataclass(frozen=True, slots=True, kw_only=True)
class UpperFigures:
    """Methods raise FigureError or StoreError."""

    books: Books
    clock: Clock
    levels: Levels
    factors: Sequence[FactorRow]
    manual: Manual

    async def known(self) -> list[dict[str, object]]:
        """The entities above plants."""
        kept = await self.books.read(entity_rows.load)
        return [{"key": one.key, "kind": one.kind, "name": one.name} for one in kept.entities.of(None)]

    async def level(self, key: str, month: Month) -> LevelView:
        """The roll-up of an entity above plants."""
        return await self.books.read(lambda connection: self._level(connection, key, month))

    async def statistics(self, key: str, month: Month) -> Statistics:
        """tce per 10 000 CNY of value added, by industry; only of what is part of nothing larger.

        Groups of a whole and of its part overlap, and their difference would tell firms.
        """
        entities = (await self.books.read(entity_rows.load)).entities
        found = await self.level(key, month)
        if entities.by_key[key].parent_on(first_day(month)) is not None:
            raise FigureError(
                "part_of_larger",
                "statistics are made of the whole only: the difference to a part would tell firms",
                409,
            )
        uses: list[FirmUse] = []
        by_site = {one.site: one for one in found.figures.firms}
        for member in found.members:
            plant = self.levels.members[member.site]
            entries = await self.manual.entries(member.site, "value_added", [month])
            used = by_site[member.site].calorific
            uses.append(
                FirmUse(
                    site=member.site,
                    industry=member.industry,
                    used=Input(id=f"energy:{member.site}/{month}", value=used.value, unit="tce"),
                    made=_ten_thousand(value_added(entries, member.site, plant.tree, [month])),
                )
            )
        return await asyncio.to_thread(statistics, uses, self.levels.disclosure)

    def _level(self, connection: sqlite3.Connection, key: str, month: Month) -> LevelView:
        entities = entity_rows.load(connection).entities
        if key not in entities.by_key or not entities.by_key[key].kind.above_plants:
            raise FigureError("unknown_level", f"there is no {key[:64]!r} above plants; /api/v1/levels lists them", 404)
        below = {
            found.site: self._spans(entities, key, found.key, found.site, month)
            for found in entities
            if found.site is not None and found.kind is EntityKind.PLANT
        }
        spans = {site: of_site for site, of_site in below.items() if of_site and site in self.levels.members}
        firms = [self._firm(connection, self.levels.members[site], of_site, month) for site, of_site in spans.items()]
        passed = [
            self._passed(connection, one, month, common)
            for one in self.levels.transfers
            if one.giver in spans and one.taker in spans and (common := both(spans[one.giver], spans[one.taker]))
        ]
        return LevelView(
            key=key,
            month=str(month),
            members=tuple(
                MemberView(site=site, industry=_industry(entities, site), spans=of_site)
                for site, of_site in spans.items()
            ),
            unheard=tuple(site for site, of_site in below.items() if of_site and site not in self.levels.members),
            figures=rollup(firms, passed),
        )

    def _spans(self, entities: Entities, key: str, of: str, site: str, month: Month) -> Spans:
        plant = self.levels.members.get(site)
        day = 1 if plant is None else plant.metering_day
        start, end = first_day(month, day), first_day(month.plus(1), day)
        return tuple((one.start, one.end) for one in members(entities, key, start, end) if one.key == of)

    def _firm(self, connection: sqlite3.Connection, plant: Plant, spans: Spans, month: Month) -> Firm:
        flows: dict[tuple[Carrier, Flow], Input] = {}
        start, _ = month_bounds(month, plant.zone, plant.metering_day)
        for carrier, flow in received.flows_of(connection, plant.site, plant.tree.id):
            if carrier in set(Carrier) and flow in set(Flow):
                series = Series(plant.site, plant.tree.id, carrier, flow)
                if not received.not_metered(connection, series, Grain.MONTH.value, start):
                    flows[Carrier(carrier), Flow(flow)] = _amount(connection, series, plant, month, spans)
        last = first_day(month.plus(1), plant.metering_day) - timedelta(days=1)
        return Firm(
            site=plant.site,
            flows=flows,
            energy=self._book(plant, self.levels.energy),
            carbon=self._book(plant, self.levels.carbon),
            day=last,
        )

    def _passed(self, connection: sqlite3.Connection, meter: TransferMeter, month: Month, spans: Spans) -> PassedOn:
        series = Series(meter.site, meter.node, meter.carrier.value, meter.flow.value)
        amount = _amount(connection, series, self.levels.members[meter.site], month, spans)
        return PassedOn(giver=meter.giver, taker=meter.taker, carrier=meter.carrier, amount=amount)

    def _book(self, plant: Plant, policy: FactorPolicy) -> FactorBook:
        today = local_day(self.clock.now_ns(), plant.zone)
        return FactorBook(
            rows=self.factors, policy=policy, dates=ReportDates(made_on=today, run_on=today), region=plant.region
        )


def both(one: Spans, other: Spans) -> Spans:
    """The days that lie in both."""
    cut = [(max(a, c), min(b, d)) for (a, b), (c, d) in product(one, other)]
    return tuple(sorted((start, end) for start, end in cut if start < end))


def _ten_thousand(made: Input) -> Input:
    return replace(made, value=None if made.value is None else made.value.scaleb(-4), unit="1e4CNY")


def _industry(entities: Entities, site: str) -> str | None:
    root = entities.plant(site)
    return None if root is None else root.industry


def _amount(connection: sqlite3.Connection, series: Series, plant: Plant, month: Month, spans: Spans) -> Input:
    """What flowed on the days of `spans`: the month as it was received when they are all of it, else its days."""
    start, end = month_bounds(month, plant.zone, plant.metering_day)
    name = f"interval:{'/'.join(series)}/{month}"
    whole = first_day(month, plant.metering_day), first_day(month.plus(1), plant.metering_day)
    found = received.intervals(connection, series, Grain.MONTH.value, start=start, end=end)
    missing: list[str] = []
    if spans != (whole,) or not found:
        of_days = received.intervals(connection, series, Grain.DAY.value, start=start, end=end)
        by_start = {one.start: one for one in of_days}
        wanted = {day_bounds(day, plant.zone)[0]: day for day in _days(spans)}
        found = [by_start[at] for at in wanted if at in by_start]
        missing = [day.isoformat() for at, day in wanted.items() if at not in by_start]
    unit = CARRIERS[Carrier(series.carrier)].unit
    lacking = [f"{NOT_RECEIVED}: {_told(missing)}"] if missing else []
    lacking += sorted({one.reason for one in found if one.reason is not None} | _units(found, unit))
    if lacking:
        return Input(id=name, value=None, unit=unit, reason="; ".join(lacking))
    parts = [Input(id=name, value=one.amount, unit=unit, shares=one.shares) for one in found]
    value = sum((one.amount for one in found if one.amount is not None), ZERO)
    shares = found[0].shares if len(found) == 1 else tuple(weighted_shares(parts).items())
    return Input(id=name, value=Decimal(value), unit=unit, shares=shares)


def _days(spans: Spans) -> Iterator[date]:
    for start, end in spans:
        yield from (start + timedelta(days=place) for place in range((end - start).days))


def _told(missing: Sequence[str]) -> str:
    more = f" and {len(missing) - _MOST_TOLD} more" if len(missing) > _MOST_TOLD else ""
    return ", ".join(missing[:_MOST_TOLD]) + more


def _units(found: Sequence[NodeInterval], unit: str) -> set[str]:
    return {f"came in {one.unit}" for one in found if one.unit != unit}
