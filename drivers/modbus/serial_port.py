"""SerialPort: a serial port opened raw and for us alone, read and written without blocking. Linux only.

`wait` sleeps until as many bytes are there as one expects: termios VMIN holds for poll(2) too, so a reply of 165 bytes
costs one wake-up, not ten (n_tty.c, input_available_p).
"""

import contextlib
import errno
import fcntl
import os
import select
import struct
import termios
import time
from pathlib import Path
from typing import Any, Final

from drivers.base import LinkDown
from drivers.modbus.serial_line import SerialLine

_TIOCSRS485: Final = 0x542F
_RS485: Final = struct.Struct("=8I")  # flags, delay before and after sending (ms), padding
_RS485_ENABLED_RTS_ON_SEND: Final = 0b11
_TIOCGSERIAL: Final = 0x541E
_TIOCSSERIAL: Final = 0x541F
_SERIAL_STRUCT: Final = 72
_SERIAL_FLAGS: Final = struct.Struct("=I")
_SERIAL_FLAGS_AT: Final = 16
_LOW_LATENCY: Final = 1 << 13
_PTY_MAJORS: Final = range(136, 144)
_CDC_MAJOR: Final = 166  # USB devices that only look like a serial port
_CHARACTERS: Final = 6  # place of the control characters in what termios takes
_MOST_VMIN: Final = 255
_EARLY_S: Final = 0.00005  # a sleep ends so late at most, as a rule: 1 % of a short read at 115200 baud
_CHUNK: Final = 4096
_PIECE: Final = 64  # the kernel hands out what is there in pieces of this, less only at the end
_DEAD: Final = select.POLLERR | select.POLLHUP | select.POLLNVAL


