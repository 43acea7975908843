"""Publisher: carries parcels from the spool to the broker, live ones first, and releases what the store confirmed.

It owns the connection: connects with back-off and full jitter, publishes the gateway's status, listens for the
committed message. A broker that is away, refuses or forgets costs time, never a parcel.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Final, Literal

from agent.lanes import Lanes
from agent.outbox import Limits, Outbox
from agent.pace import Pace
from agent.spool import Spool
from metering.parcel import Parcel, ParcelId
from metering.status import State, Status, encode_status
from metering.topics import Topics, decode_committed
from wattline.broker import (
    Broker,
    BrokerError,
    BrokerLost,
    BrokerRefused,
    Connection,
    MessageTooLarge,
    PublishRefused,
    Will,
)
from wattline.cancellation import end
from wattline.clock import Clock
from wattline.events import EventLog

_STATUS_S: Final = 60.0
_SILENT_S: Final = 120.0  # for a status to be acknowledged
_RETAINED_S: Final = 2.0  # for the retained committed message to arrive before the backlog is sent again
_STEADY_S: Final = 30.0  # a connection that lived this long starts the back-off anew
_GOODBYE_S: Final = 3.0
_WORD_S: Final = 2.0  # for the store to confirm the last parcels before a stop: it saves writing them to disk
_LOOK_S: Final = 0.02


def backoff_s(attempt: int, random: Random, *, base_s: float = 1.0, most_s: float = 60.0) -> float:
    """Seconds before attempt number `attempt` (from 0): anywhere up to a bound that doubles from `base_s` to `most_s`.

    Full jitter, so that the gateways of a broker that restarts do not return at the same moment.
    """
    return random.uniform(0.0, min(most_s, base_s * 2 ** min(attempt, 16)))


class Publisher:
    """`run` it in a task of its own, end it with `stop`. `status` describes the gateway in a given state.

    `spread_s`: the first connection after the start or a loss comes at a random time within it, so that the gateways
    of a plant whose power or broker is back do not come all at once. `bytes_s`: most that is sent on average.
    """

    def __init__(
        self,
        *,
        spool: Spool,
        broker: Broker,
        topics: Topics,
        clock: Clock,
        events: EventLog,
        random: Random,
        status: Callable[[State], Status],
        release: Literal["store", "puback"] = "store",
        limits: Limits | None = None,
        spread_s: float = 0.0,
        bytes_s: float | None = None,
    ) -> None:
        self._spool, self._broker, self._topics = spool, broker, topics
        self._clock, self._events, self._random = clock, events, random
        self._status, self._release = status, release
        self._spread_s = spread_s
        self._pace = None if bytes_s is None else Pace(bytes_s)
        self._outbox = Outbox(limits or Limits(), self._pace)
        self._lanes = Lanes(spool, self._outbox)
        self._connection: Connection | None = None
        self._changed = asyncio.Event()
        self._retained = asyncio.Event()
        self._stopping = asyncio.Event()
        self._grace_s = 0.0
        self._sessions: asyncio.Task[None] | None = None
        self._flights: set[asyncio.Task[None]] = set()
        self._complaint = ""
        self._refusal = ""
        self._split = False
        self._culprits: list[ParcelId] = []

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def run(self) -> None:
        """Connect, publish, connect again, until `stop`; never raises BrokerError."""
        self._spool.on_sealed = self._changed.set
        self._sessions = asyncio.create_task(self._connect_for_ever(), name="publisher:session")
        try:
            await asyncio.wait({self._sessions})
        finally:
            await end([self._sessions])
        if not self._sessions.cancelled():
            self._sessions.result()

    async def stop(self, grace_s: float = 2.0) -> None:
        """Send what is left for at most `grace_s`, publish the status `stopped`, disconnect; then `run` returns."""
        self._grace_s = grace_s
        self._stopping.set()
        if self._sessions is None:
            return
        if self.connected:
            await asyncio.wait({self._sessions}, timeout=grace_s + 2 * _GOODBYE_S)
        await end([self._sessions])

    async def publish_status(self) -> None:
        """Publish the status now, for example because the inventory changed; nothing while there is no broker."""
        if self._connection is not None:
            with suppress(BrokerError):
                await self._publish_status(self._connection, State.ONLINE)

    # --- connections ------------------------------------------------------------------------------------------

    async def _connect_for_ever(self) -> None:
        attempt = 0
        await self._pause(self._random.uniform(0.0, self._spread_s))
        while not self._stopping.is_set():
            began, refused = self._clock.monotonic(), False
            try:
                will = Will(topic=self._topics.status, payload=encode_status(self._last_will()))
                async with self._broker.connect(will=will) as connection:
                    self._connected(connection)
                    await self._session(connection)
            except* BrokerError as errors:
                error = _first(errors)
                refused = isinstance(error, BrokerRefused)
                self._complain(error)
            finally:
                self._connection = None
                self._spool.set_online(False)
            attempt = 0 if self._clock.monotonic() - began >= _STEADY_S else attempt + 1
            base_s = 10.0 if refused else max(1.0, self._spread_s)
            await self._pause(backoff_s(max(attempt - 1, 0), self._random, base_s=base_s))

    async def _pause(self, seconds: float) -> None:
        if seconds and not self._stopping.is_set():
            await asyncio.sleep(seconds)

    def _last_will(self) -> Status:
        return replace(self._status(State.LOST), devices=None)

    def _connected(self, connection: Connection) -> None:
        self._connection = connection
        self._complaint = self._refusal = ""
        self._split = False
        self._culprits = self._outbox.restart(self._clock.monotonic())
        for parcel_id in self._culprits:
            self._events.error("publish.barred", epoch=parcel_id.epoch, seq=parcel_id.seq)
        self._lanes = Lanes(self._spool, self._outbox)
        self._retained.clear()
        self._spool.set_online(True)
        self._events.info("broker.connected")

    def _complain(self, error: BaseException) -> None:
        """One event a spell and cause: an attempt a minute for a week is no news."""
        if self.connected:
            self._events.warning("broker.lost", error=str(error))
        elif str(error) != self._complaint:
            self._complaint = str(error)
            if isinstance(error, BrokerRefused):
                self._events.error("broker.refused", error=str(error))
            else:
                self._events.warning("broker.unreachable", error=str(error))

    async def _session(self, connection: Connection) -> None:
        async with asyncio.TaskGroup() as tasks:
            work = [
                tasks.create_task(self._listen(connection), name="publisher:listen"),
                tasks.create_task(self._tell_status(connection), name="publisher:status"),
                tasks.create_task(self._send(connection, tasks), name="publisher:send"),
            ]
            await self._stopping.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._grace_s):
                    await self._all_sent()
            for task in work:
                task.cancel()
            await self._in_time(self._publish_status(connection, State.STOPPED))
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

    async def _in_time(self, work: Awaitable[None]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await work

    # --- status and committed ---------------------------------------------------------------------------------

    async def _tell_status(self, connection: Connection) -> None:
        while True:
            try:
                async with asyncio.timeout(_SILENT_S):
                    await self._publish_status(connection, State.ONLINE)
            except TimeoutError as err:
                raise BrokerLost("the broker acknowledges nothing") from err
            await asyncio.sleep(_STATUS_S)

    async def _publish_status(self, connection: Connection, state: State) -> None:
        payload = encode_status(self._status(state))
        if self._pace is not None:
            self._pace.spend(len(payload), self._clock.monotonic())
        try:
            await connection.publish(self._topics.status, payload, retain=True)
        except PublishRefused as err:
            self._note_refusal(err)

    async def _listen(self, connection: Connection) -> None:
        if self._release == "store":
            await connection.subscribe(self._topics.committed)
        async for message in connection.messages():
            try:
                committed = decode_committed(message.payload)
                if committed.highest(self._spool.epoch) > self._spool.newest.seq:
                    raise ValueError("it names parcels that do not exist yet")
            except ValueError as err:
                self._events.error("committed.invalid", error=str(err))
            else:
                self._spool.release(self._outbox.committed(committed))
                self._retained.set()
                self._changed.set()
            message.ack()

    # --- parcels ----------------------------------------------------------------------------------------------

    async def _send(self, connection: Connection, tasks: asyncio.TaskGroup) -> None:
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
                self._start(connection, tasks, parcel)
            now = self._clock.monotonic()
            if self._outbox.is_silent(now):
                raise BrokerLost("the broker acknowledges nothing")
            at = self._outbox.next_at(now)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if at == float("inf") else max(0.001, at - now)):
                    await self._changed.wait()

    def _start(self, connection: Connection, tasks: asyncio.TaskGroup, parcel: Parcel) -> None:
        flight = tasks.create_task(self._publish(connection, parcel), name=f"publisher:parcel-{parcel.id.seq}")
        self._flights.add(flight)
        flight.add_done_callback(self._flights.discard)

    async def _publish(self, connection: Connection, parcel: Parcel) -> None:
        try:
            await connection.publish(self._topics.readings, parcel.body)
        except MessageTooLarge as err:
            await self._too_large(parcel, err)
        except PublishRefused as err:
            self._outbox.refused(parcel.id, self._clock.monotonic())
            self._note_refusal(err)
        else:
            if self._outbox.acked(parcel.id, self._clock.monotonic()):
                self._refusal = ""
                self._events.info("publish.resumed")
            if self._release == "puback":
                self._outbox.released([parcel.id])
                self._spool.release([parcel.id])
        self._changed.set()

    async def _too_large(self, parcel: Parcel, err: MessageTooLarge) -> None:
        """Have it split and send the halves; one that cannot be split is left aside on this connection."""
        self._outbox.set_aside(parcel.id, self._clock.monotonic())
        split = await self._spool.split(parcel.id)
        if split:
            self._outbox.again(parcel.id, self._clock.monotonic())
        if not split or not self._split:
            self._split = split
            tell = self._events.warning if split else self._events.error
            event = "publish.split" if split else "publish.too_large"
            tell(event, epoch=parcel.id.epoch, seq=parcel.id.seq, reason=err.reason)

    def _note_refusal(self, err: PublishRefused) -> None:
        """One event a cause, until a parcel passes again."""
        if str(err) != self._refusal:
            self._refusal = str(err)
            self._events.error("publish.refused", topic=err.topic, reason=err.reason)


def _first(errors: BaseExceptionGroup[BrokerError]) -> BrokerError:
    """The first of the errors a group holds, at whatever depth."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BrokerError)
    return error
