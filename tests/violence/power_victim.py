"""An agent's spool at work on a disk that will lose its power; it says what it holds as durable, and when.

    python power_victim.py DIRECTORY LOG SEED JOURNAL_MODE SYNCHRONOUS

A line is `what epoch seq crc readings position`, the position being the size of the disk's log at that moment:
`trying` a parcel (a commit with it begins), `going` (a commit that deletes it begins), `kept` (the commit with it has
returned), `epoch` (the epoch is durable). The product has PERSIST and FULL; WAL and FULL is an older Wattline, and with WAL
and NORMAL, or with OFF, the rig must see losses.
"""

import asyncio
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent.spool import Spool
from agent.spool_disk import Change, SqliteDisk, Stored
from metering.parcel import Parcel, ParcelId
from metering.sweep import Sweep, Value
from support.other_journal import other_journal
from wattline.clock import NS, sleep_until
from wattline.events import EventLog

BUDGET = 16 * 1024 * 1024
POINTS = 20
_HELD = 150  # parcels on disk from which on as many are released as come
_START = ParcelId(epoch=0, seq=0)


class PastClock:
    """A gateway without a battery: at each start it is 1970 again, so only the file knows which epochs were used."""

    def now_ns(self) -> int:
        return round(self.monotonic() * NS)

    def monotonic(self) -> float:
        return time.monotonic() - _BEGAN

    async def sleep_until(self, due_ns: int) -> None:
        await sleep_until(self, due_ns)


_BEGAN = time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One line of a victim."""

    what: str
    id: ParcelId
    crc: int
    readings: int
    at: int

    @classmethod
    def parse(cls, line: str) -> "Told":
        what, epoch, seq, crc, readings, at = line.split()
        return cls(
            what=what, id=ParcelId(epoch=int(epoch), seq=int(seq)), crc=int(crc), readings=int(readings), at=int(at)
        )


class TellingDisk(SqliteDisk):
    """The product's disk; `tell` hears of every commit before and after it."""

    def __init__(self, directory: Path, tell: Callable[[str, ParcelId, Parcel | None], None]) -> None:
        super().__init__(directory, budget=BUDGET)
        self._tell = tell
        self.kept: list[ParcelId] = []

    async def commit(self, change: Change) -> Stored:
        for parcel in change.insert:
            self._tell("trying", parcel.id, parcel)
        for parcel_id in change.delete:
            self._tell("going", parcel_id, None)
        stored = await super().commit(change)
        self._tell("epoch", ParcelId(epoch=change.epoch, seq=0), None)
        for parcel in change.insert:
            self._tell("kept", parcel.id, parcel)
            self.kept.append(parcel.id)
        return stored


def spool_on(disk: SqliteDisk) -> Spool:
    """The product's spool in a hurry: its commit interval is 50 ms."""
    return Spool(
        site="works",
        gateway="hall-1",
        disk=disk,
        clock=PastClock(),
        events=EventLog(),
        seal_interval_s=0.02,
        commit_interval_s=0.05,
    )


async def everything_in(spool: Spool) -> list[Parcel]:
    parcels: list[Parcel] = []
    after = _START
    while more := await spool.read(after, None, 1000):
        parcels += more
        after = more[-1].id
    return parcels


def sweep_of(chance: Random, taken_at: int) -> Sweep:
    """Of a meter that also says half a kilobyte of noise, so that the log of the file is full every second or so."""
    values: dict[str, Value] = {f"point_{n}": chance.uniform(0, 1000) for n in range(POINTS)}
    values["noise"] = chance.randbytes(600).hex()
    return Sweep(device=f"meter-{chance.randrange(8)}", taken_at=taken_at, values=values, faults={})


async def work(directory: Path, log: Path, chance: Random) -> None:
    """Append, commit and release until killed."""

    def tell(what: str, parcel_id: ParcelId, parcel: Parcel | None) -> None:
        crc, readings = (0, 0) if parcel is None else (zlib.crc32(parcel.body), parcel.readings)
        position = log.stat().st_size
        sys.stdout.write(f"{what} {parcel_id.epoch} {parcel_id.seq} {crc} {readings} {position}\n")
        sys.stdout.flush()

    disk = TellingDisk(directory, tell)
    async with spool_on(disk) as spool, asyncio.TaskGroup() as tasks:
        disk.kept = [parcel.id for parcel in await everything_in(spool)]
        spool.set_online(True)
        tasks.create_task(spool.run())
        taken_at = 0
        while True:
            for _ in range(chance.choice((1, 1, 1, 40))):
                taken_at += 1
                spool.append(sweep_of(chance, taken_at))
            if len(disk.kept) > _HELD or chance.random() < 0.02:
                spool.release([disk.kept.pop(chance.randrange(len(disk.kept))) for _ in range(3) if disk.kept])
            await asyncio.sleep(chance.uniform(0, 0.008))


def main() -> None:
    directory, log, seed, mode, synchronous = sys.argv[1:]
    with other_journal(mode, synchronous):
        asyncio.run(work(Path(directory), Path(log), Random(seed)))


if __name__ == "__main__":
    main()
