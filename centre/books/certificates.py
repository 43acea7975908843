"""The certificates ledger in the books: entries in the order they were accepted in; never changed, never removed."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import date
from typing import Final

from centre.accounting.certificates import Entry, Issue, Ledger, Retire, Transfer, Validity, book, empty, retired
from centre.books.file import Writing
from centre.errors import FigureError
from centre.json_views import plain, to_json

TABLES: Final = """
CREATE TABLE IF NOT EXISTS certificate_entry (
    id INTEGER PRIMARY KEY, entry TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, told TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS certificate_entry_is_not_changed BEFORE UPDATE ON certificate_entry
    BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;
CREATE TRIGGER IF NOT EXISTS certificate_entry_is_kept BEFORE DELETE ON certificate_entry
    BEGIN SELECT RAISE(ABORT, 'an entry is never removed'); END;
"""

_KINDS: Final[dict[str, type[Entry]]] = {"issue": Issue, "transfer": Transfer, "retire": Retire}
_DATES: Final = ("generated", "month")


def ledger(connection: sqlite3.Connection) -> Ledger:
    """What the entries make of the certificates."""
    found = connection.execute("SELECT kind, told FROM certificate_entry ORDER BY id")
    return book(empty(), [_entry(kind, told) for kind, told in found])[0]


def count(connection: sqlite3.Connection) -> int:
    """How many entries are booked."""
    (number,) = connection.execute("SELECT count(*) FROM certificate_entry").fetchone()
    return int(number)


def enter(connection: Writing, entry: Entry, validity: Sequence[Validity] = ()) -> Ledger:
    """Book an entry whole; raises FigureError (409) with the reason. The same entry again changes nothing."""
    before = ledger(connection)
    after, refusals = book(before, [entry], validity)
    for refusal in refusals:
        what = "" if refusal.certificate is None else f": certificate {refusal.certificate}"
        raise FigureError(refusal.reason.value, f"entry {entry.entry} is not booked{what}: {refusal.reason}", 409)
    if entry.entry not in before.entries:
        kind = next(name for name, of in _KINDS.items() if isinstance(entry, of))
        connection.execute(
            "INSERT INTO certificate_entry (entry, kind, told) VALUES (?, ?, ?)",
            (entry.entry, kind, to_json(entry).decode()),
        )
        connection.note(f"certificates:{entry.entry}", None, plain(entry) | {"kind": kind})
    return after


def retired_of(connection: sqlite3.Connection, node: str, month: date) -> tuple[str, ...]:
    """The certificates used for what a node (`SITE/NODE`) consumed in a month (its first day)."""
    return retired(ledger(connection), node, month)


def _entry(kind: str, told: str) -> Entry:
    values = json.loads(told)
    values |= {name: date.fromisoformat(values[name]) for name in _DATES if name in values}
    return _KINDS[kind](**values | {"ids": tuple(values["ids"])})
