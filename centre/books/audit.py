"""The audit of the books: who changed what, when, why, from what to what; rows are only ever added.

Each row's digest covers the row and the digest before it, so that a row changed behind our back, or taken out from
between others, shows.
"""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from centre.json_views import to_json

MAX_ROWS: Final = 1000

TABLES: Final = """
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY, change INTEGER NOT NULL, at INTEGER NOT NULL, author TEXT NOT NULL, reason TEXT NOT NULL,
    subject TEXT NOT NULL, before TEXT, after TEXT, digest TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS audit_subject ON audit (subject, id);
CREATE TRIGGER IF NOT EXISTS audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is never changed'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_shortened BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is never shortened'); END;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What changed: `subject` such as `entity:line-1`, and its JSON before and after; None: was not there."""

    subject: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One thing of one change; `change` is the number of the first row of the same transaction."""

    id: int
    change: int
    at: int
    author: str
    reason: str
    subject: str
    before: Any
    after: Any


def note_of(subject: str, before: object, after: object) -> Note:
    """The note of a change from `before` to `after`, each something json_views can show, or None."""
    return Note(subject=subject, before=_text(before), after=_text(after))


def _text(value: object) -> str | None:
    return None if value is None else to_json(value).decode()


def append(connection: sqlite3.Connection, *, at: int, author: str, reason: str, notes: Sequence[Note]) -> None:
    """Add the notes of one change; inside its transaction."""
    last = connection.execute("SELECT id, digest FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    number, digest = (0, "") if last is None else last
    change = number + 1
    for note in notes:
        number += 1
        row = (number, change, at, author, reason, note.subject, note.before, note.after)
        digest = _digest(digest, row)
        connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, digest))


def _digest(previous: str, row: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps([previous, *row], ensure_ascii=False).encode()).hexdigest()


def rows(
    connection: sqlite3.Connection, *, subject: str | None = None, below: int | None = None, limit: int = 100
) -> tuple[AuditRow, ...]:
    """The newest rows first, at most `limit`; of one `subject` only (or of all that begin with it when it ends in `:`
    or `/`), and with numbers smaller than `below`."""
    first, last = ("", "\U0010ffff") if subject is None else (subject, subject)
    if subject is not None and subject.endswith((":", "/")):
        last = subject + "\U0010ffff"
    found = connection.execute(
        "SELECT id, change, at, author, reason, subject, before, after FROM audit"
        " WHERE subject BETWEEN ? AND ? AND id < ? ORDER BY id DESC LIMIT ?",
        (first, last, 2**62 if below is None else below, min(limit, MAX_ROWS)),
    )
    return tuple(
        AuditRow(
            id=row[0],
            change=row[1],
            at=row[2],
            author=row[3],
            reason=row[4],
            subject=row[5],
            before=None if row[6] is None else json.loads(row[6]),
            after=None if row[7] is None else json.loads(row[7]),
        )
        for row in found
    )


def first_broken(connection: sqlite3.Connection) -> int | None:
    """The number of the first row that is not what was written, or that follows a missing one; None: all is well."""
    digest, expected = "", 1
    for *row, stored in connection.execute(
        "SELECT id, change, at, author, reason, subject, before, after, digest FROM audit ORDER BY id"
    ):
        digest = _digest(digest, row)
        if row[0] != expected or digest != stored:
            return int(row[0])
        expected += 1
    return None
