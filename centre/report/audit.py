"""The tables of an energy audit: the energy balance by carrier, consumption by unit, and the meters it rests on."""

from collections.abc import Sequence
from fractions import Fraction

from centre.accounting.coal_equivalent import ComprehensiveEnergy
from centre.accounting.terms import rounded
from centre.entities import Entity
from centre.records import Records
from centre.report.document import (
    Cell,
    Document,
    Table,
    Word,
    carrier_name,
    document,
    factor_table,
    name_of,
    only_row,
    reason_of,
    uses_of,
    value_of,
    yes,
)
from centre.report.meters import meter_tables
from centre.statement import Statement

_INPUTS = 4  # purchased, stock at the beginning, stock at the end, sold; then what was made of it on the site


def audit(made: Statement, records: Records, entities: Sequence[Entity]) -> Document:
    """The report `audit`."""
    energy = made.nodes[0].energy
    tables = (_balance(energy), _units(made), *meter_tables(made, records, entities))
    uses = uses_of(made.nodes[:1], lambda node: (node.energy.calorific, node.energy.equal_value))
    return document("audit", made, (*tables, factor_table(uses)))


def _balance(energy: ComprehensiveEnergy) -> Table:
    """Physical quantities with both coal equivalents, one line for each energy kind and the sum."""
    rows: list[tuple[Cell, ...]] = []
    for calorific, equal in zip(energy.calorific.terms, energy.equal_value.terms, strict=True):
        amounts = [value_of(item) for item in calorific.inputs]
        made = amounts[_INPUTS] if len(amounts) > _INPUTS else None
        factors = [only_row(found) for found in (calorific, equal)]
        rows.append(
            (
                carrier_name(calorific.label), *amounts[:_INPUTS], made, calorific.inputs[0].unit,
                None if factors[0] is None else factors[0].value, value_of(calorific),
                None if factors[1] is None else factors[1].value, value_of(equal),
                yes(not calorific.unverified and not equal.unverified), reason_of(calorific) or reason_of(equal),
            )
        )  # fmt: skip
    rows.append(
        (
            Word("total"), None, None, None, None, None, "tce", None, value_of(energy.calorific), None,
            value_of(energy.equal_value), yes(not energy.calorific.unverified and not energy.equal_value.unverified),
            reason_of(energy.calorific) or reason_of(energy.equal_value),
        )
    )  # fmt: skip
    columns = ("carrier", "purchased", "stock_begin", "stock_end", "sold", "self_produced", "unit", "factor_calorific",
               "calorific", "factor_equal", "equal_value", "confirmed", "reason")  # fmt: skip
    return Table(key="energy_balance", columns=columns, rows=tuple(rows))


def _units(made: Statement) -> Table:
    """The parts of the plant and their share of its energy (calorific value)."""
    whole = made.nodes[0].energy.calorific.value
    rows: list[tuple[Cell, ...]] = []
    for node in made.nodes:
        found = node.energy.calorific
        share = rounded(Fraction(found.value) / Fraction(whole) * 100, 4) if found.value is not None and whole else None
        rows.append((node.id, name_of(node.name), str(node.depth + 1), value_of(found), share, reason_of(found)))
    columns = ("node", "name", "level", "calorific", "share_percent", "reason")
    return Table(key="units", columns=columns, rows=tuple(rows))
