"""Location-based CO2 of a quantity: which factor counts for each carrier, its scope, and the change of units.

Scope 1 is what burns on the site, scope 2 bought electricity and heat (rule F14); water and air bought from others
carry the CO2e of their supply, scope 3, which is shown beside the totals and never in them. Without a factor there is
no figure, not 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from centre.accounting.factor_choice import FactorPolicy, Knowledge, ReportDates, choose
from centre.accounting.factors import FactorRow
from centre.accounting.terms import NO_FACTOR, NO_QUANTITY, times
from centre.carriers import Carrier

GRID_METRIC: Final = "grid_co2_factor_average"


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
        Carrier.COMPRESSED_AIR: _Rule(scope=3, carrier="compressed_air", metric="co2_factor_supply"),
    }
)

# what a figure of a day can know: what was published by that day; a region with meters has its own grid factor
_OF_THE_DAY: Final = FactorPolicy(name="day", knowledge=Knowledge.LATEST_PUBLISHED)
_OF_THE_GRID: Final = replace(_OF_THE_DAY, national=False)


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
    policy = _OF_THE_GRID if carrier is Carrier.ELECTRICITY else _OF_THE_DAY
    dates = ReportDates(made_on=day, run_on=day)
    found = choose(rows, policy, carrier=rule.carrier, metric=rule.metric, region=region, day=day, dates=dates)
    return None if found.row is None else replace(found.row, policy=found.reason)


def emission(carrier: Carrier, imported: Decimal | None, unit: str, factor: FactorRow | None) -> Emission:
    """The emission of what was imported; on-site generation that is used on site was not bought and is not in it."""
    scope = _RULES[carrier].scope
    if factor is None:
        return Emission(scope=scope, kg=None, factor=None, reason=NO_FACTOR)
    if imported is None:
        return Emission(scope=scope, kg=None, factor=factor, reason=NO_QUANTITY)
    kg = times(imported, unit, factor, "kgCO2")
    return Emission(scope=scope, kg=kg.normalize(), factor=factor, reason=None)
