"""Where sweeps gather until they are sealed: how many points there are, since when, and how many are enough."""

from typing import Final

from agent.honest_time import HonestTime, Noted
from metering.parcel import TimeQuality
from metering.sweep import Sweep
from wattline.clock import Clock

_ENOUGH_POINTS: Final = 5000  # values and faults: the parcel is sealed when the replies under way are dealt with
_MOST_POINTS: Final = 8000  # sealed at once: bounds a parcel's bytes and the time its sealing takes
_LARGE: Final = 3  # times these while no broker is there: larger parcels cost less flash
_FEWEST_POINTS: Final = 50  # to which a broker that takes only small messages can bring that bound


class Intake:
    """True when something was gathered; `since` is then when (monotonic) the first of it came."""

    def __init__(self, clock: Clock, time: HonestTime | None) -> None:
        self._clock, self._time = clock, time
        self._sweeps: list[Sweep] = []
        self._noted: list[Noted] = []
        self._points = 0
        self._bound = _LARGE * _MOST_POINTS
        self.since = 0.0
        self.want(large=True)

    def __bool__(self) -> bool:
        return bool(self._sweeps)

    def want(self, *, large: bool) -> None:
        """Whether large parcels are wanted from now on."""
        self._large = large
        times = _LARGE if large else 1
        self._enough, self._most = min(self._bound, times * _ENOUGH_POINTS), min(self._bound, times * _MOST_POINTS)

    @property
    def is_enough(self) -> bool:
        return self._points >= self._enough

    @property
    def is_full(self) -> bool:
        return self._points >= self._most

    @property
    def waits_for_time(self) -> bool:
        """True while the clock is about to be set right: what is not sealed yet can still get its true time."""
        return self._time is not None and self._time.waiting

    def add(self, sweep: Sweep) -> bool:
        """True when it became enough by this one."""
        if not self._sweeps:
            self.since = self._clock.monotonic()
        self._sweeps.append(sweep)
        if self._time is not None:
            self._noted.append(self._time.note())
        before = self._points
        self._points += len(sweep.values) + len(sweep.faults)
        return before < self._enough <= self._points

    def take(self) -> tuple[list[Sweep], TimeQuality]:
        """All of it, with the times that are known to be right by now; nothing is left."""
        sweeps, quality = self._sweeps, TimeQuality.GOOD
        if self._time is not None:
            sweeps, quality = self._time.settle(sweeps, self._noted)
            self._noted = []
        self._sweeps, self._points = [], 0
        return sweeps, quality

    def bound(self, points: int) -> None:
        """From now on seal at so many points at the latest: a broker found more too large."""
        self._bound = max(_FEWEST_POINTS, min(self._bound, points))
        self.want(large=self._large)
