"""Energy per unit of product against baseline and advanced levels, and what a unit took of each carrier."""

from collections.abc import Sequence
from decimal import Decimal

from centre.accounting.benchmark import BenchmarkRow, row_on, standing
from centre.accounting.ratios import ratio
from centre.accounting.terms import Input
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
    yes,
)
from centre.report.production import Production
from centre.statement import NodeStatement, Statement


def unit_product(made: Statement, production: Sequence[Production], levels: Sequence[BenchmarkRow]) -> Document:
    """The report `unit-product`; levels are those of the last day of the period."""
    rows: list[tuple[Cell, ...]] = []
    parts: list[tuple[Cell, ...]] = []
    nodes: list[NodeStatement] = []
    for item in production:
        node = made.node(item.node)
        if node is not None:
            nodes.append(node)
            rows.append(_product(item, node, row_on(levels, item.product, made.period.last)))
            parts += _carriers(item, node)
    columns = ("product", "name", "node", "output", "output_unit", "kgce", "per_unit", "unit", "baseline", "advanced",
               "level_reached", "edition", "confirmed", "reason")  # fmt: skip
    totals = [node.energy.calorific for node in nodes]
    return document(
        "unit-product",
        made,
        (
            Table(key="products", columns=columns, rows=tuple(rows)),
            Table(
                key="per_carrier",
                columns=("product", "carrier", "quantity", "per_unit", "unit", "reason"),
                rows=tuple(parts),
            ),
            factor_table(choices_of(totals)),
        ),
        () if rows else ("note_no_production",),
    )


def _product(item: Production, node: NodeStatement, level: BenchmarkRow | None) -> tuple[Cell, ...]:
    """Levels in kgce are compared; the node's energy is calorific."""
    energy = node.energy.calorific
    kgce = None if energy.value is None else short(energy.value * 1000)
    amount = Input(id=node.id, value=kgce, unit="kgce", reason=reason_of(energy))
    each = ratio(item.product, amount, _output(item), unit=f"kgce/{item.unit}")
    fits = level is not None and level.unit == each.unit
    reached = standing(level, consumption=kgce, output=item.output) if fits and kgce is not None else None
    return (
        item.product, name_of(item.name), item.node, item.output, item.unit, kgce,
        None if each.value is None else short(each.value), each.unit,
        None if level is None or not fits else level.baseline, None if level is None or not fits else level.advanced,
        None if reached is None or reached.level is None else Word(f"level_{reached.level}"),
        None if level is None else level.edition, yes(level is not None and level.confirmed and not energy.unverified),
        each.reason or (None if fits else "no_benchmark"),
    )  # fmt: skip


def _output(item: Production) -> Input:
    return Input(id=f"production:{item.origin}", value=item.output, unit=item.unit)


def _carriers(item: Production, node: NodeStatement) -> list[tuple[Cell, ...]]:
    found: list[tuple[Cell, ...]] = []
    for line in node.lines:
        amount = Input(id=node.id, value=line.net.value, unit=line.unit, reason=reason_of(line.net))
        each = ratio(item.product, amount, _output(item), unit=f"{line.unit}/{item.unit}")
        value: Decimal | None = None if each.value is None else short(each.value)
        quantity = None if amount.value is None else short(amount.value)
        found.append((item.product, Word(f"carrier_{line.carrier}"), quantity, value, each.unit, each.reason))
    return found
