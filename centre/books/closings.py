"""Closed months as the books keep them: what was signed stays to the byte, corrections stand beside it.

A month that was opened again and closed anew has a further row; nothing is ever taken out.
"""

import sqlite3
import zlib
from dataclasses import dataclass
from typing import Final

from centre.books import certificates
from centre.books.file import Writing
from centre.errors import FigureError

TABLES: Final = """
-- content: canonical JSON, compressed; figures: its sha256; inputs: that of the accounted intervals it was made of
CREATE TABLE IF NOT EXISTS closing (
    id INTEGER PRIMARY KEY, site TEXT NOT NULL, month TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL,
    author TEXT NOT NULL, reason TEXT NOT NULL, completeness TEXT NOT NULL, software TEXT NOT NULL,
    inputs TEXT NOT NULL, figures TEXT NOT NULL, content BLOB NOT NULL, reopened_at INTEGER, reopened_by TEXT,
    reopened_why TEXT, UNIQUE (site, month, version));
-- inputs: what the month is made of since; content: canonical JSON of the differences
CREATE TABLE IF NOT EXISTS correction (
    id INTEGER PRIMARY KEY, closing INTEGER NOT NULL REFERENCES closing, at INTEGER NOT NULL, inputs TEXT NOT NULL,
    content TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS correction_closing ON correction (closing, id);
CREATE TRIGGER IF NOT EXISTS closing_is_frozen BEFORE UPDATE OF id, site, month, version, at, author, reason,
    completeness, software, inputs, figures, content ON closing
    BEGIN SELECT RAISE(ABORT, 'a closed month is never changed'); END;
CREATE TRIGGER IF NOT EXISTS closing_is_kept BEFORE DELETE ON closing
    BEGIN SELECT RAISE(ABORT, 'a closed month is never removed'); END;
CREATE TRIGGER IF NOT EXISTS correction_is_frozen BEFORE UPDATE ON correction
    BEGIN SELECT RAISE(ABORT, 'a correction is never changed'); END;
CREATE TRIGGER IF NOT EXISTS correction_is_kept BEFORE DELETE ON correction
    BEGIN SELECT RAISE(ABORT, 'a correction is never removed'); END;
"""

_CLOSING: Final = (
    "SELECT id, site, month, version, at, author, reason, completeness, software, inputs, figures, reopened_at,"
    " reopened_by, reopened_why FROM closing"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingRow:
    """A sign-off; `version` counts from 1 how often the month was closed. It holds until `reopened_at`."""

    id: int
    site: str
    month: str
    version: int
    at: int
    author: str
    reason: str
    completeness: str
    software: str
    inputs: str
    figures: str
    reopened_at: int | None
    reopened_by: str | None
    reopened_why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionRow:
    """What was found to differ at `at` from the closing and its corrections until then."""

    id: int
    closing: int
    at: int
    inputs: str
    content: str


def closings(connection: sqlite3.Connection, site: str) -> list[ClosingRow]:
    """All of a site, the newest month first."""
    return _rows(connection, "WHERE site = ? ORDER BY month DESC, version DESC", (site,))


def in_force(connection: sqlite3.Connection, site: str, month: str) -> ClosingRow | None:
    """The closing that holds now."""
    found = _rows(connection, "WHERE site = ? AND month = ? AND reopened_at IS NULL", (site, month))
    return found[0] if found else None


def decisions(connection: sqlite3.Connection, site: str) -> tuple[int, int]:
    """What people decided that figures are made of beside readings, counted: entries approved, certificates booked."""
    (approved,) = connection.execute(
        "SELECT count(*) FROM manual_entry WHERE site = ? AND (in_force = 1 OR superseded_by IS NOT NULL)", (site,)
    ).fetchone()
    return approved, certificates.count(connection)


def content(connection: sqlite3.Connection, closing: int) -> bytes:
    """The canonical JSON that was signed."""
    row: tuple[bytes] = connection.execute("SELECT content FROM closing WHERE id = ?", (closing,)).fetchone()
    return zlib.decompress(row[0])


def corrections(connection: sqlite3.Connection, closing: int) -> list[CorrectionRow]:
    """In order of time."""
    rows = connection.execute(
        "SELECT id, closing, at, inputs, content FROM correction WHERE closing = ? ORDER BY id", (closing,)
    )
    return [CorrectionRow(id=id_, closing=of, at=at, inputs=inputs, content=text) for id_, of, at, inputs, text in rows]


def add_closing(
    connection: Writing, *, site: str, month: str, at: int, author: str, reason: str, completeness: str, software: str,
    inputs: str, figures: str, signed: bytes,
) -> ClosingRow:  # fmt: skip
    """Sign a month that is not closed; sqlite3.IntegrityError when it is."""
    if in_force(connection, site, month) is not None:
        raise sqlite3.IntegrityError(f"{site} {month} is closed already")
    (versions,) = connection.execute(
        "SELECT count(*) FROM closing WHERE site = ? AND month = ?", (site, month)
    ).fetchone()
    connection.execute(
        "INSERT INTO closing (site, month, version, at, author, reason, completeness, software, inputs, figures,"
        " content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (site, month, versions + 1, at, author, reason, completeness, software, inputs, figures, zlib.compress(signed)),
    )
    row = in_force(connection, site, month)
    assert row is not None
    connection.note(f"closing:{site}/{month}", None, row)
    return row


def reopen(connection: Writing, row: ClosingRow, *, at: int, author: str, reason: str) -> ClosingRow:
    """End the closing; what was signed stays. Raises FigureError when somebody else ended it since it was read."""
    ended = connection.execute(
        "UPDATE closing SET reopened_at = ?, reopened_by = ?, reopened_why = ? WHERE id = ? AND reopened_at IS NULL",
        (at, author, reason, row.id),
    ).rowcount
    if not ended:
        raise FigureError("not_closed", f"{row.site} {row.month} is not closed", 404)
    (found,) = _rows(connection, "WHERE id = ?", (row.id,))
    connection.note(f"closing:{row.site}/{row.month}", row, found)
    return found


def add_correction(connection: Writing, row: ClosingRow, *, at: int, inputs: str, content: str) -> None:
    """A difference to what was signed."""
    connection.execute(
        "INSERT INTO correction (closing, at, inputs, content) VALUES (?, ?, ?, ?)", (row.id, at, inputs, content)
    )
    connection.note(f"correction:{row.site}/{row.month}", None, {"closing": row.id, "at": at, "inputs": inputs})


def _rows(connection: sqlite3.Connection, where: str, values: tuple[object, ...]) -> list[ClosingRow]:
    rows = connection.execute(f"{_CLOSING} {where}", values).fetchall()
    names = ClosingRow.__dataclass_fields__
    return [ClosingRow(**dict(zip(names, row, strict=True))) for row in rows]
