"""Salvage of a damaged spool file: rows that verify are copied, the damaged file is set aside, loss is counted."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard

from agent.spool_pages import rows
from agent.spool_rows import EPOCHS, SELECT, insert_row, parcel_of
from metering.parcel import Parcel

LOGS: Final = ("-journal", "-wal")  # beside the file; a write-ahead log is of an older Wattline
THINNED: Final = "thinned"
THINNED_TO: Final = "thinned_to"
_PARCEL_COLUMNS: Final = 6
_META_COLUMNS: Final = 5
_MISSES: Final = 4096  # rows in a row that cannot be read before salvage gives up on this side of a damage


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """What salvage kept. `lost` is None when the damaged file no longer says how much it held."""

    parcels: int
    readings: int
    lost: int | None

    def __str__(self) -> str:
        return f"{self.parcels} parcels kept, readings lost: {'unknown' if self.lost is None else self.lost}"


def aside_of(path: Path) -> Path:
    """Where the damaged file is set aside; the last one is kept, for as long as the budget has room."""
    return path.with_name(path.name + ".corrupt")


def new_of(path: Path) -> Path:
    """The salvaged file until it takes its place."""
    return path.with_name(path.name + ".new")


def copy_legible(path: Path, new: sqlite3.Connection) -> Salvaged:
    """Copy all that verifies from the damaged file at `path` into the empty spool `new`, counts included."""
    old = sqlite3.connect(path, isolation_level=None)
    old.text_factory = bytes
    try:
        meta = _one(old, "SELECT epoch, dropped, readings FROM meta WHERE one = 1", ())
        meta = meta if _is_meta(meta) else _meta_of_pages(path)
        epoch, dropped, expected = meta or (0, 0, None)
        parcels = readings = 0
        new.execute("BEGIN IMMEDIATE")
        for source in (_legible(old), _legible_pages(path)):
            for parcel in source:
                if insert_row(new, parcel):
                    parcels, readings, epoch = parcels + 1, readings + parcel.readings, max(epoch, parcel.id.epoch)
            if readings == expected:
                break
        lost = None if expected is None else max(0, expected - readings)
        new.execute(
            "UPDATE meta SET epoch = ?, dropped = ?, parcels = ?, readings = ? WHERE one = 1",
            (epoch, dropped + (lost or 0), parcels, readings),
        )
        thinned = _one(old, "SELECT value FROM tally WHERE name = ?", (THINNED,))
        if thinned is not None and isinstance(thinned[0], int):
            new.execute("INSERT INTO tally VALUES (?, ?)", (THINNED, thinned[0]))
        new.execute("COMMIT")
    finally:
        with suppress(sqlite3.Error):
            old.close()
    return Salvaged(parcels=parcels, readings=readings, lost=lost)


def finish_swap(path: Path) -> None:
    """Put the salvaged file into its place if a damaged one has just been moved away, or a crash came between."""
    new = new_of(path)
    if path.exists():
        remove(new)
    elif new.exists():
        for suffix in LOGS:  # before the new file is there: they would be taken for its own
            log, aside = (each.with_name(each.name + suffix) for each in (path, aside_of(path)))
            aside.unlink(missing_ok=True)
            if log.exists():
                log.replace(aside)
        new.replace(path)
        remove(new)
        sync_directory(path.parent)


def remove(path: Path) -> None:
    for suffix in ("", *LOGS, "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _one(db: sqlite3.Connection, sql: str, arguments: tuple[int | str, ...]) -> tuple[Any, ...] | None:
    """One row, or None when there is none or it cannot be read."""
    try:
        row: tuple[Any, ...] | None = db.execute(sql, arguments).fetchone()
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # a message of SQLite's may quote a damaged schema
        return None
    return row


def _legible(db: sqlite3.Connection) -> Iterator[Parcel]:
    """Every parcel of a damaged file that verifies: from both ends up to the damage, then row by row into it."""
    ends = [0, 1 << 63 - 1]
    for end, sql in ((0, "WHERE id > ? AND id < ? ORDER BY id"), (1, "WHERE id > ? AND id < ? ORDER BY id DESC")):
        while (row := _one(db, SELECT + sql + " LIMIT 1", (ends[0], ends[1]))) is not None:
            if not ends[0] < row[0] < ends[1]:
                break  # rows out of order: a seek lands anywhere
            ends[end] = row[0]
            parcel = parcel_of(row)
            if parcel is not None:
                yield parcel
    for start, step in ((ends[0], 1), (ends[1], -1)):
        misses, key = 0, start + step
        while misses < _MISSES and ends[0] < key < ends[1]:
            row = _one(db, SELECT + "WHERE id = ?", (key,))
            parcel = None if row is None else parcel_of(row)
            misses = 0 if parcel else misses + 1
            if parcel is not None:
                yield parcel
            key += step


def _legible_pages(path: Path) -> Iterator[Parcel]:
    """Every parcel that verifies, wherever it stands in the file."""
    for row in rows(path):
        parcel = parcel_of(row) if len(row) == _PARCEL_COLUMNS else None
        if parcel is not None:
            yield parcel


def _meta_of_pages(path: Path) -> tuple[int, int, int] | None:
    """Epoch, dropped and readings, when the file has but one row that can be the one that says them."""
    found = {(row[1], row[2], row[4]) for row in rows(path) if len(row) == _META_COLUMNS and row[0] == 1}
    meta = found.pop() if len(found) == 1 else None
    return meta if _is_meta(meta) else None


def _is_meta(meta: tuple[object, ...] | None) -> TypeGuard[tuple[int, int, int]]:
    whole = [field for field in meta or () if isinstance(field, int) and field >= 0]
    return meta is not None and len(whole) == len(meta) and whole[0] < EPOCHS
