"""A TcpLink whose other side is a function, in memory: no socket, no event loop that runs, no time that passes.

What the other side sends is fed in while the request is being written; if that does not answer it, its deadline passes
at once. So a read never waits, and a million of them take a minute or two.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Any, cast

from drivers.modbus.tcp import Connection, TcpLink
from wattline.events import EventLog

Pieces = list[bytes]
"""What comes, as it is cut into segments."""


class Wire:
    """`answer` is given each request frame, and says what comes back."""

    def __init__(self, answer: Callable[[bytes], Pieces]) -> None:
        self.connections = 0
        self._answer = answer
        self._loop = asyncio.new_event_loop()
        self._now = 0.0
        self._timers: list[_Timer] = []
        self._asked: asyncio.Future[Any] | None = None
        self._link = TcpLink("memory", 0, 1.0, EventLog())
        self._closed = True

    def read(self, unit: int, function: int, address: int, count: int) -> bytes:
        """As TcpLink.read, on a new connection when the last one was closed."""
        if self._closed:
            self._connect()
        reading = self._link.read(unit, function, address, count)
        try:
            reading.send(None)
        except StopIteration as stop:
            data: bytes = stop.value
            return data
        finally:
            reading.close()
        raise AssertionError("a read that waits")

    def feed(self, pieces: Pieces) -> None:
        """Deliver what comes now, asked for or not."""
        for piece in pieces:
            rest = piece
            while rest and not self._closed:
                room = self._connection.get_buffer(-1)
                size = min(len(room), len(rest))
                room[:size] = rest[:size]
                self._connection.buffer_updated(size)
                rest = rest[size:]

    def close(self) -> None:
        self._loop.close()

    def _connect(self) -> None:
        self.connections += 1
        self._closed = False
        self._connection = Connection(cast("Any", self), self._link._log)
        self._connection.connection_made(cast("Any", self))
        self._link._connection = self._connection

    # what a connection asks of its loop

    def create_future(self) -> "asyncio.Future[Any]":
        self._asked = self._loop.create_future()
        return self._asked

    def time(self) -> float:
        return self._now

    def call_at(self, at: float, callback: Callable[[], None]) -> "_Timer":
        timer = _Timer(at, callback, self._timers)
        self._timers.append(timer)
        return timer

    # and of its transport

    def write(self, frame: bytes) -> None:
        self.feed(self._answer(frame))
        if self._closed:
            self._connection.connection_lost(None)
        assert self._asked is not None
        while not self._asked.done():
            timer = min(self._timers, key=_Timer.when)
            timer.cancel()
            self._now = timer.when()
            timer.callback()

    def abort(self) -> None:
        self._closed = True

    def get_extra_info(self, _: str) -> None:
        return None


class _Timer:
    def __init__(self, at: float, callback: Callable[[], None], among: "list[_Timer]") -> None:
        self.callback = callback
        self._at, self._among = at, among

    def when(self) -> float:
        return self._at

    def cancel(self) -> None:
        self._among.remove(self)


def fields(request: bytes) -> tuple[int, int, int, int, int]:
    """Transaction, unit, function, address and count of a request frame."""
    transaction, protocol, length, unit, function, address, count = struct.unpack(">HHHBBHH", request)
    assert (protocol, length) == (0, 6)
    return transaction, unit, function, address, count


def framed(transaction: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu
