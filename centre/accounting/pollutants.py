"""Pollutants as measured series: hourly and daily means, what is over its limit, and mass from concentration and flow.

Air is weighted by time and compared at the oxygen content its limit is stated at; water by flow. An hour or day of
which too little is known has a reason, and no mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from centre.accounting.exact import rounded
from centre.accounting.gauge_sums import HOUR_NS, Sums

NOT_ENOUGH: Final = "too_few_valid_readings"
NOT_ENOUGH_HOURS: Final = "too_few_valid_hours"
NO_FLOW: Final = "nothing_flowed"
STOPPED: Final = "oxygen_as_in_air"
NO_FLOW_METER: Final = "no_flow_meter"

_PLACES: Final = 6
AIR_OXYGEN: Final = 21
KG: Final = {"mg/m3": Fraction(1, 10**6), "mg/L": Fraction(1, 1000)}  # of 1 m3


class Medium(StrEnum):
    """What carries a pollutant out of the plant."""

    AIR = "air"
    WATER = "water"


@dataclass(frozen=True, slots=True, kw_only=True)
class Averaging:
    """How means are made of a medium. An hour is valid with `least_minutes` known, a day with `least_hours` valid.

    Above `stopped_oxygen` (%) nothing burns, and the concentration is not judged.
    """

    medium: Medium
    valid_from: date
    hold_ns: int
    least_minutes: int
    least_hours: int
    stopped_oxygen: Decimal | None
    source: str
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a standard allows of a pollutant, as hourly and daily mean, at `oxygen` (%) where it is given."""

    id: str
    unit: str
    hour: Decimal | None
    day: Decimal | None
    oxygen: Decimal | None
    source: str
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """An hour of a pollutant. `mean` is as compared with `limit`, `mass_kg` from what was measured.

    `valid_ns`: how much of it is known; `valid`: enough. Without a mean there is a `reason`; a valid hour in which
    nothing flowed has none, and a mass of 0.
    """

    start: int
    valid_ns: int
    valid: bool
    mean: Decimal | None
    volume_m3: Decimal | None
    mass_kg: Decimal | None
    limit: Decimal | None
    reason: str | None

    @property
    def over(self) -> bool:
        return over(self.mean, self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A local day of a pollutant."""

    day: date
    mean: Decimal | None
    valid_hours: int
    limit: Decimal | None
    reason: str | None

    @property
    def over(self) -> bool:
        return over(self.mean, self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What became of a pollutant in a period: `mass_kg` is that of the hours in which it is known, `mass_hours`.

    `hours` are those that are over, `valid_share` of them were valid. `highest` is the highest hourly mean.
    """

    hours: int
    valid_hours: int
    valid_share: Decimal | None
    highest: Decimal | None
    hours_over: int
    days_over: int
    mass_kg: Decimal | None
    mass_hours: int
    reason: str | None


def mean_hour(
    start: int, concentration: Sums, *, flow: Sums | None, oxygen: Sums | None, rule: Averaging, limit: Limit
) -> Hour:
    """The hour from `start` on; `concentration` in water is summed by flow, where that is measured.

    `flow` in m3/h, `oxygen` in %; None: not measured.
    """
    least = rule.least_minutes * HOUR_NS // 60
    volume = None if flow is None or flow.known_ns < least else flow.mean  # of one hour, so m3 too
    valid_ns, mean = concentration.known_ns, concentration.mean
    if valid_ns < least:
        return _hour(start, valid_ns, limit, reason=NOT_ENOUGH)
    mass = Fraction(0) if volume == 0 else None if volume is None or mean is None else mean * volume * KG[limit.unit]
    if mean is None:
        return _hour(start, valid_ns, limit, valid=True, volume=volume, mass=mass, reason=NO_FLOW)
    shown, reason = _at_oxygen(mean, oxygen, rule, limit, least)
    return _hour(start, valid_ns, limit, valid=True, mean=shown, volume=volume, mass=mass, reason=reason)


def _hour(
    start: int, valid_ns: int, limit: Limit, *, valid: bool = False, mean: Fraction | None = None,
    volume: Fraction | None = None, mass: Fraction | None = None, reason: str | None,
) -> Hour:  # fmt: skip
    return Hour(
        start=start,
        valid_ns=valid_ns,
        valid=valid,
        mean=None if mean is None else rounded(mean, _PLACES),
        volume_m3=None if volume is None else rounded(volume, _PLACES),
        mass_kg=None if mass is None else rounded(mass, 9),
        limit=limit.hour,
        reason=reason,
    )


def _at_oxygen(
    mean: Fraction, oxygen: Sums | None, rule: Averaging, limit: Limit, least: int
) -> tuple[Fraction | None, str | None]:
    """c x (21 - reference) / (21 - measured), as the limits of what burns are compared."""
    if limit.oxygen is None:
        return mean, None
    measured = None if oxygen is None or oxygen.known_ns < least else oxygen.mean
    if measured is None:
        return None, f"oxygen: {NOT_ENOUGH}"
    if measured >= AIR_OXYGEN or (rule.stopped_oxygen is not None and measured > rule.stopped_oxygen):
        return None, STOPPED
    return mean * (AIR_OXYGEN - Fraction(limit.oxygen)) / (AIR_OXYGEN - measured), None


def mean_day(day: date, hours: Sequence[Hour], rule: Averaging, limit: Limit) -> Day:
    """The mean of a day's valid hours: of air each counts the same, of water by what flowed, where that is known."""
    valid = [hour for hour in hours if hour.valid]
    number = len(valid)
    known = [hour for hour in valid if hour.mean is not None]
    if number < rule.least_hours:
        return Day(day=day, mean=None, valid_hours=number, limit=limit.day, reason=NOT_ENOUGH_HOURS)
    weights = [Fraction(1) for _ in known]
    if rule.medium is Medium.WATER and all(hour.volume_m3 is not None for hour in known):
        weights = [Fraction(hour.volume_m3 or 0) for hour in known]
    whole = sum(weights, Fraction(0))
    if not whole:
        lost = next((hour.reason for hour in valid if hour.mean is None), None)
        return Day(day=day, mean=None, valid_hours=number, limit=limit.day, reason=lost or NO_FLOW)
    mean = sum((Fraction(hour.mean or 0) * weight for hour, weight in zip(known, weights, strict=True)), Fraction(0))
    return Day(day=day, mean=rounded(mean / whole, _PLACES), valid_hours=number, limit=limit.day, reason=None)


def over(mean: Decimal | None, limit: Decimal | None) -> bool:
    """Whether a mean is beyond its limit; one that is not known, or has no limit, is not."""
    return mean is not None and limit is not None and mean > limit


def summed(hours: Sequence[Hour], days: Sequence[Day], *, flow: bool) -> Period:
    """The hours and days of a period that are over; `flow`: whether it is measured."""
    known = [hour.mass_kg for hour in hours if hour.mass_kg is not None]
    valid = [hour for hour in hours if hour.valid]
    means = [hour.mean for hour in valid if hour.mean is not None]
    return Period(
        hours=len(hours),
        valid_hours=len(valid),
        valid_share=rounded(Fraction(len(valid), len(hours)), 4) if hours else None,
        highest=max(means, default=None),
        hours_over=sum(hour.over for hour in hours),
        days_over=sum(day.over for day in days),
        mass_kg=sum(known, Decimal(0)) if known else None,
        mass_hours=len(known),
        reason=None if known else NOT_ENOUGH if flow else NO_FLOW_METER,
    )
