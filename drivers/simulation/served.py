"""What an endpoint of a simulated plant serves, whatever it is reached by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from drivers.modbus.profile import Table
from drivers.modbus.serial_line import SerialLine
from drivers.simulation.mishaps import Script


class ListenFailed(Exception):
    """An endpoint cannot be served; the message names it."""


class Readable(Protocol):
    """The registers of one unit; Image is one."""

    def read(self, table: Table, address: int, count: int, now_ns: Callable[[], int]) -> bytes:
        """`count` registers, 2 bytes each, of the instant `now_ns()`. Raises ReadRefused."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialEnd:
    """A serial line whose other end is found at `link`; its meters think `turnaround_s` before they answer."""

    link: Path
    line: SerialLine
    turnaround_s: float

    def __str__(self) -> str:
        return f"{self.link} ({self.line})"


@dataclass(frozen=True, slots=True)
class Served:
    """An endpoint: where it is, the units behind it, and what befalls them."""

    at: tuple[str, int] | SerialEnd
    units: Mapping[int, Readable]
    scripts: Mapping[int, Script] = field(default_factory=dict[int, Script])

    def read(self, unit: int, table: Table, address: int, count: int, now_ns: Callable[[], int]) -> bytes:
        """The registers of a unit that is here. Raises ReadRefused."""
        if unit in self.scripts:
            self.scripts[unit].check(address, count)
        return self.units[unit].read(table, address, count, now_ns)
