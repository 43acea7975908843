"""Alarms in the books: where each stands, and its history, a line for every change; lines are only ever added."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from centre.accounting.alarms import Alarm, Change, State, What

TABLES: Final = """
-- node, carrier, device, budget: what the alarm is about, see indicators.Sign
CREATE TABLE IF NOT EXISTS alarm (
    id TEXT PRIMARY KEY, indicator TEXT NOT NULL, site TEXT NOT NULL, node TEXT, carrier TEXT, device TEXT, budget TEXT,
    state TEXT NOT NULL, number INTEGER NOT NULL, owner TEXT, since INTEGER, ended_at INTEGER, last INTEGER NOT NULL)
    STRICT;
CREATE TABLE IF NOT EXISTS alarm_change (
    id INTEGER PRIMARY KEY, alarm TEXT NOT NULL REFERENCES alarm, at INTEGER NOT NULL, number INTEGER NOT NULL,
    what TEXT NOT NULL, state TEXT NOT NULL, by TEXT NOT NULL, value TEXT, detail TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS alarm_change_of ON alarm_change (alarm, id);
CREATE TRIGGER IF NOT EXISTS alarm_change_is_not_changed BEFORE UPDATE ON alarm_change
    BEGIN SELECT RAISE(ABORT, 'a history is never changed'); END;
CREATE TRIGGER IF NOT EXISTS alarm_change_is_kept BEFORE DELETE ON alarm_change
    BEGIN SELECT RAISE(ABORT, 'a history is never removed'); END;
"""

_ALARM: Final = (
    "SELECT id, indicator, site, node, carrier, device, budget, state, number, owner, since, ended_at, last FROM alarm"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRow:
    """An alarm: what it is about, and where it stands."""

    id: str
    indicator: str
    site: str
    node: str | None
    carrier: str | None
    device: str | None
    budget: str | None
    alarm: Alarm


def alarms(connection: sqlite3.Connection, site: str) -> tuple[AlarmRow, ...]:
    """All of a site that ever had an event, by id."""
    return _rows(connection.execute(_ALARM + " WHERE site = ? ORDER BY id", (site,)))


def alarm(connection: sqlite3.Connection, id_: str) -> AlarmRow | None:
    """One of them."""
    return next(iter(_rows(connection.execute(_ALARM + " WHERE id = ?", (id_,)))), None)


def _rows(found: Iterable[tuple[object, ...]]) -> tuple[AlarmRow, ...]:
    rows: list[AlarmRow] = []
    for row in found:
        id_, indicator, site, node, carrier, device, budget, state, number, owner, since, ended_at, last = row
        known = Alarm(
            state=State(str(state)), number=_int(number), owner=_text(owner), since=_whole(since),
            ended_at=_whole(ended_at), last=_int(last),
        )  # fmt: skip
        rows.append(
            AlarmRow(
                id=str(id_),
                indicator=str(indicator),
                site=str(site),
                node=_text(node),
                carrier=_text(carrier),
                device=_text(device),
                budget=_text(budget),
                alarm=known,
            )
        )
    return tuple(rows)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _whole(value: object) -> int | None:
    return None if value is None else _int(value)


def put(connection: sqlite3.Connection, row: AlarmRow, changes: Iterable[Change] = ()) -> None:
    """Where an alarm stands now, and what happened to it."""
    now = row.alarm
    connection.execute(
        "INSERT INTO alarm VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " state = excluded.state, number = excluded.number, owner = excluded.owner, since = excluded.since,"
        " ended_at = excluded.ended_at, last = excluded.last",
        (row.id, row.indicator, row.site, row.node, row.carrier, row.device, row.budget,
         now.state.value, now.number, now.owner, now.since, now.ended_at, now.last),
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO alarm_change (alarm, at, number, what, state, by, value, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (row.id, change.at, change.number, change.what.value, change.state.value, change.by,
             None if change.value is None else f"{change.value:f}", change.detail)
            for change in changes
        ],
    )  # fmt: skip


def put_all(connection: sqlite3.Connection, outdated: Iterable[tuple[AlarmRow, Iterable[Change]]]) -> None:
    """`put` of each, in one step."""
    for row, changes in outdated:
        put(connection, row, changes)


def history(connection: sqlite3.Connection, id_: str, limit: int = 200) -> tuple[Change, ...]:
    """The newest changes of an alarm first."""
    found = connection.execute(
        "SELECT at, alarm, number, what, state, by, value, detail FROM alarm_change WHERE alarm = ?"
        " ORDER BY id DESC LIMIT ?",
        (id_, limit),
    )
    return tuple(
        Change(
            at=row[0],
            alarm=row[1],
            number=row[2],
            what=What(row[3]),
            state=State(row[4]),
            by=row[5],
            value=None if row[6] is None else Decimal(row[6]),
            detail=row[7],
        )
        for row in found
    )
