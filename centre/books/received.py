"""What centres below forwarded: each interval once, at its newest revision, and which parcels brought it."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from centre.books.forward import content_of, interval_of
from metering.intervals import IntervalParcel, NodeInterval
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

_EPOCHS: Final = 4  # of a centre: it asks only for that of its last start
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
        (parcel.site, parcel.centre, parcel.site, parcel.centre, _EPOCHS),
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


def flows_of(connection: sqlite3.Connection, site: str, node: str) -> list[tuple[str, str]]:
    """Every carrier and flow that was ever received of a node."""
    return connection.execute(
        "SELECT DISTINCT carrier, flow FROM received WHERE site = ? AND node = ? ORDER BY carrier, flow", (site, node)
    ).fetchall()


def intervals(
    connection: sqlite3.Connection, series: Series, grain: str, *, start: int, end: int
) -> list[NodeInterval]:
    """Those that start in [start, end), in order."""
    key = (series.site, series.node, series.carrier, series.flow, grain)
    rows = connection.execute(
        "SELECT start, content, revision FROM received WHERE site = ? AND node = ? AND carrier = ? AND flow = ?"
        " AND grain = ? AND start >= ? AND start < ? ORDER BY start",
        (*key, start, end),
    )
    return [interval_of(key, at, content, revision) for at, content, revision in rows]
