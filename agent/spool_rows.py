"""Rows of the spool's file: a parcel under its key and a CRC, and which SQLite errors mean that content is wrong."""

import sqlite3
import struct
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from metering.parcel import Parcel, ParcelId

_SEQ_BITS: Final = 31
EPOCHS: Final = 1 << 32
"""Every epoch is below."""
_CRC: Final = struct.Struct("<qqqq")
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})

SELECT: Final = "SELECT id, first_at, last_at, readings, crc, body FROM parcel "


class Damaged(Exception):
    """The file's content is wrong: salvage it."""


def key_of(parcel_id: ParcelId) -> int:
    """The row id: ascending by epoch (32 bits), then seq (31 bits)."""
    return parcel_id.epoch << _SEQ_BITS | parcel_id.seq


def id_of(key: int) -> ParcelId:
    return ParcelId(epoch=key >> _SEQ_BITS, seq=key & (1 << _SEQ_BITS) - 1)


def crc_of(key: int, parcel: Parcel) -> int:
    return zlib.crc32(parcel.body, zlib.crc32(_CRC.pack(key, parcel.first_at, parcel.last_at, parcel.readings)))


def parcel_of(row: tuple[Any, ...]) -> Parcel | None:
    """The parcel of a row, or None when the row is not what was written."""
    key, first_at, last_at, readings, crc, body = row
    if not isinstance(body, bytes) or not all(isinstance(field, int) for field in row[:5]):
        return None
    parcel = Parcel(id=id_of(key), first_at=first_at, last_at=last_at, readings=readings, body=body)
    return parcel if crc_of(key, parcel) == crc else None


def insert_row(db: sqlite3.Connection, parcel: Parcel) -> bool:
    """False when the row was there already: a commit that seemed to fail may have been made."""
    key = key_of(parcel.id)
    row = (key, parcel.first_at, parcel.last_at, parcel.readings, crc_of(key, parcel), parcel.body)
    return db.execute("INSERT OR IGNORE INTO parcel VALUES (?, ?, ?, ?, ?, ?)", row).rowcount > 0


def replace_row(db: sqlite3.Connection, parcel: Parcel) -> None:
    """Another content for the parcel of this id. Not an UPDATE: that leaves pages half empty when rows shrink."""
    db.execute("DELETE FROM parcel WHERE id = ?", (key_of(parcel.id),))
    insert_row(db, parcel)


def ranges_of(keys: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Closed ranges of consecutive keys."""
    first = last = None
    for key in sorted(keys):
        if first is None or last is None:
            first = last = key
        elif key == last + 1:
            last = key
        else:
            yield first, last
            first = last = key
    if first is not None and last is not None:
        yield first, last


@contextmanager
def sorted_out() -> Generator[None]:
    """Turns the SQLite errors that mean wrong content into Damaged; a full or failing disk stays what it is."""
    try:
        yield
    except UnicodeDecodeError as err:  # a message of SQLite's that quotes a damaged schema
        raise Damaged(f"its schema is no text: {err.reason}") from err
    except sqlite3.DatabaseError as err:
        code: int | None = getattr(err, "sqlite_errorcode", None)
        if (code is None and not isinstance(err, sqlite3.OperationalError)) or (code or 0) & 0xFF in _DAMAGE:
            raise Damaged(str(err)) from err
        raise


def forbids_writing(path: Path) -> bool:
    """Whether it is the file that forbids it, by a flipped bit, and not its disk: byte 18, 1 or 2 in all there are."""
    with path.open("rb") as stream:
        head = stream.read(19)
    return len(head) == 19 and head[18] not in {1, 2}


def account_for_all(db: sqlite3.Connection) -> None:
    """Raises Damaged when no parcel is found and some should wait: a flipped bit in tree or schema hides them."""
    parcels = db.execute("SELECT parcels FROM meta WHERE one = 1 AND (SELECT max(id) FROM parcel) IS NULL").fetchone()
    if parcels is not None and parcels[0] != 0:
        raise Damaged(f"{parcels[0]} parcels that it counts are nowhere that its tree leads to")


def whole(value: object) -> int:
    """A number out of a row, of which a flipped bit can make anything; raises Damaged."""
    if not isinstance(value, int):
        raise Damaged(f"a number of a row is {type(value).__name__}")
    return value


def tally(db: sqlite3.Connection, name: str) -> int:
    row = db.execute("SELECT value FROM tally WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else whole(row[0])


def set_tally(db: sqlite3.Connection, name: str, value: int) -> None:
    db.execute("INSERT OR REPLACE INTO tally VALUES (?, ?)", (name, value))
