"""Honest time: which sweeps were stamped by a clock that nobody had set, or that was set while they waited.

A sweep that was read before the clock of a fresh start was set gets the time it would have had, by the monotonic clock,
as long as it is not sealed. Every other doubt travels with the parcel as its time quality; nothing is guessed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from metering.parcel import TimeQuality
from metering.sweep import Sweep
from wattline.clock import NS, Clock
from wattline.events import EventLog

_STEP_NS: Final = NS
_ROUNDING_NS: Final = NS // 1000
_HOLD_S: Final = 300.0
_EARLIEST_NS: Final = 1_735_689_600 * NS  # 2025-01-01: a clock before this program was made is wrong, whoever vouches


@dataclass(frozen=True, slots=True)
class Noted:
    """The clock when a sweep came: wall time minus monotonic time, and whether it was known that nobody keeps it."""

    offset_ns: int
    unset: bool


class HonestTime:
    """`synchronised` says whether somebody keeps the clock right, None when nobody can tell."""

    def __init__(self, clock: Clock, synchronised: Callable[[], bool | None], log: EventLog) -> None:
        self._clock, self._synchronised, self._log = clock, synchronised, log
        self._started_at = clock.monotonic()
        self._now = Noted(self._offset(), unset=False)
        self._ever_set = False
        self.look()

    def _offset(self) -> int:
        return self._clock.now_ns() - round(self._clock.monotonic() * NS)

    def look(self) -> None:
        """Tell what has changed since the last look: a step of more than a second, and who vouches for the clock."""
        before, unset = self._now, self._synchronised() is False or self._clock.now_ns() < _EARLIEST_NS
        self._now = Noted(self._offset(), unset)
        self._ever_set = self._ever_set or not unset
        step_ns = self._now.offset_ns - before.offset_ns
        if abs(step_ns) > _STEP_NS:
            self._log.warning("clock.stepped", by_s=round(step_ns / NS, 3))
        if unset and not before.unset:
            self._log.warning("clock.unsynchronised")
        elif before.unset and not unset:
            self._log.info("clock.synchronised")

    @property
    def waiting(self) -> bool:
        """True while it pays to seal late: the clock of a fresh start is about to be set."""
        return not self._ever_set and self._clock.monotonic() - self._started_at < _HOLD_S

    def note(self) -> Noted:
        """To be kept with a sweep that comes now."""
        offset_ns = self._offset()
        if abs(offset_ns - self._now.offset_ns) > _ROUNDING_NS:
            return Noted(offset_ns, self._now.unset)
        return self._now

    def settle(self, sweeps: Sequence[Sweep], noted: Sequence[Noted]) -> tuple[list[Sweep], TimeQuality]:
        """The sweeps with the times to seal them under, and what is to be said of these times."""
        self.look()
        if self._now.unset:
            return list(sweeps), TimeQuality.UNSYNCHRONISED
        settled: list[Sweep] = []
        corrected = stepped = False
        for sweep, then in zip(sweeps, noted, strict=True):
            wrong_ns = self._now.offset_ns - then.offset_ns
            if abs(wrong_ns) <= _STEP_NS:
                settled.append(sweep)
            elif then.unset:
                settled.append(replace(sweep, taken_at=sweep.taken_at + wrong_ns))
                corrected = True
            else:
                settled.append(sweep)
                stepped = True
        if stepped:
            return settled, TimeQuality.STEPPED
        return settled, TimeQuality.CORRECTED if corrected else TimeQuality.GOOD
