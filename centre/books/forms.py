"""Manual data in the books: forms filled in, their way from draft to approved, and the entries that are in force.

An entry never changes. It is in force from the approval of its form until a later approved one is about the same.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from centre.books import closings
from centre.books.counted_once import refuse_counted_twice
from centre.books.file import Writing
from centre.errors import FigureError
from centre.manual_csv import Filled
from centre.manual_forms import READINGS, Entry

TABLES: Final = """
CREATE TABLE IF NOT EXISTS manual_form (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL, form TEXT NOT NULL, name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('draft', 'submitted', 'approved', 'superseded')),
    made_by TEXT NOT NULL, made_at INTEGER NOT NULL, submitted_by TEXT, approved_by TEXT) STRICT;
CREATE INDEX IF NOT EXISTS manual_form_digest ON manual_form (digest);
CREATE TABLE IF NOT EXISTS manual_entry (
    id INTEGER PRIMARY KEY, form_id INTEGER NOT NULL REFERENCES manual_form, form TEXT NOT NULL, site TEXT NOT NULL,
    period TEXT NOT NULL, key TEXT NOT NULL, line INTEGER NOT NULL, told TEXT NOT NULL,
    in_force INTEGER NOT NULL DEFAULT 0 CHECK (in_force IN (0, 1)),
    superseded_by INTEGER REFERENCES manual_form) STRICT;
CREATE INDEX IF NOT EXISTS manual_entry_form ON manual_entry (form_id);
CREATE UNIQUE INDEX IF NOT EXISTS manual_entry_in_force ON manual_entry (form, key) WHERE in_force = 1;
CREATE INDEX IF NOT EXISTS manual_entry_period ON manual_entry (site, form, period) WHERE in_force = 1;
CREATE TRIGGER IF NOT EXISTS manual_entry_is_not_changed
    BEFORE UPDATE OF form_id, form, site, period, key, line, told ON manual_entry
    BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;
CREATE TRIGGER IF NOT EXISTS manual_entry_is_not_deleted BEFORE DELETE ON manual_entry
    BEGIN SELECT RAISE(ABORT, 'an entry is never deleted'); END;
"""


class State(StrEnum):
    """SUPERSEDED: none of its entries is in force any more."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRow:
    """A form as filled in once; `rows` entries, of which `in_force` enter figures."""

    id: int
    digest: str
    form: str
    name: str
    state: State
    made_by: str
    made_at: int
    submitted_by: str | None
    approved_by: str | None
    rows: int
    in_force: int


_FORM: Final = (
    "SELECT id, digest, form, name, state, made_by, made_at, submitted_by, approved_by,"
    " (SELECT count(*) FROM manual_entry WHERE form_id = manual_form.id),"
    " (SELECT count(*) FROM manual_entry WHERE form_id = manual_form.id AND in_force = 1) FROM manual_form"
)


def forms(connection: sqlite3.Connection, *, state: State | None = None, limit: int = 200) -> tuple[FormRow, ...]:
    """The newest first."""
    where, values = ("", ()) if state is None else (" WHERE state = ?", (state.value,))
    found = connection.execute(f"{_FORM}{where} ORDER BY id DESC LIMIT ?", (*values, limit))
    return tuple(_form_row(row) for row in found)


def form(connection: sqlite3.Connection, number: int) -> FormRow:
    """Raises FigureError."""
    row = connection.execute(f"{_FORM} WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise FigureError("unknown_form", f"there is no form {number} in the books", 404)
    return _form_row(row)


def _form_row(row: Sequence[Any]) -> FormRow:
    return FormRow(
        id=row[0],
        digest=row[1],
        form=row[2],
        name=row[3],
        state=State(row[4]),
        made_by=row[5],
        made_at=row[6],
        submitted_by=row[7],
        approved_by=row[8],
        rows=row[9],
        in_force=row[10],
    )


_ENTRY: Final = "SELECT form, site, period, key, told, line, form_id FROM manual_entry"


def entries_of(connection: sqlite3.Connection, number: int) -> tuple[Entry, ...]:
    """The entries of one form, in their order."""
    return _entries(connection.execute(_ENTRY + " WHERE form_id = ? ORDER BY id", (number,)))


def in_force(connection: sqlite3.Connection, site: str, form: str, first: str, last: str) -> tuple[Entry, ...]:
    """The approved entries of a site whose month lies in [first, last], by month and key."""
    where = " WHERE site = ? AND form = ? AND period BETWEEN ? AND ? AND in_force = 1 ORDER BY period, key"
    return _entries(connection.execute(_ENTRY + where, (site, form, first, last)))


def readings(connection: sqlite3.Connection, site: str) -> tuple[tuple[Entry, FormRow], ...]:
    """The approved readings of every register of a site, each with its form."""
    found = in_force(connection, site, READINGS, "", "\U0010ffff")
    told = {number: form(connection, number) for number in {entry.number for entry in found} if number is not None}
    return tuple((entry, told[entry.number]) for entry in found if entry.number is not None)


def readings_approved(connection: sqlite3.Connection) -> int:
    """How many forms with meter readings were ever approved."""
    found = "SELECT count(*) FROM manual_form WHERE form = ? AND approved_by IS NOT NULL"
    (number,) = connection.execute(found, (READINGS,)).fetchone()
    return int(number)


def _entries(found: Iterable[Sequence[Any]]) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            form=row[0],
            site=row[1],
            period=row[2],
            key=tuple(json.loads(row[3])),
            values=json.loads(row[4]),
            place=row[5],
            number=row[6],
        )
        for row in found
    )


