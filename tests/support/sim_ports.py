"""The ports of a simulated run that fail on order: the link to the meters, the spool's disk, the store."""

import asyncio
import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

from agent.side_files import SideFiles
from agent.spool_disk import Change, DiskFailed, Read, SqliteDisk, Stored
from centre.store.base import StoreError, Written
from centre.store.sqlite import SqliteStore
from drivers.base import DeviceSilent
from metering.faults import Fault
from metering.parcel import Received
from support.sim_ledger import ENERGY, Ledger, frequency_of, serials_in
from support.sim_orders import Port
from support.sim_schedule import Weather
from wattline.clock import Clock
from wattline.events import EventLog

_FREQUENCY_AT, _ENERGY_AT = 70, 72  # registers of an SDM120
FULL: Final = 2


class FaultyLink:
    """A Modbus link whose meters answer with the next serial number of the ledger, or not at all."""

    def __init__(self, bus: str, clock: Clock, ledger: Ledger, weather: Weather, chance: Random, port: Port) -> None:
        self._bus, self._clock, self._ledger, self._weather, self._chance = bus, clock, ledger, weather, chance
        self._port = port
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
        return await self._port.call(
            lambda: self._reply(unit, address, count), lambda: DeviceSilent("no reply", Fault.TIMEOUT)
        )

    async def _reply(self, unit: int, address: int, count: int) -> bytes:
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
        port: Port,
    ) -> None:
        super().__init__(directory, budget=budget)
        self._ledger, self._weather, self._port = ledger, weather, port
        self.dead = False

    def die(self, *, power: bool) -> None:
        """The process ends; with `power` the kernel too, which must have been told to flush each commit."""
        if self.dead:
            return
        self.dead = True
        db: Any = self._file._db  # pyright: ignore[reportPrivateUsage]
        if power and db is not None:
            assert db.execute("PRAGMA synchronous").fetchone()[0] >= FULL, "what was committed may be gone"
        self._file.close()

    def _check(self) -> None:
        if self.dead:
            raise DiskFailed("the process is dead")
        if self._weather.size("disk fails") is not None:
            raise DiskFailed("database or disk is full")

    async def _wait(self) -> None:
        slow = self._weather.size("disk slow")
        await asyncio.sleep(0.002 if slow is None else 8.0 * slow)

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
        stored = await self._port.call(lambda: self._written(change), self._failure)
        await self._wait()
        if self._weather.size("disk unsure") is not None:
            raise self._failure()
        return stored

    async def _written(self, change: Change) -> Stored:
        stored = await super().commit(change)
        for parcel in change.insert:
            self._ledger.durable |= serials_in(parcel.body)
        return stored

    def _failure(self) -> DiskFailed:
        self._file.close()
        return DiskFailed("flush failed, and nobody knows what was written")

    async def close(self) -> None:
        if not self.dead:
            await super().close()


class MortalSideFiles(SideFiles):
    """The real side files, which stay as they are when their process dies, and are gone when the machine does."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, EventLog())
        self._memory, self._dead = directory, False

    def die(self, *, power: bool) -> None:
        self.close()
        self._dead = True
        if power:
            for path in self._memory.glob("*"):
                path.unlink()

    def delete(self, number: int) -> None:
        if not self._dead:
            super().delete(number)


def serials_on(directory: Path) -> set[int]:
    """The serials of all parcels in a spool that nobody uses."""
    return {serial for _, body in _rows_on(directory) for serial in serials_in(body)}


def epochs_on(directory: Path) -> set[int]:
    """The epochs of the parcels in a spool that nobody uses."""
    return {key >> 31 for key, _ in _rows_on(directory)}


def _rows_on(directory: Path) -> list[tuple[int, bytes]]:
    path = directory / "spool.sqlite3"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT id, body FROM parcel").fetchall()


class FaultyStore(SqliteStore):
    """The real store, slow, refusing, writing a part only, or seeing its process die between write and answer."""

    def __init__(self, path: Path, ledger: Ledger, weather: Weather, port: Port) -> None:
        super().__init__(path, inline=True)
        self._ledger, self._weather, self._port = ledger, weather, port

    async def write(self, parcels: Sequence[Received], *, received_at: int) -> Written:
        slow = self._weather.size("store slow")
        await asyncio.sleep(0.002 if slow is None else 20.0 * slow)
        if self._weather.size("store fails") is not None:
            raise StoreError("503 not now")
        if self._weather.size("store partial") is not None and len(parcels) > 1:
            await self._written(parcels[: len(parcels) // 2], received_at)
            raise StoreError("half of it was written")
        written = await self._port.call(
            lambda: self._written(parcels, received_at), lambda: StoreError("502 who knows")
        )
        if slow is not None:
            await asyncio.sleep(5.0 * slow)
        return written

    async def _written(self, parcels: Sequence[Received], received_at: int) -> Written:
        written = await super().write(parcels, received_at=received_at)
        self._ledger.kept |= {
            int(value)
            for parcel in parcels
            for sweep in parcel.sweeps
            if isinstance(value := sweep.values.get(ENERGY), int | float | Decimal)
        }
        return written
