"""Ingest: parcels from the broker into the store. Write, then acknowledge, then tell the gateway what is stored.

Nothing is acknowledged that is not durable: a store that fails stops the flow, the broker keeps what waits, and the
gateway keeps what the broker has not delivered. A message that no one can read is put aside with its reason, and so is
a reading that no store takes: the rest of its parcel goes in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from centre.aside import Aside
from centre.gaps import GapNews
from centre.messages import Unreadable, newer, read_message
from centre.sifting import misdated
from centre.store.base import GatewayKey, ReadingsRefused, RefusedReading, Store, StoreError, Written
from metering.parcel import Received
from metering.status import Status
from metering.topics import ALL_READINGS, ALL_STATUS, Committed, Topics, encode_committed
from wattline.broker import (
    Broker,
    BrokerError,
    BrokerLost,
    BrokerRefused,
    BrokerUnreachable,
    Connection,
    Message,
    PublishRefused,
)
from wattline.clock import NS, Clock
from wattline.events import EventLog

_COMMITTED_EVERY_NS: Final = NS
_FIRST_BACKOFF_S: Final = 1.0
_MAX_BACKOFF_S: Final = 30.0
_MAX_REFUSED_S: Final = 120.0
_IDLE_NS: Final = 10 * NS
_SILENT_S: Final = 120.0  # without it, one lost acknowledgement would silence the store's word for good
_LOOK_EVERY_NS: Final = 10 * NS
_REPEAT_EVERY_NS: Final = 300 * NS

T = TypeVar("T")


@dataclass(slots=True)
class IngestCounts:
    """Since this process started."""

    messages: int = 0
    parcels: int = 0
    redelivered: int = 0
    readings: int = 0
    ignored: int = 0
    refused: int = 0
    refused_readings: int = 0
    statuses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    parcels: Sequence[Received]
    statuses: Mapping[GatewayKey, Status]
    refused: Sequence[tuple[Message, str]]


@dataclass(slots=True)
class Ingest:
    """Runs for ever; everything it needs of the world is a parameter.

    At most `max_batch` messages, or those of `linger_s` seconds, are written in one step. `on_written` is called after
    each write, `on_work` whenever the loop has gone round (it goes round while waiting, too): it feeds a watchdog.
    """

    broker: Broker
    store: Store
    clock: Clock
    dead_letters: Path
    max_batch: int = 64
    linger_s: float = 0.2
    log: EventLog = field(default_factory=EventLog)
    on_written: Callable[[Written], None] = lambda _: None
    on_work: Callable[[], None] = lambda: None
    counts: IngestCounts = field(default_factory=IngestCounts)
    connected: bool = False
    _aside: Aside = field(init=False)
    _gaps: GapNews = field(init=False)
    _looked: int = 0
    _repeated: int = 0

    def __post_init__(self) -> None:
        self._aside = Aside(self.dead_letters, self.clock, self.log)
        self._gaps = GapNews(self.log)

    async def run(self) -> None:
        """Serve until cancelled: connect, take in, and come back after every loss."""
        backoff, told = _FIRST_BACKOFF_S, ""
        while True:
            lost: BrokerError | None = None
            try:
                async with self.broker.connect() as connection:
                    backoff, told = _FIRST_BACKOFF_S, ""
                    await self._serve(connection)
            except* BrokerError as errors:
                lost = _first(errors)
            self.connected = False
            if str(lost) != told:
                self.log.warning(_event(lost), error=str(lost))
                told = str(lost)
            await self._sleep(backoff)
            backoff = min(backoff * 2, _MAX_REFUSED_S if isinstance(lost, BrokerRefused) else _MAX_BACKOFF_S)

    async def _serve(self, connection: Connection) -> None:
        """One connection until it is lost."""
        inbox: asyncio.Queue[Message] = asyncio.Queue(self.max_batch)
        outbox = _Outbox()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive(connection, inbox), name="ingest:receive")
            tasks.create_task(self._tell(connection, outbox), name="ingest:committed")
            tasks.create_task(self._write(inbox, outbox), name="ingest:write")
            await connection.subscribe(ALL_READINGS)
            await connection.subscribe(ALL_STATUS)
            self.connected = True
            self.log.info("broker.connected")
            self._repeated = self.clock.now_ns()
            outbox.add(await self._insist(self.store.committed))

    async def _receive(self, connection: Connection, inbox: asyncio.Queue[Message]) -> None:
        async for message in connection.messages():
            await inbox.put(message)

    async def _write(self, inbox: asyncio.Queue[Message], outbox: "_Outbox") -> None:
        while True:
            messages = await self._gather(inbox)
            if messages:
                batch = self._read(messages)
                await self._keep(batch)
                for message in messages:
                    message.ack()
                self.counts.messages += len(messages)
                if batch.parcels:
                    touched = {GatewayKey(parcel.site, parcel.gateway) for parcel in batch.parcels}
                    committed = await self._insist(self.store.committed)
                    outbox.add({key: committed[key] for key in touched})
            await self._look()
            await self._repeat(outbox)
            self.on_work()

    async def _repeat(self, outbox: "_Outbox") -> None:
        """What is stored once more, now and then: a broker that was killed may have forgotten what it retained."""
        now = self.clock.now_ns()
        if not 0 <= now - self._repeated < _REPEAT_EVERY_NS:
            self._repeated = now
            outbox.add(await self._insist(self.store.committed))

    async def _look(self) -> None:
        """At gaps, now and then; a store that cannot answer is told where it fails to write."""
        now = self.clock.now_ns()
        if not 0 <= now - self._looked < _LOOK_EVERY_NS:
            self._looked = now
            with suppress(StoreError):
                self._gaps.look(await self.store.gateways(), now)

    async def _gather(self, inbox: asyncio.Queue[Message]) -> list[Message]:
        """What waits, at most a batch; after the first message more may follow for `linger_s`. Empty after 10 s."""
        messages: list[Message] = []
        due = self.clock.now_ns() + _IDLE_NS
        while len(messages) < self.max_batch:
            message = await self._get(inbox, due)
            if message is None:
                break
            if not messages:
                due = self.clock.now_ns() + int(self.linger_s * NS)
            messages.append(message)
        return messages

    async def _get(self, inbox: asyncio.Queue[Message], due: int) -> Message | None:
        """The next message, or None when `due` passes first."""
        if not inbox.empty():
            return inbox.get_nowait()
        getting = asyncio.create_task(inbox.get())
        waiting = asyncio.create_task(self.clock.sleep_until(due))
        try:
            await asyncio.wait({getting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            if not getting.done():
                getting.cancel()
            await asyncio.gather(waiting, getting, return_exceptions=True)
        return None if getting.cancelled() else getting.result()

    def _read(self, messages: Sequence[Message]) -> _Batch:
        parcels: list[Received] = []
        statuses: dict[GatewayKey, Status] = {}
        refused: list[tuple[Message, str]] = []
        for message in messages:
            try:
                found = read_message(message.topic, message.payload)
            except Unreadable as err:
                refused.append((message, str(err)))
                continue
            if isinstance(found, Received):
                parcels.append(found)
            else:
                key, status = found
                statuses[key] = newer(statuses.get(key), status)
        return _Batch(parcels=parcels, statuses=statuses, refused=refused)

    async def _keep(self, batch: _Batch) -> None:
        """Return when all of the batch is durable."""
        now = self.clock.now_ns()
        if batch.parcels:
            written = await self._store(batch.parcels, now)
            self.counts.parcels += written.parcels
            self.counts.redelivered += written.redelivered
            self.counts.readings += written.readings
            self.counts.ignored += written.ignored
            self.on_written(written)
        for key, status in batch.statuses.items():
            self.counts.statuses += 1
            if await self._insist(partial(self.store.write_status, key, status, received_at=now)):
                self.log.info(f"gateway.{status.state}", site=key.site, gateway=key.gateway, software=status.software)
        for message, reason in batch.refused:
            self.counts.refused += 1
            self._aside.message(message, reason)

    async def _store(self, parcels: Sequence[Received], now: int) -> Written:
        """Write the readings that can be stored; the others are in the dead-letter folder before that."""
        refused: Sequence[RefusedReading] = [one for parcel in parcels for one in misdated(parcel, now)]
        while True:
            if refused:
                parcels = [await self._insist(partial(self._without, parcel, refused)) for parcel in parcels]
            try:
                return await self._insist(partial(self.store.write, parcels, received_at=now))
            except ReadingsRefused as err:
                refused = err.refused

    async def _without(self, parcel: Received, refused: Sequence[RefusedReading]) -> Received:
        rest = self._aside.readings(parcel, refused)
        self.counts.refused_readings += parcel.readings - rest.readings
        return rest

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` returns; while the store fails it is tried again, for as long as it takes."""
        backoff = _FIRST_BACKOFF_S
        while True:
            try:
                result = await work()
            except StoreError as err:
                if backoff == _FIRST_BACKOFF_S:
                    self.log.critical("store.failed", error=str(err))
                await self._sleep(backoff)
                backoff = min(backoff * 2, _MAX_BACKOFF_S)
            else:
                if backoff > _FIRST_BACKOFF_S:
                    self.log.info("store.back")
                return result

    async def _tell(self, connection: Connection, outbox: "_Outbox") -> None:
        """Publish what is stored, retained, at most once a second for each gateway."""
        refused: set[GatewayKey] = set()
        while True:
            for key, committed in await outbox.take():
                topics = Topics(key.site, key.gateway)
                try:
                    async with asyncio.timeout(_SILENT_S):
                        await connection.publish(topics.committed, encode_committed(committed), retain=True)
                    refused.discard(key)
                except TimeoutError as err:
                    raise BrokerLost("the broker acknowledges nothing") from err
                except PublishRefused as err:
                    if key not in refused:
                        self.log.warning("committed.refused", site=key.site, gateway=key.gateway, error=str(err))
                    refused.add(key)
            await self.clock.sleep_until(self.clock.now_ns() + _COMMITTED_EVERY_NS)

    async def _sleep(self, seconds: float) -> None:
        """In naps, after each of which the watchdog hears that waiting is what there is to do."""
        due = self.clock.now_ns() + int(seconds * NS)
        while (now := self.clock.now_ns()) < due:
            self.on_work()
            await self.clock.sleep_until(min(due, now + _IDLE_NS))


class _Outbox:
    """The newest committed message of each gateway that has not been sent."""

    def __init__(self) -> None:
        self._waiting: dict[GatewayKey, Committed] = {}
        self._filled = asyncio.Event()

    def add(self, committed: Mapping[GatewayKey, Committed]) -> None:
        self._waiting.update(committed)
        if self._waiting:
            self._filled.set()

    async def take(self) -> list[tuple[GatewayKey, Committed]]:
        await self._filled.wait()
        self._filled.clear()
        taken = list(self._waiting.items())
        self._waiting.clear()
        return taken


def _first(errors: BaseExceptionGroup[BrokerError]) -> BrokerError:
    for err in errors.exceptions:
        return _first(err) if isinstance(err, BaseExceptionGroup) else err
    raise AssertionError("an exception group is never empty")


def _event(lost: BrokerError | None) -> str:
    if isinstance(lost, BrokerRefused):
        return "broker.refused"
    return "broker.unreachable" if isinstance(lost, BrokerUnreachable) else "broker.lost"
