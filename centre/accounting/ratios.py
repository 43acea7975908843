"""Ratios of two inputs with the reason when there is none: efficiency, COP, specific power, rates of use (rule F17)."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.terms import NO_QUANTITY, Input, convert, rounded

NOTHING_TO_DIVIDE_BY: Final = "nothing_to_divide_by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """numerator / denominator in `unit`, empty for a share, at nine places."""

    label: str
    value: Decimal | None
    unit: str
    numerator: Input
    denominator: Input
    reason: str | None = None


def ratio(label: str, numerator: Input, denominator: Input, *, unit: str = "") -> Ratio:
    """The ratio as it stands; no value where a side is unknown or there is nothing to divide by."""
    value, reason = None, None
    if numerator.value is None or denominator.value is None:
        lost = numerator if numerator.value is None else denominator
        reason = f"{lost.id}: {lost.reason or NO_QUANTITY}"
    elif denominator.value <= 0:
        reason = NOTHING_TO_DIVIDE_BY
    else:
        value = rounded(Fraction(numerator.value) / Fraction(denominator.value))
    return Ratio(label=label, value=value, unit=unit, numerator=numerator, denominator=denominator, reason=reason)


def in_unit(item: Input, unit: str) -> Input:
    """The same input in another unit of its kind; raises UnitError."""
    value = None if item.value is None else convert(item.value, item.unit, unit)
    return Input(id=item.id, value=value, unit=unit, shares=item.shares, reason=item.reason)


def efficiency(label: str, useful: Input, supplied: Input) -> Ratio:
    """Useful energy / energy put in: a boiler's efficiency, a heat pump's or chiller's COP."""
    return ratio(label, in_unit(useful, "GJ"), in_unit(supplied, "GJ"))
