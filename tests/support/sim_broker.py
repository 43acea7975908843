"""An MQTT broker in memory, as far as the port wattline.broker shows one: for whole-system tests in virtual time.

Delivers at least once as mosquitto does: a session's queue is bounded and drops what is beyond, unacknowledged messages
come again after a reconnect, the retained message comes at subscription, the will after a loss.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from support.sim_orders import FREE, Port
from support.sim_session import Delivery, Session, matches
from wattline.broker import (
    BrokerError,
    BrokerLost,
    BrokerRefused,
    BrokerUnreachable,
    Connection,
    Message,
    PublishRefused,
    Will,
)


class SimBroker:
    """The broker. `delay_s` is how long a PUBACK takes; `refuse` may name a reason to refuse a topic."""

    def __init__(self, *, delay_s: float = 0.02) -> None:
        self.up = True
        self.door: Callable[[str], BrokerError | None] = lambda client_id: None  # what a client meets at it
        self.delay_s = delay_s
        self.refuse: Callable[[str], Exception | None] = lambda topic: None
        self.refuse_to_hear = ""  # a topic filter that nobody may subscribe to
        self.swallow: Callable[[str], bool] = lambda topic: False  # acknowledged, delivered to nobody
        self.mute = False  # takes messages and acknowledges none
        self.ack_after_s: Callable[[str], float] = lambda topic: 0.0  # beyond delay_s; infinite: it never comes
        self.late_s: Callable[[str], float] = lambda topic: 0.0  # between acknowledging and handing on
        self.copies: Callable[[str], int] = lambda topic: 1
        self.witness: Callable[[str, bytes], None] = lambda topic, payload: None  # of what clients begin to publish
        self.on_route: Callable[[str, bytes], None] = lambda topic, payload: None
        self.on_ack: Callable[[str, bytes], None] = lambda topic, payload: None
        self.ports: Mapping[str, Port] = {}  # by client id and `connect`, `publish` or `ack`
        self.retained: dict[str, bytes] = {}
        self.published: list[tuple[str, bytes]] = []
        self.keep_published = True
        self.connections_made = 0
        self.sessions: dict[str, Session] = {}
        self._connected: dict[str, _SimConnection] = {}
        self._turn = 0

    def client(self, client_id: str, *, persistent: bool = False) -> "SimClient":
        return SimClient(self, client_id, persistent)

    def go_down(self, *, forget: bool = False) -> None:
        """End every connection and accept none; `forget` is a kill without persistence."""
        self.up = False
        for client_id in list(self._connected):
            self.drop(client_id)
        if forget:
            self.sessions.clear()
            self.retained.clear()

    def come_up(self) -> None:
        self.up = True

    def expire(self, client_id: str) -> None:
        """A client that is away is forgotten, with what waited for it."""
        assert client_id not in self._connected
        del self.sessions[client_id]

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
        self.on_route(topic, payload)
        if self.keep_published:
            self.published.append((topic, payload))
        if retain:
            self.retained[topic] = payload
        for client_id in self._takers(topic):
            self.sessions[client_id].put(Delivery(topic, payload, False))
            if client_id in self._connected:
                self._connected[client_id].arrived.set()

    def _takers(self, topic: str) -> list[str]:
        """Every session with a plain subscription, and of those that share one each in its turn, absent or not."""
        takers = [name for name, session in self.sessions.items() if session.takes(topic)]
        sharing = [name for name, session in self.sessions.items() if session.shares(topic)]
        if sharing:
            self._turn += 1
            takers.append(sharing[self._turn % len(sharing)])
        return takers

    def port(self, client_id: str, name: str) -> Port:
        return self.ports.get(f"{client_id} {name}", FREE)

    def enter(self, client_id: str, persistent: bool, will: Will | None) -> "_SimConnection":
        if not self.up:
            raise BrokerUnreachable("sim: connection refused")
        refusal = self.door(client_id)
        if refusal is not None:
            raise refusal
        self.drop(client_id)
        session = self.sessions.get(client_id)
        if session is None or not persistent or not session.persistent:
            session = self.sessions[client_id] = Session(persistent)
        session.begin_again()
        self.connections_made += 1
        connection = self._connected[client_id] = _SimConnection(self, client_id, session, will)
        return connection

    def leave(self, client_id: str, connection: "_SimConnection") -> None:
        if self._connected.get(client_id) is connection:
            del self._connected[client_id]
        connection.end()
        if not connection.session.persistent and self.sessions.get(client_id) is connection.session:
            del self.sessions[client_id]


class _SimConnection:
    def __init__(self, broker: SimBroker, client_id: str, session: Session, will: Will | None) -> None:
        self.session, self.will = session, will
        self._client_id = client_id
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
        self._broker.witness(topic, payload)

        async def work() -> None:
            await self._publish(topic, payload, retain)

        await self._broker.port(self._client_id, "publish").call(work, self._fail)

    def _fail(self) -> BrokerLost:
        self._broker.drop(self._client_id)
        return BrokerLost("sim: the connection ended")

    async def _publish(self, topic: str, payload: bytes, retain: bool) -> None:
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
        if topic_filter == self._broker.refuse_to_hear:
            raise BrokerRefused(f"sim: subscription to {topic_filter}: Not authorized")
        if topic_filter not in self.session.filters:
            self.session.filters.append(topic_filter)
        for topic, payload in self._broker.retained.items():
            if matches(topic_filter, topic):
                self.session.waiting.append(Delivery(topic, payload, True))
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

    def _acker(self, delivery: Delivery) -> Callable[[], None]:
        def ack() -> None:
            self._broker.on_ack(delivery.topic, delivery.payload)
            order = self._broker.port(self._client_id, "ack").next()
            if not self._ended and not self.frozen and order not in ("fail before", "die before"):
                self.session.unacked[:] = [other for other in self.session.unacked if other is not delivery]
            if order is not None:
                self._fail()

        return ack


class SimClient:
    """A wattline.broker.Broker with a client id of its own."""

    def __init__(self, broker: SimBroker, client_id: str, persistent: bool) -> None:
        self._broker, self.client_id, self._persistent = broker, client_id, persistent

    @asynccontextmanager
    async def connect(self, *, will: Will | None = None) -> AsyncGenerator[Connection]:
        await asyncio.sleep(self._broker.delay_s)

        async def enter() -> _SimConnection:
            return self._broker.enter(self.client_id, self._persistent, will)

        def fail() -> BrokerUnreachable:
            self._broker.drop(self.client_id)
            return BrokerUnreachable("sim: no reply to the greeting")

        connection = await self._broker.port(self.client_id, "connect").call(enter, fail)
        try:
            yield connection
        except BaseException:
            self._broker.drop(self.client_id)
            raise
        self._broker.leave(self.client_id, connection)


def not_authorised(topic: str) -> PublishRefused:
    return PublishRefused(topic, "Not authorized")
