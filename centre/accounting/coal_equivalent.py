"""Comprehensive energy consumption in tce (rule F13, GB/T 2589), with electricity at its calorific and its equal value.

What counts is what the boundary took in: bought, plus what left the stock, less what was sold. Secondary energy the
plant makes itself (steam from its boiler, electricity from its turbine) was counted as the fuel it came from and is not
added again; what of it is sold is deducted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.factor_choice import FactorBook, supplied
from centre.accounting.factors import FactorRow
from centre.accounting.terms import NO_QUANTITY, Input, Term, Total, convert, rounded, term, total

ELECTRICITY: Final = "electricity"
MEASURED: Final = "measured"
PURPOSE: Final = "coal_equivalent"
CALORIFIC: Final = "coal_equivalent_calorific"
NOT_ADDED_AGAIN: Final = "self_produced_not_added_again"
EQUAL: Final = "coal_equivalent_equal_value"
STANDARD_COAL_MJ_PER_KG: Final = Decimal("29.3076")  # definition, GB/T 2589: 7000 kcal

# water as an energy-consuming medium is metered in m3 and has its factor per tonne
_WATERS: Final = frozenset({"fresh_water", "softened_water", "deoxygenated_water"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyLine:
    """One energy kind of a boundary in a period; all inputs in one unit.

    `self_produced`: made on the site from energy that is in another line. `measured`: the plant's own coal equivalent
    by calorific value, in place of the table's.
    """

    carrier: str
    purchased: Input
    stock_begin: Input
    stock_end: Input
    sold: Input
    self_produced: Input | None = None
    measured: FactorRow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComprehensiveEnergy:
    """Both totals in tce; they differ only in electricity."""

    calorific: Total
    equal_value: Total


def net(line: EnergyLine) -> Input:
    """Purchase + stock at the beginning - stock at the end - sold; None as long as one of them is not known."""
    parts = (line.purchased, line.stock_begin, line.stock_end, line.sold)
    unit = line.purchased.unit
    lost = next((part for part in parts if part.value is None), None)
    name = "; ".join(part.id for part in parts)
    if lost is not None:
        return Input(id=name, value=None, unit=unit, reason=f"{lost.id}: {lost.reason or NO_QUANTITY}")
    signs = (1, 1, -1, -1)
    value = sum(
        sign * convert(part.value, part.unit, unit)
        for sign, part in zip(signs, parts, strict=True)
        if part.value is not None
    )
    return Input(id=name, value=Decimal(value), unit=unit, shares=line.purchased.shares)


def comprehensive_energy(lines: Sequence[EnergyLine], book: FactorBook, day: date) -> ComprehensiveEnergy:
    """The energy of a period whose factors are those of `day`; raises UnitError where a line's unit has no factor."""
    return ComprehensiveEnergy(
        calorific=total([_term(line, book, day, CALORIFIC) for line in lines], "tce"),
        equal_value=total([_term(line, book, day, EQUAL) for line in lines], "tce"),
    )


def _term(line: EnergyLine, book: FactorBook, day: date, electricity: str) -> Term:
    metric = electricity if line.carrier == ELECTRICITY else PURPOSE
    row = line.measured
    choice = book.find(line.carrier, metric, metric, day) if row is None else supplied(row, day)
    amount = net(line)
    if line.carrier in _WATERS and amount.unit == "m3":  # 1 m3 of water is taken as 1 t
        amount = Input(id=amount.id, value=amount.value, unit="t", shares=amount.shares, reason=amount.reason)
    counted = term(line.carrier, amount, [choice], unit="tce")
    parts = (line.purchased, line.stock_begin, line.stock_end, line.sold)
    made = () if line.self_produced is None else (line.self_produced,)
    return Term(
        label=counted.label,
        value=counted.value,
        unit=counted.unit,
        inputs=(*parts, *made),
        choices=counted.choices,
        reason=counted.reason or (NOT_ADDED_AGAIN if made else None),
    )


def from_calorific_value(
    *, carrier: str, ncv_mj: Decimal, per: str, valid_from: date, source: str, confirmed: bool
) -> FactorRow:
    """A plant's own coal equivalent from a measured net calorific value (MJ per kg or m3)."""
    value = rounded(Fraction(ncv_mj) / Fraction(STANDARD_COAL_MJ_PER_KG))
    return FactorRow(
        id=f"{carrier}/{PURPOSE}/{MEASURED}/{valid_from}/{ncv_mj}",
        carrier=carrier,
        metric=PURPOSE,
        value=value,
        value_unit=f"kgce/{per}",
        region="",
        valid_from=valid_from,
        valid_to=None,
        published_on=None,
        factor_set=MEASURED,
        source=source,
        confirmed=confirmed,
    )
