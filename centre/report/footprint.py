"""The footprint of products as a record for a customer: each input with its factor, what was cut off, the sum per unit.

A product is taken to be all that its node made in the period, so its meters are the allocation (rule F16).
"""

from collections.abc import Sequence

from centre.accounting.factor_choice import FactorBook
from centre.accounting.product import CutOff, Flow, Footprint, Kind, Study, footprint
from centre.accounting.terms import Input
from centre.carriers import Carrier
from centre.carriers import Flow as Way
from centre.plant import Plant
from centre.records import Rules
from centre.report.document import (
    Cell,
    Document,
    Table,
    Word,
    choices_of,
    document,
    factor_table,
    name_of,
    reason_of,
    short,
    value_of,
    yes,
)
from centre.report.production import Production
from centre.statement import NodeStatement, Statement

_CARRIERS = {
    Carrier.ELECTRICITY: (Kind.ENERGY, "electricity"),
    Carrier.NATURAL_GAS: (Kind.FUEL, "natural_gas"),
    Carrier.HEAT: (Kind.ENERGY, "purchased_heat"),
    Carrier.FRESH_WATER: (Kind.ENERGY, "fresh_water"),
}
CUT_OFFS = (
    CutOff(label="materials", why="no bill of materials was entered"),
    CutOff(label="transport", why="no transports were entered"),
    CutOff(label="waste", why="no waste of the product was entered"),
)
BOUNDARY = "gate_to_gate"


def footprints(made: Statement, production: Sequence[Production], plant: Plant, rules: Rules) -> Document:
    """The report `footprint`, a record for each product."""
    book = FactorBook(rows=rules.factors, policy=rules.terms.product.policy, dates=made.dates, region=plant.region)
    records = [
        (item, footprint(study(item, node, made), book))
        for item in production
        for node in [made.node(item.node)]
        if node is not None
    ]
    columns = ("product", "name", "per_unit", "unit", "total", "output", "output_unit", "scrap", "boundary", "policy",
               "primary_share", "confirmed", "remarks", "reason")  # fmt: skip
    return document(
        "footprint",
        made,
        (
            Table(key="footprints", columns=columns, rows=tuple(_record(item, found) for item, found in records)),
            _inputs(records),
            Table(
                key="cut_offs",
                columns=("product", "left_out", "reason"),
                rows=tuple(
                    (item.product, Word(f"cut_{cut.label}"), cut.why) for item, _ in records for cut in CUT_OFFS
                ),
            ),
            factor_table(choices_of(found.total for _, found in records)),
        ),
        () if records else ("note_no_production",),
    )


def study(item: Production, node: NodeStatement, made: Statement) -> Study:
    """What is known of a product in the period of a statement."""
    origin = f"production:{item.origin}"
    return Study(
        product=item.product,
        begin=made.period.first,
        end=made.period.last,
        boundary=BOUNDARY,
        output=Input(id=origin, value=item.output, unit=item.unit),
        scrap=Input(id=origin, value=item.scrap, unit=item.unit),
        flows=[
            Flow(
                label=line.carrier.value,
                kind=_CARRIERS[line.carrier][0],
                carrier=_CARRIERS[line.carrier][1],
                amount=amount,
            )
            for line in node.lines
            for amount in [line.flows.get(Way.IMPORT)]
            if amount is not None
        ],
        cut_offs=CUT_OFFS,
    )


def _record(item: Production, found: Footprint) -> tuple[Cell, ...]:
    each = found.per_unit
    return (
        item.product, name_of(item.name), None if each.value is None else short(each.value), each.unit,
        value_of(found.total), item.output, item.unit, item.scrap, Word(BOUNDARY), found.policy, found.primary,
        yes(not found.total.unverified), ", ".join(found.notes), each.reason,
    )  # fmt: skip


def _inputs(records: Sequence[tuple[Production, Footprint]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for item, found in records:
        for term in found.total.terms:
            amount = term.inputs[0]
            factors = " x ".join(choice.row.id for choice in term.choices if choice.row is not None)
            rows.append(
                (
                    item.product, Word(f"carrier_{term.label}"), None if amount.value is None else short(amount.value),
                    amount.unit, amount.id, factors, None if term.value is None else short(term.value), term.unit,
                    yes(not term.unverified), reason_of(term),
                )
            )  # fmt: skip
    columns = ("product", "carrier", "activity", "unit", "input", "factor", "emission", "emission_unit", "confirmed",
               "reason")  # fmt: skip
    return Table(key="footprint_inputs", columns=columns, rows=tuple(rows))
