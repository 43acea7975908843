"""History: parcels the store has confirmed, kept for a while all the same, to be sent again when the centre asks.

A table of its own, so that what waits is read, thinned, counted and salvaged as if there were no history. The price is
that a parcel which waited on disk is written once more when it is confirmed. What goes from here is lost to nobody: it
makes room for whatever waits, uncounted, and a salvage leaves it behind (its rows have a column more than parcels).
"""

import sqlite3
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from agent.spool_changes import Change, Found
from agent.spool_rows import crc_of, id_of, key_of, parcel_of, whole
from metering.parcel import Parcel
from metering.replay import ReplayRequest

_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS history (id INTEGER PRIMARY KEY, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
                                        readings INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL,
                                        kept INTEGER NOT NULL)"""
_INDEX: Final = "CREATE INDEX IF NOT EXISTS history_at ON history (last_at, first_at, readings)"
_GIVEN_UP: Final = 16  # parcels in one go
_EXPIRED: Final = 256  # in one commit at most
_FOUND: Final = 200_000


NOTHING: Final = Found(keys=(), readings=0, more=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How much of what was confirmed is kept; `since`, `until`: UTC ns of its readings, None when there is none."""

    parcels: int
    readings: int
    bytes: int
    since: int | None
    until: int | None


class History:
    """In an open spool; `age_ns` 0: nothing is kept any more, and what is there goes with the next commits."""

    def __init__(self, db: sqlite3.Connection, age_ns: int) -> None:
        self._db, self._age_ns = db, age_ns

    @property
    def keeps(self) -> bool:
        return self._age_ns > 0

    @property
    def since(self) -> int:
        """When the oldest parcel ended; 0 when there is none."""
        return whole(self._db.execute("SELECT min(last_at) FROM history").fetchone()[0] or 0)

    # --- in and out, within a transaction ---------------------------------------------------------------------

    def remember(self, change: Change, admit: Callable[[int], bool]) -> None:
        """Take over what is confirmed, before it is deleted elsewhere; `admit` makes room for so many bytes."""
        if self.keeps and change.confirmed:
            for parcel_id in change.delete:
                self._move(key_of(parcel_id), admit)
        for parcel in change.keep if self.keeps else ():
            self._put(parcel, admit)
        self._expire()

    def _move(self, key: int, admit: Callable[[int], bool]) -> None:
        row = self._db.execute("SELECT length(body) FROM parcel WHERE id = ?", (key,)).fetchone()
        if row is not None and admit(whole(row[0])):
            self._db.execute(
                "INSERT OR REPLACE INTO history SELECT id, first_at, last_at, readings, crc, body, 1 FROM parcel"
                " WHERE id = ?",
                (key,),
            )

    def _put(self, parcel: Parcel, admit: Callable[[int], bool]) -> None:
        key = key_of(parcel.id)
        if admit(len(parcel.body)):
            row = (key, parcel.first_at, parcel.last_at, parcel.readings, crc_of(key, parcel), parcel.body)
            self._db.execute("INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?, ?, 1)", row)

    def give_up(self, lacking: Callable[[], bool]) -> None:
        """Delete the oldest until nothing is lacking, or nothing is left."""
        while lacking() and self._delete("SELECT id FROM history ORDER BY last_at, id LIMIT ?", (_GIVEN_UP,)):
            pass

    def _expire(self) -> None:
        """Delete some of what is older than is kept, by the time of the parcel that came last."""
        newest = self._db.execute("SELECT last_at FROM history ORDER BY id DESC LIMIT 1").fetchone()
        if newest is not None:
            before = whole(newest[0]) - self._age_ns if self.keeps else 1 << 62
            self._delete("SELECT id FROM history WHERE last_at < ? ORDER BY last_at LIMIT ?", (before, _EXPIRED))

    def _delete(self, which: str, arguments: tuple[int, ...]) -> bool:
        keys = self._db.execute(which, arguments).fetchall()
        self._db.executemany("DELETE FROM history WHERE id = ?", keys)
        return bool(keys)

    # --- on request -------------------------------------------------------------------------------------------

    def find(self, request: ReplayRequest) -> Found:
        """What there is of it, the oldest first; read from the index alone."""
        keys, readings = array("q"), 0
        rows = self._db.execute(
            "SELECT id, readings FROM history WHERE last_at >= ? AND first_at < ? ORDER BY last_at",
            (request.start, request.end),
        )
        try:
            for key, those in rows:
                found = id_of(key)
                if request.names(found.epoch, found.seq):
                    if len(keys) == _FOUND:
                        return Found(keys=keys, readings=readings, more=True)
                    keys.append(key)
                    readings += whole(those)
        finally:
            rows.close()
        return Found(keys=keys, readings=readings, more=False)

    def recall(self, keys: Iterable[int]) -> tuple[Parcel, ...]:
        """Those of them that are still here and whole."""
        found: list[Parcel] = []
        for key in keys:
            row = self._db.execute(
                "SELECT id, first_at, last_at, readings, crc, body FROM history WHERE id = ?", (key,)
            ).fetchone()
            parcel = None if row is None else parcel_of(row)
            if parcel is not None:
                found.append(parcel)
        return tuple(found)


def held_in(db: sqlite3.Connection) -> Held:
    """What the history of this spool holds, whether or not one is wanted still."""
    row: tuple[int, int, int, int | None, int | None] = (0, 0, 0, None, None)
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'history'").fetchone() is not None:
        row = db.execute(
            "SELECT count(*), coalesce(sum(readings), 0), coalesce(sum(length(body)), 0), min(first_at), max(last_at)"
            " FROM history"
        ).fetchone()
    parcels, readings, size, since, until = row
    return Held(parcels=parcels, readings=readings, bytes=size, since=since, until=until)


def history_in(db: sqlite3.Connection, age_ns: int) -> History | None:
    """The history of this spool, made when one is wanted; None when none is wanted and none is left."""
    if age_ns:
        db.execute(_TABLE)
        db.execute(_INDEX)
    elif db.execute("SELECT 1 FROM sqlite_master WHERE name = 'history'").fetchone() is None:
        return None
    elif db.execute("SELECT 1 FROM history LIMIT 1").fetchone() is None:
        db.execute("DROP TABLE history")
        return None
    return History(db, age_ns)
