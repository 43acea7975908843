"""A Modbus RTU line on a pseudo terminal, with the byte timing of its baud rate: simulated meters behind a serial port.

A byte is never there before the line could have carried it: a request counts as complete when its last character would
have arrived and 3.5 characters of silence have passed, and each byte of the reply comes at its own time, in lumps of a
few milliseconds as from a USB adapter. What a master sends while another reply is under way collides, as on the wire.
"""

import asyncio
import os
import pty
import struct
import tty
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

from drivers.modbus.profile import Table
from drivers.modbus.rtu_frame import is_sealed, sealed
from drivers.simulation.image import ReadRefused
from drivers.simulation.mishaps import Outgoing
from drivers.simulation.served import ListenFailed, SerialEnd, Served
from wattline.clock import Clock

_TABLE: Final = {3: Table.HOLDING, 4: Table.INPUT}
_LUMP_S: Final = 0.004
_MOST: Final = 512  # bytes of a request, garbage included
_REPLIES: Final = 16  # under way at a time; more can only come of a long delay on the script


class _Rtu:
    """Frames of Modbus RTU."""

    def split(self, frame: bytes) -> tuple[int, bytes]:
        return frame[0], frame[1:-2]

    def join(self, frame: bytes, unit: int, pdu: bytes) -> bytes:
        del frame
        return sealed(bytes((unit,)) + pdu)


@contextmanager
def serial_server(end: SerialEnd, served: Served, clock: Clock) -> Generator[None]:
    """Answers at `end.link` on the running loop while entered. Raises ListenFailed."""
    if end.link.exists() and not end.link.is_symlink():
        raise ListenFailed(f"{end.link}: is there already, and is no link")
    master, slave = pty.openpty()  # the slave is kept open: without any holder the master could not be read
    loop = asyncio.get_running_loop()
    line = _Line(master, end, served, clock)
    try:
        tty.setraw(slave)
        os.set_blocking(master, False)
        try:
            end.link.unlink(missing_ok=True)
            end.link.symlink_to(os.ttyname(slave))
        except OSError as err:
            raise ListenFailed(f"{end.link}: cannot be made: {err}") from err
        loop.add_reader(master, line.arrived)
        yield
    finally:
        loop.remove_reader(master)
        line.close()
        if end.link.is_symlink():
            end.link.unlink()
        os.close(master)
        os.close(slave)


class _Line:
    """The meters' side of one line."""

    def __init__(self, master: int, end: SerialEnd, served: Served, clock: Clock) -> None:
        self._master = master
        self._line = end.line
        self._turnaround_s = end.turnaround_s
        self._served = served
        self._outgoing = Outgoing(served.scripts, _Rtu())
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._heard = b""
        self._carried_at = 0.0  # when the last character heard would have arrived
        self._silence: asyncio.TimerHandle | None = None
        self._replies: set[asyncio.Task[None]] = set()

    def arrived(self) -> None:
        """Take in what the master wrote, however early the pseudo terminal gave it."""
        with suppress(OSError):
            data = os.read(self._master, _MOST)
            now = self._loop.time()
            self._heard = (self._heard + data)[-_MOST:]
            self._carried_at = max(now, self._carried_at) + len(data) * self._line.character_s
            if self._silence is not None:
                self._silence.cancel()
            self._silence = self._loop.call_at(self._carried_at + self._line.silence_s, self._silent)

    def close(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
        for reply in self._replies:
            reply.cancel()

    def _silent(self) -> None:
        """3.5 characters of silence: what was heard is a frame, or nothing."""
        frame, self._heard = self._heard, b""
        at = self._carried_at + self._line.silence_s + self._turnaround_s
        if not is_sealed(frame) or frame[0] not in self._served.units:
            return
        for delay_s, reply in self._outgoing.sent(sealed(frame[:1] + self._answer(frame[0], frame[1:-2]))):
            if len(self._replies) < _REPLIES:
                task = self._loop.create_task(self._send(reply, at + delay_s), name="simulated reply")
                self._replies.add(task)
                task.add_done_callback(self._replies.discard)
            at += 0.0 if delay_s else len(reply) * self._line.character_s + self._line.silence_s

    def _answer(self, unit: int, pdu: bytes) -> bytes:
        table = _TABLE.get(pdu[0])
        if table is None:
            return bytes((pdu[0] | 0x80, 1))
        if len(pdu) != 5:
            return bytes((pdu[0] | 0x80, 3))
        address, count = struct.unpack(">HH", pdu[1:])
        try:
            data = self._served.read(unit, table, address, count, self._clock.now_ns)
        except ReadRefused as refused:
            return bytes((pdu[0] | 0x80, refused.code))
        return bytes((pdu[0], len(data))) + data

    async def _send(self, reply: bytes, at: float) -> None:
        """Write `reply`, its first character leaving at `at` (the loop's time), none before its time."""
        lump = max(1, int(_LUMP_S / self._line.character_s))
        for start in range(0, len(reply), lump):
            part = reply[start : start + lump]
            left_s = at + (start + len(part)) * self._line.character_s - self._loop.time()
            await asyncio.sleep(max(0.0, left_s))
            with suppress(OSError):  # nobody takes it in, and the terminal is full: it is lost, as on a wire
                os.write(self._master, part)