def keep(connection: Writing, filled: Filled, *, author: str, at: int) -> FormRow:
    """The draft of a form; one whose entries are all there already, none of them superseded, is that one."""
    known = connection.execute(
        "SELECT id FROM manual_form WHERE digest = ? AND NOT EXISTS"
        " (SELECT 1 FROM manual_entry WHERE form_id = manual_form.id AND superseded_by IS NOT NULL)",
        (filled.digest,),
    ).fetchone()
    if known is not None:
        return form(connection, known[0])
    number = connection.execute(
        "INSERT INTO manual_form (digest, form, name, state, made_by, made_at) VALUES (?, ?, ?, ?, ?, ?)",
        (filled.digest, filled.form, filled.name, State.DRAFT.value, author.strip(), at),
    ).lastrowid
    assert number is not None
    connection.executemany(
        "INSERT INTO manual_entry (form_id, form, site, period, key, line, told) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(number, entry.form, entry.site, entry.period, _text(entry.key), entry.place, _text(entry.values))
         for entry in filled.entries],
    )  # fmt: skip
    return _noted(connection, None, number)


def submit(connection: Writing, number: int, author: str) -> FormRow:
    """A draft is handed in."""
    before = _expected(connection, number, State.DRAFT)
    connection.execute(
        "UPDATE manual_form SET state = ?, submitted_by = ? WHERE id = ?",
        (State.SUBMITTED.value, author.strip(), number),
    )
    return _noted(connection, before, number)


def give_back(connection: Writing, number: int) -> FormRow:
    """What was handed in is a draft again."""
    before = _expected(connection, number, State.SUBMITTED)
    connection.execute("UPDATE manual_form SET state = ? WHERE id = ?", (State.DRAFT.value, number))
    return _noted(connection, before, number)


def withdraw(connection: Writing, number: int) -> FormRow:
    """What was not approved yet, and will not be: something newer came in its place."""
    before = form(connection, number)
    connection.execute("UPDATE manual_form SET state = ? WHERE id = ?", (State.SUPERSEDED.value, number))
    return _noted(connection, before, number)


def approve(
    connection: Writing, number: int, author: str, months: Callable[[Entry], str], replaced: Sequence[int] = ()
) -> FormRow:
    """What was handed in comes into force, in place of what is about the same; not by who made or handed it in.

    `months` tells the month of an entry; nothing comes into a closed one, nor leaves it. `replaced` are forms in whose
    place it comes, whatever they are about. Whatever raises FigureError does so before anything is written.
    """
    before = _expected(connection, number, State.SUBMITTED)
    if author.strip().casefold() in {(before.made_by or "").casefold(), (before.submitted_by or "").casefold()}:
        raise FigureError("own_work", f"form {number} must be approved by somebody else than {author.strip()}", 409)
    told = [entry for one in (number, *replaced) for entry in entries_of(connection, one)]
    for site, month in sorted({(entry.site, months(entry)) for entry in told}):
        if closings.in_force(connection, site, month) is not None:
            raise FigureError("month_closed", f"{month} of {site} is closed: reopen it first, with the reason", 409)
    refuse_counted_twice(connection, entries_of(connection, number), replaced)
    old = {
        row.id: row
        for row in (*_forms_about_the_same(connection, number), *(form(connection, one) for one in replaced))
    }
    connection.execute(
        "UPDATE manual_entry SET in_force = 0, superseded_by = ? WHERE in_force = 1"
        " AND (form, key) IN (SELECT form, key FROM manual_entry WHERE form_id = ?)",
        (number, number),
    )
    connection.executemany(
        "UPDATE manual_entry SET in_force = 0, superseded_by = ? WHERE in_force = 1 AND form_id = ?",
        [(number, one) for one in replaced],
    )
    connection.execute("UPDATE manual_entry SET in_force = 1 WHERE form_id = ?", (number,))
    connection.execute(
        "UPDATE manual_form SET state = ?, approved_by = ? WHERE id = ?",
        (State.APPROVED.value, author.strip(), number),
    )
    for row in old.values():
        if form(connection, row.id).in_force == 0:
            connection.execute("UPDATE manual_form SET state = ? WHERE id = ?", (State.SUPERSEDED.value, row.id))
        _noted(connection, row, row.id)
    return _noted(connection, before, number)


def _forms_about_the_same(connection: sqlite3.Connection, number: int) -> Iterable[FormRow]:
    found = connection.execute(
        "SELECT DISTINCT old.form_id FROM manual_entry AS new JOIN manual_entry AS old USING (form, key)"
        " WHERE new.form_id = ? AND old.in_force = 1",
        (number,),
    ).fetchall()
    return [form(connection, row[0]) for row in found]


def _expected(connection: sqlite3.Connection, number: int, state: State) -> FormRow:
    found = form(connection, number)
    if found.state is not state:
        raise FigureError("wrong_state", f"form {number} is {found.state}, not {state}", 409)
    return found


def _noted(connection: Writing, before: FormRow | None, number: int) -> FormRow:
    after = form(connection, number)
    connection.note(f"manual:{number}", before, after)
    return after


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
