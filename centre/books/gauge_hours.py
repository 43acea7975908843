"""What is known of hours of gauges, made of readings: kept so that a month or a year needs no readings again."""

import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from centre.accounting.gauge_sums import Sums

TABLES = """
-- source: what is measured and how it is summed; arrived: see Store.arrivals, summed over the hours it was made of
CREATE TABLE IF NOT EXISTS gauge_hour (
    site TEXT NOT NULL, source TEXT NOT NULL, start INTEGER NOT NULL, arrived INTEGER NOT NULL,
    known_ns INTEGER NOT NULL, weight TEXT NOT NULL, total TEXT NOT NULL,
    PRIMARY KEY (site, source, start)) STRICT, WITHOUT ROWID;
"""


class KeptHour(NamedTuple):
    """Sums, and what had arrived when they were made."""

    arrived: int
    sums: Sums


def hours(connection: sqlite3.Connection, site: str, source: str, t0: int, t1: int) -> dict[int, KeptHour]:
    """By start in [t0, t1)."""
    rows = connection.execute(
        "SELECT start, arrived, known_ns, weight, total FROM gauge_hour"
        " WHERE site = ? AND source = ? AND start >= ? AND start < ?",
        (site, source, t0, t1),
    )
    return {
        start: KeptHour(arrived, Sums(known_ns, Decimal(weight), Decimal(total)))
        for start, arrived, known_ns, weight, total in rows
    }


def put(connection: sqlite3.Connection, site: str, source: str, made: Mapping[int, KeptHour]) -> None:
    """In place of what stood there."""
    connection.executemany(
        "INSERT OR REPLACE INTO gauge_hour VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (site, source, start, kept.arrived, kept.sums.known_ns, str(kept.sums.weight), str(kept.sums.total))
            for start, kept in made.items()
        ],
    )
