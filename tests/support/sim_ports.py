"""The ports of a simulated run that fail on order: the link to the meters, the spool's disk, the store."""

import asyncio
import shutil
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from agent.spool_disk import Change, DiskFailed, Read, SqliteDisk, Stored
from centre.store.base import StoreError, Written
from centre.store.sqlite import SqliteStore
from drivers.base import DeviceSilent
from metering.faults import Fault
from metering.parcel import Received
from support.sim_ledger import Ledger, frequency_of, serials_in
from support.sim_schedule import Weather
from wattline.clock import Clock

_FREQUENCY_AT, _ENERGY_AT = 70, 72  # registers of an SDM120
FULL: Final = 2


class FaultyLink:
    """A Modbus link whose meters answer with the next serial number of the ledger, or not at all."""

    def __init__(self, bus: str, clock: Clock, ledger: Ledger, weather: Weather, chance: Random) -> None:
        self._bus, self._clock, self._ledger, self._weather, self._chance = bus, clock, ledger, weather, chance
        self.dead = False

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def read(self, unit: int, function: int, address: int, count: int) -> bytes:
        # no two replies within the same nanosecond, not even when the clock is set back by whole seconds
        await asyncio.sleep(self._chance.uniform(0.01, 0.05))
        severe = self._weather.size("meters silent")
        if severe is not None and self._chance.random() < severe:
            await asyncio.sleep(1.0)
            raise DeviceSilent("no reply", Fault.TIMEOUT)
        assert not self.dead, "an agent that was killed still reads"
        serial = self._ledger.tell(f"{self._bus}-{unit}", self._clock.now_ns(), self._clock.monotonic())
        image = {_FREQUENCY_AT: frequency_of(serial), _ENERGY_AT: float(serial)}
        return b"".join(struct.pack(">f", image[register]) for register in range(address, address + count, 2))


class FaultyDisk(SqliteDisk):
    """The real spool file behind commits that are slow, fail before or after they were made, or see the process die.

    Sees which serials became durable. `die`: nothing is written any more.
    """

    def __init__(
        self,
        directory: Path,
        *,
        budget: int,
        ledger: Ledger,
        weather: Weather,
        order: Callable[[], str | None],
        die_in_commit: Callable[[], None],
    ) -> None:
        """`order`: what is to become of the next commit: `die before`, `die after`, `fail before`, `fail after`."""
        super().__init__(directory, budget=budget)
        self._directory, self._ledger, self._weather, self._die_in_commit = directory, ledger, weather, die_in_commit
        self._order = order
        self.dead = False

    def die(self, *, power: bool) -> None:
        """The process ends; with `power` what was not flushed is gone too."""
        if self.dead:
            return
        self.dead = True
        db: Any = self._file._db  # type: ignore[attr-defined]
        flushed = db is None or db.execute("PRAGMA synchronous").fetchone()[0] >= FULL
        if power and not flushed:
            # SQLite flushed nothing since its last checkpoint: the log is what the kernel still held
            wal = next(self._directory.glob("*-wal"), None)
            kept = self._directory / "kept"
            kept.mkdir()
            for path in self._directory.glob("*.sqlite3"):
                shutil.copy(path, kept)
            self._file.close()
            for path in kept.iterdir():
                path.replace(self._directory / path.name)
            kept.rmdir()
            if wal is not None:
                wal.unlink(missing_ok=True)
        self._file.close()

    def _check(self) -> None:
        if self.dead:
            raise DiskFailed("the process is dead")
        if self._weather.size("disk fails") is not None:
            raise DiskFailed("database or disk is full")

    async def _wait(self) -> None:
        slow = self._weather.size("disk slow")
        await asyncio.sleep(0.002 if slow is None else 4.0 * slow)

    async def open(self) -> Stored:
        self._check()
        return await super().open()

    async def read(self, after: int, before: int, limit: int, max_bytes: int) -> Read:
        self._check()
        return await super().read(after, before, limit, max_bytes)

    async def commit(self, change: Change) -> Stored:
        self._check()
        await self._wait()
        self._check()
        order = self._order()
        if order == "fail before":
            raise DiskFailed("input/output error")
        if order == "die before":
            self._die_in_commit()
            await asyncio.sleep(3600.0)
        stored = await super().commit(change)
        for parcel in change.insert:
            self._ledger.durable |= serials_in(parcel.body)
        if order == "die after":
            self._die_in_commit()
            await asyncio.sleep(3600.0)
        await self._wait()
        if order == "fail after" or self._weather.size("disk unsure") is not None:
            self._file.close()
            raise DiskFailed("flush failed, though all was written")
        return stored

    async def close(self) -> None:
        if not self.dead:
            await super().close()


def serials_on(directory: Path) -> set[int]:
    """The serials of all parcels in a spool that nobody uses."""
    import sqlite3  # noqa: PLC0415

    path = directory / "spool.sqlite3"
    if not path.exists():
        return set()
    db = sqlite3.connect(path)
    try:
        bodies: Iterable[tuple[bytes]] = db.execute("SELECT body FROM parcel").fetchall()
    finally:
        db.close()
    return {serial for (body,) in bodies for serial in serials_in(body)}


class FaultyStore(SqliteStore):
    """The real store, slow, refusing, writing a part only, or seeing its process die between write and answer."""

    def __init__(self, path: Path, weather: Weather, on_written: Callable[[], Awaitable[None]]) -> None:
        super().__init__(path, inline=True)
        self._weather, self._on_written = weather, on_written

    async def write(self, parcels: Sequence[Received], *, received_at: int) -> Written:
        slow = self._weather.size("store slow")
        await asyncio.sleep(0.002 if slow is None else 20.0 * slow)
        if self._weather.size("store fails") is not None:
            raise StoreError("503 not now")
        if self._weather.size("store partial") is not None and len(parcels) > 1:
            await super().write(parcels[: len(parcels) // 2], received_at=received_at)
            raise StoreError("half of it was written")
        written = await super().write(parcels, received_at=received_at)
        await self._on_written()
        await asyncio.sleep(0.002 if slow is None else 5.0 * slow)
        return written
