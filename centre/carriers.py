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
    COMPRESSED_AIR = "compressed_air"


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
        Carrier.COMPRESSED_AIR: CarrierInfo(
            unit="m3",
            gauge_unit="m3/h",
            counters=("volume_base_total", "volume_base"),
            gauges=("flow_volume_base",),
        ),
    }
)

MADE_ON_SITE: Final = frozenset({Carrier.ELECTRICITY, Carrier.COMPRESSED_AIR, Carrier.HEAT})
"""What may be generated: its energy was bought as something else, and is not counted again."""

REACTIVE_COUNTERS: Final = ("energy_reactive_import_total", "energy_reactive_import", "energy_reactive_total")
"""Points that may count the reactive energy that comes with bought electricity, best first."""

REACTIVE_UNIT: Final = "kvarh"

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
    if flow is Flow.GENERATION and carrier not in MADE_ON_SITE:
        mistakes.append(("flow", f"generation is counted for {', '.join(sorted(MADE_ON_SITE))} only"))
    if flow is Flow.EXPORT and carrier is not Carrier.ELECTRICITY and point is None:
        mistakes.append(("flow", "export of this carrier needs the `point` that counts it"))
    if point is not None:
        quantity = quantity_of(point)
        if quantity is None or quantity.kind is not Kind.COUNTER:
            mistakes.append(("point", "is no counter, such as energy_active_export_total"))
    return mistakes


AT_PLANT: Final = (
    "heat and compressed air made on the site stand at the plant itself: its parts take them in from there"
)


def made_at_plant(carrier: Carrier, flow: Flow) -> bool:
    """Whether a meter may stand at the plant only: what its parts count of this would be counted twice."""
    return carrier in {Carrier.COMPRESSED_AIR, Carrier.HEAT} and flow is Flow.GENERATION


def pick(candidates: tuple[str, ...], available: Collection[str]) -> str | None:
    """The first candidate that is available."""
    return next((point for point in candidates if point in available), None)
