"""What a centre above asked of this one's raw readings, and whether it was given them."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from centre.books.file import Writing
from metering.raw import Ask, ask_of

TABLES: Final = """
-- told: the request; given: how many readings of which device and point there were, as JSON
CREATE TABLE IF NOT EXISTS raw_answer (
    site TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, told TEXT NOT NULL, given TEXT NOT NULL, refused TEXT,
    ended INTEGER, PRIMARY KEY (site, id)) STRICT;
CREATE INDEX IF NOT EXISTS raw_answer_at ON raw_answer (at);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """`given`: `DEVICE/POINT` -> how many readings there were when it was decided; `ended`: when the last part went."""

    site: str
    at: int
    ask: Ask
    given: Mapping[str, int]
    refused: str | None = None
    ended: int | None = None


def find(connection: sqlite3.Connection, site: str, request: str) -> RawAnswer | None:
    """The answer to a request that came before."""
    row = connection.execute("SELECT * FROM raw_answer WHERE site = ? AND id = ?", (site, request)).fetchone()
    return None if row is None else _answer(row)


def newest(connection: sqlite3.Connection, limit: int) -> list[RawAnswer]:
    """The newest first."""
    rows = connection.execute("SELECT * FROM raw_answer ORDER BY at DESC, id LIMIT ?", (limit,))
    return [_answer(row) for row in rows]


def count_since(connection: sqlite3.Connection, at: int) -> int:
    """How many requests came since then."""
    row: tuple[int] = connection.execute("SELECT count(*) FROM raw_answer WHERE at >= ?", (at,)).fetchone()
    return row[0]


def put(connection: Writing, answer: RawAnswer) -> None:
    """Keep an answer, or what became of it."""
    before = find(connection, answer.site, answer.ask.id)
    connection.execute(
        "INSERT OR REPLACE INTO raw_answer VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            answer.site,
            answer.ask.id,
            answer.at,
            json.dumps(asdict(answer.ask.subject)),
            json.dumps(dict(answer.given)),
            answer.refused,
            answer.ended,
        ),
    )
    connection.note(f"raw_answer:{answer.site}/{answer.ask.id}", before, replace(answer, ask=answer.ask.subject))


def _answer(row: tuple[Any, ...]) -> RawAnswer:
    site, _, at, told, given, refused, ended = row
    return RawAnswer(
        site=site, at=at, ask=ask_of(json.loads(told)), given=json.loads(given), refused=refused, ended=ended
    )
