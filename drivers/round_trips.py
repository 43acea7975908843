"""RoundTrips: how long the last requests of a bus took to be answered. Bounded: a window of the newest."""

from array import array
from typing import Final

WINDOW: Final = 512


class RoundTrips:
    """Seconds from request to checked reply, of the newest WINDOW answered requests."""

    __slots__ = ("_at", "_seconds")

    def __init__(self) -> None:
        self._seconds = array("f")
        self._at = 0

    def add(self, seconds: float) -> None:
        """Note one answered request."""
        if len(self._seconds) < WINDOW:
            self._seconds.append(seconds)
        else:
            self._seconds[self._at] = seconds
            self._at = (self._at + 1) % WINDOW

    def percentile(self, percent: int) -> float | None:
        """The least time (s) that `percent` (1 to 100) of the window did not exceed; None before the first answer."""
        ordered = sorted(self._seconds)
        return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None
