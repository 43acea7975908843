"""Closing a month of a plant: its figures are signed and frozen; what comes later is a correction beside them.

What is frozen is described in centre/closing_content.py.
"""

import json
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Protocol

from centre.accounting.calendar import Month, month_bounds
from centre.accounting.corrections import changes, lacking
from centre.books import certificates, forms
from centre.books import closings as rows
from centre.books.closings import ClosingRow
from centre.books.file import Books, Writing
from centre.closing_content import (
    SOFTWARE,
    Counted,
    Figures,
    canonical,
    content_of,
    correction_of,
    digest,
    meter_of,
    other,
)
from centre.closing_inputs import Inputs, nothing_edited
from centre.errors import BadQuestion, FigureError, UnknownSite
from centre.forwarding_touched import Touched
from centre.plant import Plant
from centre.store.base import Store, StoreError
from wattline.clock import NS, Clock
from wattline.events import EventLog

MONTH_END: Final = "the month is over"
CENTRE: Final = "wattline centre"
_TOLD: Final = ("meters", "headline", "nodes", "outlets", "machines", "tree", "certificates")


class FigureMaker(Protocol):
    """Makes the figures of a month out of the accounted intervals, and knows which meters counted in it."""

    async def counted(self, site: str, month: Month) -> Counted: ...

    async def figures(self, site: str, month: Month) -> Figures: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionView:
    """One entry beside a closed month: when it was found, what differs from what stood before, and why."""

    at_ns: int
    meters: Any
    headline: Any
    nodes: Any
    outlets: Any
    machines: Any
    tree: Any
    certificates: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A closed month as it is shown: the sign-off, what was signed, and the corrections since."""

    closing: ClosingRow
    signed: Any
    corrections: tuple[CorrectionView, ...]


@dataclass(slots=True, kw_only=True)
class Closings:
    """Closes, opens again, and watches what was closed. Methods raise FigureError or StoreError.

    `follows`: whether the ledger counts a site by its entities as they are now.
    """

    store: Store
    books: Books
    clock: Clock
    plants: Mapping[str, Plant]
    maker: FigureMaker
    limit: Decimal
    follows: Callable[[str], Awaitable[bool]] = nothing_edited
    every_s: float = 30.0
    log: EventLog = field(default_factory=EventLog)
    _inputs: Inputs = field(init=False)

    def __post_init__(self) -> None:
        self._inputs = Inputs(self.store, self.follows)

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
                    CorrectionView(at_ns=at, **{name: told.get(name, []) for name in _TOLD}) for at, told in found
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
        await self._all_counted(plant, end)
        begun = await self.books.read(lambda connection: rows.decisions(connection, site))
        counted = await self.maker.counted(site, month)
        meters = await self._inputs.meters(plant, month, counted)
        short = lacking(meters, self.limit)
        if short and not reason.strip():
            message = (
                f"less than {(self.limit * 100).normalize():f} % is known of {', '.join(short)}: close it with a reason"
            )
            raise FigureError("incomplete", message, 409)
        figures = await self.maker.figures(site, month)
        signed = canonical(content_of(plant, month, meters, counted, figures))
        await self._all_counted(plant, end)  # as it was before the figures were made
        inputs = digest(canonical(meters))
        now = self.clock.now_ns()

        def sign(connection: Writing) -> ClosingRow:
            if rows.in_force(connection, site, str(month)):
                raise FigureError("closed_already", f"{site} {month} is closed already", 409)
            if rows.decisions(connection, site) != begun:
                raise FigureError("not_accounted", "a form or certificates came in meanwhile; try again", 409)
            return rows.add_closing(
                connection, site=site, month=str(month), at=now, author=author, reason=reason or MONTH_END,
                completeness=f"{min((meter.completeness for meter in meters), default=Decimal(0)):f}",
                software=SOFTWARE, inputs=inputs, figures=digest(signed), signed=signed,
            )  # fmt: skip

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
        if due and await self._inputs.pending(plant.site, month_bounds(max(due), plant.zone, plant.metering_day)[1]):
            return None
        return sum([await self._correct(plant, month, row) for month, row in sorted(due.items())])

    async def _correct(self, plant: Plant, month: Month, row: ClosingRow) -> bool:
        counted = await self.maker.counted(plant.site, month)
        meters = await self._inputs.meters(plant, month, counted)
        inputs = digest(canonical(meters))
        entries = await self.books.read(lambda connection: rows.corrections(connection, row.id))
        if entries:
            last = json.loads(entries[-1].content)["now"]
        else:
            last = json.loads(await self.books.read(lambda connection: rows.content(connection, row.id)))
        beside = other(last, counted)
        if inputs == (entries[-1].inputs if entries else row.inputs) and not beside:
            return False
        content = correction_of(last, meters, counted, await self.maker.figures(plant.site, month))
        if await self._inputs.pending(plant.site, month_bounds(month, plant.zone, plant.metering_day)[1]):
            return False  # what came meanwhile touches the month: it is reviewed again, and corrected once
        differing = changes([meter_of(told) for told in last["meters"]], meters)
        now = self.clock.now_ns()
        await self.books.change(
            CENTRE,
            ", ".join(sorted({*beside, *(change.cause.value for change in differing)})),
            lambda connection: rows.add_correction(
                connection, row, at=now, inputs=inputs, content=canonical(content).decode()
            ),
        )
        self.log.warning("closing.corrected", site=plant.site, month=row.month, meters=len(differing))
        return True

    async def run(self, touched: Touched) -> None:
        """Review all closed months once and when somebody told of registers or certificates, else those touched."""
        waiting: dict[str, set[Month] | None] = {}
        seen = (-1, -1)
        while True:
            with suppress(StoreError):  # whatever reads the books next says so
                if (booked := await self.books.read(_told)) != seen:
                    waiting, seen = dict.fromkeys(self.plants), booked
            for site, month in touched.take():
                known = waiting.setdefault(site, set())
                if month is None:
                    waiting[site] = None
                elif known is not None:
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

    async def _all_counted(self, plant: Plant, end: int) -> None:
        if await self._inputs.pending(plant.site, end):
            message = "readings or an edit of the entities are still being accounted; try again in a moment"
            raise FigureError("not_accounted", message, 409)


def _told(connection: sqlite3.Connection) -> tuple[int, int]:
    """What people told that may change any closed month, counted."""
    return certificates.count(connection), forms.readings_approved(connection)
