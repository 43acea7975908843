"""Steam by enthalpy, gas volumes by their reference conditions, compressed air by its specific power (rule F17)."""

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.ratios import Ratio, in_unit, ratio
from centre.accounting.terms import NO_QUANTITY, Input, Term, rounded

BELOW_FEED: Final = "steam_below_feed_water"

_KELVIN: Final = Fraction(27315, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class GasReference:
    """Temperature and absolute pressure at which a volume of gas is stated."""

    temperature_c: Decimal
    pressure_kpa: Decimal

    def __str__(self) -> str:
        return f"{self.temperature_c} C, {self.pressure_kpa} kPa"


TRADE: Final = GasReference(temperature_c=Decimal(20), pressure_kpa=Decimal("101.325"))  # GB/T 17291, trade meters
NORMAL: Final = GasReference(temperature_c=Decimal(0), pressure_kpa=Decimal("101.325"))  # Nm3


def steam_heat(label: str, mass: Input, *, enthalpy: Decimal, feed: Decimal) -> Term:
    """Heat of steam in GJ: mass x (enthalpy - enthalpy of the feed water), both in kJ/kg."""
    tonnes = in_unit(mass, "t")
    if tonnes.value is None or enthalpy < feed:
        reason = mass.reason or NO_QUANTITY if tonnes.value is None else BELOW_FEED
        return Term(label=label, value=None, unit="GJ", inputs=(mass,), reason=reason)
    given = (
        Input(id="enthalpy", value=enthalpy, unit="kJ/kg"),
        Input(id="enthalpy of feed water", value=feed, unit="kJ/kg"),
    )
    value = rounded(Fraction(tonnes.value) * Fraction(enthalpy - feed) / 1000)
    return Term(label=label, value=value, unit="GJ", inputs=(mass, *given))


def at_reference(volume: Input, stated: GasReference, wanted: GasReference) -> Input:
    """The volume of the same gas at other reference conditions, as an ideal gas."""
    if volume.value is None or stated == wanted:
        return volume
    warmth = (Fraction(wanted.temperature_c) + _KELVIN) / (Fraction(stated.temperature_c) + _KELVIN)
    pressure = Fraction(stated.pressure_kpa) / Fraction(wanted.pressure_kpa)
    value = rounded(Fraction(volume.value) * warmth * pressure)
    return replace(volume, id=f"{volume.id} at {wanted}", value=value)


def specific_power(label: str, electricity: Input, air: Input, *, stated: GasReference, wanted: GasReference) -> Ratio:
    """Electricity per volume of compressed air at the wanted reference, in kWh/m3."""
    volume = at_reference(in_unit(air, "m3"), stated, wanted)
    return ratio(label, in_unit(electricity, "kWh"), volume, unit=f"kWh/m3 ({wanted})")
