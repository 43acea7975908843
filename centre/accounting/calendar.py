"""Months of a plant as its bills have them: by its own clock, from metering day to metering day."""

from collections.abc import Iterator
from datetime import date, tzinfo
from typing import NamedTuple

from centre.accounting.zones import day_bounds, local_day


class Month(NamedTuple):
    """A month of the billing calendar, named after the calendar month in which its last day lies.

    With metering day 1 it is the calendar month; with the 25th October lasts from 25 September to 24 October.
    """

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @classmethod
    def of(cls, text: str) -> "Month":
        """`2026-10`; raises ValueError."""
        year, dash, month = text.partition("-")
        if len(text) != 7 or not dash or not (year + month).isascii() or not (year + month).isdecimal():
            raise ValueError("must be a month such as 2026-10")
        if not 1 <= int(month) <= 12 or not 2000 <= int(year) <= 2200:
            raise ValueError("must be a month such as 2026-10")
        return cls(int(year), int(month))

    def plus(self, months: int) -> "Month":
        place = self.year * 12 + self.month - 1 + months
        return Month(place // 12, place % 12 + 1)


def month_of_day(day: date, metering_day: int = 1) -> Month:
    """The month to which a local day belongs."""
    return Month(day.year, day.month).plus(1 if 1 < metering_day <= day.day else 0)


def month_of(at: int, zone: tzinfo, metering_day: int = 1) -> Month:
    """The month in which `at` (UTC ns) lies."""
    return month_of_day(local_day(at, zone), metering_day)


def first_day(month: Month, metering_day: int = 1) -> date:
    """The local day on which the month begins."""
    begun = month if metering_day == 1 else month.plus(-1)
    return date(begun.year, begun.month, metering_day)


def month_bounds(month: Month, zone: tzinfo, metering_day: int = 1) -> tuple[int, int]:
    """[start, end) in UTC ns."""
    first, after = first_day(month, metering_day), first_day(month.plus(1), metering_day)
    return day_bounds(first, zone)[0], day_bounds(after, zone)[0]


def months(start: int, end: int, zone: tzinfo, metering_day: int = 1) -> Iterator[Month]:
    """Every month that [start, end) touches, in order."""
    month = month_of(start, zone, metering_day)
    while month_bounds(month, zone, metering_day)[0] < end:
        yield month
        month = month.plus(1)
