"""Energy carriers: which counter counts for each, which gauge shows it live, and in which unit."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from metering.quantities import Kind, quantity_of


class Carrier(StrEnum):
    """What flows through a meter."""

    ELECTRICITY = "electricity"
    NATURAL_GAS = "natural_gas"
    FRESH_WATER = "fresh_water"
    HEAT = "heat"


class Flow(StrEnum):
    """Which way a meter's quantity crosses the boundary of its node."""

    IMPORT = "import"
    EXPORT = "export"
    GENERATION = "generation"


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierInfo:
    """`unit` of the quantity, `gauge_unit` of the live value; `counters` and `gauges` in order of preference."""

    unit: str
    gauge_unit: str
    counters: tuple[str, ...]
    gauges: tuple[str, ...]


CARRIERS: Final[Mapping[Carrier, CarrierInfo]] = MappingProxyType(
    {
        Carrier.ELECTRICITY: CarrierInfo(
            unit="kWh",
            gauge_unit="W",
            counters=("energy_active_import_total", "energy_active_import"),
            gauges=("power_active_total", "power_active"),
        ),
        Carrier.NATURAL_GAS: CarrierInfo(
            unit="m3",
            gauge_unit="m3/h",
            counters=("volume_base_total", "volume_base", "volume_total", "volume"),
            gauges=("flow_volume_base", "flow_volume"),
        ),
        Carrier.FRESH_WATER: CarrierInfo(
            unit="m3",
            gauge_unit="m3/h",
            counters=("volume_total", "volume"),
            gauges=("flow_volume",),
        ),
        Carrier.HEAT: CarrierInfo(
            unit="kWh",
            gauge_unit="W",
            counters=("heat_energy_total", "heat_energy"),
            gauges=("power_thermal", "power_thermal_total"),
        ),
    }
)

_EXPORT_COUNTERS: Final = ("energy_active_export_total", "energy_active_export")


def counters_for(carrier: Carrier, flow: Flow) -> tuple[str, ...]:
    """Points that may count this flow, best first.

    Import means into the plant, so what a generator feeds in stands in its import register by default.
    """
    if carrier is Carrier.ELECTRICITY and flow is Flow.EXPORT:
        return _EXPORT_COUNTERS
    return CARRIERS[carrier].counters


def meter_mistakes(carrier: Carrier, flow: Flow, point: str | None) -> list[tuple[str, str]]:
    """Key and message of what is wrong with a meter that is to count `flow` of `carrier`."""
    mistakes: list[tuple[str, str]] = []
    if flow is Flow.GENERATION and carrier is not Carrier.ELECTRICITY:
        mistakes.append(("flow", "generation is counted for electricity only"))
    if flow is Flow.EXPORT and carrier is not Carrier.ELECTRICITY and point is None:
        mistakes.append(("flow", "export of this carrier needs the `point` that counts it"))
    if point is not None:
        quantity = quantity_of(point)
        if quantity is None or quantity.kind is not Kind.COUNTER:
            mistakes.append(("point", "is no counter, such as energy_active_export_total"))
    return mistakes


def pick(candidates: tuple[str, ...], available: Collection[str]) -> str | None:
    """The first candidate that is available."""
    return next((point for point in candidates if point in available), None)
