"""Suppliers' bills in the books, as they were given in: the last one of a month counts, none is changed or removed."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from centre.accounting.stated_bill import Stated
from centre.books.file import Writing
from centre.json_views import plain, to_json

TABLES: Final = """
CREATE TABLE IF NOT EXISTS stated_bill (
    id INTEGER PRIMARY KEY, site TEXT NOT NULL, month TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL,
    author TEXT NOT NULL, reason TEXT NOT NULL, told TEXT NOT NULL, UNIQUE (site, month, version)) STRICT;
CREATE TRIGGER IF NOT EXISTS stated_bill_is_not_changed BEFORE UPDATE ON stated_bill
    BEGIN SELECT RAISE(ABORT, 'a bill is never changed'); END;
CREATE TRIGGER IF NOT EXISTS stated_bill_is_kept BEFORE DELETE ON stated_bill
    BEGIN SELECT RAISE(ABORT, 'a bill is never removed'); END;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedBill:
    """The bill of a month as somebody gave it in, `at` UTC ns; `version` counts those of the month from 1."""

    site: str
    month: str
    version: int
    at: int
    author: str
    reason: str
    lines: tuple[Stated, ...]


def newest(connection: sqlite3.Connection, site: str, month: str) -> StatedBill | None:
    """The one that counts."""
    row = connection.execute(
        "SELECT version, at, author, reason, told FROM stated_bill WHERE site = ? AND month = ?"
        " ORDER BY version DESC LIMIT 1",
        (site, month),
    ).fetchone()
    if row is None:
        return None
    return StatedBill(
        site=site, month=month, version=row[0], at=row[1], author=row[2], reason=row[3], lines=_lines(row[4])
    )


def state(
    connection: Writing, site: str, month: str, lines: Sequence[Stated], *, at: int, author: str, reason: str
) -> StatedBill:
    """Keep a bill in place of the one before; the same again changes nothing."""
    before = newest(connection, site, month)
    if before is not None and before.lines == tuple(lines):
        return before
    after = StatedBill(
        site=site, month=month, version=1 if before is None else before.version + 1, at=at, author=author.strip(),
        reason=reason.strip(), lines=tuple(lines),
    )  # fmt: skip
    connection.execute(
        "INSERT INTO stated_bill (site, month, version, at, author, reason, told) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (site, month, after.version, at, after.author, after.reason, to_json(after.lines).decode()),
    )
    connection.note(f"bill:{site}/{month}", plain(before), plain(after))
    return after


def _lines(told: str) -> tuple[Stated, ...]:
    return tuple(
        Stated(
            item=row["item"],
            quantity=None if row["quantity"] is None else Decimal(row["quantity"]),
            price=None if row["price"] is None else Decimal(row["price"]),
            amount=Decimal(row["amount"]),
        )
        for row in json.loads(told)
    )
