"""The upload set of a key energy user: one line for each data item, under its 16-digit code.

The code is process 2 + process unit 2 + equipment type 2 + equipment number 2 + data type 2 + energy category 4 +
usage 2. Which digits stand for what is in config/key-user-codes.yaml. Reference and adopted coal equivalent stand side
by side, as the platform asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from centre.accounting.file_types import Text
from centre.carriers import Carrier
from centre.report.document import (
    Cell,
    Document,
    Table,
    Word,
    document,
    factor_table,
    only_row,
    uses_of,
    value_of,
    yes,
)
from centre.statement import Statement
from wattline.strict_yaml import Strict, load_file, validate

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
    categories: dict[Carrier, _Four]
    data_types: dict[Annotated[str, Field(pattern="^(month|year)$")], _Two]
    usage: _Two
    collected_by: _Two
    nodes: Annotated[dict[str, dict[str, Place]], Field(default_factory=dict)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A code and what it is made of."""

    code: str
    known: bool


def load_codes(path: Path) -> Codes:
    """Read and check; raises ConfigError."""
    return validate(Codes, load_file(path))


def item_code(codes: Codes, site: str, node: str, carrier: Carrier, *, monthly: bool, root: bool) -> Item:
    """The code of a quantity; `known` is False for a node without digits of its own that is not the whole works."""
    places: Mapping[str, Place] = codes.nodes.get(site, {})
    place = places.get(node, Place())
    kind = codes.data_types["month" if monthly else "year"]
    digits = (place.process, place.unit, place.equipment, place.number, kind, codes.categories[carrier], codes.usage)
    return Item(code="".join(digits), known=root or node in places)


def upload(made: Statement, codes: Codes) -> Document:
    """The report `upload`: the works, and every node that has digits of its own."""
    rows: list[tuple[Cell, ...]] = []
    for node in made.nodes:
        coal = {term.label: term for term in node.energy.calorific.terms}
        for line in node.lines:
            item = item_code(
                codes, made.site, node.id, line.carrier, monthly=made.period.month is not None, root=node.depth == 0
            )
            if not item.known:
                continue
            term = coal[line.carrier.value]
            row = only_row(term)
            adopted = None if row is None else row.value
            rows.append(
                (
                    item.code, made.period.label, Word(f"carrier_{line.carrier}"), node.id, value_of(line.net),
                    line.unit,
                    adopted, adopted, None if row is None else row.value_unit, term.value, "tce", codes.collected_by,
                    line.completeness, yes(codes.confirmed and not term.unverified), term.reason,
                )
            )  # fmt: skip
    columns = ("item_code", "period", "carrier", "node", "value", "unit", "reference_factor", "adopted_factor",
               "factor_unit", "calorific", "calorific_unit", "collected_by", "completeness", "confirmed",
               "reason")  # fmt: skip
    notes = () if codes.confirmed else ("note_codes_unverified",)
    table = Table(key="items", columns=columns, rows=tuple(rows))
    factors = factor_table(uses_of(made.nodes[:1], lambda node: (node.energy.calorific,)))
    return document("upload", made, (table, factors), notes)
