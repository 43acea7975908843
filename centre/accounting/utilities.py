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


_WARMTH: Final = (Decimal(-60), Decimal(100))
_PRESSURE: Final = (Decimal(50), Decimal(10_000))


def reference_mistake(stated: GasReference) -> str | None:
    """What is wrong with the conditions that a gas meter is said to state: those of another unit are none."""
    if not _WARMTH[0] <= stated.temperature_c <= _WARMTH[1]:
        return f"of {stated.temperature_c} C is none of a gas meter: {_WARMTH[0]} to {_WARMTH[1]} C"
    if not _PRESSURE[0] <= stated.pressure_kpa <= _PRESSURE[1]:
        return f"of {stated.pressure_kpa} kPa is none of a gas meter: {_PRESSURE[0]} to {_PRESSURE[1]} kPa, absolute"
    return None


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
    value = rounded(Fraction(volume.value) * _of_volumes(stated, wanted))
    return replace(volume, id=f"{volume.id} at {wanted}", value=value)


def conversion(stated: GasReference, wanted: GasReference) -> Decimal:
    """What a register that states volumes at `stated` is multiplied by.

    Nine places: times the 17 digits of a double they stay exact in a Decimal, so that steps add up to the register.
    """
    return Decimal(1) if stated == wanted else rounded(_of_volumes(stated, wanted))


def _of_volumes(stated: GasReference, wanted: GasReference) -> Fraction:
    warmth = (Fraction(wanted.temperature_c) + _KELVIN) / (Fraction(stated.temperature_c) + _KELVIN)
    return warmth * Fraction(stated.pressure_kpa) / Fraction(wanted.pressure_kpa)


def specific_power(label: str, electricity: Input, air: Input, *, stated: GasReference, wanted: GasReference) -> Ratio:
    """Electricity per volume of compressed air at the wanted reference, in kWh/m3."""
    volume = at_reference(in_unit(air, "m3"), stated, wanted)
    return ratio(label, in_unit(electricity, "kWh"), volume, unit=f"kWh/m3 ({wanted})")
