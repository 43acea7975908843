"""The broker over MQTT: paho-mqtt driven by the asyncio loop, one client object a connection. Only here is it imported.

What paho would do on its own is switched off: it queues nothing (publishing on a dead connection raises BrokerLost),
reconnects never, acknowledges received messages only when told. Name look-up, TCP and TLS happen in a thread of their
own, because a resolver may hang for half a minute; everything after that on the loop. One paho client serves one
connection, so that nothing an earlier connection left behind is sent again behind our back.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from paho.mqtt.client import (
    MQTT_LOG_ERR,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTv5,
    MQTTv311,
    error_string,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from wattline.broker import (
    BrokerLost,
    BrokerRefused,
    BrokerUnreachable,
    Connection,
    Message,
    MessageTooLarge,
    PublishRefused,
    Will,
)
from wattline.dialling import Address, Renewal, connect_error, in_thread, tls_context, turned_away

__all__ = ["Address", "PahoBroker"]

_CONNECT_S: Final = 20.0
_GOODBYE_S: Final = 2.0
_LOOKS: Final = 12  # at the connection in a keep-alive
_SILENT: Final = 1.5  # keep-alives without a byte from the broker, of which one is the wait until we ping it
_RENEWAL_S: Final = 60.0  # between two looks at the files of credentials and certificates
_UNACKED: Final = 0.5  # keep-alives for the broker's host to acknowledge a byte: TCP_USER_TIMEOUT
_HEADER: Final = 64  # of a PUBLISH beyond topic and payload, at most
_MOST_BYTES: Final = 16 * 1024 * 1024  # of a packet to us
_UNSENT_BOUND: Final = 1000  # messages of QoS 0 held for a slow reader; QoS 1 is bounded by the receive maximum
_PACKET_TOO_LARGE: Final = 0x95
_BUSY: Final = frozenset({0x88, 0x89, 0x97, 0x9F})  # unavailable, busy, quota, connection rate: come again later


class PahoBroker:
    """A wattline.broker.Broker.

    `persistent` keeps subscriptions and undelivered messages at the broker for `session_expiry_s` while we are away
    (ingest); without it each connection starts clean (agent: the spool knows what is unsent). `window` is how many
    publishes wait for their acknowledgement at once, `receive_maximum` how many received messages may wait for ours.
    """

    def __init__(
        self,
        address: Address,
        *,
        persistent: bool = False,
        session_expiry_s: int = 7 * 86400,
        keepalive_s: int = 30,
        window: int = 20,
        receive_maximum: int = 20,
    ) -> None:
        self._address = address
        self._persistent = persistent
        self._session_expiry_s = session_expiry_s
        self._keepalive_s = keepalive_s
        self._window = window
        self._receive_maximum = receive_maximum

    @asynccontextmanager
    async def connect(self, *, will: Will | None = None) -> AsyncGenerator[Connection]:
        """See wattline.broker.Broker.connect."""
        connection = _Connection(self._client(will), self._window, self._address, self._keepalive_s)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await connection.open(self._dial)
        except TimeoutError as err:
            connection.abort()
            raise BrokerUnreachable(f"{self._address}: no answer within {_CONNECT_S:.0f} s") from err
        except BaseException:
            connection.abort()
            raise
        try:
            yield connection
        except BaseException:
            connection.abort()
            raise
        await connection.close()

    def _client(self, will: Will | None) -> Client:
        address = self._address
        five = address.protocol == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=address.client_id,
            clean_session=None if five else not self._persistent,
            protocol=MQTTv5 if five else MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.max_inflight_messages_set(0)  # our window bounds it; paho would queue what is beyond its own
        if address.username is not None:
            client.username_pw_set(address.username, address.password)
        if address.tls:
            client.tls_set_context(tls_context(address))  # pyright: ignore[reportUnknownMemberType]
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        return client

    def _dial(self, client: Client) -> MQTTErrorCode:
        """Resolve, connect, shake hands and send CONNECT; blocks, so it runs in a thread."""
        address = self._address
        if address.protocol != "5":
            return client.connect(address.host, address.port, self._keepalive_s)
        # its attributes are made at run time
        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = self._receive_maximum
        properties.MaximumPacketSize = _MOST_BYTES
        if self._persistent:
            properties.SessionExpiryInterval = self._session_expiry_s
        return client.connect(
            address.host, address.port, self._keepalive_s, clean_start=not self._persistent, properties=properties
        )


class _Connection:
    """One paho client wired to the running loop. All methods but the dialling run on the loop."""

    def __init__(self, client: Client, window: int, address: Address, keepalive_s: int) -> None:
        self._client = client
        self._address = address
        self._where = str(address)
        self._keepalive_s = keepalive_s
        self._heard_at = 0.0
        self._renewal, self._renewal_at = Renewal(address), 0.0
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._ended = asyncio.Event()
        self._lost: str | None = None
        self._last_error = ""
        self._window_size = window
        self._window = asyncio.Semaphore(window)
        self._largest: int | None = None
        self._acks: dict[int, asyncio.Future[ReasonCode]] = {}
        self._grants: dict[int, asyncio.Future[list[ReasonCode]]] = {}
        self._inbox: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._dialled = False
        client.on_log = self._on_log
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message

    # --- life -------------------------------------------------------------------------------------------------

    async def open(self, dial: Callable[[Client], MQTTErrorCode]) -> None:
        """Return when the broker has accepted us; raises BrokerUnreachable or BrokerRefused."""
        client = self._client
        try:
            code = await in_thread(lambda: dial(client), lambda: _drop(client))
        except (OSError, ValueError) as err:
            raise connect_error(self._where, err) from err
        self._dialled = True
        opened = client.socket()
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or not isinstance(opened, socket.socket):
            raise turned_away(self._address, self._last_error or error_string(code))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._keepalive_s * _UNACKED * 1000))
        client.on_socket_register_write = self._want_write
        client.on_socket_unregister_write = self._wrote_all
        client.on_socket_close = self._closing
        self._loop.add_reader(opened, self._readable)
        if client.want_write():
            self._loop.add_writer(opened, client.loop_write)
        self._readable()  # TLS may hold bytes already that select will never show
        self._housekeeping()
        await self._accepted

    async def close(self) -> None:
        """Say good-bye and wait until it is written; never raises."""
        if self._lost is None:
            self._client.disconnect()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await self._ended.wait()
        self.abort()

    def abort(self, reason: str = "closed by us") -> None:
        """Drop the connection without good-bye, as a crash would: the broker publishes the will."""
        self._end(reason)
        if self._dialled:  # until then the client belongs to the connecting thread
            _drop(self._client)

    def _end(self, reason: str) -> None:
        """From now on everything raises BrokerLost(reason); the first reason stays."""
        if self._lost is not None:
            return
        self._lost = reason
        if self._timer is not None:
            self._timer.cancel()
        if not self._accepted.done():
            self._accepted.set_exception(turned_away(self._address, reason))
            self._accepted.exception()  # marks it as seen: open() may have been left by a time-out
        waiting: list[asyncio.Future[Any]] = [*self._acks.values(), *self._grants.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(BrokerLost(reason))
        self._arrived.set()
        self._ended.set()

    def _check(self) -> None:
        if self._lost is not None:
            raise BrokerLost(self._lost)

    # --- the port ---------------------------------------------------------------------------------------------

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._check()
        if self._largest is not None and len(payload) + len(topic.encode()) + _HEADER > self._largest:
            raise MessageTooLarge(topic, f"{len(payload)} bytes, the broker takes packets up to {self._largest}")
        async with self._window:
            self._check()
            info = self._client.publish(topic, payload, qos=1, retain=retain)
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise BrokerLost(error_string(info.rc))
            acked = self._acks[info.mid] = self._loop.create_future()
            try:
                code = await acked
            finally:
                self._acks.pop(info.mid, None)
        if code.is_failure:
            refusal = MessageTooLarge if code.value == _PACKET_TOO_LARGE else PublishRefused
            raise refusal(topic, str(code))

    async def subscribe(self, topic_filter: str) -> None:
        self._check()
        code, mid = self._client.subscribe(topic_filter, qos=1)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise BrokerLost(error_string(code))
        granted = self._grants[mid] = self._loop.create_future()
        try:
            reasons = await granted
        finally:
            self._grants.pop(mid, None)
        for reason in reasons:
            if reason.is_failure or reason.value != 1:
                raise BrokerRefused(f"{self._where}: subscription to {topic_filter}: {reason}")

    async def messages(self) -> AsyncIterator[Message]:
        while True:
            while self._inbox:
                yield self._inbox.popleft()
            self._check()
            self._arrived.clear()
            await self._arrived.wait()

    # --- the loop's side --------------------------------------------------------------------------------------

    def _readable(self) -> None:
        self._heard_at = self._loop.time()
        while True:
            self._client.loop_read()
            opened = self._client.socket()
            if not isinstance(opened, ssl.SSLSocket) or not opened.pending():
                return

    def _housekeeping(self) -> None:
        """Ping a broker that was silent for a keep-alive (paho does), and give up one that answers nothing.

        paho alone would wait for two keep-alives; half-open connections are to be seen within one and a half.
        """
        look_s = self._keepalive_s / _LOOKS
        now = self._loop.time()
        self._client.loop_misc()
        if now - self._heard_at >= self._keepalive_s * _SILENT - look_s:
            self.abort("it answers nothing, not even a ping: half-open or frozen")
        elif now >= self._renewal_at:
            self._renewal_at = now + _RENEWAL_S
            if self._accepted.done() and self._renewal.due():
                self.abort("its credentials or certificates were replaced: connecting anew with the new ones")
        if self._lost is None:
            self._timer = self._loop.call_later(look_s, self._housekeeping)

    def _want_write(self, client: Client, _data: object, opened: Any) -> None:
        self._loop.add_writer(opened, client.loop_write)

    def _wrote_all(self, _client: Client, _data: object, opened: Any) -> None:
        self._loop.remove_writer(opened)

    def _closing(self, _client: Client, _data: object, opened: Any) -> None:
        self._loop.remove_reader(opened)
        self._loop.remove_writer(opened)

    # --- paho's side ------------------------------------------------------------------------------------------

    def _on_log(self, _client: Client, _data: object, level: int, text: str) -> None:
        if level == MQTT_LOG_ERR:
            self._last_error = text.rpartition("socket: ")[2]

    def _on_connect(
        self, _client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if self._accepted.done():
            return
        if reason.is_failure:
            error = BrokerUnreachable if reason.value in _BUSY else BrokerRefused
            self._accepted.set_exception(error(f"{self._where}: {reason}"))
            return
        if getattr(properties, "MaximumQoS", 1) < 1:
            self._accepted.set_exception(BrokerRefused(f"{self._where}: it offers no QoS 1"))
            return
        self._largest = getattr(properties, "MaximumPacketSize", None)
        self._window = asyncio.Semaphore(min(self._window_size, getattr(properties, "ReceiveMaximum", 65535)))
        self._accepted.set_result(None)

    def _on_disconnect(
        self, _client: Client, _data: object, flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if not flags.is_disconnect_packet_from_server:
            words = "without a reason, as it would for a second client with our client id"
            unsaid = reason.getName() == "Unspecified error"
            self._end(self._last_error or (f"the broker closed it {words}" if unsaid else f"it ended: {reason}"))
        elif reason.getName() == "Session taken over":
            self._end("session taken over: another client uses our client id")
        else:
            self._end(f"the broker ended the connection: {reason}")

    def _on_publish(
        self, _client: Client, _data: object, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        waiting = self._acks.get(mid)
        if waiting is not None and not waiting.done():
            waiting.set_result(reason)

    def _on_subscribe(
        self, _client: Client, _data: object, mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        waiting = self._grants.get(mid)
        if waiting is not None and not waiting.done():
            waiting.set_result(reasons)

    def _on_message(self, client: Client, _data: object, message: MQTTMessage) -> None:
        mid, qos = message.mid, message.qos
        if qos == 0 and len(self._inbox) >= _UNSENT_BOUND:
            return

        def ack() -> None:
            if qos > 0 and self._lost is None:
                client.ack(mid, qos)

        self._inbox.append(Message(topic=message.topic, payload=bytes(message.payload), retain=message.retain, ack=ack))
        self._arrived.set()


def _drop(client: Client) -> None:
    """Cut the socket and let paho read up to the cut, upon which it frees it."""
    while isinstance(opened := client.socket(), socket.socket):
        with suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)
        client.loop_read()
