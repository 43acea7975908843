"""The SQLite file of the centre: its tables, its settings, and how a connection to it is opened."""

import sqlite3
from pathlib import Path
from typing import Final

from centre.store.base import StoreUnusable

VERSION: Final = 2
_APPLICATION: Final = 0x57415454  # "WATT": tells our file from any other SQLite file
_BUSY_S: Final = 10.0

_TABLES: Final = """
CREATE TABLE gateway (
    id INTEGER PRIMARY KEY, site TEXT NOT NULL, name TEXT NOT NULL, state TEXT, since INTEGER,
    last_seen INTEGER NOT NULL, software TEXT, epoch INTEGER, dropped INTEGER NOT NULL DEFAULT 0,
    counters TEXT NOT NULL DEFAULT '{}', settled_epoch INTEGER NOT NULL DEFAULT 0,
    settled_seq INTEGER NOT NULL DEFAULT 0, UNIQUE (site, name));
-- closed ranges of the parcel numbers that are stored, see base.Stretch
CREATE TABLE parcel (
    gateway INTEGER NOT NULL REFERENCES gateway, epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    since INTEGER NOT NULL DEFAULT 0, first_at INTEGER NOT NULL DEFAULT 0, last_at INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (gateway, epoch, first)) WITHOUT ROWID;
-- inventory: what a gateway said of the device, JSON of metering.status
CREATE TABLE device (
    id INTEGER PRIMARY KEY, site TEXT NOT NULL, name TEXT NOT NULL, gateway TEXT, info TEXT,
    readings INTEGER NOT NULL DEFAULT 0, UNIQUE (site, name));
-- the point "all_points" carries the faults that concern every point of the device
CREATE TABLE series (
    id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES device, point TEXT NOT NULL, counter INTEGER NOT NULL,
    fingerprint TEXT, UNIQUE (device, point));
-- value: REAL, INTEGER, TEXT for a text, or BLOB with the digits of a number that no double holds
CREATE TABLE raw (
    series INTEGER NOT NULL, at INTEGER NOT NULL, value NOT NULL, PRIMARY KEY (series, at)) WITHOUT ROWID;
CREATE TABLE fault (
    series INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (series, at)) WITHOUT ROWID;
-- estimated: its amount, and behind it those of further flags where there are any, such as `1.5 Q=0.2 S=3`
CREATE TABLE rollup (
    series INTEGER NOT NULL, grain TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, amount TEXT,
    estimated TEXT NOT NULL, known_ns INTEGER NOT NULL, estimated_ns INTEGER NOT NULL, readings INTEGER NOT NULL,
    suspects INTEGER NOT NULL, breaks INTEGER NOT NULL, open INTEGER NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (series, grain, start)) WITHOUT ROWID;
CREATE TABLE dirty (
    series INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, mark INTEGER NOT NULL,
    since INTEGER NOT NULL);
CREATE TABLE total (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_COMPLETENESS: Final = """
-- readings and faults of a device in an hour (UTC, counted from 1970), see accounting.hours.Tally
CREATE TABLE tally (
    device INTEGER NOT NULL REFERENCES device, hour INTEGER NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (device, hour, kind)) WITHOUT ROWID;
-- what a gateway was told to read of a device from a time on; info NULL: nothing any more
CREATE TABLE plan (
    device INTEGER NOT NULL REFERENCES device, since INTEGER NOT NULL, gateway TEXT NOT NULL, info TEXT,
    PRIMARY KEY (device, since)) WITHOUT ROWID;
"""

_FROM_1: Final = """
ALTER TABLE gateway ADD COLUMN settled_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE gateway ADD COLUMN settled_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parcel ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parcel ADD COLUMN first_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parcel ADD COLUMN last_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parcel ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;
"""

_TALLIED_FROM_1: Final = """
INSERT INTO tally SELECT device, at / 3600000000000, 'received', count(*) FROM raw JOIN series ON series = series.id
    WHERE point <> 'serial_number' GROUP BY 1, 2;
INSERT INTO tally SELECT device, at / 3600000000000, iif(point = 'all_points', 'all:', 'point:') || reason, count(*)
    FROM fault JOIN series ON series = series.id WHERE point <> 'serial_number' GROUP BY 1, 2, 3;
"""


def open_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes, with the file made where it is missing; raises StoreUnusable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL lost committed readings in simulated power cuts; the watermark promises that we do not
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        # every parcel touches a page of each of its series: 32 MiB of pages stay in memory (2 by default), and the log
        # is copied back after 32 MiB (4 by default); what these two values gain is not measured
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute("PRAGMA wal_autocheckpoint = 8192")
        _prepare(connection, path)
    except (sqlite3.Error, OSError) as err:
        raise StoreUnusable(f"{path}: the store cannot be opened: {err}") from err
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; raises StoreUnusable."""
    try:
        connection = _connect(path)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as err:
        raise StoreUnusable(f"{path}: the store cannot be opened: {err}") from err
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    # a connection is used by one thread at a time, though closed by another
    return sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if version == VERSION and application == _APPLICATION:
        return
    (found,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application not in (0, _APPLICATION) or (application == 0 and found):
        raise StoreUnusable(f"{path}: is a SQLite file of another program")
    if version > VERSION:
        raise StoreUnusable(
            f"{path}: was written by a newer Wattline (schema {version}, this one knows {VERSION}): install that one"
        )
    tables = _FROM_1 + _COMPLETENESS + _TALLIED_FROM_1 if version == 1 else _TABLES + _COMPLETENESS
    connection.executescript(
        f"BEGIN IMMEDIATE; {tables} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
    )
