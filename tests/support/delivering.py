"""A publisher at work: a real spool that is fed, a real broker, and a centre that confirms what reaches it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

from agent.outbox import Limits
from agent.publisher import Publisher
from agent.spool import Spool
from agent.spool_disk import SqliteDisk
from metering.parcel import ParcelId, open_parcel
from metering.status import State, Status
from metering.sweep import Sweep
from metering.topics import Committed, Topics, encode_committed
from wattline.broker import Broker, BrokerError
from wattline.clock import Clock, SystemClock
from wattline.events import EventLog, capture_events
from wattline.mqtt import Address, PahoBroker

TOPICS = Topics("works", "press-shop")
FEED_S = 0.02
KEEPALIVE_S = 2


class Brisk(Random):
    """Chance that makes every back-off short."""

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * 0.02


@dataclass
class Centre:
    """Confirms every parcel it hears of while `awake`; `heard` is in order of arrival."""

    broker: Broker
    awake: bool = True
    heard: list[ParcelId] = field(default_factory=list)
    readings: set[int] = field(default_factory=set)

    async def run(self) -> None:
        while True:
            with suppress(BrokerError):
                async with self.broker.connect() as connection:
                    await connection.subscribe(TOPICS.readings)
                    await connection.publish(TOPICS.committed, self._word(), retain=True)
                    async for message in connection.messages():
                        if self.awake:
                            parcel = open_parcel(message.payload)
                            self.heard.append(parcel.id)
                            self.readings |= {sweep.taken_at for sweep in parcel.sweeps}
                            await connection.publish(TOPICS.committed, self._word(), retain=True)
                        message.ack()
            await asyncio.sleep(0.05)

    def _word(self) -> bytes:
        held: dict[int, list[tuple[int, int]]] = {}
        for parcel_id in sorted(set(self.heard)):
            held.setdefault(parcel_id.epoch, []).append((parcel_id.seq, parcel_id.seq))
        return encode_committed(Committed(epochs={epoch: tuple(ranges) for epoch, ranges in held.items()}))


@dataclass
class Delivery:
    """One gateway; `acquired` are the times of the sweeps its spool was given."""

    spool: Spool
    publisher: Publisher
    centre: Centre
    events: list[dict[str, Any]]
    acquired: list[int] = field(default_factory=list)
    values: int = 1
    feeding: bool = True
    clock: Clock = field(default_factory=SystemClock)
    chance: Random = field(default_factory=lambda: Random(1))

    async def feed(self) -> None:
        while True:
            if self.feeding:
                self.acquire()
            await asyncio.sleep(FEED_S)

    def acquire(self) -> None:
        """One sweep, whose values gzip cannot make small."""
        values = {f"power_active_l{n}": self.chance.random() for n in range(self.values)}
        sweep = Sweep(device="d", taken_at=self.clock.now_ns(), values=values, faults={})
        self.spool.append(sweep)
        self.acquired.append(sweep.taken_at)

    def told(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event]

    async def until(self, happened: Callable[[], object]) -> None:
        async with asyncio.timeout(40):
            while not happened():
                await asyncio.sleep(0.01)

    async def acquires(self, sweeps: int) -> None:
        """Return when the spool was given `sweeps` more: polling goes on whatever the broker does."""
        wanted = len(self.acquired) + sweeps
        await self.until(lambda: len(self.acquired) >= wanted)

    async def drains(self) -> None:
        """Feed no more; return when the centre has everything and the spool nothing."""
        self.feeding = False
        self.spool.seal()
        await self.until(lambda: set(self.acquired) == self.centre.readings)
        await self.until(lambda: self.spool.stats().parcels_pending == 0)
        stats = self.spool.stats()
        assert (stats.dropped, stats.parcels_released) == (0, stats.parcels_sealed)


@asynccontextmanager
async def delivering(
    folder: Path,
    broker: Broker,
    centre: Broker,
    *,
    limits: Limits | None = None,
    seal_interval_s: float = 0.1,
    commit_interval_s: float = 1.0,
    history_s: float = 0.0,
    **how: Any,
) -> AsyncGenerator[Delivery]:
    """A gateway that reaches its broker over `broker`, and a centre over `centre`."""

    def status(state: State) -> Status:
        return Status(state=state, software="t", epoch=spool.epoch, at=clock.now_ns(), counters={}, devices=())

    clock = SystemClock()
    with capture_events() as events:
        spool = Spool(
            site="works",
            gateway="press-shop",
            disk=SqliteDisk(folder, budget=64 * 1024 * 1024, history_s=history_s),
            clock=clock,
            events=EventLog(),
            seal_interval_s=seal_interval_s,
            commit_interval_s=commit_interval_s,
            keep_all=history_s > 0,
        )
        async with spool:
            publisher = Publisher(
                spool=spool,
                broker=broker,
                topics=TOPICS,
                clock=clock,
                events=EventLog(),
                random=Brisk(),
                status=status,
                limits=limits or Limits(resend_s=1.0, refused_s=0.2),
                history=history_s > 0,
                **how,
            )
            delivery = Delivery(spool, publisher, Centre(centre), events)
            parts: list[Callable[[], Awaitable[None]]] = [
                spool.run, publisher.run, delivery.centre.run, delivery.feed
            ]  # fmt: skip
            work = [asyncio.ensure_future(part()) for part in parts]
            try:
                yield delivery
                ended = [task for task in work if task.done()]
                assert not ended, ended
            finally:
                for task in work:
                    task.cancel()
                await asyncio.wait(work)


def client(port: int, client_id: str = "gateway", protocol: Literal["5", "3.1.1"] = "5") -> PahoBroker:
    """The real adapter, with a short keep-alive."""
    address = Address(host="127.0.0.1", port=port, client_id=client_id, protocol=protocol)
    return PahoBroker(address, keepalive_s=KEEPALIVE_S)
