"""An MQTT broker in memory, as far as the port wattline.broker shows one: for whole-system tests in virtual time.

Delivers at least once as mosquitto does: a session's queue is bounded and drops what is beyond, unacknowledged messages
come again after a reconnect, the retained message comes at subscription, the will after a loss.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from wattline.broker import BrokerLost, BrokerUnreachable, Connection, Message, PublishRefused, Will

QUEUE = 1000  # max_queued_messages of mosquitto


@dataclass
class _Delivery:
    topic: str
    payload: bytes
    retain: bool


@dataclass
class _Session:
    persistent: bool
    filters: list[str] = field(default_factory=list)
    waiting: deque[_Delivery] = field(default_factory=deque)
    unacked: list[_Delivery] = field(default_factory=list)


def matches(topic_filter: str, topic: str) -> bool:
    wanted, parts = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        return parts[: len(wanted) - 1] == wanted[:-1]
    return len(wanted) == len(parts) and all(w in ("+", p) for w, p in zip(wanted, parts, strict=True))


class SimBroker:
    """The broker. `delay_s` is how long a PUBACK takes; `refuse` may name a reason to refuse a topic."""

    def __init__(self, *, delay_s: float = 0.02) -> None:
        self.up = True
        self.delay_s = delay_s
        self.refuse: Callable[[str], Exception | None] = lambda topic: None
        self.swallow: Callable[[str], bool] = lambda topic: False  # acknowledged, delivered to nobody
        self.mute = False  # takes messages and acknowledges none
        self.ack_after_s: Callable[[str], float] = lambda topic: 0.0  # beyond delay_s; infinite: it never comes
        self.late_s: Callable[[str], float] = lambda topic: 0.0  # between acknowledging and handing on
        self.copies: Callable[[str], int] = lambda topic: 1
        self.retained: dict[str, bytes] = {}
        self.published: list[tuple[str, bytes]] = []
        self.keep_published = True
        self.connections_made = 0
        self._sessions: dict[str, _Session] = {}
        self._connected: dict[str, _SimConnection] = {}

    def client(self, client_id: str, *, persistent: bool = False) -> "SimClient":
        return SimClient(self, client_id, persistent)

    def go_down(self, *, forget: bool = False) -> None:
        """End every connection and accept none; `forget` is a kill without persistence."""
        self.up = False
        for client_id in list(self._connected):
            self.drop(client_id)
        if forget:
            self._sessions.clear()
            self.retained.clear()

    def come_up(self) -> None:
        self.up = True

    def drop(self, client_id: str) -> None:
        """The connection of one client ends; its will is published."""
        connection = self._connected.pop(client_id, None)
        if connection is not None:
            connection.end()
            if connection.will is not None and self.up:
                self.route(connection.will.topic, connection.will.payload, retain=connection.will.retain)

    def freeze(self, client_id: str, *, seen_after_s: float) -> None:
        """Half open: nothing passes any more, and the client sees it only when its keep-alive fails."""
        connection = self._connected.get(client_id)
        if connection is not None:
            connection.frozen = True
            asyncio.get_running_loop().call_later(seen_after_s, self._drop_connection, client_id, connection)

    def _drop_connection(self, client_id: str, connection: "_SimConnection") -> None:
        if self._connected.get(client_id) is connection:
            self.drop(client_id)

    def hand_on(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Route, as often and as late as the faults say."""
        if self.swallow(topic):
            return
        late_s = self.late_s(topic)
        for _ in range(self.copies(topic)):
            if late_s:
                asyncio.get_running_loop().call_later(late_s, partial(self.route, topic, payload, retain=retain))
            else:
                self.route(topic, payload, retain=retain)

    def route(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if self.keep_published:
            self.published.append((topic, payload))
        if retain:
            self.retained[topic] = payload
        for client_id, session in self._sessions.items():
            if any(matches(topic_filter, topic) for topic_filter in session.filters):
                if len(session.waiting) < QUEUE:
                    session.waiting.append(_Delivery(topic, payload, False))
                if client_id in self._connected:
                    self._connected[client_id].arrived.set()

    def _enter(self, client_id: str, persistent: bool, will: Will | None) -> "_SimConnection":
        if not self.up:
            raise BrokerUnreachable("sim: connection refused")
        self.drop(client_id)
        session = self._sessions.get(client_id)
        if session is None or not persistent or not session.persistent:
            session = self._sessions[client_id] = _Session(persistent)
        session.waiting.extendleft(reversed(session.unacked))
        session.unacked.clear()
        self.connections_made += 1
        connection = self._connected[client_id] = _SimConnection(self, session, will)
        return connection

    def _leave(self, client_id: str, connection: "_SimConnection") -> None:
        if self._connected.get(client_id) is connection:
            del self._connected[client_id]
        connection.end()
        if not connection.session.persistent and self._sessions.get(client_id) is connection.session:
            del self._sessions[client_id]


class _SimConnection:
    def __init__(self, broker: SimBroker, session: _Session, will: Will | None) -> None:
        self.session, self.will = session, will
        self.arrived = asyncio.Event()
        self.frozen = False
        self._broker = broker
        self._ended = False
        self._over = asyncio.Event()
        self._order = 0.0

    def end(self) -> None:
        self._ended = True
        self._over.set()
        self.arrived.set()

    def _check(self) -> None:
        if self._ended:
            raise BrokerLost("sim: the connection ended")

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._check()
        self._order += 1e-9  # a loop wakes those of one instant in any order, a connection keeps it
        await asyncio.sleep(self._broker.delay_s / 2 + self._order)
        while self._broker.mute:
            await asyncio.sleep(1.0)
            self._check()
        await self._alive()
        refusal = self._broker.refuse(topic)
        if refusal is not None:
            raise refusal
        self._broker.hand_on(topic, payload, retain=retain)
        ack_after_s = self._broker.ack_after_s(topic)
        if ack_after_s == float("inf"):
            await self._over.wait()
        await asyncio.sleep(self._broker.delay_s / 2 + ack_after_s)
        await self._alive()  # delivered, but the acknowledgement is lost with the connection

    async def _alive(self) -> None:
        if self.frozen:
            await self._over.wait()
        self._check()

    async def subscribe(self, topic_filter: str) -> None:
        await self._alive()
        self.session.filters.append(topic_filter)
        for topic, payload in self._broker.retained.items():
            if matches(topic_filter, topic):
                self.session.waiting.append(_Delivery(topic, payload, True))
        self.arrived.set()

    async def messages(self) -> AsyncIterator[Message]:
        while True:
            while self.session.waiting and not self._ended and not self.frozen:
                delivery = self.session.waiting.popleft()
                self.session.unacked.append(delivery)
                yield Message(
                    topic=delivery.topic, payload=delivery.payload, retain=delivery.retain, ack=self._acker(delivery)
                )
            self._check()
            self.arrived.clear()
            await self.arrived.wait()

    def _acker(self, delivery: _Delivery) -> Callable[[], None]:
        def ack() -> None:
            if not self._ended and not self.frozen:
                self.session.unacked[:] = [other for other in self.session.unacked if other is not delivery]

        return ack


class SimClient:
    """A wattline.broker.Broker with a client id of its own."""

    def __init__(self, broker: SimBroker, client_id: str, persistent: bool) -> None:
        self._broker, self.client_id, self._persistent = broker, client_id, persistent

    @asynccontextmanager
    async def connect(self, *, will: Will | None = None) -> AsyncGenerator[Connection]:
        await asyncio.sleep(self._broker.delay_s)
        connection = self._broker._enter(self.client_id, self._persistent, will)
        try:
            yield connection
        except BaseException:
            self._broker.drop(self.client_id)
            raise
        self._broker._leave(self.client_id, connection)


def not_authorised(topic: str) -> PublishRefused:
    return PublishRefused(topic, "Not authorized")