class SerialPort:
    """An open port. Every method but `wake` belongs to one thread; `wake` ends a `wait` from any other.

    Raises LinkDown wherever the port turns out to be gone.
    """

    def __init__(self, path: str, line: SerialLine, *, rs485: bool = False) -> None:
        """Opens it; raises LinkDown, which names the owner when another program has the port."""
        self._path = path
        self._at_least = 1
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as err:
            raise _taken(path) if err.errno == errno.EBUSY else LinkDown(f"open {path}: {err.strerror}") from err
        major = os.major(os.fstat(self._fd).st_rdev)
        self.paced = major not in _PTY_MAJORS and major != _CDC_MAJOR
        """False where bytes do not take the time the baud rate says."""
        self._woken = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            self._take()
            self._attributes = _attributes(self._fd, line)
            termios.tcsetattr(self._fd, termios.TCSANOW, self._attributes)
            if rs485:
                _control_direction(self._fd, path)
            _lower_latency(self._fd)
            termios.tcflush(self._fd, termios.TCIOFLUSH)
        except termios.error as err:
            self.close()
            raise LinkDown(f"open {path}: cannot be set to {line}: {err.args[-1]}") from err
        except LinkDown:
            self.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def _take(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise _taken(self._path) from err
        if owners(os.fstat(self._fd).st_rdev):
            raise _taken(self._path)
        fcntl.ioctl(self._fd, termios.TIOCEXCL)

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep this short while; `wake` does not end it."""
        time.sleep(seconds)

    def doze(self, seconds: float) -> None:
        """As `sleep`, but back a moment too early rather than late: who must not be late looks at the time again."""
        if seconds > _EARLY_S:
            time.sleep(seconds - _EARLY_S)

    def write(self, data: bytes) -> None:
        """Hand over all of `data`; a frame always fits into the kernel's buffer."""
        try:
            written = os.write(self._fd, data)
        except OSError as err:
            raise self._gone(err.strerror) from err
        if written != len(data):
            raise self._gone(f"took {written} of {len(data)} bytes")

    def read(self) -> bytes:
        """What is there now; more than 64 bytes come in several reads."""
        data = b""
        while True:
            try:
                chunk = os.read(self._fd, _CHUNK)
            except BlockingIOError:
                return data
            except OSError as err:
                raise self._gone(err.strerror) from err
            if not chunk:
                raise self._gone("hung up")
            data += chunk
            if len(chunk) < _PIECE or len(data) > _CHUNK:
                return data

    def wait(self, until: float, at_least: int = 1) -> bool:
        """Sleep until `at_least` bytes are there (True), or the monotonic time `until`, or `wake` (False)."""
        at_least = min(at_least, _MOST_VMIN)
        if at_least != self._at_least:
            self._attributes[_CHARACTERS][termios.VMIN] = at_least
            try:
                termios.tcsetattr(self._fd, termios.TCSANOW, self._attributes)
            except termios.error as err:
                raise self._gone(str(err.args[-1])) from err
            self._at_least = at_least
        left_ms = (until - time.monotonic()) * 1000
        for fd, happened in self._poll.poll(max(0.0, left_ms)):
            if fd == self._woken:
                os.eventfd_read(self._woken)
                return False
            if happened & _DEAD:
                raise self._gone("hung up")
            return True
        return False

    def wake(self) -> None:
        os.eventfd_write(self._woken, 1)

    def check_still_there(self) -> None:
        """Raise LinkDown when the path is gone or leads to another device by now: an adapter that was replugged."""
        try:
            now = os.stat(self._path).st_rdev  # noqa: PTH116 - beside os.fstat
        except OSError as err:
            raise self._gone(err.strerror) from err
        if now != os.fstat(self._fd).st_rdev:
            raise self._gone("replugged as another device")

    def _gone(self, why: str | None) -> LinkDown:
        return LinkDown(f"{self._path}: {why}")

    def close(self) -> None:
        for fd in (self._fd, self._woken):
            with contextlib.suppress(OSError):
                os.close(fd)


def owners(device: int) -> tuple[str, ...]:
    """The other processes that have this device number open, as `name (pid 1)`; only those we may look into."""
    found: list[str] = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        try:
            if any(_is_device(fd, device) for fd in (process / "fd").iterdir()):
                found.append(f"{(process / 'comm').read_text().strip()} (pid {process.name})")
        except OSError:
            continue  # it ended, or is not ours to see
    return tuple(found)


def _is_device(fd: Path, device: int) -> bool:
    try:
        return str(fd.readlink()).startswith("/dev/") and fd.stat().st_rdev == device
    except OSError:
        return False


def _taken(path: str) -> LinkDown:
    try:
        names = owners(Path(path).stat().st_rdev)
    except OSError:
        names = ()
    return LinkDown(f"open {path}: the port is taken by {', '.join(names) or 'another program'}")


def _attributes(fd: int, line: SerialLine) -> list[Any]:
    """What termios is to be set to: raw, no flow control, no modem lines."""
    control = termios.CREAD | termios.CLOCAL | (termios.CS8 if line.data_bits == 8 else termios.CS7)
    if line.stop_bits == 2:
        control |= termios.CSTOPB
    checked = 0
    # a pty has no parity, and refuses to be set to one
    if line.parity != "N" and os.major(os.fstat(fd).st_rdev) not in _PTY_MAJORS:
        control |= termios.PARENB | (termios.PARODD if line.parity == "O" else 0)
        checked = termios.INPCK
    speed: int = getattr(termios, f"B{line.baud}")
    characters: list[bytes | int] = [b"\0"] * 32
    characters[termios.VMIN] = 1
    return [checked, 0, control, 0, speed, speed, characters]


def _control_direction(fd: int, path: str) -> None:
    """Let the kernel switch the transceiver to sending by RTS; raises LinkDown where the driver cannot."""
    try:
        fcntl.ioctl(fd, _TIOCSRS485, _RS485.pack(_RS485_ENABLED_RTS_ON_SEND, *[0] * 7))
    except OSError as err:
        raise LinkDown(
            f"open {path}: the kernel's driver of this port has no RS-485 direction control ({err.strerror}); an"
            " adapter that switches by itself needs no `rs485: true`"
        ) from err


def _lower_latency(fd: int) -> None:
    """Ask the driver to hand bytes on at once: an FTDI adapter otherwise collects them for 16 ms."""
    state = bytearray(_SERIAL_STRUCT)
    with contextlib.suppress(OSError):  # most ports have no such switch, and need none
        fcntl.ioctl(fd, _TIOCGSERIAL, state)
        (flags,) = _SERIAL_FLAGS.unpack_from(state, _SERIAL_FLAGS_AT)
        _SERIAL_FLAGS.pack_into(state, _SERIAL_FLAGS_AT, flags | _LOW_LATENCY)
        fcntl.ioctl(fd, _TIOCSSERIAL, bytes(state))
