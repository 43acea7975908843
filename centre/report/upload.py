"""The upload set of a key energy user: one line for each data item, under its 16-digit code.

The code is process 2 + process unit 2 + equipment type 2 + equipment number 2 + data type 2 + energy category 4 +
usage 2. Which digits stand for what is in config/key-user-codes.yaml. Reference and adopted coal equivalent stand side
by side, as the platform asks. The quantity is the one that the tce beside it is made of: what was bought, less what was
sold and, of fuels, what went into stock; what the works generated itself is not in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from centre.accounting.coal_equivalent import EnergyLine, net
from centre.accounting.file_types import Text
from centre.accounting.terms import Term
from centre.report.document import (
    Cell,
    Document,
    Table,
    carrier_name,
    document,
    factor_table,
    only_row,
    reason_of,
    uses_of,
    value_of,
    yes,
)
from centre.statement import NodeStatement, Statement
from wattline.strict_yaml import Strict, load_file, validate

NO_CODE: Final = "no_item_code"
_Two = Annotated[str, StringConstraints(pattern=r"^\d{2}$")]
_Four = Annotated[str, StringConstraints(pattern=r"^\d{4}$")]


class Place(Strict):
    """Where in the works a node is."""

    process: _Two = "00"
    unit: _Two = "00"
    equipment: _Two = "00"
    number: _Two = "00"


class Codes(Strict):
    """The digits of the code; `nodes` by site and node id, what is not named there is the works as a whole."""

    source: Text
    confirmed: bool
    categories: dict[Text, _Four]
    data_types: dict[Annotated[str, Field(pattern="^(month|year)$")], _Two]
    usage: _Two
    collected_by: _Two
    nodes: Annotated[dict[str, dict[str, Place]], Field(default_factory=dict)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A code, None where the table has none for the carrier; `known`: whether the node is one to be reported."""

    code: str | None
    known: bool


def load_codes(path: Path) -> Codes:
    """Read and check; raises ConfigError."""
    return validate(Codes, load_file(path))


def item_code(codes: Codes, site: str, node: str, carrier: str, *, monthly: bool, root: bool) -> Item:
    """The code of a carrier or fuel; `known` is False for a part of the works without digits of its own."""
    places: Mapping[str, Place] = codes.nodes.get(site, {})
    place = places.get(node, Place())
    kind = codes.data_types["month" if monthly else "year"]
    category = codes.categories.get(carrier)
    if category is None:
        return Item(code=None, known=root or node in places)
    digits = (place.process, place.unit, place.equipment, place.number, kind, category, codes.usage)
    return Item(code="".join(digits), known=root or node in places)


def upload(made: Statement, codes: Codes) -> Document:
    """The report `upload`: the works, and every node that has digits of its own."""
    rows: list[tuple[Cell, ...]] = []
    monthly = made.period.month is not None
    for node in made.nodes:
        for term in node.energy.calorific.terms:
            item = item_code(codes, made.site, node.id, term.label, monthly=monthly, root=node.depth == 0)
            if item.known:
                rows.append((item.code, made.period.label, *_row(item, node, term, codes)))
    columns = ("item_code", "period", "carrier", "node", "value", "unit", "reference_factor", "adopted_factor",
               "factor_unit", "calorific", "calorific_unit", "collected_by", "completeness", "confirmed",
               "reason")  # fmt: skip
    notes = () if codes.confirmed else ("note_codes_unverified",)
    table = Table(key="items", columns=columns, rows=tuple(rows))
    factors = factor_table(uses_of(made.nodes[:1], lambda node: (node.energy.calorific,)))
    return document("upload", made, (table, factors), notes)


def _row(item: Item, node: NodeStatement, term: Term, codes: Codes) -> tuple[Cell, ...]:
    line = next((line for line in node.lines if line.carrier == term.label), None)
    purchased, begin, end, sold = term.inputs[:4]
    parts = EnergyLine(carrier=term.label, purchased=purchased, stock_begin=begin, stock_end=end, sold=sold)
    row, amount = only_row(term), net(parts)
    factor = None if row is None else row.value
    return (
        carrier_name(term.label), node.id, value_of(amount), amount.unit, factor,
        factor, None if row is None else row.value_unit, value_of(term), term.unit,
        None if line is None else codes.collected_by, None if line is None else line.completeness,
        yes(codes.confirmed and not term.unverified), reason_of(term) or (NO_CODE if item.code is None else None),
    )  # fmt: skip
