"""Quantities and point names: the one vocabulary of profiles, wire, store and page.

A point name is `<quantity>[_<direction>][_<phase or tariff>]`, e.g. `energy_active_import_total`, `voltage_l1_n`,
`energy_active_import_total_t1`. Import means into the plant; an active power is positive when it is imported.
Units are normalised: V A W var VA Hz kWh kvarh kVAh % deg degC K m3 m3/h kg kg/h m/s kPa h mg/m3 mg/L
and 1 for ratios.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    """How a value behaves in time, hence how it may be summed up."""

    GAUGE = "gauge"  # an instantaneous value: mean, min and max make sense
    COUNTER = "counter"  # a register that only grows, until it rolls over or is reset: differences make sense
    STATE = "state"  # a code, setting or text: only its latest value makes sense


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """What a point measures: its unit, kind and whether a direction is part of its name."""

    name: str
    unit: str
    kind: Kind
    directed: bool = False


_G, _C, _S = Kind.GAUGE, Kind.COUNTER, Kind.STATE

_TABLE: Final = (
    ("voltage", "V", _G), ("voltage_unbalance", "%", _G), ("thd_voltage", "%", _G),
    ("current", "A", _G), ("current_unbalance", "%", _G), ("thd_current", "%", _G), ("demand_current", "A", _G),
    ("power_active", "W", _G), ("power_reactive", "var", _G), ("power_apparent", "VA", _G),
    ("demand_power_active", "W", _G), ("demand_power_reactive", "var", _G), ("demand_power_apparent", "VA", _G),
    ("power_factor", "1", _G), ("cosphi", "1", _G), ("tan_phi", "1", _G), ("phase_angle", "deg", _G),
    ("frequency", "Hz", _G),
    ("energy_active", "kWh", _C), ("energy_reactive", "kvarh", _C), ("energy_apparent", "kVAh", _C),
    ("heat_energy", "kWh", _C), ("cold_energy", "kWh", _C), ("power_thermal", "W", _G),
    ("volume", "m3", _C), ("volume_base", "m3", _C), ("volume_actual", "m3", _C), ("volume_cold", "m3", _C),
    ("mass", "kg", _C), ("flow_mass", "kg/h", _G), ("velocity", "m/s", _G),
    ("flow_volume", "m3/h", _G), ("flow_volume_base", "m3/h", _G), ("flow_volume_actual", "m3/h", _G),
    ("temperature", "degC", _G), ("temperature_supply", "degC", _G), ("temperature_return", "degC", _G),
    ("temperature_difference", "K", _G), ("temperature_gas", "degC", _G),
    ("temperature_device", "degC", _G), ("temperature_cabinet", "degC", _G), ("temperature_heatsink", "degC", _G),
    ("temperature_transformer", "degC", _G), ("temperature_other", "degC", _G),
    ("pressure", "kPa", _G), ("pressure_absolute", "kPa", _G), ("pressure_differential", "kPa", _G),
    ("concentration_so2", "mg/m3", _G), ("concentration_nox", "mg/m3", _G), ("concentration_dust", "mg/m3", _G),
    ("concentration_nmhc", "mg/m3", _G), ("concentration_co", "mg/m3", _G), ("oxygen", "%", _G),
    ("concentration_cod", "mg/L", _G), ("concentration_nh3n", "mg/L", _G), ("concentration_tn", "mg/L", _G),
    ("concentration_tp", "mg/L", _G),
    ("operating_time", "h", _C), ("error_time", "h", _C), ("pulse_count", "1", _C),
    ("ct_ratio", "1", _S), ("pt_ratio", "1", _S), ("model_code", "code", _S), ("serial_number", "code", _S),
    ("firmware_version", "code", _S), ("status", "code", _S), ("unit_code", "code", _S), ("cfg", "code", _S),
    ("sf", "code", _S), ("scale_code", "code", _S), ("manufacturer", "code", _S), ("model_name", "code", _S),
)  # fmt: skip

_DIRECTED: Final = frozenset({"energy_active", "energy_reactive", "energy_apparent", "demand_power_active"})

QUANTITIES: Final[Mapping[str, Quantity]] = MappingProxyType(
    {name: Quantity(name=name, unit=unit, kind=kind, directed=name in _DIRECTED) for name, unit, kind in _TABLE}
)

IDENTITY: Final = "serial_number"
"""The point that tells one meter from another in its place."""

DIRECTIONS: Final = (
    "import", "export", "sum", "net", "combined", "q1", "q2", "q3", "q4", "inductive", "capacitive",
    "forward", "reverse",
)  # fmt: skip

_PHASE: Final = (
    r"(?:l[123](?:_(?:n|l[123]))?|n|total|dc|avg(?:_n|_ll)?|t\d{1,2}|[1-9]\d?|now|max|min|resettable|partial|lifetime)"
)
_SUFFIX: Final = re.compile(rf"(?:_(?:{'|'.join(DIRECTIONS)}))?(?:_{_PHASE})*")
_BY_LENGTH: Final = sorted(QUANTITIES, key=len, reverse=True)


def quantity_of(point: str) -> Quantity | None:
    """The quantity a point name stands for, or None when the name is not of the vocabulary.

    States may carry any suffix of lower-case words: `cfg_baud_rate`, `status_output_2`.
    """
    for name in _BY_LENGTH:
        if point == name or point.startswith(name + "_"):
            quantity = QUANTITIES[name]
            rest = point[len(name) :]
            if _SUFFIX.fullmatch(rest) or (quantity.kind is Kind.STATE and re.fullmatch(r"(_[a-z0-9]+)*", rest)):
                return quantity
    return None
