"""The oracle of a simulated run: what meters told, what became durable, what may be lost and why. Knows none of our code.

Each reply of a meter carries a serial number of its own in both its values, so that a value in the store tells which
reply it was, whatever the clocks showed.
"""

import gzip
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

ENERGY, FREQUENCY = POINTS = ("energy_active_import_total", "frequency")
_VALUES = re.compile(r"^meter,\S*device=\S+ (\S+) \d+$", re.MULTILINE)
_ENERGY = re.compile(rf"\b{ENERGY}=([0-9.]+)")
_SPARE_S = 2.0  # the poll under way, a turn of the loop


class Wrong(AssertionError):
    """The guarantee is broken."""


@dataclass(frozen=True, slots=True)
class Told:
    """A reply: the meter, the time of the gateway's clock at which it arrived, and seconds since the run began."""

    device: str
    at_ns: int
    second: float


def frequency_of(serial: int) -> float:
    """Plausible, and exact as a 32-bit float up to serial 19456."""
    return 45.0 + serial / 1024


def _single(value: float) -> float:
    """The 32-bit float of which `value` is the shortest text."""
    single: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return single


@lru_cache(maxsize=256)
def serials_in(body: bytes) -> frozenset[int]:
    """Of a parcel's bytes, read as text."""
    text = gzip.decompress(body).decode()
    return frozenset(int(found[1]) for fields in _VALUES.findall(text) if (found := _ENERGY.search(fields)))


@dataclass
class Ledger:
    """Written by meters and disks, judged at the end. `excused_s(first, last)`: seconds in which the disk was bad."""

    interval_s: float
    excused_s: Callable[[float, float], float]
    told: list[Told] = field(default_factory=list[Told])
    durable: set[int] = field(default_factory=set[int])
    started_at: float = 0.0
    """The second at which the agent began its life, with what its side files kept of an earlier one."""
    kills: list[tuple[float, float, frozenset[int]]] = field(default_factory=list[tuple[float, float, frozenset[int]]])
    """The seconds of a life's begin and end, and what was not durable then."""
    lost_cards: set[int] = field(default_factory=set[int])
    unsaved: set[int] = field(default_factory=set[int])
    exposed: set[int] = field(default_factory=set[int])
    kept: set[int] = field(default_factory=set[int])
    """What the store said it has."""
    unkept: set[int] = field(default_factory=set[int])
    """What the centre acknowledged and the store had not."""
    deceived: bool = False
    """A message that nobody of ours wrote says that all is stored: what the agent sends until a true one comes may be
    lost, what it did not send may not."""

    def tell(self, device: str, at_ns: int, second: float) -> int:
        self.told.append(Told(device, at_ns, second))
        return len(self.told)

    def sent(self, body: bytes) -> None:
        """The agent begins to publish a parcel."""
        if self.deceived:
            self.exposed |= serials_in(body)

    def acknowledged(self, body: bytes) -> None:
        """The centre tells the broker that it has a parcel for good."""
        self.unkept |= serials_in(body) - self.kept

    def killed(self, second: float, *, kept: bool) -> None:
        """The agent is dead: what was told and never became durable may be gone, if it is young enough.

        `kept`: in side files; then only the poll under way may.
        """
        volatile = set(range(1, len(self.told) + 1)) - self.durable
        if kept:
            volatile = {serial for serial in volatile if self.told[serial - 1].second > second - _SPARE_S}
        self.kills.append((self.started_at, second, frozenset(volatile)))

    def stopped(self, second: float, *, disk_works: bool) -> None:
        """The agent said good-bye: nothing may be gone, but for what a failing disk did not take."""
        if not disk_works:
            self.unsaved |= set(range(1, len(self.told) + 1)) - self.durable

    def judge(self, stored: Mapping[str, Iterable[tuple[int, float, str]]], *, until: float) -> int:
        """Raises Wrong. `stored`: (time, value, device) by point. Returns how many replies were lost, all excused.

        What was told after second `until` need not be there yet.
        """
        if self.unkept:
            raise Wrong(f"acknowledged by the centre before it was stored: {self._names(self.unkept)}")
        energy = self._serials(ENERGY, stored[ENERGY], lambda value: value)
        frequency = self._serials(FREQUENCY, stored[FREQUENCY], lambda value: (_single(value) - 45.0) * 1024)
        if energy != frequency:
            raise Wrong(f"half a sweep is stored: {_some(energy ^ frequency)}")
        lost = {serial for serial, told in enumerate(self.told, 1) if told.second <= until} - energy
        maybe = lost - self.lost_cards - self.unsaved - self.exposed
        unexcused = {serial for serial in maybe if not self._died(serial)}
        if unexcused:
            raise Wrong(f"lost without a cause: {self._names(unexcused)}")
        return len(lost)

    def _serials(
        self, point: str, stored: Iterable[tuple[int, float, str]], serial_of: Callable[[float], float]
    ) -> set[int]:
        found: set[int] = set()
        for at_ns, value, device in stored:
            serial = int(serial_of(value))
            if serial != serial_of(value) or not 1 <= serial <= len(self.told):
                raise Wrong(f"{point} of {device} at {at_ns} is {value}, which no meter ever said")
            told = self.told[serial - 1]
            if (told.device, told.at_ns) != (device, at_ns):
                raise Wrong(f"{point} {value} of {device} at {at_ns} was said by {told}")
            if serial in found:
                raise Wrong(f"{point} {value} of {device} is stored twice")
            found.add(serial)
        return found

    def _died(self, serial: int) -> bool:
        """True when it was in memory only at a kill, and not longer than promised."""
        if serial in self.durable:
            return False
        told = self.told[serial - 1]
        for start, second, volatile in self.kills:
            if serial in volatile:
                since = max(start, told.second)
                bad_s = self.excused_s(since, second)
                return second - since - bad_s <= self.interval_s * (1 if bad_s == 0 else 2) + _SPARE_S
        return False

    def _names(self, serials: set[int]) -> str:
        return "; ".join(
            f"{serial} {self.told[serial - 1]} {'durable' if serial in self.durable else 'volatile'}"
            for serial in sorted(serials)[:3]
        ) + (f" and {len(serials) - 3} more" if len(serials) > 3 else "")


def _some(serials: set[int]) -> str:
    return ", ".join(map(str, sorted(serials)[:5]))
