"""RtuOverTcpLink: RTU frames, CRC included, in a TCP stream, as converters send them that know nothing of Modbus.

There is no transaction id, and a converter passes on what its serial line brings, at any time and to any connection.
So the guards are those of a serial line (RtuLine): a late reply is dropped, and told from the right one by its shape.
"""

import asyncio
import contextlib
import os
import select
import socket
import time
from typing import Final

from drivers.base import LinkDown
from drivers.modbus.rtu import LineLink, OpenPort
from drivers.modbus.serial_line import SerialLine
from drivers.modbus.tcp_state import unheard
from wattline.events import EventLog

_LINE: Final = SerialLine(921600, 8, "N", 1)  # the converter's own rate is not known: its reply may take `timeout_s`
_CHUNK: Final = 4096
_MISSED: Final = 3  # so many requests in a row without a single byte: the connection is taken for dead


class RtuOverTcpLink(LineLink):
    """A converter with a serial line behind it. `timeout_s` bounds connecting, and waiting for a reply to begin."""

    def __init__(self, host: str, port: int, timeout_s: float, log: EventLog) -> None:
        super().__init__(f"{host}:{port}", _LINE, log, turnaround_s=timeout_s)
        self._host = host
        self._port = port
        self._connected: socket.socket | None = None

    async def open(self) -> None:
        """Connect; raises LinkDown."""
        await self.close()
        try:
            async with asyncio.timeout(self._turnaround_s):
                self._connected = await self._connect(asyncio.get_running_loop())
        except TimeoutError as err:
            raise LinkDown(f"connect to {self._where}: no answer in {self._turnaround_s:g} s") from err
        except OSError as err:
            raise LinkDown(f"connect to {self._where}: {err}") from err
        await super().open()

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> socket.socket:
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        connected = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        try:
            await loop.sock_connect(connected, address)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connected.close()
            raise
        return connected

    def _open_port(self) -> OpenPort:
        connected, self._connected = self._connected, None
        assert connected is not None
        return SocketPort(connected, self._where)


class SocketPort:
    """A connected socket as a port; see rtu_line.Port and serial_port.SerialPort."""

    paced = False

    def __init__(self, connected: socket.socket, where: str) -> None:
        self._socket = connected
        self._where = where
        self._missed = 0
        self._at_least = 1
        self._woken = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    doze = sleep  # a socket has no 3.5 characters

    def write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as err:
            raise self._gone(err.strerror or str(err)) from err

    def read(self) -> bytes:
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return b""
        except OSError as err:
            raise self._gone(err.strerror or str(err)) from err
        if not data:
            raise self._gone("the other side closed the connection")
        self._missed = 0
        return data

    def wait(self, until: float, at_least: int = 1) -> bool:
        """Sleep until `at_least` bytes are there (True), or the monotonic time `until`, or `wake` (False)."""
        if at_least != self._at_least:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, at_least)
            self._at_least = at_least
        for fd, _ in self._poll.poll(max(0.0, (until - time.monotonic()) * 1000)):
            if fd == self._woken:
                os.eventfd_read(self._woken)
                return False
            return True
        return False

    def wake(self) -> None:
        os.eventfd_write(self._woken, 1)

    def check_still_there(self) -> None:
        """Raise LinkDown when a connection that gave no reply is dead."""
        self._missed += 1
        if unheard(self._socket):
            raise self._gone("the other side's computer does not even acknowledge what is sent to it")
        if self._missed >= _MISSED:
            raise self._gone(f"not a byte in answer to {self._missed} requests")

    def _gone(self, why: str) -> LinkDown:
        return LinkDown(f"{self._where}: {why}")

    def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(OSError):
            os.close(self._woken)
