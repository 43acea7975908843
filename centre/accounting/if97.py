"""Enthalpy of water and steam by IAPWS-IF97: the one door to the library that computes it.

The library works in binary floats; what leaves here is a Decimal at 0.01 kJ/kg, a thousand times coarser than its
rounding and a hundred times finer than the pressure gauge it came from, so that the same state gives the same digits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, cast

import seuif97  # pyright: ignore[reportMissingTypeStubs]

_LIBRARY: Final = cast("Mapping[str, Callable[[float, float, int], float]]", vars(seuif97))
_ENTHALPY: Final = 4  # the library's number of the property, kJ/kg
_LEAST: Final = -1.0  # water at 0 C has -0.04 kJ/kg; what lies below is one of the library's error codes
_TEMPERATURE: Final = 1  # C
CRITICAL_MPA: Final = Decimal("22.064")
_HIGHEST_WATER_C: Final = Decimal(373)
_LOWEST_MPA: Final = Decimal("0.000612")
_HIGHEST_MPA: Final = Decimal(100)
_HIGHEST_C: Final = Decimal(800)


class OutsideIF97(ValueError):
    """A state for which the formulation is not made, or which says too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Absolute pressure and temperature; None is the saturation line, where `dryness` 1 is dry steam and 0 is water."""

    pressure_mpa: Decimal
    temperature_c: Decimal | None = None
    dryness: Decimal = Decimal(1)


def absolute(gauge_mpa: Decimal, atmosphere_mpa: Decimal) -> Decimal:
    """Absolute pressure of what a gauge shows at the site's air pressure."""
    return gauge_mpa + atmosphere_mpa


def enthalpy(state: State) -> Decimal:
    """Specific enthalpy in kJ/kg at 0.01; raises OutsideIF97."""
    pressure = state.pressure_mpa
    if state.temperature_c is None:
        if not _LOWEST_MPA <= pressure < CRITICAL_MPA:
            raise OutsideIF97(f"{pressure} MPa has no saturated steam: it must lie between 0.000612 and 22.064")
        if not 0 <= state.dryness <= 1:
            raise OutsideIF97(f"a dryness of {state.dryness} is not between 0 and 1")
        found = _LIBRARY["px"](float(pressure), float(state.dryness), _ENTHALPY)
    else:
        if not 0 < pressure <= _HIGHEST_MPA or not 0 <= state.temperature_c <= _HIGHEST_C:
            raise OutsideIF97(f"{pressure} MPa at {state.temperature_c} C: at most 100 MPa and 0 to 800 C")
        found = _LIBRARY["pt"](float(pressure), float(state.temperature_c), _ENTHALPY)
    if found < _LEAST:
        raise OutsideIF97(f"the library has no enthalpy for {state} (code {found})")
    return Decimal(f"{found:.2f}")


def saturation_c(pressure_mpa: Decimal) -> Decimal:
    """The temperature at which water boils at an absolute pressure, in C at 0.001; raises OutsideIF97."""
    if not _LOWEST_MPA <= pressure_mpa < CRITICAL_MPA:
        raise OutsideIF97(f"{pressure_mpa} MPa has no saturated steam: it must lie between 0.000612 and 22.064")
    return Decimal(f"{_LIBRARY['px'](float(pressure_mpa), 1.0, _TEMPERATURE):.3f}")


def water_enthalpy(temperature_c: Decimal) -> Decimal:
    """Specific enthalpy in kJ/kg at 0.01 of water at its boiling pressure, for feed water; raises OutsideIF97."""
    if not 0 <= temperature_c <= _HIGHEST_WATER_C:
        raise OutsideIF97(f"{temperature_c} C is no feed water: it must lie between 0 and {_HIGHEST_WATER_C}")
    return Decimal(f"{_LIBRARY['tx'](float(temperature_c), 0.0, _ENTHALPY):.2f}")
