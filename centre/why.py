"""Why a number: builds the trace of a figure of a statement, with the register readings it rests on."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from centre.accounting.factor_choice import ReportDates
from centre.accounting.management_file import Management
from centre.accounting.terms import Total
from centre.carriers import Carrier
from centre.errors import FigureError
from centre.period import Period
from centre.statement import NodeStatement
from centre.statement_balance import accuracy_of, balance_parts, by_day, whole_intervals
from centre.statement_figures import NodeFigures, bought
from centre.statement_lines import is_export
from centre.statements import Statements
from centre.trace import Part, Rounding, Rule, Step, Trace, check
from centre.trace_build import Builder
from centre.trace_chp import CHP, chp
from centre.trace_cost import cost
from centre.trace_emitted import EMITTED, emitted
from centre.trace_product import product
from centre.trace_proof import with_registers

FIGURES: Final = ("quantity/CARRIER", "tce/calorific", "tce/equal_value", "scope1", "scope2/location", "scope2/market",
                  "water/fresh", "balance/CARRIER", "cost", "chp/ID/fuel", "chp/ID/energy", "chp/ID/carbon",
                  "footprint/PRODUCT", "footprint/PRODUCT/batch/BATCH", "emitted/OUTLET/POLLUTANT",
                  "emitted/OUTLET/POLLUTANT/DAY-OR-HOUR")  # fmt: skip

MONTHS: Final = "the sum of its months"

FOOTPRINT: Final = "footprint/"
_AGAIN: Final = 3
_TOTALS: Final[Mapping[str, Callable[[NodeFigures], Total]]] = {
    "tce/calorific": lambda node: node.energy.calorific,
    "tce/equal_value": lambda node: node.energy.equal_value,
    "scope1": lambda node: node.scope1,
    "scope2/location": lambda node: node.scope2.location,
    "scope2/market": lambda node: node.scope2.market,
}


async def why(
    statements: Statements, site: str, period: Period, figure: str, dates: ReportDates | None = None
) -> Trace:
    """The trace of a figure such as `scope2/location`, of a node other than the whole plant as `NODE:FIGURE`.

    What does not add up is read again, for readings may have been accounted in between. Raises FigureError for a figure
    that there is not, and StoreError.
    """
    trace = await _once(statements, site, period, figure, dates)
    for _ in range(_AGAIN - 1):
        if not await asyncio.to_thread(check, trace):
            break
        trace = await _once(statements, site, period, figure, dates)
    return trace


async def _once(statements: Statements, site: str, period: Period, figure: str, dates: ReportDates | None) -> Trace:
    build, root = await built(statements, site, period, figure, dates)
    for name, record in build.meters.items():
        await with_registers(build, name, record, statements.store)
    return Trace(root=root, steps=build.steps)


async def built(
    statements: Statements, site: str, period: Period, figure: str, dates: ReportDates | None = None
) -> tuple[Builder, str]:
    """The steps of a figure down to the intervals of the meters, and the id of the uppermost; raises as `why`."""
    basis = await statements.basis(site, period)
    made = await statements.of_basis(basis, dates or await statements.dates_of(site, period))
    build = Builder(
        plant=basis.plant, made=made, records=basis.records, membership=basis.membership, reactive=basis.reactive
    )  # fmt: skip
    node, rest = named(figure, basis.plant.tree.id)
    if rest.startswith(FOOTPRINT):
        return build, await product(build, statements, basis, node, rest.removeprefix(FOOTPRINT))
    if rest.startswith(EMITTED):
        return build, await emitted(build, statements, basis, rest.removeprefix(EMITTED))
    return build, _figure(build, node, rest, statements)


def named(figure: str, root: str) -> tuple[str, str]:
    """(node, figure) of `NODE:FIGURE`, or of a figure of the plant; the name of a product may hold anything."""
    node, colon, made = figure.partition(f":{FOOTPRINT}")
    if colon:
        return node, FOOTPRINT + made
    node, _, rest = ("", "", figure) if figure.startswith(FOOTPRINT) else figure.rpartition(":")
    return node or root, rest


def _figure(build: Builder, node_id: str, figure: str, statements: Statements) -> str:
    made = build.made
    node = made.node(node_id)
    kind, _, detail = figure.partition("/")
    if node is not None:
        if figure in _TOTALS:
            return _total(build, node, figure, node.months)
        if figure == "water/fresh":
            return _fresh(build, node)
        if figure == "cost" and node is made.nodes[0]:
            return cost(build, statements.rules[made.site])
        if figure.startswith(CHP) and node is made.nodes[0]:
            root = chp(build, detail)
            if root is not None:
                return root
        if kind == "quantity" and detail in set(Carrier) and node.line(Carrier(detail)) is not None:
            return _quantity(build, node, Carrier(detail), node.months)
        if kind == "balance" and detail in set(Carrier) and Carrier(detail) in node.balances:
            return _balance(build, node, Carrier(detail), statements.rules[made.site].management(made.period.last))
    near = ", ".join(FIGURES)
    message = f"{figure[:64]!r} is no figure of the node {node_id[:64]!r}; figures are {near}, of a node NODE:FIGURE"
    raise FigureError("unknown_figure", message, 404)


def _total(build: Builder, node: NodeFigures, figure: str, months: Sequence[NodeFigures]) -> str:
    """A total with its lines; that of a year with those of its months."""
    name = f"{build.made.site}/{node.id}/{figure}/{build.made.period.label}"
    found = _TOTALS[figure](node)
    if not months:
        return build.total(name, found, node)
    parts = [Part(_total(build.within(month.period), month, figure, ())) for month in months]
    return build.sum(name, MONTHS, found, parts).id


def _fresh(build: Builder, node: NodeStatement) -> str:
    found = [(month, line) for month in node.months for line in [month.line(Carrier.FRESH_WATER)] if line is not None]
    if not found:
        return build.input(node.water.fresh, node).id
    parts = [build.within(month.period).input(bought(line, line.unit), month) for month, line in found]
    name = f"{build.made.site}/{node.id}/water/fresh/{build.made.period.label}"
    return build.sum(name, MONTHS, node.water.fresh, parts).id


def _quantity(build: Builder, node: NodeFigures, carrier: Carrier, months: Sequence[NodeFigures]) -> str:
    line = node.line(carrier)
    assert line is not None
    name = f"{build.made.site}/{node.id}/quantity/{carrier}/{build.made.period.label}"
    if months:
        each = [
            Part(_quantity(build.within(month.period), month, carrier, ()))
            for month in months
            if month.line(carrier) is not None
        ]
        return build.sum(name, MONTHS, line.net, each).id
    found = build.counted(node.id, carrier)
    parts = [build.meter(record)._replace(sign=-1 if is_export(record) else 1) for record in found]
    return build.sum(name, "import + generation - export", line.net, parts, rounding=Rounding.NINE).id


def _balance(build: Builder, node: NodeStatement, carrier: Carrier, management: Management) -> str:
    """Unmetered: what came in less what went on, over the intervals that every meter knows whole."""
    found = node.balances[carrier]
    name = f"{build.made.site}/{node.id}/balance/{carrier}/{build.made.period.label}"
    parts: list[Part] = []
    squares: list[Part] = []
    meters = balance_parts(build.node(node.id), carrier, build.records)
    period = build.made.period
    since = build.membership.settled(build.node(node.id), carrier, period, build.plant.zone)
    daily = by_day(period, [record for record, _ in meters])
    starts = [frozenset(one.start for one in whole_intervals(record, since, daily=daily)) for record, _ in meters]
    common = starts[0].intersection(*starts[1:])
    for (record, sign), counted in zip(meters, found.terms, strict=False):
        build.meter(record)
        inside = [one for one in whole_intervals(record, since, daily=daily) if one.start in common]
        below = tuple(build.quarter(record, one) for one in inside) if not daily else ()
        amount = build.add(
            Step(
                id=f"common:{build.series(record)}/{period.label}/{node.id}", unit=record.points.unit,
                rule=Rule.SUM if below else Rule.GIVEN, words="the intervals that every meter knows",
                value=counted.amount, parts=below,
            )
        )  # fmt: skip
        parts.append(amount._replace(sign=sign))
        squares.append(_uncertainty(build, amount, accuracy_of(record, management), counted.uncertainty))
    spread = build.add(
        Step(id=f"{name}/uncertainty", rule=Rule.ROOT_OF_SQUARES, words="root of the sum of the squares",
             value=found.uncertainty, unit=build.steps[parts[0].id].unit if parts else "", parts=tuple(squares),
             reason=found.reason)
    )  # fmt: skip
    words = f"in + generation - out - children; verdict {found.verdict}, {found.share_percent} % of what came in"
    unit = build.steps[spread.id].unit
    return build.add(
        Step(id=name, rule=Rule.SUM, words=words, value=found.unmetered, unit=unit, reason=found.reason,
             parts=(*parts, spread._replace(sign=0)))
    ).id  # fmt: skip


def _uncertainty(build: Builder, amount: Part, accuracy: Decimal, value: Decimal) -> Part:
    counted = build.steps[amount.id]
    share = build.add(
        Step(id=f"class:{accuracy}", rule=Rule.FACTOR, words="accuracy class in percent", unit="ratio",
             value=accuracy)
    )  # fmt: skip
    return build.add(
        Step(
            id=f"{amount.id}/uncertainty", rule=Rule.PRODUCT, words="amount x class / 100", value=value,
            unit=counted.unit, parts=(amount, share), rounding=Rounding.SIX, ratio="1/100",
        )
    )  # fmt: skip
