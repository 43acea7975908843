"""Statements of the plants: asks the store for what is accounted in a period and hands it to the pure assembly."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Final

from centre.accounting.bill import Usage
from centre.accounting.completeness import count
from centre.accounting.factor_choice import ReportDates
from centre.accounting.intervals import ZERO
from centre.accounting.registers import Register
from centre.accounting.running_balance import step_of
from centre.accounting.zones import local_day
from centre.day import Place, place_of
from centre.demand_peaks import Peaks
from centre.entities import entities_of
from centre.errors import BadQuestion, UnknownSite
from centre.manual_meters import ManualMeter, manual_meter, register_of_hand
from centre.membership import UNDATED, DatedPlant, Membership, dated, virtual_records
from centre.period import Period, period_of
from centre.plant import Plant
from centre.points import Directory, MeterPoints, reactive_of, resolve
from centre.records import MeterRecord, Records, Rules
from centre.recount import register_of
from centre.register_samples import float32_step, samples_of
from centre.statement import NOTHING, Statement, statement
from centre.statement_balance import is_whole
from centre.statement_books import StatementBooks
from centre.statement_cost import NO_DEMANDS, Demands, billed_spans, reactive_energy, stretches, usage_of
from centre.statement_surcharges import surcharged
from centre.store.base import Bucket, Grain, SeriesKey, Store
from wattline import __version__
from wattline.clock import NS, Clock

_FAR: Final = 2**63 - 1
_UNDER_WAY_NS: Final = 30 * NS  # readings this young may still be in the spool, or not accounted yet
_TELLING: Final = 8  # readings that tell whether a register is an IEEE single
_RECENT: Final = 4096  # readings: an hour at one a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a statement is made of; `reactive` energy by the meter of the bought electricity that it came with."""

    plant: Plant
    period: Period
    records: Records
    membership: Membership = UNDATED
    reactive: Records = field(default_factory=dict[Place, MeterRecord])


