"""UdpLink: Modbus in UDP datagrams, with the header of Modbus TCP.

A lost datagram is a time-out; nothing is sent twice. Each datagram is one frame, so bytes that fit nothing spoil only
the request they come in answer to.
"""

import asyncio
import os
from typing import cast

from drivers.base import LinkDown
from drivers.modbus.pdu import BadReply
from drivers.modbus.tcp import BEFORE_LENGTH, EARLIER, LONGEST, MBAP, Asking, Reply, TcpLink
from metering.faults import Fault
from wattline.events import EventLog


class UdpLink(TcpLink):
    """A Modbus server behind UDP. That nobody listens there shows at the first read, not when it is opened."""

    most_at_once = 1

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Asking:
        _, peer = await loop.create_datagram_endpoint(
            lambda: _Peer(loop, self._log), remote_addr=(self._host, self._port)
        )
        return peer


class _Peer(asyncio.DatagramProtocol):
    """Our socket, which takes datagrams of the one server only. One request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, log: EventLog) -> None:
        self._loop = loop
        self._log = log
        self._transaction = int.from_bytes(os.urandom(2), "big")  # an earlier socket may have had the same port
        self._pending: asyncio.Future[Reply] | None = None
        self._reason: str | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self.ended: asyncio.Future[None] = loop.create_future()

    async def ask(self, unit: int, pdu: bytes, timeout_s: float) -> Reply:
        """Unit and PDU of the reply; raises LinkDown, BadReply, or BadReply with TIMEOUT at the deadline."""
        if self._transport is None or self._reason is not None:
            raise LinkDown(self._reason or "not open")
        self._transaction = (self._transaction + 1) & 0xFFFF
        frame = MBAP.pack(self._transaction, 0, len(pdu) + 1, unit) + pdu
        self._tell("frame.sent", frame)
        self._pending = self._loop.create_future()
        try:
            self._transport.sendto(frame)
            async with asyncio.timeout(timeout_s):
                return await self._pending
        except TimeoutError as err:
            raise BadReply(f"no reply in {timeout_s:g} s", Fault.TIMEOUT) from err
        finally:
            self._pending = None

    def end(self, reason: str) -> None:
        """Close; what is pending, and later requests, fail with LinkDown and this reason."""
        self._reason = self._reason or reason
        self._fail(LinkDown(self._reason))
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        if self._pending is not None and not self._pending.done():
            self._pending.set_exception(error)

    def _tell(self, event: str, frame: bytes) -> None:
        if self._log.debugging:
            self._log.debug(event, frame=frame.hex(" "))

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.end(f"lost: {exc}" if exc else "closed")
        if not self.ended.done():
            self.ended.set_result(None)

    def error_received(self, exc: Exception) -> None:
        self.end(f"nobody listens there: {exc}" if isinstance(exc, ConnectionRefusedError) else str(exc))

    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:  # noqa: ARG002 - the socket is connected
        self._tell("frame.received", data)
        if len(data) < MBAP.size + 1:
            self._fail(BadReply(f"a datagram of {len(data)} bytes, which is no reply", Fault.REPLY_LENGTH))
            return
        transaction, protocol, length, unit = MBAP.unpack_from(data)
        if protocol != 0 or length > LONGEST or length != len(data) - BEFORE_LENGTH:
            why = f"not Modbus: protocol id {protocol}, length {length} in a datagram of {len(data)} bytes"
            self._fail(BadReply(why, Fault.REPLY_PROTOCOL))
            return
        age = (self._transaction - transaction) & 0xFFFF
        if age == 0 and self._pending is not None and not self._pending.done():
            self._pending.set_result((unit, data[MBAP.size :]))
        elif age < EARLIER:
            self._log.debug("frame.late", transaction=transaction)
        else:
            why = f"a reply to transaction {transaction}, which was not asked"
            self._fail(BadReply(why, Fault.REPLY_TRANSACTION))
