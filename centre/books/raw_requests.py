"""The raw readings that this centre asked of those below: the requests, and the parts of their answers as they came.

They stand by themselves: nothing is computed from them, and this centre's own readings are in its store.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from centre.books.received import CentreKey
from metering.raw import Ask, RawPart, ask_of

TABLES: Final = """
CREATE TABLE IF NOT EXISTS raw_request (
    id TEXT PRIMARY KEY, site TEXT NOT NULL, centre TEXT NOT NULL, at INTEGER NOT NULL, told TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT, place TEXT NOT NULL, parts INTEGER NOT NULL, readings INTEGER NOT NULL,
    changed INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS raw_request_open ON raw_request (site, centre) WHERE state = 'open';
CREATE TABLE IF NOT EXISTS raw_part (
    request TEXT NOT NULL REFERENCES raw_request, number INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (request, number)) STRICT;
"""


class RawState(StrEnum):
    OPEN = "open"
    COMPLETE = "complete"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """`reason`: of a refusal. `ask.place`: from where on more is wanted. `changed`: when the last part came."""

    site: str
    centre: str
    at: int
    ask: Ask
    changed: int
    state: RawState = RawState.OPEN
    reason: str | None = None
    parts: int = 0
    readings: int = 0


def find(connection: sqlite3.Connection, request: str) -> RawRequest | None:
    """One request."""
    row = connection.execute("SELECT * FROM raw_request WHERE id = ?", (request,)).fetchone()
    return None if row is None else _request(row)


def newest(connection: sqlite3.Connection, limit: int) -> list[RawRequest]:
    """The newest first."""
    rows = connection.execute("SELECT * FROM raw_request ORDER BY at DESC, id LIMIT ?", (limit,))
    return [_request(row) for row in rows]


def asked(connection: sqlite3.Connection) -> dict[CentreKey, list[Ask]]:
    """What is still wanted of each centre that ever was asked for something, the oldest first."""
    found: dict[CentreKey, list[Ask]] = {
        CentreKey(site, centre): []
        for site, centre in connection.execute("SELECT DISTINCT site, centre FROM raw_request")
    }
    rows = connection.execute("SELECT * FROM raw_request WHERE state = 'open' ORDER BY at, id")
    for request in map(_request, rows):
        found[CentreKey(request.site, request.centre)].append(request.ask)
    return found


def put(connection: sqlite3.Connection, request: RawRequest) -> None:
    """Keep a request as it is now."""
    connection.execute(
        "INSERT INTO raw_request VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET state = excluded.state, reason = excluded.reason, place = excluded.place,"
        " parts = excluded.parts, readings = excluded.readings, changed = excluded.changed",
        (
            request.ask.id,
            request.site,
            request.centre,
            request.at,
            json.dumps(asdict(request.ask.subject)),
            request.state.value,
            request.reason,
            request.ask.place,
            request.parts,
            request.readings,
            request.changed,
        ),
    )


def take(connection: sqlite3.Connection, request: RawRequest, part: RawPart, body: bytes, now_ns: int) -> RawRequest:
    """Keep a part that begins where the request wants more; returns the request as it is then."""
    after = replace(request, changed=now_ns)
    if part.refused is not None:
        after = replace(after, state=RawState.REFUSED, reason=part.refused)
    else:
        connection.execute("INSERT INTO raw_part VALUES (?, ?, ?)", (request.ask.id, request.parts + 1, body))
        after = replace(
            after,
            state=RawState.COMPLETE if part.next is None else RawState.OPEN,
            ask=replace(request.ask, place=part.next or ""),
            parts=request.parts + 1,
            readings=request.readings + part.readings,
        )
    put(connection, after)
    return after


def part(connection: sqlite3.Connection, request: str, number: int) -> bytes | None:
    """A part as it came; numbers count from 1."""
    row: tuple[bytes] | None = connection.execute(
        "SELECT body FROM raw_part WHERE request = ? AND number = ?", (request, number)
    ).fetchone()
    return None if row is None else row[0]


def drop(connection: sqlite3.Connection, requests: Iterable[str]) -> None:
    """Forget the parts that came."""
    connection.executemany("DELETE FROM raw_part WHERE request = ?", [(one,) for one in requests])


def _request(row: tuple[Any, ...]) -> RawRequest:
    _, site, centre, at, told, state, reason, place, parts, readings, changed = row
    return RawRequest(
        site=site,
        centre=centre,
        at=at,
        ask=replace(ask_of(json.loads(told)), place=place),
        state=RawState(state),
        reason=reason,
        parts=parts,
        readings=readings,
        changed=changed,
    )
