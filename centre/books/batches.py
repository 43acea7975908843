"""Batches in the books: which form holds which revision of what a source tells of a batch.

A batch is known by its source and its id. What it says is a form like any other; another content is a new revision,
which comes in place of the one before when it is approved, and at once where that one was not approved yet.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

from centre.books import forms
from centre.books.file import Writing
from centre.books.forms import FormRow, State
from centre.manual_batches import Batch
from centre.manual_forms import Entry

TABLES: Final = """
CREATE TABLE IF NOT EXISTS manual_batch (
    form_id INTEGER PRIMARY KEY REFERENCES manual_form, site TEXT NOT NULL, source TEXT NOT NULL, batch TEXT NOT NULL,
    revision INTEGER NOT NULL, digest TEXT NOT NULL,
    UNIQUE (site, source, batch, revision), UNIQUE (site, source, batch, digest)) STRICT;
"""
_OF_BATCH: Final = "FROM manual_batch WHERE site = ? AND source = ? AND batch = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """One revision, counted from 1, of a batch; its form, of one entry, tells its state and who approved it."""

    site: str
    source: str
    batch: str
    revision: int
    form: FormRow
    entry: Entry


def keep(connection: Writing, batch: Batch, *, at: int) -> tuple[FormRow, bool]:
    """(the form handed in, True), or (the form, False) when the batch was told with these words before."""
    key = (batch.site, batch.source, batch.batch)
    known = connection.execute(f"SELECT form_id {_OF_BATCH} AND digest = ?", (*key, batch.filled.digest)).fetchone()
    if known is not None:
        return forms.form(connection, known[0]), False
    (last,) = connection.execute(f"SELECT coalesce(max(revision), 0) {_OF_BATCH}", key).fetchone()
    for (earlier,) in connection.execute(f"SELECT form_id {_OF_BATCH}", key).fetchall():
        if forms.form(connection, earlier).state in {State.DRAFT, State.SUBMITTED}:
            forms.withdraw(connection, earlier)
    row = forms.keep(connection, batch.filled, author=batch.author, at=at)
    connection.execute(
        "INSERT INTO manual_batch (form_id, site, source, batch, revision, digest) VALUES (?, ?, ?, ?, ?, ?)",
        (row.id, *key, last + 1, batch.filled.digest),
    )
    return forms.submit(connection, row.id, batch.author), True


def in_force_before(connection: sqlite3.Connection, number: int) -> tuple[int, ...]:
    """The forms in force that hold other revisions of the batch of a form; none where it is of no batch."""
    found = connection.execute(
        "SELECT DISTINCT old.form_id FROM manual_batch AS new JOIN manual_batch AS old USING (site, source, batch)"
        " JOIN manual_entry AS entry ON entry.form_id = old.form_id AND entry.in_force = 1"
        " WHERE new.form_id = ?1 AND old.form_id <> ?1 ORDER BY 1",
        (number,),
    )
    return tuple(row[0] for row in found)


def waiting(connection: sqlite3.Connection, site: str, month: str) -> tuple[int, ...]:
    """The forms of batches of a site that wait for approval, and belong to a month; the oldest first."""
    found = connection.execute(
        "SELECT form_id FROM manual_batch JOIN manual_form AS form ON form.id = form_id"
        " JOIN manual_entry AS entry USING (form_id) WHERE form.state = ? AND entry.site = ? AND entry.period = ?"
        " ORDER BY 1",
        (State.SUBMITTED.value, site, month),
    )
    return tuple(row[0] for row in found)


def listed(connection: sqlite3.Connection, limit: int = 200) -> tuple[BatchRow, ...]:
    """The newest first."""
    found = connection.execute(
        "SELECT form_id, site, source, batch, revision FROM manual_batch ORDER BY form_id DESC LIMIT ?", (limit,)
    ).fetchall()
    return tuple(
        BatchRow(
            site=site, source=source, batch=batch, revision=revision, form=forms.form(connection, number),
            entry=forms.entries_of(connection, number)[0],
        )
        for number, site, source, batch, revision in found
    )  # fmt: skip
