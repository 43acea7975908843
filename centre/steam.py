"""Steam meters: what a kilogram of their steam is worth, by stated and dated states.

The heat of steam is its mass x (enthalpy - enthalpy of the feed water), rule F17. What a kilogram counts is rounded
once, at nine places of a kWh; everything after it is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Final

from centre.accounting.if97 import CRITICAL_MPA, OutsideIF97, State, enthalpy, saturation_c, water_enthalpy
from centre.accounting.terms import Input, convert
from centre.accounting.utilities import steam_heat
from centre.carriers import Carrier
from metering.quantities import quantity_of

MASS_UNIT: Final = "kg"
MASS_COUNTERS: Final = ("mass_total", "mass")
_HEAT_UNIT: Final = "kWh"
_CRITICAL_C: Final = Decimal("373.946")
_KILOGRAM: Final = Input(id="mass", value=Decimal(1), unit=MASS_UNIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steam:
    """The stated state from `since` (UTC ns; None: from the beginning) on: MPa absolute, the feed water it came from.

    `temperature_c` None: dry saturated steam.
    """

    pressure_mpa: Decimal
    temperature_c: Decimal | None
    feed_c: Decimal
    since: int | None = None

    @property
    def enthalpy(self) -> Decimal:
        """In kJ/kg; raises OutsideIF97, also for what is no steam at its pressure."""
        saturated = _CRITICAL_C if self.pressure_mpa >= CRITICAL_MPA else saturation_c(self.pressure_mpa)
        at = self.temperature_c
        if at is not None and at <= saturated:
            raise OutsideIF97(f"at {self.pressure_mpa} MPa and {at} C it is wet or water: steam is above {saturated} C")
        return enthalpy(State(pressure_mpa=self.pressure_mpa, temperature_c=at))

    @property
    def feed_enthalpy(self) -> Decimal:
        """Of boiling water at the feed water's temperature, in kJ/kg; raises OutsideIF97."""
        return water_enthalpy(self.feed_c)

    @property
    def kwh_per_kg(self) -> Decimal:
        """What a kilogram counts; raises OutsideIF97."""
        return _kwh_per_kg(self)


@cache
def _kwh_per_kg(steam: Steam) -> Decimal:
    heat = steam_heat("steam", _KILOGRAM, enthalpy=steam.enthalpy, feed=steam.feed_enthalpy)
    if heat.value is None:
        raise OutsideIF97(f"its enthalpy {steam.enthalpy} kJ/kg is below that of feed water at {steam.feed_c} C")
    return convert(heat.value, heat.unit, _HEAT_UNIT)


def steam_mistakes(found: Sequence[Steam], carrier: Carrier, point: str | None) -> list[tuple[str, str]]:
    """Key and message of what is wrong with the states of a meter."""
    if not found:
        return []
    mistakes: list[tuple[str, str]] = []
    if carrier is not Carrier.HEAT:
        mistakes.append(("steam", "counts as heat: it goes with `carrier: heat` only"))
    quantity = None if point is None else quantity_of(point)
    if point is not None and (quantity is None or quantity.unit != MASS_UNIT):
        mistakes.append(("point", f"does not count mass in {MASS_UNIT}, as a steam meter's does"))
    if found[0].since is not None:
        mistakes.append(("steam", "the first is without `since`: it holds from the beginning"))
    if any(one.since is None for one in found[1:]):
        mistakes.append(("steam", "only the first may be without `since`"))
    elif any((one.since or 0) >= (other.since or 0) for one, other in pairwise(found)):
        mistakes.append(("steam", "must stand in order of time"))
    for one in found:
        try:
            one.kwh_per_kg  # noqa: B018  it is asked for what it raises
        except OutsideIF97 as err:
            mistakes.append(("steam", str(err)))
    return mistakes
