"""FaultNews: which faults of single points of an answering device are worth a line in the journal. Pure.

A fault is news when the same point has it in two sweeps in a row, once for each kind of fault; that all points are fine
again is news when their fault was.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from agent.health import CONFIRMED
from metering.faults import ALL_POINTS, Fault

QUIET_S: Final = 600.0
"""A kind of fault that comes and goes is told this seldom."""


@dataclass(slots=True)
class FaultNews:
    """Of one device; `now` is monotonic seconds."""

    _faulty: dict[str, tuple[Fault, int]] = field(default_factory=dict[str, tuple[Fault, int]])
    _told_at: dict[Fault, float] = field(default_factory=dict[Fault, float])
    _telling: bool = False

    @property
    def faulty(self) -> bool:
        """False when a sweep without faults changes nothing here."""
        return bool(self._faulty)

    def swept(
        self, values: Collection[str], faults: Mapping[str, Fault], now: float
    ) -> tuple[dict[Fault, list[str]], bool]:
        """Note one answered sweep: the points by fault that are news now, and whether all being fine again is."""
        for point in values:
            if point not in faults:  # a suspect value has a fault beside it
                self._faulty.pop(point, None)
        news: dict[Fault, list[str]] = {}
        for point, fault in faults.items():
            before, times = self._faulty.get(point, (fault, 0))
            times = times + 1 if before is fault else 1
            self._faulty[point] = (fault, times)
            if times == CONFIRMED and point != ALL_POINTS:
                news.setdefault(fault, []).append(point)
        news = {fault: points for fault, points in news.items() if now - self._told_at.get(fault, -QUIET_S) >= QUIET_S}
        self._told_at.update(dict.fromkeys(news, now))
        self._telling = self._telling or bool(news)
        fine = self._telling and not self._faulty
        if fine:
            self._telling = False
        return news, fine
