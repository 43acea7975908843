"""Fuel, coal equivalent and CO2 of the CHP plants of a month, split to heat and power (rule F19); pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from centre.accounting.chp import Chp, Split, split
from centre.accounting.coal_equivalent import net
from centre.accounting.factor_choice import FactorBook
from centre.accounting.terms import Input, Term, Total, term
from centre.carriers import Carrier, Flow
from centre.chp_plants import OUTPUTS, PlantChp
from centre.day import NO_METER
from centre.period import Period
from centre.records import Records
from centre.statement_figures import NodeFigures, bought
from centre.statement_lines import meter_input

NOT_BURNT: Final = "no_such_fuel"
_NCV: Final = "net_calorific_value_ghg"


class Of(StrEnum):
    """What is split."""

    FUEL = "fuel"  # GJ, by net calorific value
    ENERGY = "energy"  # tce
    CARBON = "carbon"  # tCO2


@dataclass(frozen=True, slots=True, kw_only=True)
class ChpMonth:
    """One CHP plant; `terms` are what is split, with their factor rows."""

    plant: PlantChp
    node: NodeFigures
    terms: Mapping[Of, Term]
    splits: Mapping[Of, Split]

    @property
    def confirmed(self) -> bool:
        reference = self.plant.reference
        return not any(found.unverified for found in self.terms.values()) and (reference is None or reference.confirmed)


def chp_months(
    plants: Sequence[PlantChp], nodes: Sequence[NodeFigures], records: Records, book: FactorBook, *,
    site: str, period: Period,
) -> tuple[ChpMonth, ...]:  # fmt: skip
    """Every CHP plant whose node is part of the plant in the month."""
    by_id = {node.id: node for node in nodes}
    return tuple(
        _month(one, by_id[one.node], records, book, site=site, period=period) for one in plants if one.node in by_id
    )


def _month(
    one: PlantChp, node: NodeFigures, records: Records, book: FactorBook, *, site: str, period: Period
) -> ChpMonth:  # fmt: skip
    terms = {
        Of.FUEL: _energy_of(one.fuel, node, book, period.last),
        Of.ENERGY: _term(one.fuel, node.energy.calorific, "tce"),
        Of.CARBON: _term(one.fuel, node.scope1, "tCO2"),
    }
    outputs = {key: _output(getattr(one, key), carrier, records, site, period) for key, carrier in OUTPUTS.items()}
    chp = Chp(
        fuel=_as_input(Of.FUEL, terms[Of.FUEL]),
        heat=outputs["heat"],
        power=outputs["power"],
        boiler_efficiency=None if one.reference is None else one.reference.boiler_efficiency,
        supply_c=one.supply_c,
        ambient_c=one.ambient_c,
    )
    splits = {of: split(chp, _as_input(of, found), one.method) for of, found in terms.items()}
    return ChpMonth(plant=one, node=node, terms=terms, splits=splits)


def _as_input(of: Of, found: Term) -> Input:
    return Input(id=of.value, value=found.value, unit=found.unit, reason=found.reason)


def burnt_amount(fuel: str, node: NodeFigures) -> Input | None:
    """What a node burnt of a fuel: what its meters or, without any, approved forms tell."""
    line = next((line for line in node.lines if line.carrier.value == fuel), None)
    if line is not None:
        return bought(line, line.unit)
    told = next((line for line in node.fuels if line.carrier == fuel), None)
    return None if told is None else net(told)


def _energy_of(fuel: str, node: NodeFigures, book: FactorBook, day: date) -> Term:
    amount = burnt_amount(fuel, node)
    if amount is None:
        return Term(label=fuel, value=None, unit="GJ", reason=NOT_BURNT)
    return term(fuel, amount, [book.find(fuel, _NCV, _NCV, day)], unit="GJ")


def _term(fuel: str, found: Total, unit: str) -> Term:
    missing = Term(label=fuel, value=None, unit=unit, reason=NOT_BURNT)
    return next((one for one in found.terms if one.label == fuel), missing)


def _output(device: str, carrier: Carrier, records: Records, site: str, period: Period) -> Input:
    record = records.get((device, carrier, Flow.GENERATION))
    if record is None:
        return Input(id=f"meter:{site}/{device}", value=None, unit="kWh", reason=NO_METER)
    return meter_input(record, site, period)
