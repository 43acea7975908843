"""Publisher: keeps a connection to the broker, over which a session carries the parcels from the spool.

Connects with back-off and full jitter. A broker that is away or refuses us costs time, never a parcel.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Final, Literal

from agent.outbox import Limits, Outbox
from agent.pace import Pace
from agent.replay import Replay
from agent.session import LEAVE_S, Session
from agent.spool import Spool
from metering.status import State, Status, encode_status
from metering.topics import Topics
from wattline.broker import Broker, BrokerError, BrokerRefused, Connection, Will
from wattline.cancellation import end
from wattline.clock import Clock
from wattline.events import EventLog

_STEADY_S: Final = 30.0  # a connection that lived this long starts the back-off anew


def backoff_s(attempt: int, random: Random, *, base_s: float = 1.0, most_s: float = 60.0) -> float:
    """Seconds before attempt number `attempt` (from 0): anywhere up to a bound that doubles from `base_s` to `most_s`.

    Full jitter, so that the gateways of a broker that restarts do not return at the same moment.
    """
    return random.uniform(0.0, min(most_s, base_s * 2 ** min(attempt, 16)))


class Publisher:
    """`run` it in a task of its own, end it with `stop`. `status` describes the gateway in a given state.

    `spread_s`: the first connection after the start or a loss comes at a random time within it, so that the gateways
    of a plant whose power or broker is back do not come all at once. `bytes_s`: most that is sent on average.
    `history`: the spool keeps one, and the centre may ask for it.
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
        history: bool = False,
    ) -> None:
        self._spool, self._broker, self._topics = spool, broker, topics
        self._clock, self._events, self._random = clock, events, random
        self._status = status
        self._release: Literal["store", "puback"] = release
        self._spread_s = spread_s
        self._pace = None if bytes_s is None else Pace(bytes_s)
        self._outbox = Outbox(limits or Limits(), self._pace)
        self._replay = Replay(spool, clock, events) if history else None
        self._session: Session | None = None
        self._stopping = asyncio.Event()
        self._grace_s = 0.0
        self._sessions: asyncio.Task[None] | None = None
        self._complaint = ""

    @property
    def connected(self) -> bool:
        return self._session is not None

    @property
    def counters(self) -> dict[str, int]:
        """Of the history and of the last request for it; empty when none is kept."""
        return {} if self._replay is None else self._replay.counters()

    async def run(self) -> None:
        """Connect, publish, connect again, until `stop`; never raises BrokerError."""
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
            await asyncio.wait({self._sessions}, timeout=grace_s + LEAVE_S)
        await end([self._sessions])

    async def publish_status(self) -> None:
        """Publish the status now, for example because the inventory changed; nothing while there is no broker."""
        if self._session is not None:
            with suppress(BrokerError):
                await self._session.publish_status(State.ONLINE)

    # --- connections ------------------------------------------------------------------------------------------

    async def _connect_for_ever(self) -> None:
        attempt = 0
        await self._pause(self._random.uniform(0.0, self._spread_s))
        while not self._stopping.is_set():
            began, refused = self._clock.monotonic(), False
            try:
                will = Will(topic=self._topics.status, payload=encode_status(self._last_will()))
                async with self._broker.connect(will=will) as connection:
                    await self._connected(connection).run(self._stopping, lambda: self._grace_s)
            except* BrokerError as errors:
                error = _first(errors)
                refused = isinstance(error, BrokerRefused)
                self._complain(error)
            finally:
                self._session = None
                self._spool.set_online(False)
            attempt = 0 if self._clock.monotonic() - began >= _STEADY_S else attempt + 1
            base_s = 10.0 if refused else max(1.0, self._spread_s)
            await self._pause(backoff_s(max(attempt - 1, 0), self._random, base_s=base_s))

    async def _pause(self, seconds: float) -> None:
        if seconds and not self._stopping.is_set():
            await asyncio.sleep(seconds)

    def _last_will(self) -> Status:
        return replace(self._status(State.LOST), devices=None)

    def _connected(self, connection: Connection) -> Session:
        self._complaint = ""
        self._session = Session(
            connection=connection,
            spool=self._spool,
            outbox=self._outbox,
            pace=self._pace,
            topics=self._topics,
            clock=self._clock,
            events=self._events,
            status=self._status,
            release=self._release,
            replay=self._replay,
        )
        self._spool.set_online(True)
        self._events.info("broker.connected")
        return self._session

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


def _first(errors: BaseExceptionGroup[BrokerError]) -> BrokerError:
    """The first of the errors a group holds, at whatever depth."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BrokerError)
    return error
