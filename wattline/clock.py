"""Time as a parameter: UTC nanoseconds for stamps, monotonic seconds for waiting."""

import asyncio
import time
from typing import Protocol

NS = 1_000_000_000
_REANCHOR_NS = 5_000_000
_CHECK_NS = NS


class Clock(Protocol):
    """The only source of time of agent and centre; tests pass a virtual one."""

    def now_ns(self) -> int:
        """UTC now, nanoseconds since 1970, never behind an earlier answer unless the wall clock was stepped."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that no one sets: for durations and time-outs."""
        ...

    async def sleep_until(self, due_ns: int) -> None:
        """Return at `due_ns` UTC or as soon after as the loop allows; at once when it has passed."""
        ...


class SystemClock:
    """The monotonic clock anchored to the wall clock, anchored anew when the two part by more than 5 ms.

    Stamps between two checks are evenly spaced even while NTP slews; a step of the wall clock is seen within a
    second and kept in `stepped_ns` (signed, the sum of all steps over one second) for the one who reports it.
    """

    def __init__(self) -> None:
        self.stepped_ns = 0
        self._anchor()

    def _anchor(self) -> None:
        self._checked = time.monotonic_ns()
        self._offset = time.time_ns() - self._checked

    def now_ns(self) -> int:
        mono = time.monotonic_ns()
        if mono - self._checked > _CHECK_NS:
            self._checked = mono
            apart = time.time_ns() - mono - self._offset
            if abs(apart) > _REANCHOR_NS:
                self._offset += apart
                if abs(apart) > NS:
                    self.stepped_ns += apart
        return mono + self._offset

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep_until(self, due_ns: int) -> None:
        await sleep_until(self, due_ns)


async def sleep_until(clock: Clock, due_ns: int) -> None:
    """Sleep on the running loop until `clock` shows `due_ns`; naps of 60 s at most, so that a step is noticed."""
    while (left := due_ns - clock.now_ns()) > 0:
        await asyncio.sleep(min(left / NS, 60.0))
