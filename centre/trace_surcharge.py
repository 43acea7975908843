"""The trace of a surcharge on a bill: the electricity it is for, its price, and what that price rests on."""

from decimal import Decimal

from centre.accounting.bill import Line
from centre.accounting.surcharge import SurchargeRow
from centre.carriers import Carrier, Flow
from centre.period import Period
from centre.statement_figures import NodeFigures
from centre.surcharges import PlantSurcharge
from centre.trace import Part, Rounding, Rule, Step
from centre.trace_build import Builder


def surcharge(
    build: Builder, name: str, line: Line, month: Period, known: tuple[PlantSurcharge, ...], *, currency: str
) -> Part:
    """The step of a line of a surcharge of `month`."""
    of = next(one for one in known if line.id in {row.id for row in one.rows})
    row = next(row for row in of.rows if row.id == line.id)
    parts: tuple[Part, ...] = ()
    if line.quantity is not None and line.price is not None:
        price = build.add(
            Step(
                id=f"price:{row.id}/{month.label}", rule=Rule.FACTOR, words=_words(of, row, line.price),
                why=row.source, value=line.price, unit=f"{currency}/kWh",
            )
        )  # fmt: skip
        parts = (_energy(build, of.node or build.plant.tree.id, month), price)
    return build.add(
        Step(
            id=name, rule=Rule.PRODUCT if parts else Rule.GIVEN, words=f"{line.name['en']}: electricity x price",
            value=line.amount, unit=currency, parts=parts, rounding=Rounding.CENT, reason=line.reason,
        )
    )  # fmt: skip


def _words(of: PlantSurcharge, row: SurchargeRow, price: Decimal) -> str:
    if row.step is None:
        return f"price of the class {of.kind}"
    steps = int(price / row.step.price) if row.step.price else 0
    return (
        f"{steps} steps of {row.step.width} kWh/t above {row.step.threshold} kWh/t of {of.product}, "
        f"{row.step.price} each"
    )


def _energy(build: Builder, node_id: str, month: Period) -> Part:
    """The electricity of a node in a month, by its meters."""
    inside = build if build.made.period == month else build.within(month)
    node = next(node for node in build.made.nodes if node.id == node_id)
    figures: NodeFigures = next((one for one in node.months if one.period == month), node)
    line = figures.line(Carrier.ELECTRICITY)
    assert line is not None
    return inside.input(line.flows[Flow.IMPORT], figures)
