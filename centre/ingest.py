"""Ingest: parcels from the broker into the store. Write, then acknowledge, then tell the gateway what is stored.

Nothing is acknowledged that is not durable: a store that fails stops the flow, the broker keeps what waits, and the
gateway keeps what the broker has not delivered. Several workers share the parcels, each over its own connection; when
one is stuck or gone, the others go on, and the gateways send them what it leaves unconfirmed.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from centre.aside import Aside
from centre.confirming import Confirming
from centre.gaps import GapNews
from centre.insisting import Outage, Patience
from centre.keeping import IngestCounts, Keeper, read_batches
from centre.own_clock import OwnClock
from centre.store.base import GatewayKey, Store, StoreError
from metering.parcel import Received
from metering.topics import ALL_READINGS, ALL_STATUS, SHARED_READINGS
from wattline.broker import Broker, BrokerError, BrokerRefused, BrokerUnreachable, Connection, Message
from wattline.clock import NS, Clock
from wattline.events import EventLog

_FIRST_BACKOFF_S: Final = 1.0
_MAX_BACKOFF_S: Final = 30.0
_MAX_REFUSED_S: Final = 120.0
_IDLE_NS: Final = 10 * NS
_LOOK_EVERY_NS: Final = 10 * NS


@dataclass(slots=True)
class Ingest:
    """Runs for ever; everything it needs of the world is a parameter.

    `broker` is that of the first worker, `more` are those of further ones: each a client of its own, with a stable id.
    At most `max_batch` messages, or those of `linger_s` seconds, are written in one step. `on_work` is called with the
    number of a worker whenever its loop has gone round (it goes round while waiting, too): it feeds a watchdog.
    `on_stored` is called with parcels that are durable now. `synchronised` says whether somebody keeps the clock right.
    """

    broker: Broker
    store: Store
    clock: Clock
    dead_letters: Path
    more: Sequence[Broker] = ()
    max_batch: int = 64
    linger_s: float = 0.2
    log: EventLog = field(default_factory=EventLog)
    on_work: Callable[[int], None] = lambda _: None
    on_stored: Callable[[Sequence[Received]], None] = lambda _: None
    synchronised: Callable[[], bool | None] = lambda: None
    counts: IngestCounts = field(default_factory=IngestCounts)
    confirming: Confirming = field(init=False)
    stopping: bool = False
    _workers: list["_Worker"] = field(init=False)
    _gaps: GapNews = field(init=False)
    _looked: int = 0

    def __post_init__(self) -> None:
        self.confirming = Confirming(self.store, self.clock, self.log)
        self._gaps = GapNews(self.log)
        aside, outage = Aside(self.dead_letters, self.clock, self.log), Outage(self.log)
        times = OwnClock(self.clock, self.store, self.synchronised, self.log)
        self._workers = []
        for number, broker in enumerate((self.broker, *self.more), start=1):
            patience = Patience(self.clock, outage, partial(self.on_work, number))
            keeper = Keeper(
                store=self.store,
                clock=self.clock,
                times=times,
                patience=patience,
                aside=aside,
                counts=self.counts,
                log=self.log,
            )
            self._workers.append(_Worker(self, number, broker, keeper, patience))

    @property
    def connected(self) -> int:
        """How many workers are connected to the broker."""
        return sum(worker.connected for worker in self._workers)

    async def run(self) -> None:
        """Serve until cancelled."""
        self.stopping = False
        async with asyncio.TaskGroup() as tasks:
            for worker in self._workers:
                tasks.create_task(worker.run(), name=f"ingest:{worker.number}")
            try:
                await asyncio.get_running_loop().create_future()  # that is: until the end, or until a worker fails
            finally:
                self.stopping = True  # a worker whose connection is lost in this moment hears of nothing else

    async def look(self) -> None:
        """At gaps, now and then; a store that cannot answer is told where it fails to write."""
        now = self.clock.now_ns()
        if not 0 <= now - self._looked < _LOOK_EVERY_NS:
            self._looked = now
            with suppress(StoreError):
                self._gaps.look(await self.store.gateways(), now)


@dataclass(slots=True)
class _Worker:
    """One client of the broker; what is not of its connection alone is its ingest's."""

    ingest: Ingest
    number: int
    broker: Broker
    keeper: Keeper
    patience: Patience
    connected: bool = False

    @property
    def _alone(self) -> bool:
        return not self.ingest.more

    async def run(self) -> None:
        """Serve until cancelled: connect, take in, and come back after every loss."""
        backoff, told = _FIRST_BACKOFF_S, ""
        while not self.ingest.stopping:
            lost: BrokerError | None = None
            try:
                async with self.broker.connect() as connection:
                    backoff, told = _FIRST_BACKOFF_S, ""
                    await self._serve(connection)
            except* BrokerError as errors:
                lost = _first(errors)
            finally:
                self.connected = False
            if str(lost) != told:
                self.ingest.log.warning(_event(lost), error=str(lost), **self._name())
                told = str(lost)
            if not self.ingest.stopping:
                await self.patience.sleep(backoff)
            backoff = min(backoff * 2, _MAX_REFUSED_S if isinstance(lost, BrokerRefused) else _MAX_BACKOFF_S)

    def _name(self) -> dict[str, int]:
        return {} if self._alone else {"worker": self.number}

    async def _serve(self, connection: Connection) -> None:
        """One connection until it is lost. The first worker alone takes what gateways say of themselves: in order."""
        inbox: asyncio.Queue[Message] = asyncio.Queue(self.ingest.max_batch)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive(connection, inbox), name="ingest:receive")
            tasks.create_task(self.ingest.confirming.tell(connection, self.patience), name="ingest:committed")
            tasks.create_task(self._write(inbox), name="ingest:write")
            await connection.subscribe(ALL_READINGS if self._alone else SHARED_READINGS)
            if self.number == 1:
                await connection.subscribe(ALL_STATUS)
            self.connected = True
            self.ingest.log.info("broker.connected", **self._name())
            await self.ingest.confirming.add_all(self.patience)

    async def _receive(self, connection: Connection, inbox: asyncio.Queue[Message]) -> None:
        async for message in connection.messages():
            await inbox.put(message)

    async def _write(self, inbox: asyncio.Queue[Message]) -> None:
        while True:
            messages = await self._gather(inbox)
            stored: set[GatewayKey] = set()
            for batch in read_batches(messages):
                await self.keeper.keep(batch)
                self.patience.on_work()
                self.ingest.on_stored(batch.parcels)
                stored |= {GatewayKey(parcel.site, parcel.gateway) for parcel in batch.parcels}
            for message in messages:
                message.ack()
            self.ingest.counts.messages += len(messages)
            self.ingest.confirming.add(stored)
            await self.ingest.look()
            await self.ingest.confirming.repeat(self.patience)
            self.patience.on_work()

    async def _gather(self, inbox: asyncio.Queue[Message]) -> list[Message]:
        """What waits, at most a batch; after the first message more may follow for `linger_s`. Empty after 10 s."""
        messages: list[Message] = []
        due = self.ingest.clock.now_ns() + _IDLE_NS
        while len(messages) < self.ingest.max_batch:
            message = await self._get(inbox, due)
            if message is None:
                break
            if not messages:
                due = self.ingest.clock.now_ns() + int(self.ingest.linger_s * NS)
            messages.append(message)
        return messages

    async def _get(self, inbox: asyncio.Queue[Message], due: int) -> Message | None:
        """The next message, or None when `due` passes first."""
        if not inbox.empty():
            return inbox.get_nowait()
        getting = asyncio.create_task(inbox.get())
        waiting = asyncio.create_task(self.ingest.clock.sleep_until(due))
        try:
            await asyncio.wait({getting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            if not getting.done():
                getting.cancel()
            await asyncio.gather(waiting, getting, return_exceptions=True)
        return None if getting.cancelled() else getting.result()


def _first(errors: BaseExceptionGroup[BrokerError]) -> BrokerError:
    for err in errors.exceptions:
        return _first(err) if isinstance(err, BaseExceptionGroup) else err
    raise AssertionError("an exception group is never empty")


def _event(lost: BrokerError | None) -> str:
    if isinstance(lost, BrokerRefused):
        return "broker.refused"
    return "broker.unreachable" if isinstance(lost, BrokerUnreachable) else "broker.lost"
