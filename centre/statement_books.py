"""What the books say of a statement's period: approved forms, retired certificates, and how the month was signed."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from centre.accounting.calendar import Month
from centre.books import closings as rows
from centre.books import forms
from centre.books.certificates import ledger
from centre.books.entities import load
from centre.books.file import Books
from centre.closing_content import headline_of
from centre.entities import Entities
from centre.manual_forms import Entry
from centre.manual_meters import Approved
from centre.period import Period
from centre.statement_told import FORMS, LOOK_BACK, Told, months_of

Headline = Mapping[str, tuple[Decimal | None, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A closed month as its statement shows it: the main figures (value, unit) as signed, what was corrected since.

    `corrections`: when (UTC ns) and what, oldest first, as closing.CorrectionView has it.
    """

    version: int
    at_ns: int
    author: str
    reason: str
    software: str
    headline: Headline
    corrections: tuple[tuple[int, Any], ...]


def _corrected(told: Mapping[str, Any]) -> list[Any]:
    """The figures a correction changed; older ones told nothing of the ledgers."""
    return [figure for name in ("headline", "outlets", "machines") for figure in told.get(name, [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementBooks:
    """The books beside the store. Methods raise StoreError."""

    books: Books

    async def entities(self) -> Entities:
        """The entities with their dated membership; none where none were ever kept."""
        return await self.books.read(lambda connection: load(connection).entities)

    async def told(self, site: str, period: Period) -> Told:
        """What people told of the period, and of the year before it."""
        months = months_of(period)

        def look(connection: sqlite3.Connection) -> Told:
            first, last = str(months[0].plus(-LOOK_BACK)), str(months[-1])
            entries: dict[str, tuple[Entry, ...]] = {
                form: forms.in_force(connection, site, form, first, last) for form in FORMS
            }
            wanted = {date(month.year, month.month, 1): str(month) for month in months}
            certificates: dict[tuple[str, str], list[str]] = {}
            elsewhere: dict[tuple[str, str], list[str]] = {}
            for one in ledger(connection).certificates.values():
                month = None if one.month is None else wanted.get(one.month)
                if month is not None and one.node is not None:
                    certificates.setdefault((one.node, month), []).append(one.id)
                if one.elsewhere and one.generated in wanted:
                    elsewhere.setdefault((one.plant, wanted[one.generated]), []).append(one.id)
            return Told(entries=entries, certificates=certificates, elsewhere=elsewhere)

        return await self.books.read(look)

    async def production(self, site: str) -> tuple[Entry, ...]:
        """Every approved row of what was made."""
        return await self.books.read(lambda of: forms.in_force(of, site, "production", "", "~"))

    async def readings(self, site: str) -> dict[tuple[str, str], list[Approved]]:
        """Device and point -> the approved readings of a register, in any order."""
        found: dict[tuple[str, str], list[Approved]] = {}
        for entry, row in await self.books.read(lambda of: forms.readings(of, site)):
            register = entry.values["device"], entry.values["point"]
            found.setdefault(register, []).append(Approved(entry, row.made_by, row.approved_by or ""))
        return found

    async def signed(self, site: str, period: Period) -> Signed | None:
        """How the month was closed; None for an open month, and for a year."""
        if period.month is None:
            return None
        month = str(Month(period.year, period.month))

        def look(connection: sqlite3.Connection) -> Signed | None:
            row = rows.in_force(connection, site, month)
            if row is None:
                return None
            told = json.loads(rows.content(connection, row.id))
            return Signed(
                version=row.version,
                at_ns=row.at,
                author=row.author,
                reason=row.reason,
                software=row.software,
                headline=headline_of(told["headline"]),
                corrections=tuple(
                    (entry.at, _corrected(json.loads(entry.content))) for entry in rows.corrections(connection, row.id)
                ),
            )

        return await self.books.read(look)
