"""A pseudo terminal behind a link that stands for a serial port, answered by a thread as a test tells it."""

import contextlib
import os
import pty
import select
import struct
import termios
import threading
import tty
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from drivers.modbus.rtu_frame import crc16


def sealed(body: bytes) -> bytes:
    return body + crc16(body).to_bytes(2, "little")


class PtySlave:
    """`answer(request, write)` is called with each request of `request_length` bytes, in the slave's thread."""

    def __init__(
        self, link: Path, answer: Callable[[bytes, Callable[[bytes], None]], None], request_length: int = 8
    ) -> None:
        self._length = request_length
        self.requests: list[bytes] = []
        self._link = link
        self._answer = answer
        self._master = -1
        self._stopping = False
        self.plug()

    def plug(self) -> None:
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(slave))
        os.close(slave)
        self._stopping = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def unplug(self) -> None:
        self._stopping = True
        self._thread.join()
        self._link.unlink(missing_ok=True)
        os.close(self._master)

    def write(self, data: bytes) -> None:
        os.write(self._master, data)

    @property
    def baud_code(self) -> int:
        """What the other side has set: termios.B9600 and the like."""
        return int(termios.tcgetattr(self._master)[5])

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        pending = b""
        while not self._stopping:
            happened = poll.poll(10)
            if not happened or not happened[0][1] & select.POLLIN:
                threading.Event().wait(0.002 if happened else 0)
                continue
            with contextlib.suppress(OSError):
                pending += os.read(self._master, 4096)
            while len(pending) >= self._length:
                request, pending = pending[: self._length], pending[self._length :]
                self.requests.append(request)
                self._answer(request, self.write)


@contextmanager
def pty_slave(
    link: Path, answer: Callable[[bytes, Callable[[bytes], None]], None], request_length: int = 8
) -> Generator[PtySlave]:
    slave = PtySlave(link, answer, request_length)
    try:
        yield slave
    finally:
        with contextlib.suppress(OSError):
            slave.unplug()


def registers(request: bytes, fill: int = 0) -> bytes:
    """The right reply; every register is its address plus `fill`."""
    unit, function, address, count = struct.unpack(">BBHH", request[:6])
    return sealed(struct.pack(">BBB", unit, function, 2 * count) + words(address, count, fill))


def words(address: int, count: int, fill: int = 0) -> bytes:
    return struct.pack(f">{count}H", *((address + n + fill) & 0xFFFF for n in range(count)))
