"""Fuel and carbon of combined heat and power, split to heat and power by one stated method (rule F19).

The two parts add up to what was split, exactly: the power part is what the heat part leaves.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from centre.accounting.ratios import in_unit
from centre.accounting.terms import NO_QUANTITY, Input, rounded

NOTHING_MADE: Final = "nothing_made"
NO_PARAMETER: Final = "no_parameter"
MORE_THAN_THE_FUEL: Final = "heat_needs_more_than_the_fuel"

_KELVIN: Final = Fraction(27315, 100)


class Method(StrEnum):
    """One per report, stored with it."""

    ENERGY = "energy"  # by energy: Q / (Q + 3.6 P)
    REFERENCE_BOILER = "reference_boiler"  # what a boiler would have burnt for the heat; the rest made power
    EXERGY = "exergy"  # heat by its Carnot factor, power in full


@dataclass(frozen=True, slots=True, kw_only=True)
class Chp:
    """One plant and period: its fuel as energy, heat and power that left it, and what its method needs."""

    fuel: Input
    heat: Input
    power: Input
    boiler_efficiency: Decimal | None = None
    supply_c: Decimal | None = None
    ambient_c: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """`share` of heat at nine places, and the parts of what was split, in its unit; None with the reason."""

    method: Method
    plant: Chp
    split: Input
    share: Decimal | None
    heat: Decimal | None
    power: Decimal | None
    reason: str | None = None


def split(plant: Chp, amount: Input, method: Method) -> Split:
    """`amount` (fuel, tce or CO2 of the plant) to heat and power."""
    lost = next((item for item in (plant.fuel, plant.heat, plant.power, amount) if item.value is None), None)
    share = f"{lost.id}: {lost.reason or NO_QUANTITY}" if lost is not None else _share(plant, method)
    if isinstance(share, str) or amount.value is None:
        reason = share if isinstance(share, str) else NO_QUANTITY
        return Split(method=method, plant=plant, split=amount, share=None, heat=None, power=None, reason=reason)
    heat = rounded(Fraction(amount.value) * share)
    return Split(
        method=method, plant=plant, split=amount, share=rounded(share), heat=heat, power=amount.value - heat
    )  # fmt: skip


def _share(plant: Chp, method: Method) -> Fraction | str:
    """The part of heat between 0 and 1, or why there is none."""
    heat, power, fuel = (_gj(item) for item in (plant.heat, plant.power, plant.fuel))
    if heat + power <= 0 or heat < 0 or power < 0:
        return NOTHING_MADE
    if method is Method.ENERGY:
        return heat / (heat + power)
    if method is Method.REFERENCE_BOILER:
        if plant.boiler_efficiency is None or plant.boiler_efficiency <= 0:
            return f"{NO_PARAMETER}: boiler_efficiency"
        burnt = heat / Fraction(plant.boiler_efficiency)
        return burnt / fuel if fuel > 0 and burnt <= fuel else MORE_THAN_THE_FUEL
    if plant.supply_c is None or plant.ambient_c is None or plant.supply_c <= plant.ambient_c:
        return f"{NO_PARAMETER}: supply_c above ambient_c"
    useful = heat * (1 - (Fraction(plant.ambient_c) + _KELVIN) / (Fraction(plant.supply_c) + _KELVIN))
    return useful / (useful + power)


def _gj(item: Input) -> Fraction:
    value = in_unit(item, "GJ").value
    assert value is not None
    return Fraction(value)
