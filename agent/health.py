"""What is known of a device and of a link between two polls: failures in a row, and when to try again. Pure."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from metering.faults import Fault

FIRST_DELAY_S: Final = 1.0
LONGEST_DELAY_S: Final = 10.0
"""Whatever returns, a rebooted meter or a mended cable, is found within this and one due time."""
LONGEST_LINK_DELAY_S: Final = 4.0
"""Opening a port or a connection takes no time from anybody: a replugged adapter works again within 5 s."""
CONFIRMED: Final = 2
"""Failures in a row that make a device silent: one lost reply is a fault in the data, not news for the operator."""

BUSY_RETRIES: Final = 3
"""A device that says that it is busy is asked so often before its next due time, after 1, 2 and 4 s."""
BUSY: Final = frozenset({Fault.EXCEPTION_5, Fault.EXCEPTION_6})


def delay_s(failures: int) -> float:
    """Seconds to leave it alone after so many failures in a row: 1, 2, 4, 8, 10."""
    return min(FIRST_DELAY_S * 2.0 ** min(failures - 1, 16), LONGEST_DELAY_S)


@dataclass(slots=True, kw_only=True)
class DeviceHealth:
    """One device; times are monotonic seconds."""

    failures: int = 0
    fault: Fault = Fault.TIMEOUT
    failing_since: float = 0.0
    probe_at: float = 0.0
    announced: bool = False
    took_s: float = 0.0
    """How long its last answered read took."""
    busy: dict[int, int] = field(default_factory=dict[int, int])
    """How often in a row it was too busy to give a poll group."""

    @property
    def backing_off(self) -> bool:
        return self.failures > 0

    @property
    def silent(self) -> bool:
        return self.failures >= CONFIRMED

    def failed(self, fault: Fault, now: float) -> float:
        """Note a failure; returns the seconds until the next probe."""
        if self.failures == 0:
            self.failing_since = now
        self.failures += 1
        self.fault = fault
        delay = delay_s(self.failures)
        self.probe_at = now + delay
        return delay

    def heard(self, groups: Collection[int], busy: Collection[int]) -> float | None:
        """Note which of the poll groups just read it was too busy for; seconds after which to ask for these again."""
        for group in groups:
            if group in busy:
                self.busy[group] = self.busy.get(group, 0) + 1
            else:
                self.busy.pop(group, None)
        times = min((self.busy[group] for group in busy), default=0)
        return delay_s(times) if 1 <= times <= BUSY_RETRIES else None

    def answered(self) -> None:
        """Note that it answers."""
        self.failures = 0
        self.announced = False


@dataclass(slots=True)
class BusCounters:
    """What one bus did since the start."""

    sweeps: int = 0
    """Devices read with an answer."""
    silent: int = 0
    """Reads that no answer came to."""
    missed: int = 0
    """Due times that passed unserved because the bus was busy."""
    reconnects: int = 0
    late_max_s: float = 0.0
    """The longest that a read began after its due time."""
    busy_s: float = 0.0
    """Time spent in reads, the pauses a meter needs within them included."""
    faults: Counter[Fault] = field(default_factory=Counter[Fault])
    """Faults handed on, by kind; one that stands for all points of a device counts once."""
