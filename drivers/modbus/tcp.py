"""TcpLink: Modbus TCP with every reply checked. Each request has one deadline for the whole answer.

A reply counts only with the transaction id of a request that waits for it, protocol id 0, and the unit, function and
length asked for there; in what order replies come does not matter. A late reply to an earlier request is dropped. Bytes
that fit nothing mean that the stream cannot be trusted any more: the connection is closed with the reason. Source:
MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1 and 4.2.
"""

import asyncio
import struct
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, cast

from drivers.base import DeviceSilent, LinkDown
from drivers.modbus.deadlines import deadlines_of
from drivers.modbus.pdu import BadReply, check_written, read_request, registers_of, write_request
from drivers.modbus.tcp_state import unheard
from metering.faults import Fault
from wattline.events import EventLog

MBAP: Final = struct.Struct(">HHHB")  # transaction, protocol, length of what follows, unit
BEFORE_LENGTH: Final = 6
LONGEST: Final = 254  # unit and a PDU of 253 bytes
MOST_AT_ONCE: Final = 16  # requests under way; source: Messaging on TCP/IP V1.0b, NumberMaxOfServerTransaction
EARLIER: Final = 64  # so many requests ago a late reply is still recognised
_SILENT_REQUESTS: Final = 3  # so many in a row without a single byte: the connection is taken for dead

Reply = tuple[int, bytes]
"""Unit and PDU."""


class Asking(Protocol):
    """What TcpLink needs of its connection: questions, each with its deadline."""

    @property
    def ended(self) -> "asyncio.Future[None]": ...

    async def ask(self, unit: int, pdu: bytes, timeout_s: float) -> Reply:
        """Unit and PDU of the reply; raises LinkDown, BadReply, or BadReply with TIMEOUT at the deadline."""
        ...

    def end(self, reason: str) -> None:
        """Close; what is pending, and later requests, fail with LinkDown and this reason."""
        ...


