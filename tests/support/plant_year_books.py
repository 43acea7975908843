"""The books of the simulated plant: its parcels through the real store, ledger and statements, in some order."""

import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from centre.accounting.calendar import months
from centre.accounting.factor_choice import ReportDates
from centre.accounting.intervals import Interval
from centre.closing_content import canonical
from centre.ledger import Ledger
from centre.period import Period
from centre.points import Directory
from centre.settings import Setup
from centre.statement import Statement
from centre.statements import Statements
from centre.store.base import GatewayKey, Grain, SeriesKey
from centre.store.sqlite import SqliteStore
from support.plant_year import LEAD, Year
from support.plant_year_delivery import Arrival, Order, arrivals, gateways, parcel, status
from support.plant_year_files import SITE
from support.plant_year_meters import ZONE
from support.plant_year_registers import Register
from support.standing_clock import StandingClock

_TOGETHER: Final = 8  # parcels in one write, as ingest does it
_EVER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """An open store with what serves it."""

    year: Year
    setup: Setup
    store: SqliteStore
    ledger: Ledger
    statements: Statements

    async def keep(
        self, found: Sequence[Register], order: Order, seed: int, looks: int, tell: Callable[[str], None]
    ) -> int:
        """Deliver everything, with `looks` of the ledger in between and one at the end; returns the readings written."""
        coming = arrivals(self.year, order, seed)
        writes = [coming[place : place + _TOGETHER] for place in range(0, len(coming), _TOGETHER)]
        rng = random.Random(f"looks/{self.year.seed}/{seed}")
        even = {len(writes) * look // (looks + 1) for look in range(1, looks + 1)}
        when = even if order is not Order.SHUFFLED else set(rng.sample(range(len(writes)), min(looks, len(writes))))
        await self._announce(found)
        written = 0
        for place, those in enumerate(writes):
            written += await self._write(found, those)
            if place in when:
                tell(f"{order}: {place + 1:,} of {len(writes):,} writes, {written:,} readings; the ledger looks")
                await self._settle()
        tell(f"{order}: all written, {written:,} readings; the ledger looks")
        await self._settle()
        return written

    async def _announce(self, found: Sequence[Register]) -> None:
        """What the gateways say of their meters."""
        for gateway in gateways(self.year):
            await self.store.write_status(
                GatewayKey(SITE, gateway), status(self.year, found, gateway), received_at=self.year.begin_ns
            )

    async def keep_late(self, found: Sequence[Register], gateway: str, *minutes: int) -> None:
        """Deliver everything in order, but last of all, when the rest is accounted, the parcels of these minutes."""
        coming = arrivals(self.year, Order.SORTED)
        late = [one for one in coming if one.gateway == gateway and any(one.first <= at < one.last for at in minutes)]
        await self._announce(found)
        for those in ([one for one in coming if one not in late], late):
            await self._write(found, those)
            await self._settle()

    async def _write(self, found: Sequence[Register], those: Sequence[Arrival]) -> int:
        parcels = [parcel(SITE, found, arrival) for arrival in those]
        return (await self.store.write(parcels, received_at=self.year.begin_ns)).readings

    async def _settle(self) -> None:
        while await self.store.dirty(1):
            await self.ledger.cycle()

    async def counters(self) -> Mapping[str, SeriesKey]:
        """Device -> the series that is accounted."""
        points = await self.ledger.directory.points(self.setup.plants[0])
        return {one.meter.device: one.counter for one in points if one.counter is not None}

    async def intervals(self, series: SeriesKey, grain: Grain) -> list[Interval]:
        """All of them, without the revisions, which tell of the way they came about."""
        return [bucket.interval for bucket in await self.store.read_rollup(series, grain, 0, _EVER)]

    def months(self) -> list[Period]:
        """Those that have days of the year."""
        first, end = self.year.at(LEAD), self.year.at(self.year.size.minutes - LEAD)
        return [Period(year=month.year, month=month.month) for month in months(first, end, ZONE)]

    async def statement(self, period: Period, *, run_later: int = 0) -> Statement:
        """Made on the first day after the period, and run so many days later."""
        made_on = period.last + timedelta(days=1)
        dates = ReportDates(made_on=made_on, run_on=made_on + timedelta(days=run_later))
        return await self.statements.statement(SITE, period, dates)

    async def statement_bytes(self, period: Period) -> bytes:
        return canonical(await self.statement(period))


@asynccontextmanager
async def books(year: Year, setup: Setup, path: Path) -> AsyncGenerator[Books]:
    """The books in a file at `path`, on the caller's thread."""
    clock = StandingClock(year.at(year.size.minutes + 60))
    async with SqliteStore(path, inline=True) as store:
        directory = Directory(store, clock)
        plants = {plant.site: plant for plant in setup.plants}
        yield Books(
            year=year,
            setup=setup,
            store=store,
            ledger=Ledger(store=store, clock=clock, plants=setup.plants, directory=directory),
            statements=Statements(store=store, clock=clock, plants=plants, rules=setup.rules, directory=directory),
        )


async def differences(one: Books, other: Books) -> list[str]:
    """Where two books of the same year differ: an interval, or a byte of a statement. Revisions apart."""
    found: list[str] = []
    for device, series in (await one.counters()).items():
        for grain in Grain:
            mine, theirs = await one.intervals(series, grain), await other.intervals(series, grain)
            if [repr(part) for part in mine] == [repr(part) for part in theirs]:
                continue
            starts = {part.start: part for part in theirs}
            apart = [
                f"{part}\n  but {starts.get(part.start)}" for part in mine if repr(starts.get(part.start)) != repr(part)
            ]
            found.append(f"{device} {grain}: {len(mine)} and {len(theirs)}, {len(apart)} differ, the first {apart[:1]}")
    return found + [
        f"statement {period.label}"
        for period in [*one.months(), Period(year=one.year.size.first.year)]
        if await one.statement_bytes(period) != await other.statement_bytes(period)
    ]
