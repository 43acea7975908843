"""Energy per unit of product against baseline and advanced levels, and what a unit took of each carrier.

What several products of a node have in common is shared as for a footprint (rule F16).
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from centre.accounting.allocation import Shares, allocate
from centre.accounting.benchmark import BenchmarkRow, row_on, standing
from centre.accounting.product import NOT_ALLOCATED
from centre.accounting.ratios import ratio
from centre.accounting.terms import Input, Term, rounded, total
from centre.carriers import Carrier, Flow
from centre.day import NO_METER
from centre.product_shares import Sharing
from centre.production import Production
from centre.report.document import (
    Cell,
    Document,
    Table,
    Word,
    document,
    factor_table,
    name_of,
    reason_of,
    short,
    uses_of,
    yes,
)
from centre.report.footprint import production_table, shared_by, shares_table
from centre.statement import NodeStatement, Statement


def unit_product(sharing: Sharing, levels: Sequence[BenchmarkRow]) -> Document:
    """The report `unit-product`; levels are those of the last day of the period."""
    made = sharing.made
    rows: list[tuple[Cell, ...]] = []
    parts: list[tuple[Cell, ...]] = []
    nodes: list[NodeStatement] = []
    splits: list[tuple[Production, str, Shares | None]] = []
    for item in sharing.production:
        node = made.node(item.node)
        if node is not None:
            nodes.append(node)
            rows.append(_product(item, node, sharing, row_on(levels, item.product, made.period.last)))
            parts += _carriers(item, node, sharing)
            splits += [(item, term.label, sharing.of(item, term.label)) for term in node.energy.calorific.terms]
    columns = ("product", "name", "node", "output", "output_unit", "kgce", "per_unit", "unit", "compared_value",
               "level_unit", "baseline", "advanced", "level_reached", "tce_to_baseline", "tce_to_advanced",
               "cost_to_baseline", "cost_to_advanced", "edition", "confirmed", "reason")  # fmt: skip
    of_carrier = ("product", "node", "carrier", "shared_by", "quantity", "per_unit", "unit", "reason")
    return document(
        "unit-product",
        made,
        (
            Table(key="products", columns=columns, rows=tuple(rows)),
            Table(key="per_carrier", columns=of_carrier, rows=tuple(parts)),
            shares_table(splits),
            production_table(sharing.production, ZoneInfo(made.zone)),
            factor_table(uses_of(nodes, lambda node: (node.energy.calorific,))),
        ),
        () if rows else ("note_no_production",),
    )


def _product(
    item: Production, node: NodeStatement, sharing: Sharing, level: BenchmarkRow | None
) -> tuple[Cell, ...]:  # fmt: skip
    """Levels in kgce are held against the calorific energy, those in kWh against the electricity."""
    energy = total([_part(term, sharing.of(item, term.label), item) for term in node.energy.calorific.terms], "tce")
    kgce = None if energy.value is None else short(energy.value * 1000)
    amount = Input(id=node.id, value=kgce, unit="kgce", reason=reason_of(energy))
    output = item.output
    each = ratio(item.product, amount, output, unit=f"kgce/{output.unit}")
    of_power = level is not None and level.unit == f"kWh/{output.unit}"
    held = (
        ratio(item.product, _electricity(item, node, sharing), output, unit=f"kWh/{output.unit}") if of_power else each
    )
    fits = level is not None and level.unit == held.unit
    found = None
    if level is not None and fits and held.numerator.value is not None and output.value is not None:
        price = _price(sharing.made) if of_power else None
        found = standing(level, consumption=held.numerator.value, output=output.value, price=price)
    gaps = (None, None) if found is None else (found.to_baseline, found.to_advanced)
    beside: tuple[Cell, ...] = (None, None, None, None)
    if level is not None and fits:
        beside = (None if held.value is None else short(held.value), level.unit, level.baseline, level.advanced)
    return (
        item.product, name_of(item.name), item.node, output.value, output.unit, kgce,
        None if each.value is None else short(each.value), each.unit, *beside,
        None if found is None or found.level is None else Word(f"level_{found.level}"),
        *(None if gap is None else short(gap.tce) for gap in gaps),
        *(None if gap is None or gap.cost is None else short(gap.cost) for gap in gaps),
        None if level is None else level.edition, yes(level is not None and level.confirmed and not energy.unverified),
        each.reason or held.reason or (None if fits else "no_benchmark"),
    )  # fmt: skip


def _electricity(item: Production, node: NodeStatement, sharing: Sharing) -> Input:
    """What of its node's electricity is the product's."""
    line = node.line(Carrier.ELECTRICITY)
    if line is None:
        return Input(id=node.id, value=None, unit="kWh", reason=NO_METER)
    part, reason = _share(line.net.value, sharing.of(item, line.carrier), item)
    return Input(id=node.id, value=part, unit="kWh", reason=reason_of(line.net) or reason)


def _price(made: Statement) -> Decimal | None:
    """What a bought kWh cost the plant in the period, on the whole."""
    line = made.nodes[0].line(Carrier.ELECTRICITY)
    bought = None if line is None else line.flows.get(Flow.IMPORT)
    if made.cost.value is None or bought is None or not bought.value:
        return None
    return rounded(Fraction(made.cost.value) / Fraction(bought.value))


def _part(term: Term, split: Shares | None, item: Production) -> Term:
    """What of a term is the product's."""
    value, reason = _share(term.value, split, item)
    return Term(label=term.label, value=value, unit=term.unit, inputs=term.inputs, choices=term.choices,
                reason=term.reason or reason)  # fmt: skip


def _share(value: Decimal | None, split: Shares | None, item: Production) -> tuple[Decimal | None, str | None]:
    if split is None or value is None:
        return value, None
    part = allocate(value, split).get(item.product)
    return part, None if part is not None else split.reason or NOT_ALLOCATED


def _carriers(item: Production, node: NodeStatement, sharing: Sharing) -> list[tuple[Cell, ...]]:
    found: list[tuple[Cell, ...]] = []
    output = item.output
    for line in node.lines:
        split = sharing.of(item, line.carrier)
        part, wanting = _share(line.net.value, split, item)
        amount = Input(id=node.id, value=part, unit=line.unit, reason=reason_of(line.net) or wanting)
        each = ratio(item.product, amount, output, unit=f"{line.unit}/{output.unit}")
        value: Decimal | None = None if each.value is None else short(each.value)
        quantity = None if amount.value is None else short(amount.value)
        name = Word(f"carrier_{line.carrier}")
        found.append((item.product, item.node, name, shared_by(split), quantity, value, each.unit, each.reason))
    return found
