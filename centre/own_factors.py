"""What a plant measured itself of its fuels: calorific values of centre.yaml in place of those of the table."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, Literal

from centre.accounting.coal_equivalent import MEASURED, from_calorific_value
from centre.accounting.factors import NATIONAL, FactorRow
from centre.accounting.file_types import Day, Id, Positive, Text
from wattline.errors import ConfigError
from wattline.strict_yaml import Document, KeyPath, Strict

_GHG: Final = "net_calorific_value_ghg"
_UNITS: Final = {"kg": {"kgce/kg", "GJ/t"}, "m3": {"kgce/m3", "GJ/1e4m3"}}
_PER: Final = {"kg": ("GJ/t", Decimal(1)), "m3": ("GJ/1e4m3", Decimal(10))}


class CalorificSettings(Strict):
    """The net calorific value of a fuel as received, in MJ per kg or m3; `source`: by whom, which report."""

    fuel: Id
    mj: Positive
    per: Literal["kg", "m3"]
    valid_from: Day
    valid_to: Day | None = None
    source: Text
    confirmed: bool = True


def own_rows(given: Sequence[CalorificSettings]) -> tuple[FactorRow, ...]:
    """Of each its coal equivalent, and the calorific value that scope 1 is computed by; of the set `measured`."""
    rows: list[FactorRow] = []
    for one in given:
        tce = from_calorific_value(
            carrier=one.fuel, ncv_mj=one.mj, per=one.per, valid_from=one.valid_from, source=one.source,
            confirmed=one.confirmed,
        )  # fmt: skip
        tce = replace(tce, region=NATIONAL, valid_to=one.valid_to)
        unit, times = _PER[one.per]
        ghg = replace(
            tce, id=f"{one.fuel}/{_GHG}/{MEASURED}/{one.valid_from}/{one.mj}", metric=_GHG, value=one.mj * times,
            value_unit=unit,
        )  # fmt: skip
        rows += [tce, ghg]
    return tuple(rows)


def own_mistakes(
    given: Sequence[CalorificSettings], rows: Collection[FactorRow], at: KeyPath, document: Document
) -> list[ConfigError]:
    """Fuels that the table does not have in this unit, and values that end before they begin."""
    known = {(row.carrier, per) for row in rows for per, units in _UNITS.items() if row.value_unit in units}
    found: list[ConfigError] = []
    for place, one in enumerate(given):
        if (one.fuel, one.per) not in known:
            message = f"the factor table has no fuel {one.fuel} by {one.per}"
            found.append(document.error((*at, place, "fuel"), message))
        if one.valid_to is not None and one.valid_to < one.valid_from:
            found.append(document.error((*at, place, "valid_to"), "must not be before valid_from"))
    return found
