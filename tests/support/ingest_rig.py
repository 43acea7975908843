"""A running ingest in virtual time: a simulated broker, the real store on disk, and the clock they share."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from centre.ingest import Ingest
from centre.store.base import Store, StoreError, Written
from centre.store.sqlite import SqliteStore
from metering.parcel import ParcelId, Received, seal
from metering.sweep import Sweep
from metering.topics import Topics, decode_committed
from support.sim_broker import SimBroker
from support.store_contract import T0, sweep
from support.virtual_time import VirtualClock
from support.virtual_time import run as run_virtually

TOPICS = Topics("works", "press-shop")
START = T0 + 3600 * 10**9


def body(seq: int, *sweeps: Sweep, site: str = "works", gateway: str = "press-shop") -> bytes:
    """A parcel as the wire carries it; without sweeps one of one reading, whose value is its number."""
    found = sweeps or (sweep(seq, {"power_active_total": float(seq)}),)
    return seal(found, site=site, gateway=gateway, parcel_id=ParcelId(epoch=7, seq=seq), dropped=0).body


class Rig:
    """A broker, an ingest with a store on disk, and the clock they share. Several workers are centre, centre-2, ..."""

    def __init__(self, clock: VirtualClock, store: Store, folder: Path, workers: int = 1) -> None:
        self.clock = clock
        self.broker = SimBroker()
        self.store = store
        self.ingest = Ingest(
            broker=self.broker.client("centre", persistent=True),
            store=store,
            clock=clock,
            dead_letters=folder / "dead",
            more=[self.broker.client(f"centre-{n}", persistent=True) for n in range(2, workers + 1)],
        )
        self.running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.running = asyncio.create_task(self.ingest.run())

    async def stop(self) -> None:
        assert self.running is not None
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            await self.running

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep_until(self.clock.now_ns() + int(seconds * 10**9))

    def deliver(self, payload: bytes, topic: str = TOPICS.readings, *, retain: bool = False) -> None:
        self.broker.route(topic, payload, retain=retain)

    @property
    def unacked(self) -> int:
        session = self.broker.sessions["centre"]
        return len(session.unacked) + len(session.waiting)

    def committed(self, topics: Topics = TOPICS) -> list[dict[int, tuple[tuple[int, int], ...]]]:
        """Every committed message of the gateway that was published, in order."""
        return [
            dict(decode_committed(payload).epochs)
            for topic, payload in self.broker.published
            if topic == topics.committed
        ]


class FailingStore(SqliteStore):
    """Fails its writes as long as `broken` is set."""

    broken = False

    @property
    def writing(self) -> sqlite3.Connection:
        return self._writing

    async def write(self, parcels: Sequence[Received], *, received_at: int) -> Written:
        if self.broken:
            raise StoreError("database or disk is full")
        return await super().write(parcels, received_at=received_at)


def play(folder: Path, check: Callable[[Rig], Awaitable[None]], *, workers: int = 1) -> None:
    """Run `check` beside a running ingest, then stop it in order."""

    async def main(clock: VirtualClock) -> None:
        async with FailingStore(folder / "centre.db", inline=True) as store:
            rig = Rig(clock, store, folder, workers)
            rig.start()
            await rig.sleep(1)
            await check(rig)
            await rig.stop()

    run_virtually(main, START)
