"""What centres below forwarded: each interval once, at its newest revision, and which parcels brought it.

An interval that was withdrawn keeps its row, so that an older revision never comes back, and is not told of.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from centre.books.forward import HELD_EPOCHS, content_of, interval_of
from metering.intervals import NOT_METERED, IntervalParcel, NodeInterval
from metering.topics import Committed, Ranges

TABLES: Final = """
CREATE TABLE IF NOT EXISTS received (
    site TEXT NOT NULL, node TEXT NOT NULL, carrier TEXT NOT NULL, flow TEXT NOT NULL, grain TEXT NOT NULL,
    start INTEGER NOT NULL, content TEXT NOT NULL, revision INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (site, node, carrier, flow, grain, start)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS received_parcel (
    site TEXT NOT NULL, centre TEXT NOT NULL, epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (site, centre, epoch, first)) STRICT, WITHOUT ROWID;
"""

_WITHDRAWN: Final = '"withdrawn: '  # in the content where the reason begins so; inside of a reason quotes are escaped

_UPSERT: Final = (
    "INSERT INTO received (site, node, carrier, flow, grain, start, content, revision, at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET content = excluded.content,"
    " revision = excluded.revision, at = excluded.at WHERE excluded.revision > revision"
)


class CentreKey(NamedTuple):
    """A centre below, as the sender of one site."""

    site: str
    centre: str


class Series(NamedTuple):
    """One flow of a carrier across the boundary of a node."""

    site: str
    node: str
    carrier: str
    flow: str


def take(connection: sqlite3.Connection, parcel: IntervalParcel, now_ns: int) -> int:
    """Keep a parcel; returns how many of its intervals were new or newer than what was there."""
    changed = 0
    for interval in parcel.intervals:
        row = (*interval.key, content_of(interval), interval.revision, now_ns)
        changed += connection.execute(_UPSERT, row).rowcount
    where = (parcel.site, parcel.centre, parcel.id.epoch)
    held = connection.execute(
        "SELECT first, last FROM received_parcel WHERE site = ? AND centre = ? AND epoch = ?", where
    ).fetchall()
    connection.execute("DELETE FROM received_parcel WHERE site = ? AND centre = ? AND epoch = ?", where)
    connection.executemany(
        "INSERT INTO received_parcel (site, centre, epoch, first, last) VALUES (?, ?, ?, ?, ?)",
        [(*where, first, last) for first, last in joined(held, parcel.id.seq)],
    )
    connection.execute(
        "DELETE FROM received_parcel WHERE site = ? AND centre = ? AND epoch NOT IN (SELECT DISTINCT epoch"
        " FROM received_parcel WHERE site = ? AND centre = ? ORDER BY epoch DESC LIMIT ?)",
        (parcel.site, parcel.centre, parcel.site, parcel.centre, HELD_EPOCHS),
    )
    return changed


def joined(held: Iterable[tuple[int, int]], seq: int) -> Ranges:
    """The closed ranges `held` with one number more."""
    ranges: list[tuple[int, int]] = []
    for first, last in sorted([*held, (seq, seq)]):
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], last))
        else:
            ranges.append((first, last))
    return tuple(ranges)


def committed(connection: sqlite3.Connection) -> Mapping[CentreKey, Committed]:
    """What is held of each centre's newest epochs."""
    found: dict[CentreKey, dict[int, Ranges]] = {}
    for site, centre, epoch, first, last in connection.execute(
        "SELECT site, centre, epoch, first, last FROM received_parcel ORDER BY site, centre, epoch, first"
    ):
        epochs = found.setdefault(CentreKey(site, centre), {})
        epochs[epoch] = (*epochs.get(epoch, ()), (first, last))
    return {key: Committed(epochs=epochs) for key, epochs in found.items()}


def newest_centre(connection: sqlite3.Connection, site: str) -> CentreKey | None:
    """The centre that forwards a site; of several, the one that was started last."""
    row = connection.execute(
        "SELECT centre FROM received_parcel WHERE site = ? ORDER BY epoch DESC, centre LIMIT 1", (site,)
    ).fetchone()
    return None if row is None else CentreKey(site, row[0])


def flows_of(connection: sqlite3.Connection, site: str, node: str) -> list[tuple[str, str]]:
    """Every carrier and flow that was ever received of a node, and not withdrawn."""
    return connection.execute(
        "SELECT DISTINCT carrier, flow FROM received WHERE site = ? AND node = ? AND instr(content, ?) = 0"
        " ORDER BY carrier, flow",
        (site, node, _WITHDRAWN),
    ).fetchall()


def intervals(
    connection: sqlite3.Connection, series: Series, grain: str, *, start: int, end: int
) -> list[NodeInterval]:
    """Those that start in [start, end) and were not withdrawn, in order."""
    key = (series.site, series.node, series.carrier, series.flow, grain)
    rows = connection.execute(
        "SELECT start, content, revision FROM received WHERE site = ? AND node = ? AND carrier = ? AND flow = ?"
        " AND grain = ? AND start >= ? AND start < ? AND instr(content, ?) = 0 ORDER BY start",
        (*key, start, end, _WITHDRAWN),
    )
    return [interval_of(key, at, content, revision) for at, content, revision in rows]


def not_metered(connection: sqlite3.Connection, series: Series, grain: str, start: int) -> bool:
    """Whether the centre below said that no meter counts it in the interval: there is nothing to wait for."""
    row = connection.execute(
        "SELECT instr(content, ?) FROM received WHERE site = ? AND node = ? AND carrier = ? AND flow = ? AND grain = ?"
        " AND start = ?",
        (f'"{NOT_METERED}"', *series, grain, start),
    ).fetchone()
    return row is not None and row[0] > 0
