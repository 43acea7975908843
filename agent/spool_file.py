"""The spool's SQLite file: one connection, a log of sealed parcels, each row under a CRC. Synchronous.

The pragmas and why: docs/guarantee.md. Raises sqlite3.Error or OSError when the disk refuses, Damaged when the content
is wrong; agent.spool_disk decides what then happens.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.spool_changes import Change, Found, Read, Stored
from agent.spool_history import NOTHING, Held, History, held_in, history_in
from agent.spool_room import JOURNAL, Room, is_full
from agent.spool_rows import (
    EPOCHS,
    SELECT,
    Damaged,
    account_for_all,
    forbids_writing,
    id_of,
    insert_row,
    key_of,
    parcel_of,
    ranges_of,
    set_tally,
    sorted_out,
    tally,
    whole,
)
from agent.spool_salvage import THINNED, THINNED_TO, aside_of, copy_legible, finish_swap, new_of, remove, sync_directory
from agent.spool_shrink import shrink
from agent.spool_space import PAGE, SPARE_PAGES, Space, used_pages
from metering.parcel import Parcel, ParcelId
from metering.replay import ReplayRequest

__all__ = ["Change", "Read", "SpoolFile", "SpoolTaken", "Stored"]

_SCHEMA_VERSION: Final = 1
_PATIENCE_S: Final = 5.0  # an agent that is being replaced may need this long to let go of its file
_SANE_READINGS: Final = 10_000_000

# one answer a pragma, as SQLite gives it back; the order matters: a write-ahead log of an older Wattline is moved into
# the file when the mode of the journal is set, and that must be flushed
_PRAGMAS: Final = (
    ("secure_delete", "OFF", 0),
    ("locking_mode", "EXCLUSIVE", "exclusive"),
    ("synchronous", "FULL", 2),
    ("journal_mode", "PERSIST", "persist"),
    ("cache_size", "-2000", -2000),
    ("journal_size_limit", str(JOURNAL), JOURNAL),
    ("mmap_size", "0", 0),
)
_TABLES: Final = """
    BEGIN IMMEDIATE;
    CREATE TABLE parcel (id INTEGER PRIMARY KEY, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
                         readings INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, dropped INTEGER NOT NULL,
                       parcels INTEGER NOT NULL, readings INTEGER NOT NULL);
    INSERT INTO meta VALUES (1, 0, 0, 0, 0);
    PRAGMA user_version = 1;
    COMMIT;
