"""A tariff as dated data: bands by month, day type and local clock; a price per band and bill item; demand terms.

A version counts from a day on until the next one; what changes within a year (prices each month, bands each season)
is a version or a schedule of the file, never code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum


class DayType(StrEnum):
    """What a day is to a tariff; a critical day goes before a holiday, that before a shifted working day."""

    CRITICAL = "critical"
    HOLIDAY = "holiday"
    WORKDAY = "workday"
    WEEKEND = "weekend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Days that are not what their weekday says; `weekend` holds weekdays, Monday is 0."""

    weekend: frozenset[int] = frozenset({5, 6})
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()
    critical: frozenset[date] = frozenset()

    def day_type(self, day: date) -> DayType:
        if day in self.critical:
            return DayType.CRITICAL
        if day in self.holidays:
            return DayType.HOLIDAY
        if day in self.workdays or day.weekday() not in self.weekend:
            return DayType.WORKDAY
        return DayType.WEEKEND


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The bands of a day of these months and types: (minute of the local clock, band), the first at minute 0."""

    months: frozenset[int]
    days: frozenset[DayType]
    changes: tuple[tuple[int, str], ...]

    def band_at(self, minute: int) -> str:
        return next(band for start, band in reversed(self.changes) if start <= minute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A line of the bill priced by energy (currency per kWh) in each band; `fund`: collected for the government."""

    id: str
    name: Mapping[str, str]
    prices: Mapping[str, Decimal]
    fund: bool


class ExcessBase(StrEnum):
    """What the single price is charged for when the contract demand was exceeded (two texts disagree)."""

    CONTRACT = "contract"
    TOLERANCE = "tolerance"


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicTerms:
    """Prices of the basic charge a month: per kVA of capacity, or per kW of demand.

    Up to contract x `tolerance` the demand is within the contract; beyond, `excess_factor` times the price. The
    contract is charged as at least `floor_share` of the capacity.
    """

    per_kva: Decimal
    per_kw: Decimal
    tolerance: Decimal
    excess_factor: Decimal
    excess_base: ExcessBase
    floor_share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffVersion:
    """What counts from `valid_from` (a local day) on; `power_factor` names the standard, such as 0.90."""

    id: str
    valid_from: date
    source: str
    confirmed: bool
    schedules: tuple[Schedule, ...]
    items: tuple[Item, ...]
    basic: BasicTerms | None
    power_factor: Decimal | None

    def schedule_for(self, month: int, kind: DayType) -> Schedule:
        """The first that fits; the file was checked to have one for every month and day type."""
        return next(found for found in self.schedules if month in found.months and kind in found.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Versions in order of `valid_from`; after `ends` (inclusive, if given) there is no price."""

    id: str
    name: Mapping[str, str]
    currency: str
    calendar: Calendar
    versions: tuple[TariffVersion, ...]
    ends: date | None

    def version_on(self, day: date) -> TariffVersion | None:
        """What counts on a local day; None before the first version and after the end."""
        if self.ends is not None and day > self.ends:
            return None
        return next((found for found in reversed(self.versions) if found.valid_from <= day), None)
