"""What is known of a device and of a link between two polls: failures in a row, and when to try again. Pure."""

from dataclasses import dataclass
from typing import Final

from metering.faults import Fault

FIRST_DELAY_S: Final = 1.0
LONGEST_DELAY_S: Final = 60.0
CONFIRMED: Final = 2
"""Failures in a row that make a device silent: one lost reply is a fault in the data, not news for the operator."""


def delay_s(failures: int) -> float:
    """Seconds to leave it alone after so many failures in a row: 1, 2, 4, ... 60."""
    return min(FIRST_DELAY_S * 2.0 ** min(failures - 1, 16), LONGEST_DELAY_S)


@dataclass(slots=True, kw_only=True)
class DeviceHealth:
    """One device; times are monotonic seconds."""

    failures: int = 0
    fault: Fault = Fault.TIMEOUT
    failing_since: float = 0.0
    probe_at: float = 0.0
    announced: bool = False

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
