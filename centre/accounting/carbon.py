"""Location-based CO2 of a quantity: which factor counts for each carrier, its scope, and the change of units.

Scope 1 is what burns on the site, scope 2 bought electricity and heat (rule F14); water carries the CO2e of its
supply, scope 3, which is shown beside the totals and never in them. Without a factor there is no figure, not 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from centre.accounting.factors import IN_FORCE, LATEST_PUBLISHED, FactorRow, in_force, latest_published
from centre.carriers import Carrier

GRID_METRIC: Final = "grid_co2_factor_average"

NO_FACTOR: Final = "no_factor"
NO_QUANTITY: Final = "no_quantity"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    scope: int
    carrier: str
    metric: str


_RULES: Final[Mapping[Carrier, _Rule]] = MappingProxyType(
    {
        Carrier.ELECTRICITY: _Rule(scope=2, carrier="electricity", metric=GRID_METRIC),
        Carrier.NATURAL_GAS: _Rule(scope=1, carrier="natural_gas", metric="co2_factor_combustion"),
        Carrier.HEAT: _Rule(scope=2, carrier="purchased_heat", metric="co2_factor_location"),
        Carrier.FRESH_WATER: _Rule(scope=3, carrier="fresh_water", metric="co2_factor_supply"),
    }
)

# kg for one unit of the carrier's quantity (kWh or m3) for each unit of factor: 1 kWh = 0.0036 GJ
_KG: Final[Mapping[tuple[str, str], Decimal]] = MappingProxyType(
    {
        ("kWh", "kgCO2/kWh"): Decimal(1),
        ("kWh", "tCO2/GJ"): Decimal("3.6"),
        ("m3", "tCO2/1e4m3"): Decimal("0.1"),
        ("m3", "kgCO2e/m3"): Decimal(1),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """Exact kg CO2 (CO2e in scope 3) with the row it was computed with, or the reason why there is none."""

    scope: int
    kg: Decimal | None
    factor: FactorRow | None
    reason: str | None


def factor_for(carrier: Carrier, region: str, day: date, rows: Sequence[FactorRow]) -> FactorRow | None:
    """The row that counts for a carrier in a region on a day, with the policy that chose it."""
    rule = _RULES[carrier]
    if carrier is Carrier.ELECTRICITY:
        row = latest_published(rows, metric=rule.metric, region=region, day=day)
        policy = LATEST_PUBLISHED
    else:
        row = in_force(rows, carrier=rule.carrier, metric=rule.metric, region=region, day=day)
        policy = IN_FORCE
    return None if row is None else replace(row, policy=policy)


def emission(carrier: Carrier, imported: Decimal | None, unit: str, factor: FactorRow | None) -> Emission:
    """The emission of what was imported; on-site generation that is used on site was not bought and is not in it."""
    scope = _RULES[carrier].scope
    if factor is None:
        return Emission(scope=scope, kg=None, factor=None, reason=NO_FACTOR)
    if imported is None:
        return Emission(scope=scope, kg=None, factor=factor, reason=NO_QUANTITY)
    kg = imported * factor.value * _KG[unit, factor.value_unit]
    return Emission(scope=scope, kg=kg.normalize(), factor=factor, reason=None)
