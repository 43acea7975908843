"""Session: the work over one connection to the broker: status, the store's word, and the parcels, live ones first.

A broker that refuses, forgets or falls silent costs time, never a parcel.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Literal

from agent.lanes import Lanes
from agent.outbox import Outbox
from agent.pace import Pace
from agent.replay import Replay
from agent.senders import Senders
from agent.spool import Spool
from metering.parcel import Parcel, ParcelId
from metering.status import State, Status, encode_status
from metering.topics import Topics, decode_committed
from wattline.broker import BrokerRefused, BrokerSilent, Connection, MessageTooLarge, PublishRefused
from wattline.clock import Clock
from wattline.events import EventLog

_STATUS_S: Final = 60.0
_NEWS_S: Final = 5.0  # from a status to the next that tells news
_STATUS_PART: Final = 2.0  # a status takes no more than the second part of what may be sent
_SILENT_S: Final = 120.0  # for a status to be acknowledged
_RETAINED_S: Final = 2.0  # for the retained committed message to arrive before the backlog is sent again
_GOODBYE_S: Final = 3.0
_WORD_S: Final = 2.0  # for the store to confirm the last parcels before a stop: it saves writing them to disk
_LOOK_S: Final = 0.02
LEAVE_S: Final = 2 * _GOODBYE_S
"""What a stop may take beyond its grace."""


class Session:
    """Made for one connection; `run` it. The outbox outlives it and knows what earlier connections did."""

    def __init__(
        self,
        *,
        connection: Connection,
        spool: Spool,
        outbox: Outbox,
        pace: Pace | None,
        topics: Topics,
        clock: Clock,
        events: EventLog,
        status: Callable[[State], Status],
        release: Literal["store", "puback"],
        replay: Replay | None = None,
    ) -> None:
        self._connection, self._spool, self._outbox, self._pace = connection, spool, outbox, pace
        self._topics, self._clock, self._events = topics, clock, events
        self._status, self._release, self._replay = status, release, replay
        if replay is not None:
            replay.restart()
        self._culprits = outbox.restart(clock.monotonic())
        for parcel_id in self._culprits:
            events.error("publish.barred", epoch=parcel_id.epoch, seq=parcel_id.seq)
        self._lanes = Lanes(spool, outbox, replay)
        self._senders = Senders(topics, spool)
        self._changed = asyncio.Event()
        spool.on_sealed = self._changed.set
        self._retained = asyncio.Event()
        self._flights: set[asyncio.Task[None]] = set()
        self._refusals: set[str] = set()  # told
        self._split = False

    async def run(self, stopping: asyncio.Event, grace_s: Callable[[], float]) -> None:
        """Work until `stopping`, then send what is left for at most `grace_s` and the status `stopped`."""
        async with asyncio.TaskGroup() as tasks:
            work = [
                tasks.create_task(self._listen(), name="publisher:listen"),
                tasks.create_task(self._tell_status(), name="publisher:status"),
                tasks.create_task(self._send(tasks), name="publisher:send"),
            ]
            await stopping.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s()):
                    await self._all_sent()
            for task in work:
                task.cancel()
            await self._in_time(self.publish_status(State.STOPPED))
            for flight in self._flights:
                flight.cancel()

    async def _all_sent(self) -> None:
        """Return when the broker has all there is, and the store too unless its word takes long."""
        while not (self._outbox.idle and self._lanes.empty):
            await asyncio.sleep(_LOOK_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(_WORD_S):
                while self._outbox.awaiting:
                    await asyncio.sleep(_LOOK_S)

    async def _in_time(self, work: Awaitable[object]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await work

    # --- status and committed ---------------------------------------------------------------------------------

    async def _tell_status(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_SILENT_S):
                    size = await self.publish_status(State.ONLINE)
            except TimeoutError as err:
                raise BrokerSilent("the broker acknowledges nothing") from err
            least_s = 0.0 if self._pace is None else _STATUS_PART * self._pace.takes_s(size)
            if self._replay is None:
                await asyncio.sleep(max(_STATUS_S, least_s))
                continue
            await asyncio.sleep(max(_NEWS_S, least_s))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, _STATUS_S - max(_NEWS_S, least_s))):
                    await self._replay.news.wait()
            self._replay.news.clear()

    async def publish_status(self, state: State) -> int:
        """Publish the status as it is now; returns its size."""
        payload = encode_status(self._status(state))
        if self._pace is not None:
            self._pace.spend(len(payload), self._clock.monotonic())
        try:
            await self._connection.publish(self._topics.status, payload, retain=True)
        except PublishRefused as err:
            self._note_refusal(err)
        return len(payload)

    async def _listen(self) -> None:
        if self._release == "store":
            await self._connection.subscribe(self._topics.committed)
        if self._replay is not None:
            await self._listen_for_requests()
        async for message in self._connection.messages():
            if self._replay is not None and message.topic == self._topics.replay:
                await self._replay.ask(message.payload, retained=message.retain)
                self._changed.set()
                message.ack()
                continue
            try:
                committed = decode_committed(message.payload)
                if committed.highest(self._spool.epoch) > self._spool.newest.seq:
                    raise ValueError("it names parcels that do not exist yet")
                committed = self._senders.heard(message.topic, committed)
            except ValueError as err:
                self._events.error("committed.invalid", error=str(err))
            else:
                known = () if self._replay is None else self._replay.out
                self._safe(self._outbox.committed(committed, self._clock.monotonic(), known))
                self._retained.set()
                self._changed.set()
            message.ack()

    async def _listen_for_requests(self) -> None:
        try:
            await self._connection.subscribe(self._topics.replay)
        except BrokerRefused as err:
            self._events.warning("replay.closed", error=str(err))

    def _safe(self, parcel_ids: list[ParcelId]) -> None:
        """The store, or the broker where that is enough, has them."""
        if self._replay is not None:
            self._replay.heard()
            parcel_ids = self._replay.confirmed(parcel_ids)
        self._spool.release(parcel_ids)

    # --- parcels ----------------------------------------------------------------------------------------------

    async def _send(self, tasks: asyncio.TaskGroup) -> None:
        for parcel_id in self._culprits:
            if await self._spool.split(parcel_id):  # perhaps it is but too large, and 3.1.1 has no word for that
                self._outbox.pardon(parcel_id)
                self._events.warning("publish.split", epoch=parcel_id.epoch, seq=parcel_id.seq, reason="barred")
        if self._release == "store":
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETAINED_S):
                    await self._retained.wait()
        while True:
            self._changed.clear()
            for parcel in await self._lanes.take(self._clock.monotonic()):
                self._start(tasks, parcel)
            now = self._clock.monotonic()
            if self._outbox.is_silent(now):
                raise BrokerSilent("the broker acknowledges nothing, or not all")
            at = self._outbox.next_at(now)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if at == float("inf") else max(0.001, at - now)):
                    await self._changed.wait()

    def _start(self, tasks: asyncio.TaskGroup, parcel: Parcel) -> None:
        flight = tasks.create_task(self._publish(parcel), name=f"publisher:parcel-{parcel.id.seq}")
        self._flights.add(flight)
        flight.add_done_callback(self._flights.discard)

    async def _publish(self, parcel: Parcel) -> None:
        topics = self._senders.topics_of(parcel)
        try:
            if topics != self._topics:
                await self._pass_as(topics)
            await self._connection.publish(topics.readings, parcel.body)
        except MessageTooLarge as err:
            await self._too_large(parcel, err)
        except PublishRefused as err:
            if topics == self._topics:
                self._outbox.refused(parcel.id, self._clock.monotonic())
            else:
                self._senders.denied[topics] = err
                self._outbox.set_aside(parcel.id, self._clock.monotonic())
            self._note_refusal(err)
        else:
            if self._outbox.acked(parcel.id, self._clock.monotonic()):
                self._refusals.clear()
                self._events.info("publish.resumed")
            if self._release == "puback":
                self._outbox.released([parcel.id])
                self._safe([parcel.id])
        self._changed.set()

    async def _pass_as(self, topics: Topics) -> None:
        """Listen for the store's word on what waits under earlier names; raises PublishRefused where we must not."""
        if topics in self._senders.denied:
            raise self._senders.denied[topics]
        if self._senders.listens(topics):
            return
        self._events.info("publish.earlier_names", site=topics.site, gateway=topics.gateway)
        if self._release == "store":
            try:
                await self._connection.subscribe(topics.committed)
            except BrokerRefused as err:
                raise PublishRefused(topics.committed, str(err)) from err

    async def _too_large(self, parcel: Parcel, err: MessageTooLarge) -> None:
        """Have it split and send the halves; one that cannot be split is left aside on this connection."""
        self._outbox.set_aside(parcel.id, self._clock.monotonic())
        split = await self._spool.split(parcel.id)
        if not split and self._replay is not None:
            self._replay.gone(parcel.id)
        if split:
            self._outbox.again(parcel.id, self._clock.monotonic())
        if not split or not self._split:
            self._split = split
            tell = self._events.warning if split else self._events.error
            event = "publish.split" if split else "publish.too_large"
            tell(event, epoch=parcel.id.epoch, seq=parcel.id.seq, reason=err.reason)

    def _note_refusal(self, err: PublishRefused) -> None:
        """One event a topic and cause, until a parcel passes again."""
        if str(err) not in self._refusals:
            self._refusals.add(str(err))
            self._events.error("publish.refused", topic=err.topic, reason=err.reason)