class TcpLink:
    """A connection to a Modbus TCP server. `timeout_s` bounds connecting and each request, first byte to last."""

    most_at_once = MOST_AT_ONCE
    least_open_s = 0.0
    """Connecting may take this long, however short `timeout_s` is."""

    def __init__(self, host: str, port: int, timeout_s: float, log: EventLog) -> None:
        self.timeout_s = timeout_s
        self._host = host
        self._port = port
        self._log = log
        self._connection: Asking | None = None

    async def open(self) -> None:
        """Connect; raises LinkDown."""
        await self.close()
        within_s = max(self.timeout_s, self.least_open_s)
        try:
            async with asyncio.timeout(within_s):
                self._connection = await self._connect(asyncio.get_running_loop())
        except TimeoutError as err:
            raise LinkDown(f"connect to {self._host}:{self._port}: no answer in {within_s:g} s") from err
        except OSError as err:
            raise LinkDown(f"connect to {self._host}:{self._port}: {err}") from err

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Asking:
        """A new connection; raises OSError."""
        _, connection = await loop.create_connection(lambda: Connection(loop, self._log), self._host, self._port)
        return connection

    async def close(self) -> None:
        """Disconnect; harmless when not connected."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.end("closed")
            await connection.ended

    async def read(self, unit: int, function: int, address: int, count: int) -> bytes:
        """The register bytes; raises LinkDown, DeviceSilent with the fault, or Refused. See bus.Link."""
        if self._connection is None:
            raise LinkDown(f"{self._host}:{self._port} is not connected")
        request = read_request(function, address, count)
        try:
            answered, reply = await self._connection.ask(unit, request, self.timeout_s)
            if answered != unit:
                raise BadReply(f"unit {answered} answered", Fault.REPLY_UNIT)
            return registers_of(reply, function, count)
        except BadReply as err:
            raise DeviceSilent(f"read {function}:{address}+{count}, unit {unit}: {err}", err.fault) from err

    async def write(self, unit: int, address: int, registers: bytes) -> None:
        """Write holding registers and check the echo; raises as `read`. See bus.WritingLink."""
        if self._connection is None:
            raise LinkDown(f"{self._host}:{self._port} is not connected")
        request = write_request(address, registers)
        try:
            answered, reply = await self._connection.ask(unit, request, self.timeout_s)
            if answered != unit:
                raise BadReply(f"unit {answered} answered", Fault.REPLY_UNIT)
            check_written(reply, request)
        except BadReply as err:
            raise DeviceSilent(f"write {address}, unit {unit}: {err}", err.fault) from err


class Connection(asyncio.BufferedProtocol):
    """One TCP connection: frames in and out of one buffer, made once.

    asyncio's plain protocols allocate 256 KiB for each reply, which costs more than all the rest of a request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, log: EventLog) -> None:
        self._loop = loop
        self._log = log
        self._debugging = log.debugging
        self._deadlines = deadlines_of(loop)
        self._buffer = memoryview(bytearray(4 * (BEFORE_LENGTH + LONGEST)))
        self._filled = 0
        self._transaction = 0
        self._asked = 0
        self._pending: dict[int, asyncio.Future[Reply]] = {}
        self._silent = 0
        self._silent_until = 0  # the last request made when silence was counted: those of one burst count once
        self._reason: str | None = None
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = loop.create_future()

    async def ask(self, unit: int, pdu: bytes, timeout_s: float) -> Reply:
        """Unit and PDU of the reply; raises LinkDown, BadReply, or BadReply with TIMEOUT at the deadline."""
        if self._transport is None or self._reason is not None:
            raise LinkDown(self._reason or "not connected")
        assert len(self._pending) < MOST_AT_ONCE, "too many requests at once"
        transaction = self._transaction = (self._transaction + 1) & 0xFFFF
        self._asked += 1
        frame = MBAP.pack(transaction, 0, len(pdu) + 1, unit) + pdu
        if self._debugging:
            self._log.debug("frame.sent", frame=frame.hex(" "))
        pending: asyncio.Future[Reply] = self._loop.create_future()
        self._pending[transaction] = pending
        self._deadlines.set(pending, timeout_s, partial(self._expire, pending, timeout_s, self._asked))
        try:
            self._transport.write(frame)
            reply: Reply = await pending
            return reply
        finally:
            self._deadlines.met(pending)
            del self._pending[transaction]

    def _expire(self, pending: "asyncio.Future[Reply]", timeout_s: float, asked: int) -> None:
        if pending.done():
            return
        if asked > self._silent_until:
            self._silent += 1
            self._silent_until = self._asked
        if self._filled and self._debugging:
            self._log.debug("frame.broken_off", frame=bytes(self._buffer[: self._filled]).hex(" "))
        pending.set_exception(BadReply(f"no reply in {timeout_s:g} s", Fault.TIMEOUT))
        if self._transport is not None and unheard(self._transport.get_extra_info("socket")):
            self.end("the other side's computer does not even acknowledge what is sent to it")
        elif self._silent >= _SILENT_REQUESTS:
            self.end(f"not a byte in answer to {self._silent} requests")

    def end(self, reason: str) -> None:
        """Close the connection; what is pending, and later requests, fail with LinkDown and this reason."""
        if self._reason is None:
            self._reason = reason
        if self._transport is not None:
            self._transport.abort()

    def _distrust(self, reason: str, fault: Fault) -> None:
        """Close because of bytes that are no answer; what is pending fails with `fault`."""
        self._fail(lambda: BadReply(reason, fault))
        self.end(reason)

    def _fail(self, error: Callable[[], Exception]) -> None:
        for pending in self._pending.values():
            if not pending.done():
                pending.set_exception(error())

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        reason = self._reason or (f"connection lost: {exc}" if exc else "the other side closed the connection")
        self._reason = reason
        self._transport = None
        self._fail(lambda: LinkDown(reason))
        if not self.ended.done():
            self.ended.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (asyncio's name; no reply is longer)
        return self._buffer[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._silent = 0
        self._filled += nbytes
        at = 0
        while self._filled - at >= MBAP.size and self._reason is None:
            transaction, protocol, length, unit = MBAP.unpack_from(self._buffer, at)
            if protocol != 0 or not 2 <= length <= LONGEST:
                if self._debugging:
                    self._log.debug("frame.refused", frame=bytes(self._buffer[at : self._filled]).hex(" "))
                self._distrust(f"not Modbus: protocol id {protocol}, length {length}", Fault.REPLY_PROTOCOL)
                return
            end = at + BEFORE_LENGTH + length
            if end > self._filled:
                break
            if self._debugging:
                self._log.debug("frame.received", frame=bytes(self._buffer[at:end]).hex(" "))
            self._take(transaction, (unit, bytes(self._buffer[at + MBAP.size : end])))
            at = end
        if at == self._filled:
            self._filled = 0
        elif at:
            rest = bytes(self._buffer[at : self._filled])
            self._buffer[: len(rest)] = rest
            self._filled = len(rest)

    def _take(self, transaction: int, reply: Reply) -> None:
        pending = self._pending.get(transaction)
        if pending is not None and not pending.done():
            pending.set_result(reply)
        elif (self._transaction - transaction) & 0xFFFF < min(self._asked, EARLIER):
            self._log.debug("frame.late", transaction=transaction)
        else:
            self._distrust(f"a reply to transaction {transaction}, which was not asked", Fault.REPLY_TRANSACTION)
