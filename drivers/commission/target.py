"""What a commissioning command is pointed at: an endpoint, unit ids, a range of registers; from the command line."""

import argparse
import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final

from drivers.modbus.plan import Block
from drivers.modbus.profile import Table
from drivers.modbus.serial_line import BAUD_RATES, SerialLine
from wattline.host_name import checked_host

_PORT: Final = 502
_MOST_REGISTERS: Final = 2000
_RANGE: Final = re.compile(r"(?:(holding|input):)?(0x[0-9A-Fa-f]+|\d+)(?:([-+])(0x[0-9A-Fa-f]+|\d+))?")
_UNITS: Final = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A Modbus TCP server: a meter, or a gateway with several behind it."""

    host: str
    port: int = _PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def setting(self) -> str:
        """As a bus of agent.yaml says it."""
        return f"tcp: {self}" if ":" not in self.host else f'tcp: "{self}"'

    @property
    def option(self) -> str:
        """As `wattline read` takes it."""
        return f"--tcp {self}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPlace:
    """A serial port, and how characters travel on it."""

    port: Path
    line: SerialLine

    def __str__(self) -> str:
        return f"{self.port} at {self.line}"

    @property
    def setting(self) -> str:
        """As a bus of agent.yaml says it."""
        return f"serial: {{port: {self.port}, line: {self.line}}}"

    @property
    def option(self) -> str:
        """As `wattline read` takes it."""
        return f'--serial {self.port} --line "{self.line}"'


COMMON_LINES: Final = tuple(
    map(
        SerialLine.parse,
        (
            "9600 8N1", "9600 8E1", "19200 8E1", "19200 8N1", "38400 8N1", "115200 8N1", "4800 8N1", "2400 8N1",
            "38400 8E1", "57600 8N1", "9600 8N2", "9600 8O1", "19200 8N2", "115200 8E1", "4800 8E1", "2400 8E1",
        ),
    )
)  # fmt: skip
"""What meters leave the factory with and what plants set, the most frequent first."""

_FASTEST: Final = 115200  # of meters; name the rate to try a faster one
_FRAMES: Final = ("8N1", "8E1", "8O1", "8N2")


def serial_lines(words: list[str]) -> tuple[SerialLine, ...]:
    """`9600,19200 8N1,8E1`: these rates with these frames, the frequent ones first; ValueError says what is wrong."""
    parts = [part for word in words for part in re.split(r"[,\s]+", word) if part]
    rates = [part for part in parts if part.isdecimal()] or None
    frames = [part.upper() for part in parts if not part.isdecimal()] or None
    if rates is None or frames is None:
        wanted = [
            line
            for line in COMMON_LINES
            if (rates is None or str(line.baud) in rates) and (frames is None or str(line).split()[1] in frames)
        ]
        wanted += [SerialLine.parse(f"{rate} {frame}") for frame in _FRAMES for rate in rates or ()]
        wanted += [
            SerialLine.parse(f"{rate} {frame}") for frame in frames or () for rate in BAUD_RATES if rate <= _FASTEST
        ]
    else:
        named = [SerialLine.parse(f"{rate} {frame}") for rate in rates for frame in frames]
        wanted = [line for line in COMMON_LINES if line in named] + named
    if wrong := next((line for line in wanted if line.data_bits != 8), None):
        raise ValueError(f"{wrong} has 7 data bits; Modbus RTU needs 8")
    return tuple(dict.fromkeys(wanted))


def serial_line(text: str) -> SerialLine:
    """`9600 8N1`; for argparse."""
    try:
        return SerialLine.parse(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def serial_port(text: str) -> Path:
    """The whole path of a port; for argparse."""
    port = Path(text)
    if not port.is_absolute():
        raise argparse.ArgumentTypeError(f"{text!r} must be the whole path of a port, such as /dev/ttyUSB0")
    return port


def endpoint(text: str) -> Endpoint:
    """`10.0.0.20`, `10.0.0.20:502`, `[fe80::1]:502`, `meter.example`; for argparse."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([A-Za-z0-9][A-Za-z0-9._-]*))(?::(\d{1,5}))?", text)
    port = int(match[3]) if match and match[3] else _PORT
    if match is None or not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} must be HOST or HOST:PORT, such as 10.0.0.20:502 or [fe80::1]:502")
    try:
        return Endpoint(host=str(IPv6Address(match[1])) if match[1] else checked_host(match[2]), port=port)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """`count` registers from `address` (on the wire) of a table."""

    table: Table
    address: int
    count: int

    def __str__(self) -> str:
        return f"{self.table} {self.address}+{self.count}"

    def parts(self, most: int) -> tuple[Block, ...]:
        """The range in reads of at most `most` registers; even lengths, so that two-register values stay whole."""
        step = max(most - most % 2, 1)
        end = self.address + self.count
        return tuple(
            Block(table=self.table, address=at, count=min(step, end - at), points=())
            for at in range(self.address, end, step)
        )


def register_range(text: str) -> Range:
    """`holding:0+40`, `input:0x1000-0x1013`, `0-60` (holding): addresses are those on the wire; for argparse."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be TABLE:ADDRESS+COUNT or TABLE:FIRST-LAST, such as holding:0+40 or input:0x1000-0x1013"
        )
    address, last = _number(match[2]), _number(match[4] or "1")
    count = last - address + 1 if match[3] == "-" else last
    if not 1 <= count <= _MOST_REGISTERS or address + count > 0x10000:
        raise argparse.ArgumentTypeError(
            f"{text!r}: addresses on the wire go from 0 to 65535, and at most {_MOST_REGISTERS} registers are read."
            " A manual's 40001 is holding:0, its 30001 is input:0"
        )
    return Range(table=Table(match[1] or "holding"), address=address, count=count)


def _number(text: str) -> int:
    return int(text, 16) if text.startswith("0x") else int(text)


def unit_ids(text: str) -> tuple[int, ...]:
    """`1-247`, `1,3,7-9`: sorted, each once; for argparse."""
    found: set[int] = set()
    for part in text.split(","):
        match = _UNITS.fullmatch(part.strip())
        first = int(match[1]) if match else -1
        last = int(match[2] or match[1]) if match else -1
        if not 0 <= first <= last <= 255:
            raise argparse.ArgumentTypeError(f"{text!r} must be unit ids from 0 to 255, such as 1-247 or 1,3,7-9")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def unit_id(text: str) -> int:
    """One unit id; for argparse."""
    units = unit_ids(text)
    if len(units) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be one unit id, from 0 to 255")
    return units[0]
