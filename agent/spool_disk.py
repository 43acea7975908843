"""The spool's disk: the port the spool is written against, and SQLite behind one storage thread."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol, TypeVar

from agent.spool_changes import Found
from agent.spool_file import Change, Read, SpoolFile, SpoolTaken, Stored
from agent.spool_room import is_full
from agent.spool_rows import Damaged
from metering.parcel import Parcel
from metering.replay import ReplayRequest
from wattline.clock import NS

__all__ = ["Change", "Disk", "DiskFailed", "Read", "SpoolTaken", "SqliteDisk", "Stored"]

T = TypeVar("T")

FILE: Final = "spool.sqlite3"


class DiskFailed(Exception):
    """The disk does not take or give data now (full, read-only, worn, absent); the next call tries it anew."""


class Disk(Protocol):
    """A durable log of parcels. Every method but close raises DiskFailed; what `commit` returned from is durable."""

    async def open(self) -> Stored:
        """What is there. Mends damage by itself; raises SpoolTaken when another process uses the spool."""
        ...

    async def commit(self, change: Change) -> Stored:
        """Make all of `change` durable in one step, or none of it; drops the oldest parcels to stay in the budget."""
        ...

    async def read(self, after: int, before: int, limit: int, max_bytes: int) -> Read:
        """Parcels with after < key < before, ascending, up to `limit` of them and about `max_bytes` of body."""
        ...

    async def find(self, request: ReplayRequest) -> Found:
        """What the history has of a request."""
        ...

    async def recall(self, keys: Sequence[int]) -> Sequence[Parcel]:
        """Parcels of the history, as far as they are still there."""
        ...

    async def close(self) -> None: ...


class SqliteDisk:
    """A Disk in <directory>/spool.sqlite3. The identity of the file hangs on the directory alone, no other setting."""

    def __init__(self, directory: Path, *, budget: int, history_s: float = 0.0) -> None:
        self._file = SpoolFile(directory / FILE, budget=budget, history_ns=int(history_s * NS))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")

    async def open(self) -> Stored:
        return await self._call(self._file.open)

    async def commit(self, change: Change) -> Stored:
        return await self._call(lambda: self._file.commit(change))

    async def read(self, after: int, before: int, limit: int, max_bytes: int) -> Read:
        return await self._call(lambda: self._file.read(after, before, limit, max_bytes))

    async def find(self, request: ReplayRequest) -> Found:
        return await self._call(lambda: self._file.find(request))

    async def recall(self, keys: Sequence[int]) -> Sequence[Parcel]:
        return await self._call(lambda: self._file.recall(keys))

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
        self._thread.shutdown(wait=False)

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._mended, work)

    def _mended(self, work: Callable[[], T]) -> T:
        """`work` done, after mending the file once if it turns out damaged; in the storage thread."""
        try:
            try:
                return work()
            except Damaged as err:
                self._file.salvage(str(err))
                return work()
        except (OSError, sqlite3.Error, Damaged) as err:
            # after a failed write or flush nobody knows what the kernel holds: the next call opens the file anew;
            # but of a full disk one does, and to close the file would give the room of its log to others
            if not is_full(err):
                self._file.close()
            raise DiskFailed(str(err)) from err
