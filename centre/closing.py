"""Closing a month of a plant: its figures are signed and frozen; what comes later is a correction beside them.

What is frozen is described in centre/closing_content.py.
"""

import asyncio
import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Protocol

from centre.accounting.calendar import Month, month_bounds
from centre.accounting.corrections import MeterMonth, changes, headlines, lacking
from centre.accounting.intervals import Interval
from centre.books import closings as rows
from centre.books.closings import ClosingRow
from centre.books.file import Books, Writing
from centre.closing_content import (
    SOFTWARE,
    Figures,
    canonical,
    content_of,
    digest,
    headline_json,
    headline_of,
    meter_month,
    meter_of,
)
from centre.errors import BadQuestion, FigureError, UnknownSite
from centre.plant import Plant
from centre.points import Directory
from centre.store.base import Grain, Store, StoreError
from wattline.clock import NS, Clock
from wattline.events import EventLog

MONTH_END: Final = "the month is over"
CENTRE: Final = "wattline centre"
_PENDING: Final = 10_000


class FigureMaker(Protocol):
    """Makes the figures of a month out of the accounted intervals."""

    async def figures(self, site: str, month: Month) -> Figures: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionView:
    """One entry beside a closed month: when it was found, what differs from what stood before, and why."""

    at_ns: int
    meters: Any
    headline: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A closed month as it is shown: the sign-off, what was signed, and the corrections since."""

    closing: ClosingRow
    signed: Any
    corrections: tuple[CorrectionView, ...]


@dataclass(slots=True, kw_only=True)
class Closings:
    """Closes, opens again, and watches what was closed. Methods raise FigureError or StoreError."""

    store: Store
    books: Books
    clock: Clock
    plants: Mapping[str, Plant]
    directory: Directory
    maker: FigureMaker
    limit: Decimal
    every_s: float = 30.0
    log: EventLog = field(default_factory=EventLog)

    async def closings(self, site: str) -> list[ClosingRow]:
        """Every sign-off of a plant, those opened again too; the newest month first."""
        self._plant(site)
        return await self.books.read(lambda connection: rows.closings(connection, site))

    async def closed(self, site: str, month: Month) -> Closed:
        """The month as it was signed, with its corrections; raises FigureError when it is open."""
        self._plant(site)

        def look(connection: sqlite3.Connection) -> Closed | None:
            row = rows.in_force(connection, site, str(month))
            if row is None:
                return None
            found = [(entry.at, json.loads(entry.content)) for entry in rows.corrections(connection, row.id)]
            return Closed(
                closing=row,
                signed=json.loads(rows.content(connection, row.id)),
                corrections=tuple(
                    CorrectionView(at_ns=at, meters=told["meters"], headline=told["headline"]) for at, told in found
                ),
            )

        closed = await self.books.read(look)
        if closed is None:
            raise FigureError("not_closed", f"{site} {month} is not closed", 404)
        return closed

    async def close(self, site: str, month: Month, *, author: str, reason: str = "") -> ClosingRow:
        """Sign the month; without a reason only when every meter is complete enough. Raises FigureError."""
        plant = self._plant(site)
        _, end = month_bounds(month, plant.zone, plant.metering_day)
        if self.clock.now_ns() < end:
            raise FigureError("not_over", f"{month} is not over yet", 409)
        if await self._pending(plant, end):
            raise FigureError("not_accounted", "readings are still being accounted; try again in a moment", 409)
        meters = await self._meters(plant, month)
        short = lacking(meters, self.limit)
        if short and not reason.strip():
            message = (
                f"less than {(self.limit * 100).normalize():f} % is known of {', '.join(short)}: close it with a reason"
            )
            raise FigureError("incomplete", message, 409)
        figures = await self.maker.figures(site, month)
        signed = canonical(content_of(plant, month, meters, figures))
        inputs = digest(canonical(meters))
        now = self.clock.now_ns()

        def sign(connection: Writing) -> ClosingRow:
            return rows.add_closing(
                connection, site=site, month=str(month), at=now, author=author, reason=reason or MONTH_END,
                completeness=f"{min((meter.completeness for meter in meters), default=Decimal(0)):f}",
                software=SOFTWARE, inputs=inputs, figures=digest(signed), signed=signed,
            )  # fmt: skip

        if await self.books.read(lambda connection: rows.in_force(connection, site, str(month))):
            raise FigureError("closed_already", f"{site} {month} is closed already", 409)
        return await self.books.change(author, reason or MONTH_END, sign)

    async def reopen(self, site: str, month: Month, *, author: str, reason: str) -> ClosingRow:
        """End a closing; its figures and corrections stay in the books. Raises FigureError."""
        self._plant(site)
        if not reason.strip():
            raise BadQuestion("opening a closed month again needs its reason")
        row = (await self.closed(site, month)).closing
        now = self.clock.now_ns()
        return await self.books.change(
            author, reason, lambda connection: rows.reopen(connection, row, at=now, author=author, reason=reason)
        )

    # --- what comes later

    async def review(self, site: str, only: Collection[Month] | None = None) -> int | None:
        """Enter a correction for each closed month that differs from what is known of it; returns how many.

        None, with nothing entered, while readings of such a month are still being accounted.
        """
        plant = self._plant(site)
        due = {
            Month.of(row.month): row
            for row in await self.closings(site)
            if row.reopened_at is None and (only is None or Month.of(row.month) in only)
        }
        if due and await self._pending(plant, month_bounds(max(due), plant.zone, plant.metering_day)[1]):
            return None
        return sum([await self._correct(plant, month, row) for month, row in sorted(due.items())])

    async def _correct(self, plant: Plant, month: Month, row: ClosingRow) -> bool:
        meters = await self._meters(plant, month)
        inputs = digest(canonical(meters))
        entries = await self.books.read(lambda connection: rows.corrections(connection, row.id))
        if inputs == (entries[-1].inputs if entries else row.inputs):
            return False
        if entries:
            last = json.loads(entries[-1].content)["now"]
        else:
            last = json.loads(await self.books.read(lambda connection: rows.content(connection, row.id)))
        figures = await self.maker.figures(plant.site, month)
        differing = changes([meter_of(told) for told in last["meters"]], meters)
        content = {
            "meters": differing,
            "headline": headlines(headline_of(last["headline"]), figures.headline),
            "now": {"meters": meters, "headline": headline_json(figures)},
        }
        now = self.clock.now_ns()
        await self.books.change(
            CENTRE,
            ", ".join(sorted({change.cause.value for change in differing})) or "order of the tree",
            lambda connection: rows.add_correction(
                connection, row, at=now, inputs=inputs, content=canonical(content).decode()
            ),
        )
        self.log.warning("closing.corrected", site=plant.site, month=row.month, meters=len(differing))
        return True

    async def run(self, touched: "Touched") -> None:
        """Review all closed months once, then those the ledger touched, until cancelled."""
        waiting: dict[str, set[Month] | None] = dict.fromkeys(self.plants)
        while True:
            for site, month in touched.take():
                known = waiting.setdefault(site, set())
                if known is not None:
                    known.add(month)
            for site, months in list(waiting.items()):
                try:
                    if await self.review(site, months) is not None:
                        del waiting[site]
                except (StoreError, FigureError) as err:
                    self.log.error("closing.failed", site=site, error=str(err))  # noqa: TRY400 - an event
            await self.clock.sleep_until(self.clock.now_ns() + int(self.every_s * NS))

    # --- parts

    def _plant(self, site: str) -> Plant:
        if site not in self.plants:
            raise UnknownSite(site)
        return self.plants[site]

    async def _pending(self, plant: Plant, end: int) -> bool:
        """Whether readings of before `end` are in no interval yet."""
        return any(dirty.series.site == plant.site and dirty.first < end for dirty in await self.store.dirty(_PENDING))

    async def _meters(self, plant: Plant, month: Month) -> tuple[MeterMonth, ...]:
        bounds = month_bounds(month, plant.zone, plant.metering_day)
        found: list[MeterMonth] = []
        for points in await self.directory.points(plant):
            quarters: list[Interval] = []
            if points.counter is not None:
                stored = await self.store.read_rollup(points.counter, Grain.QUARTER, *bounds)
                quarters = [bucket.interval for bucket in stored]
            found.append(await asyncio.to_thread(meter_month, points, quarters, *bounds))
        return tuple(sorted(found, key=lambda meter: meter.place))


class Touched(Protocol):
    """The ledger: which months of which site it computed again since it was last asked."""

    def take(self) -> Collection[tuple[str, Month]]: ...
