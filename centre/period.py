"""Months and years of a plant: written `2026-11` or `2026`, bounded by local days, each a row of whole days."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from typing import Final

from centre.accounting.calendar import Month, first_day
from centre.accounting.zones import day_bounds

_TEXT: Final = re.compile(r"(20[2-9]\d|21\d\d)(?:-(0[1-9]|1[0-2]))?")
_MONTHS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A month, or with `month` None a year. `metering_day`: the day of a month on which the next one begins (1 to 28).

    A month is named as in centre.accounting.calendar: with metering day 26, 2026-11 begins on 26 October.
    """

    year: int
    month: int | None = None
    metering_day: int = 1

    @property
    def label(self) -> str:
        return f"{self.year:04d}" if self.month is None else f"{self.year:04d}-{self.month:02d}"

    @property
    def first(self) -> date:
        """The first local day."""
        return first_day(Month(self.year, self.month or 1), self.metering_day)

    @property
    def last(self) -> date:
        """The last local day."""
        after = Month(self.year, self.month or _MONTHS).plus(1)
        return first_day(after, self.metering_day) - timedelta(days=1)

    def bounds(self, zone: tzinfo) -> tuple[int, int]:
        """[start, end) in UTC ns."""
        return day_bounds(self.first, zone)[0], day_bounds(self.last, zone)[1]

    def days(self) -> Iterator[date]:
        """Its days in order."""
        for number in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=number)

    def months(self) -> tuple["Period", ...]:
        """The months of a year; a month itself."""
        if self.month is not None:
            return (self,)
        return tuple(
            Period(year=self.year, month=month, metering_day=self.metering_day) for month in range(1, _MONTHS + 1)
        )


def period_of(text: str, metering_day: int = 1) -> Period:
    """The period of `2026-11` or `2026`; raises ValueError."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError("a period is a month such as 2026-11 or a year such as 2026")
    year, month = found.groups()
    return Period(year=int(year), month=None if month is None else int(month), metering_day=metering_day)
