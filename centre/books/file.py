"""books.db: one SQLite file, one thread that writes and one that reads; every change is audited in its transaction."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from centre.books.audit import Note, append, note_of
from centre.errors import BadQuestion
from centre.store.base import StoreError, StoreUnusable
from wattline.clock import Clock

VERSION: Final = 1
_APPLICATION: Final = 0x57424F4F  # "WBOO": tells our file from any other SQLite file
_BUSY_S: Final = 10.0
_MAX_AUTHOR: Final = 120
_MAX_REASON: Final = 1000

MODULES: Final = (
    "centre.books.alarms",
    "centre.books.audit",
    "centre.books.batches",
    "centre.books.certificates",
    "centre.books.closings",
    "centre.books.entities",
    "centre.books.forms",
    "centre.books.forward",
    "centre.books.gauge_hours",
    "centre.books.raw_answers",
    "centre.books.raw_requests",
    "centre.books.received",
    "centre.books.stated_bills",
)
"""Modules whose `TABLES` (statements that may run at every start: CREATE ... IF NOT EXISTS) make up the file."""

T = TypeVar("T")


class Writing(sqlite3.Connection):
    """The connection a change writes through; `note` what it does, for the audit."""

    notes: list[Note]

    def note(self, subject: str, before: object, after: object) -> None:
        """Tell the audit that `subject` (`entity:line-1`) changed; both as json_views shows it, None: was not there."""
        self.notes.append(note_of(subject, before, after))


class Books:
    """The books; use inside `async with`, which raises StoreUnusable. All methods raise StoreError when the file fails.

    `inline` runs everything on the caller's thread, for virtual time.
    """

    def __init__(self, path: Path, clock: Clock, *, inline: bool = False) -> None:
        self._path = path
        self._clock = clock
        self._threads = None if inline else (_thread("books-write"), _thread("books-read"))

    async def __aenter__(self) -> Self:
        try:
            self._writing = await self._run(0, lambda: _open_writer(self._path))
            self._reading = await self._run(1, lambda: _open_reader(self._path))
        except (sqlite3.Error, OSError) as err:
            raise StoreUnusable(f"{self._path}: the books cannot be opened: {err}") from err
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thread in self._threads or ():
            thread.shutdown(wait=True)
        self._reading.close()
        self._writing.close()

    async def change(self, author: str, reason: str, function: Callable[[Writing], T]) -> T:
        """What `function` returns, after all it wrote and noted is durable; when it raises, nothing was changed.

        Author and reason must not be empty (BadQuestion). A function that writes without a note is a mistake of ours.
        """
        author, reason = _said("author", author, _MAX_AUTHOR), _said("reason", reason, _MAX_REASON)

        def work(connection: Writing) -> T:
            before = connection.total_changes
            result = function(connection)
            if not connection.notes and connection.total_changes != before:
                raise RuntimeError("books changed without a note for the audit")
            notes = [note for note in connection.notes if note.before != note.after]
            append(connection, at=self._clock.now_ns(), author=author, reason=reason, notes=notes)
            return result

        return await self._write(work)

    async def keep(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """As `change`, without audit: for what the centre itself goes on doing and nobody decides, such as progress."""
        return await self._write(function)

    async def read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """What `function` finds; all its questions see the same state, and it cannot write."""

        def work() -> T:
            self._reading.execute("BEGIN")
            try:
                return function(self._reading)
            finally:
                self._reading.rollback()

        return await self._translated("read", 1, work)

    async def _write(self, function: Callable[[Writing], T]) -> T:
        def work() -> T:
            connection = self._writing
            connection.notes = []
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = function(connection)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.rollback()
            return result

        return await self._translated("write", 0, work)

    async def _translated(self, what: str, thread: int, work: Callable[[], T]) -> T:
        try:
            return await self._run(thread, work)
        except sqlite3.Error as err:
            raise StoreError(f"{self._path}: {what} books: {err}") from err

    async def _run(self, thread: int, work: Callable[[], T]) -> T:
        if self._threads is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads[thread], work)


def _said(what: str, text: str, longest: int) -> str:
    text = text.strip()
    if not text or len(text) > longest or not text.isprintable():
        raise BadQuestion(f"a change needs its {what}: 1 to {longest} printable characters")
    return text


def _thread(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)


def _open_writer(path: Path) -> Writing:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, factory=Writing)
    connection.notes = []
    connection.execute("PRAGMA journal_mode = WAL")
    # NORMAL lost committed transactions in simulated power cuts
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    _prepare(connection, path)
    return connection


def _open_reader(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (found,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != _APPLICATION and (application != 0 or found):
        raise StoreUnusable(f"{path}: is a SQLite file of another program")
    if version > VERSION:
        raise StoreUnusable(f"{path}: was written by a newer Wattline (schema {version}): install that one")
    tables = "\n".join(str(import_module(name).TABLES) for name in MODULES)
    connection.executescript(
        f"BEGIN IMMEDIATE; {tables} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
    )