"""
# readings thinned and the key thinned up to; a table of its own, so that an older Wattline goes on with the file
_TALLY: Final = "CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID"
_READ: Final = SELECT + "WHERE id > ? AND id < ? ORDER BY id"


class SpoolTaken(Exception):
    """Another process has the spool open."""


class SpoolFile:
    """Owned by one thread. Any method opens the file when it is not open; after an error call `close`.

    `history_ns`: how long confirmed parcels are kept; None: the history is left as it is.
    """

    def __init__(
        self, path: Path, *, budget: int, patience_s: float = _PATIENCE_S, history_ns: int | None = None
    ) -> None:
        self._path = path
        self._budget = budget
        self._patience_s = patience_s
        self._room = Room(path)
        self._history_ns = history_ns
        self._history: History | None = None
        self._db: sqlite3.Connection | None = None
        self._mended: str | None = None

    def open(self) -> Stored:
        """Open or make the file; raises SpoolTaken, Damaged, sqlite3.Error, OSError."""
        with sorted_out():
            db = self._opened()
            account_for_all(db)
            return self._stored(db)

    def close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def commit(self, change: Change) -> Stored:
        """All of `change` or nothing; on a full file system with the help of the ballast."""
        with sorted_out():
            try:
                return self._commit(change)
            except (sqlite3.OperationalError, OSError) as err:
                if not is_full(err) or not self._room.give_up():
                    raise
                return self._commit(change)

    def _commit(self, change: Change) -> Stored:
        db = self._opened()
        db.execute("BEGIN IMMEDIATE")
        try:
            self._apply(db, change)
            account_for_all(db)
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise
        with suppress(OSError):
            self._room.make()
        stored = self._stored(db, tight=self._room.tight)
        if not stored.tight:
            try:
                shrink(db, self._room)
            except (sqlite3.Error, OSError):
                self.close()  # what was committed stays so; the next call opens the file anew
        return stored

    def read(self, after: int, before: int, limit: int, max_bytes: int) -> Read:
        parcels: list[Parcel] = []
        damaged: list[tuple[ParcelId, int]] = []
        size, complete = 0, True
        with sorted_out():
            rows = self._opened().execute(_READ, (after, before))
            try:
                for row in rows:
                    if not after < row[0] < before:
                        raise Damaged(f"its rows are out of order: {row[0]} after {after}")
                    after = row[0]
                    if len(parcels) >= limit or size >= max_bytes:
                        complete = False
                        break
                    parcel = parcel_of(row)
                    if parcel is None:
                        sane = isinstance(row[3], int) and 0 <= row[3] <= _SANE_READINGS
                        damaged.append((id_of(row[0]), row[3] if sane else 0))
                    else:
                        parcels.append(parcel)
                        size += len(parcel.body)
            finally:
                rows.close()
        return Read(parcels=tuple(parcels), damaged=tuple(damaged), complete=complete)

    def ended_before(self, end: int) -> dict[ParcelId, int]:
        """The parcels whose last reading was taken before `end` (UTC ns), damaged ones included, and their readings."""
        with sorted_out():
            rows = self._opened().execute("SELECT id, readings FROM parcel WHERE last_at < ? ORDER BY id", (end,))
            return {id_of(key): whole(readings) for key, readings in rows}

    def held(self) -> Held:
        """How much the history keeps; each of its rows is looked at, not its content."""
        with sorted_out():
            return held_in(self._opened())

    def find(self, request: ReplayRequest) -> Found:
        """What the history has of it."""
        with sorted_out():
            self._opened()
            return NOTHING if self._history is None else self._history.find(request)

    def recall(self, keys: Iterable[int]) -> tuple[Parcel, ...]:
        """Parcels of the history, as far as they are still there."""
        with sorted_out():
            self._opened()
            return () if self._history is None else self._history.recall(keys)

    # --- opening ----------------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            finish_swap(self._path)
            self._db = self._connect(self._path)
            if self._history_ns is not None:
                self._history = history_in(self._db, self._history_ns)
        return self._db

    def _connect(self, path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(path, timeout=self._patience_s, isolation_level=None)
        try:
            db.execute(f"PRAGMA page_size = {PAGE}")
            # taken at once, or two agents could begin to read; kept until the file is closed
            db.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            db.execute("BEGIN EXCLUSIVE")
            db.execute("COMMIT")
            db.execute(f"PRAGMA max_page_count = {self._pages() + 2 * SPARE_PAGES}")
            for name, setting, answer in _PRAGMAS:
                db.execute(f"PRAGMA {name} = {setting}").fetchall()
                got = db.execute(f"PRAGMA {name}").fetchone()
                if got is None or got[0] != answer:
                    raise sqlite3.OperationalError(f"not durable: {name} is {got}, not {answer}")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                db.executescript(_TABLES)
                sync_directory(path.parent)
            elif version != _SCHEMA_VERSION:
                raise Damaged(f"{path.name} says it is of spool version {version}, not {_SCHEMA_VERSION}")
            db.execute(_TALLY)
            db.text_factory = bytes  # what is text by a flipped bit: it need not be any
            db.execute("SELECT epoch FROM meta WHERE one = 1").fetchone()
        except sqlite3.OperationalError as err:
            db.close()
            code = getattr(err, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_BUSY:
                raise SpoolTaken(f"{path} is in use by another process") from err
            if code == sqlite3.SQLITE_READONLY and forbids_writing(path):
                raise Damaged("its head says that it must not be written") from err
            raise
        except BaseException:
            db.close()
            raise
        return db

    def _pages(self) -> int:
        return max(self._budget // PAGE, 4 * SPARE_PAGES)

    def _stored(self, db: sqlite3.Connection, *, tight: bool = False) -> Stored:
        row = db.execute("SELECT epoch, dropped, parcels, readings FROM meta WHERE one = 1").fetchone()
        newest = db.execute("SELECT max(id) FROM parcel").fetchone()[0]
        if row is None or not 0 <= whole(row[0]) < EPOCHS:
            raise Damaged("the meta row is gone or wrong")
        mended, self._mended = self._mended, None
        return Stored(
            epoch=row[0],
            dropped=whole(row[1]),
            parcels=whole(row[2]),
            readings=whole(row[3]),
            newest=newest or 0,
            bytes=used_pages(db) * PAGE,
            mended=mended,
            tight=tight,
            thinned=tally(db, THINNED),
            kept_since=0 if self._history is None else self._history.since,
        )

    # --- one commit -------------------------------------------------------------------------------------------

    def _apply(self, db: sqlite3.Connection, change: Change) -> None:
        space = Space(db, self._path, self._pages(), self._room, self._history)
        if self._history is not None:
            self._history.remember(change, space.admit)
        gone = [
            whole(row[0])
            for first, last in ranges_of(key_of(parcel_id) for parcel_id in change.delete)
            for row in db.execute("DELETE FROM parcel WHERE id BETWEEN ? AND ? RETURNING readings", (first, last))
        ]
        insert, made = space.make(change.insert, tally(db, THINNED_TO))
        added = [parcel.readings for parcel in insert if insert_row(db, parcel)]
        db.execute(
            "UPDATE meta SET epoch = max(epoch, :epoch), dropped = dropped + :dropped, parcels = parcels + :parcels,"
            # a damaged row tells a wrong number: where no parcel waits, no reading does
            " readings = CASE parcels + :parcels WHEN 0 THEN 0 ELSE readings + :readings END WHERE one = 1",
            {
                "epoch": change.epoch,
                "dropped": change.dropped + made.lost,
                "parcels": len(added) - len(gone) - len(made.from_file),
                "readings": sum(added) - sum(gone) - sum(made.from_file) - made.thinned,
            },
        )
        if made.thinned_to != tally(db, THINNED_TO):
            set_tally(db, THINNED_TO, made.thinned_to)
        if made.thinned:
            set_tally(db, THINNED, tally(db, THINNED) + made.thinned)

    # --- damage -----------------------------------------------------------------------------------------------

    def salvage(self, reason: str) -> None:
        """Copy every row that verifies into a new file, set the damaged one aside as `.corrupt`, count what is lost.

        A failing disk leaves the damaged file in its place: the next opening tries again.
        """
        self.close()
        target = new_of(self._path)
        remove(target)
        with sorted_out():
            new = self._connect(target)
            try:
                salvaged = copy_legible(self._path, new)
            finally:
                new.close()
        self._path.replace(aside_of(self._path))
        finish_swap(self._path)
        self._mended = f"{reason}: {salvaged}"
