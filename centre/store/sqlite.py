"""The embedded store: one SQLite file, one thread that writes and one that reads, both off the event loop."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from centre.accounting.hours import Plan, Tally
from centre.store.base import (
    Bucket,
    Climb,
    Columns,
    Dirty,
    FaultSeen,
    GatewayKey,
    GatewayRow,
    Grain,
    Reading,
    SeriesKey,
    Span,
    StoreError,
    Totals,
    Written,
)
from centre.store.climbs import Climbs
from centre.store.reading import Reader
from centre.store.schema import open_reader, open_writer
from centre.store.writing import Writer
from metering.faults import Fault
from metering.parcel import Received
from metering.status import Status
from metering.sweep import DeviceInfo
from metering.topics import Committed

T = TypeVar("T")


class SqliteStore:
    """A centre.store.base.Store in one file; use it inside `async with`.

    `inline` runs everything on the caller's thread, for virtual time. Entering raises StoreUnusable.
    """

    def __init__(self, path: Path, *, inline: bool = False) -> None:
        self._path = path
        self._threads = None if inline else (_thread("store-write"), _thread("store-read"))

    async def __aenter__(self) -> Self:
        self._writing = await self._run(0, lambda: open_writer(self._path))
        self._reading = await self._run(1, lambda: open_reader(self._path))
        climbs = Climbs()
        self._writer = Writer(self._writing, climbs)
        self._reader = Reader(self._reading, climbs)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thread in self._threads or ():
            thread.shutdown(wait=True)
        self._reading.close()
        self._writing.close()

    async def _run(self, thread: int, work: Callable[[], T]) -> T:
        if self._threads is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads[thread], work)

    async def _write(self, what: str, work: Callable[[], T]) -> T:
        try:
            return await self._run(0, work)
        except sqlite3.Error as err:
            raise StoreError(f"{self._path}: {what}: {err}") from err

    async def _ask(self, what: str, work: Callable[[], T]) -> T:
        try:
            return await self._run(1, work)
        except sqlite3.Error as err:
            raise StoreError(f"{self._path}: {what}: {err}") from err

    # --- what arrives

    async def write(self, parcels: Sequence[Received], *, received_at: int) -> Written:
        return await self._write("write readings", lambda: self._writer.write(parcels, received_at))

    async def write_status(self, key: GatewayKey, status: Status, *, received_at: int) -> bool:
        return await self._write("write status", lambda: self._writer.write_status(key, status, received_at))

    async def committed(self) -> Mapping[GatewayKey, Committed]:
        return await self._ask("read parcels", self._reader.committed)

    async def gateways(self) -> Sequence[GatewayRow]:
        return await self._ask("read gateways", self._reader.gateways)

    async def inventory(self, site: str) -> Mapping[str, tuple[str, DeviceInfo]]:
        return await self._ask("read inventory", lambda: self._reader.inventory(site))

    # --- readings

    async def read(self, series: SeriesKey, t0: int, t1: int, *, limit: int) -> Sequence[Reading]:
        return await self._ask("read readings", lambda: self._reader.read(series, t0, t1, limit))

    async def before(self, series: SeriesKey, t: int, count: int) -> Sequence[Reading]:
        return await self._ask("read readings", lambda: self._reader.before(series, t, count))

    async def columns(self, series: SeriesKey, t0: int, t1: int, *, before: int, after: int, limit: int) -> Columns:
        return await self._ask(
            "read readings",
            lambda: self._reader.columns(series, t0, t1, before=before, after=after, limit=limit),
        )

    async def climbs(self, series: SeriesKey, t: int, *, before: int) -> tuple[int, Sequence[Climb]] | None:
        return await self._ask("read readings", lambda: self._reader.climbs(series, t, before))

    async def latest(self, keys: Sequence[SeriesKey]) -> Mapping[SeriesKey, Reading]:
        return await self._ask("read newest", lambda: self._reader.latest(keys))

    async def latest_faults(self, keys: Sequence[SeriesKey]) -> Mapping[SeriesKey, FaultSeen]:
        return await self._ask("read faults", lambda: self._reader.latest_faults(keys))

    async def span(self, series: SeriesKey, t0: int, t1: int) -> Span | None:
        return await self._ask("read readings", lambda: self._reader.span(series, t0, t1))

    async def changes(self, series: SeriesKey) -> Sequence[tuple[int, int]]:
        return await self._ask("read changes", lambda: self._reader.changes(series))

    async def series(self, site: str) -> Mapping[str, tuple[str, ...]]:
        return await self._ask("read series", lambda: self._reader.series(site))

    async def fault_counts(
        self, site: str, device: str, points: Sequence[str], t0: int, t1: int
    ) -> Mapping[Fault, int]:
        return await self._ask("count faults", lambda: self._reader.fault_counts(site, device, points, t0, t1))

    async def tallies(self, site: str, t0: int, t1: int) -> Mapping[str, Mapping[int, Tally]]:
        return await self._ask("read tallies", lambda: self._reader.tallies(site, t0, t1))

    async def arrivals(self, site: str, device: str, t0: int, t1: int) -> Mapping[int, int]:
        return await self._ask("read arrivals", lambda: self._reader.arrivals(site, device, t0, t1))

    async def plans(self, site: str) -> Mapping[str, Sequence[Plan]]:
        return await self._ask("read plans", lambda: self._reader.plans(site))

    # --- accounted intervals

    async def read_rollup(self, series: SeriesKey, grain: Grain, t0: int, t1: int) -> Sequence[Bucket]:
        return await self._ask("read intervals", lambda: self._reader.read_rollup(series, grain, t0, t1))

    async def write_rollup(
        self, buckets: Mapping[SeriesKey, Sequence[Bucket]], *, settled: Mapping[SeriesKey, int] | None = None
    ) -> int:
        return await self._write("write intervals", lambda: self._writer.write_rollup(buckets, settled or {}))

    async def dirty(self, limit: int) -> Sequence[Dirty]:
        return await self._ask("read outdated", lambda: self._reader.dirty(limit))

    async def require(self, series: SeriesKey, fingerprint: str) -> bool:
        return await self._write("note rule", lambda: self._writer.require(series, fingerprint))

    async def totals(self) -> Totals:
        return await self._ask("read totals", self._reader.totals)


def _thread(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
