"""What stands between us and a meter's link, in words: a serial port that is missing or shut, a connection refused."""

import errno
import getpass
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from drivers.base import LinkDown

_BY_ID: Final = Path("/dev/serial/by-id")
_KINDS: Final = ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttySC*", "ttymxc*", "ttyRS485*")

_HINTS: Final = {
    errno.ECONNREFUSED: "something is there, but nothing listens at this port: is Modbus TCP switched on, and is the"
    " port right (502 as a rule)?",
    errno.EHOSTUNREACH: "no such machine in this network: check the address, the cable and the meter's power",
    errno.ENETUNREACH: "this computer has no way to that network: check its own address and its gateway",
    errno.ECONNRESET: "the other side hung up: many meters serve one or two masters at a time; stop the others",
}


def stable(port: Path) -> Path:
    """The name in /dev/serial/by-id of a port, which survives replugging; the port itself where it has none."""
    try:
        return next((link for link in sorted(_BY_ID.iterdir()) if link.samefile(port)), port)
    except OSError:
        return port


def there_are() -> Iterator[str]:
    """The serial ports of this machine a meter may hang on, best names first."""
    if _BY_ID.is_dir():
        yield from map(str, sorted(_BY_ID.iterdir()))
    else:
        for kind in _KINDS:
            yield from map(str, sorted(Path("/dev").glob(kind)))


def trouble(port: Path) -> str | None:
    """Why the port cannot be opened, as far as it shows from outside, and what to do; None when nothing is seen."""
    try:
        port.stat()
    except FileNotFoundError:
        known = ", ".join(there_are()) or "none; is the adapter plugged in? (see: dmesg | tail)"
        return f"there is no port {port}; there are: {known}"
    except OSError as err:
        return f"{port}: {err.strerror}"
    if not port.is_char_device():
        return f"{port} is no serial port"
    return None if os.access(port, os.R_OK | os.W_OK) else _forbidden(port)


def hint(error: LinkDown) -> str:
    """The error and what to do about it."""
    said, cause = str(error), error.__cause__
    if "is taken by" in said:
        return f"{said}. A serial port serves one program: end that one (the agent: systemctl stop wattline-agent)"
    if isinstance(cause, socket.gaierror):
        return f"{said}: this name is not known here; try the address in figures"
    if isinstance(cause, TimeoutError):
        return f"{said}: check the address, the cable and the meter's power, and firewalls on the way"
    if isinstance(cause, PermissionError):
        return f"{said}: {_GROUP.format(user=_user())}"
    if isinstance(cause, OSError) and cause.errno in _HINTS:
        return f"{said}: {_HINTS[cause.errno]}"
    return said


_GROUP: Final = "add user {user} to the group dialout (sudo usermod -aG dialout {user}) and log in again"


def _forbidden(port: Path) -> str:
    return f"no permission to use {port}: {_GROUP.format(user=_user())}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
