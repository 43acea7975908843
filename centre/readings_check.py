"""Checks a list of readings line by line, holding one line: do the readings make what is accounted of each interval?

With arithmetic of its own: a reading that tells no event must count its difference to the one before, times the factor
of the meter; and the lines of an interval must sum up to what is accounted of it, to the last digit.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.readings_list import FIRST, INTEGRAL, Kind, Line
from centre.trace import Mistake

_TOLD: Final = 20  # mistakes that are kept; more are counted


@dataclass(slots=True, kw_only=True)
class ReadingsCheck:
    """Takes the lines of one meter in order; `mistakes` are the first ones, `wrong` how many there are."""

    meter: str
    readings: int = 0
    events: int = 0
    intervals: int = 0
    wrong: int = 0
    total: Fraction = Fraction(0)
    mistakes: list[Mistake] = field(default_factory=list[Mistake])
    _last: Line | None = None
    _since: Fraction = Fraction(0)
    _interval: Fraction = Fraction(0)

    def take(self, line: Line) -> None:
        """The next line."""
        counted = Fraction(line.counted or 0)
        if line.kind is Kind.INTERVAL:
            self.intervals += 1
            self.total += self._interval
            if self._interval != Fraction(_number(line.value)):
                self._wrong(line, f"{line.value}", f"{float(self._interval)} by its readings")
            self._interval = Fraction(0)
            return
        self._interval += counted if line.kind is not Kind.BEFORE else 0
        self._since += counted
        if line.kind is Kind.READING:
            self.readings += 1
            self._reading(line)

    def _reading(self, line: Line) -> None:
        if line.counted is None and line.flag and not line.what:
            self._wrong(line, "nothing counted", "no reason is told")
        if line.what and line.what not in {FIRST, INTEGRAL}:
            self.events += 1
        if not line.believed:
            return
        last = self._last
        if not line.what:
            if last is None:
                self._wrong(line, f"{line.counted}", "there is no reading before it")
            else:
                difference = (Fraction(_number(line.value)) - Fraction(_number(last.value))) * Fraction(last.scale)
                if difference != self._since:
                    self._wrong(line, f"{float(self._since)} since the reading before", f"{float(difference)}")
        self._last, self._since = line, Fraction(0)

    def _wrong(self, line: Line, says: str, computed: str) -> None:
        self.wrong += 1
        if len(self.mistakes) < _TOLD:
            self.mistakes.append(Mistake(f"{self.meter}@{line.at}", says, computed))


def _number(value: Decimal | str | None) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(0)
