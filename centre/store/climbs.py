"""What the writer noticed of registers that only rise, so that their readings need not be read again to be counted.

A climb is told from its first reading to the newest one there is of its series: anything that does not fit (a reading
that comes late, a fall, a text, a doubted one) ends it, and it begins anew behind. Kept in memory only; after a start
of the process everything is read until enough has arrived. This sieves with binary floats; no figure is made of them.
"""

from bisect import bisect_left
from collections.abc import Sequence
from operator import sub
from typing import Final, NamedTuple, cast

from centre.accounting.intervals import QUARTER_NS
from centre.store.base import Climb
from metering.sweep import Value

_KEPT: Final = 12  # quarters of an hour
_NUMBERS: Final = {float, int}
_NO_PAUSE: Final = 2**63 - 1


class _Known(NamedTuple):
    """No reading of the series is after `newest`."""

    newest: int
    climbs: tuple[Climb, ...]


class Climbs:
    """Fed inside a transaction; what it says is what was committed last."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self._next: dict[int, _Known] = {}

    def of(self, series: int) -> tuple[Climb, ...]:
        """The quarters of the climb of a series in order of time; empty when nothing is certain."""
        known = self._known.get(series)
        return () if known is None else known.climbs

    def knows(self, series: int) -> bool:
        """Whether the newest reading of `series` is known here."""
        return series in self._next or series in self._known

    def begin(self, series: int, newest: int) -> None:
        """What is after `newest` is a climb until something speaks against it."""
        self._next[series] = _Known(newest, ())

    def doubt(self, series: int, at: int) -> None:
        """The gateway did not believe the reading at `at`."""
        known = self._next.get(series) or self._known[series]
        self._next[series] = _Known(max(known.newest, at), ())

    def add(self, series: int, times: Sequence[int], values: Sequence[Value], *, all_new: bool) -> None:
        """Readings that were written, of which some may have been there when not `all_new`."""
        known = self._next.get(series) or self._known[series]
        climbs: tuple[Climb, ...] | None = None
        if all_new and times[0] > known.newest and _NUMBERS.issuperset(map(type, values)):
            climbs = _extended(known.climbs, times, cast("Sequence[float]", values))
        self._next[series] = _Known(max(known.newest, *times), climbs or ())

    def committed(self) -> None:
        """The transaction was kept."""
        self._known.update(self._next)
        self._next.clear()

    def clear(self) -> None:
        """Forget everything: the transaction failed."""
        self._known.clear()
        self._next.clear()


def _extended(climbs: tuple[Climb, ...], times: Sequence[int], values: Sequence[float]) -> tuple[Climb, ...] | None:
    """The climb with these readings behind it; None when they do not rise."""
    found = [*climbs]
    place = 0
    while place < len(times):
        quarter = times[place] // QUARTER_NS
        behind = bisect_left(times, (quarter + 1) * QUARTER_NS, place)
        last = found[-1] if found else None
        climb = _climb(last, times[place:behind], values[place:behind])
        if climb is None:
            return None
        if last is not None and last.last // QUARTER_NS == quarter:
            found[-1] = Climb(
                last.first, last.first_value, climb.last, climb.last_value, last.readings + climb.readings,
                max(last.step, climb.step), max(last.rate, climb.rate), min(last.pause, climb.pause),
            )  # fmt: skip
        else:
            found.append(climb)
        place = behind
    return tuple(found[-_KEPT:])


def _climb(before: Climb | None, times: Sequence[int], values: Sequence[float]) -> Climb | None:
    """Readings of one quarter, with the step that leads to the first of them."""
    step, rate, pause = 0.0, 0.0, _NO_PAUSE
    at = times if before is None else [before.last, *times]
    shown = values if before is None else [before.last_value, *values]
    if len(at) > 1:
        steps = [*map(sub, shown[1:], shown)]
        pauses = [*map(sub, at[1:], at)]
        pause = min(pauses)
        if pause <= 0 or not min(steps) >= 0:
            return None
        step, rate = max(steps), max([risen / taken for risen, taken in zip(steps, pauses, strict=True)])
    return Climb(times[0], values[0], times[-1], values[-1], len(times), step, rate, pause)