@dataclass(slots=True, kw_only=True)
class Statements:
    """What can be asked for a whole month or year. Methods raise FigureError or StoreError."""

    store: Store
    clock: Clock
    plants: Mapping[str, Plant]
    rules: Mapping[str, Rules]
    directory: Directory
    books: StatementBooks | None = None
    _peaks: Peaks = field(default_factory=Peaks)

    def plant(self, site: str) -> Plant:
        """Raises UnknownSite."""
        if site not in self.plants:
            raise UnknownSite(site)
        return self.plants[site]

    def period(self, site: str, text: str) -> Period:
        """The month or year of a plant's billing calendar; raises BadQuestion."""
        try:
            return period_of(text, self.rules[self.plant(site).site].terms.metering_day)
        except ValueError as err:
            raise BadQuestion(str(err)) from None

    def dates(self, site: str, made_on: date | None = None, run_on: date | None = None) -> ReportDates:
        """The day a report was first made and the day it is run, by the plant's clock; today where not told."""
        today = local_day(self.clock.now_ns(), self.plant(site).zone)
        return ReportDates(made_on=made_on or run_on or today, run_on=run_on or today)

    async def dates_of(
        self, site: str, period: Period, made_on: date | None = None, run_on: date | None = None
    ) -> ReportDates:
        """As `dates`; a closed month was made on the day it was signed, where nothing else is told."""
        signed = None if self.books is None else await self.books.signed(self.plant(site).site, period)
        signed_on = None if signed is None else local_day(signed.at_ns, self.plant(site).zone)
        return self.dates(site, made_on or signed_on, run_on)

    async def statement(self, site: str, period: Period, dates: ReportDates | None = None) -> Statement:
        """The statement of a plant; the same dates and the same readings give the same statement."""
        return await self.of_basis(await self.basis(site, period), dates or await self.dates_of(site, period))

    async def basis(
        self, site: str, period: Period, of: Callable[[DatedPlant], Collection[str]] | None = None
    ) -> Basis:
        """What the statement of a period is made of: the plant as it was then, and what its meters counted.

        With `of` what only these devices of it counted, unless others are computed from them.
        """
        plant = self.plant(site)
        if self.books is None:
            known = await self.records(plant, period)
            reactive = await self.reactive(plant, period, [one.points for one in known.values()], UNDATED)
            return Basis(plant=plant, period=period, records=known, reactive=reactive)
        found = await self.dated(site, period)
        points = await self.points(found)
        if of is not None and not found.virtual:
            devices = of(found)
            points = tuple(one for one in points if one.meter.device in devices)
        records = await self._records(found.plant, period, points, found.membership)
        for place, one in (await self.manual(found.plant, points)).items():
            records[place] = records[place].with_manual(one, one.days(found.plant, *period.bounds(plant.zone)))
        start, end = period.bounds(plant.zone)
        nothing = count(start=start, end=end, since=None, now=end, interval_s=None, received=0, faults={})
        records |= await asyncio.to_thread(virtual_records, found, records, nothing)
        reactive = await self.reactive(found.plant, period, points, found.membership)
        return Basis(
            plant=found.plant, period=period, records=records, membership=found.membership, reactive=reactive
        )  # fmt: skip

    async def dated(self, site: str, period: Period) -> DatedPlant:
        """The plant as it was in a period, and every meter that counted in it."""
        plant = self.plant(site)
        entities = entities_of(()) if self.books is None else await self.books.entities()
        return dated(plant, entities, period, local_day(self.clock.now_ns(), plant.zone))

    async def points(self, found: DatedPlant) -> tuple[MeterPoints, ...]:
        """The points of all meters of a period."""
        every = replace(found.plant, tree=replace(found.plant.tree, meters=found.meters, children=()))
        return resolve(every, await self.store.inventory(found.plant.site))

    async def manual(self, plant: Plant, points: Iterable[MeterPoints]) -> dict[Place, ManualMeter]:
        """The meters of which somebody told readings before they were first read by wire, if they ever were."""
        approved = {} if self.books is None else await self.books.readings(plant.site)
        found: dict[Place, ManualMeter] = {}
        for one in points if approved else ():
            register = register_of_hand(one, approved)
            if register is not None:
                since = None if one.counter is None else await self._since(one.counter)
                told = approved[one.meter.device, register]
                found[place_of(one.meter)] = manual_meter(plant.site, one, register, told, since)
        return found

    async def of_basis(self, basis: Basis, dates: ReportDates) -> Statement:
        """The statement of what was read already."""
        plant, period, records = basis.plant, basis.period, basis.records
        reactive = [
            reactive_energy(plant, month, records, basis.reactive, basis.membership) for month in period.months()
        ]
        demands = await self._demands(basis)
        told = NOTHING if self.books is None else await self.books.told(plant.site, period)
        signed = None if self.books is None else await self.books.signed(plant.site, period)
        return await asyncio.to_thread(
            statement, plant, period, records, self.rules[plant.site], dates, software=__version__, reactive=reactive,
            told=told, signed=signed, membership=basis.membership, demands=demands,
        )  # fmt: skip

    async def usage(self, site: str, month: Period) -> Usage | None:
        """What is billed of a month; None where nothing is known of what was bought."""
        basis = await self.basis(site, month)
        reactive = reactive_energy(basis.plant, month, basis.records, basis.reactive, basis.membership)
        parts = stretches(basis.plant, month, basis.membership, self.rules[site].terms)
        by_month = {month.label: reactive.energy.value}
        demands = await self._demands(basis)
        usage = await asyncio.to_thread(usage_of, basis.plant, month, basis.records, parts, by_month, demands=demands)
        if usage is None or not self.rules[site].terms.surcharges:
            return usage
        told = NOTHING if self.books is None else await self.books.told(site, month)
        terms = self.rules[site].terms
        found = surcharged(basis.plant, month, basis.records, terms, told, membership=basis.membership)
        return replace(usage, surcharges=found)

    async def _demands(self, basis: Basis) -> Mapping[date, Demands]:
        terms = self.rules[basis.plant.site].terms
        if terms.tariff is None:
            return NO_DEMANDS
        return {
            part.start: await self._peaks.of(self.store, basis.plant, part, basis.records)
            for month in basis.period.months()
            for part in stretches(basis.plant, month, basis.membership, terms)
            if part.contract is not None
        }

    async def records(self, plant: Plant, period: Period) -> Records:
        """What is accounted of every meter; quarters of an hour of all in a month, of the billed ones in a year."""
        return await self._records(plant, period, await self.directory.points(plant), UNDATED)

    async def reactive(
        self, plant: Plant, period: Period, points: Iterable[MeterPoints], membership: Membership
    ) -> dict[Place, MeterRecord]:
        """What is accounted of the reactive energy at the grid connection, by the meter that it came through."""
        places = {place_of(span.meter) for span in billed_spans(plant, period, membership)}
        counted = [reactive_of(one) for one in points if place_of(one.meter) in places]
        return {
            place_of(one.meter): await self._record(plant, period, one, quarters=False)
            for one in counted
            if one is not None
        }

    async def _records(
        self, plant: Plant, period: Period, found: Sequence[MeterPoints], membership: Membership
    ) -> dict[Place, MeterRecord]:
        billed = {place_of(span.meter) for span in billed_spans(plant, period, membership)}
        records: dict[Place, MeterRecord] = {}
        for points in found:
            place = place_of(points.meter)
            whole = period.month is not None or place in billed
            records[place] = await self._record(plant, period, points, quarters=whole)
        return records

    async def _record(self, plant: Plant, period: Period, points: MeterPoints, *, quarters: bool) -> MeterRecord:
        start, end = period.bounds(plant.zone)
        days: Sequence[Bucket] = ()
        parts: Sequence[Bucket] = ()
        since: int | None = None
        running: tuple[Register, Decimal | None] | None = None
        if points.counter is not None:
            days = await self.store.read_rollup(points.counter, Grain.DAY, start, end)
            parts = await self.store.read_rollup(points.counter, Grain.QUARTER, start, end) if quarters else ()
            since = await self._since(points.counter)
            now = self.clock.now_ns()
            # two: a meter that was read a moment earlier than others may know one quarter more
            if quarters and start <= now < end and sum(is_whole(part.interval) for part in parts) < 2:
                running = await self._running(points, points.counter, start, now)
        return MeterRecord(
            points=points,
            days=tuple(days),
            quarters=tuple(parts),
            running=running,
            count=count(
                start=start,
                end=end,
                since=since,
                now=self.clock.now_ns() - _UNDER_WAY_NS,
                interval_s=points.interval_s,
                received=sum(day.interval.readings for day in days),
                faults={},
            ),
        )

    async def _since(self, counter: SeriesKey) -> int | None:
        first = await self.store.read(counter, 0, _FAR, limit=1)
        return first[0].at if first else None

    async def _running(
        self, points: MeterPoints, counter: SeriesKey, start: int, end: int
    ) -> tuple[Register, Decimal | None] | None:
        """The steps since `start` and the step of the register; None when there are none yet, or very many."""
        readings = await self.store.read(counter, start, end, limit=_RECENT)
        samples = samples_of([reading for reading in readings if not reading.suspect])
        if len(samples) < 2 or len(readings) == _RECENT:
            return None
        register = register_of(points, samples)
        if points.integrated:
            return register, ZERO
        step = step_of(register, samples[-1].value)
        return register, None if step is None else max(step, float32_step(samples[-_TELLING:]))
