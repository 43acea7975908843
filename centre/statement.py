"""The statement of a plant for a month or a year: quantities, tce, scopes 1 and 2, water and balances of every node.

Pure: what the meters counted, the plant's tree and the rules go in; figures with their inputs and factor rows come out.
The same in gives the same out, so a statement can be made again and compared byte by byte.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from centre import statement_told
from centre.accounting.balance import Balance
from centre.accounting.bill import Bill
from centre.accounting.factor_choice import FactorBook, ReportDates
from centre.accounting.intensity import Intensity
from centre.accounting.running_balance import RunningBalance
from centre.accounting.terms import Input, Total
from centre.accounting.waste import WasteBalance
from centre.accounting.water import WaterBalance, WaterYear
from centre.accounting.water import balance as water_balance
from centre.carriers import Carrier
from centre.membership import UNDATED, Membership
from centre.period import Period
from centre.plant import Node, Plant
from centre.records import Records, Rules
from centre.statement_balance import balances, running_balances
from centre.statement_books import Signed
from centre.statement_chp import ChpMonth, chp_months
from centre.statement_cost import NO_DEMANDS, Demands, Reactive, bills
from centre.statement_figures import Means, NodeFigures, bought, figures
from centre.statement_lines import CarrierLine, carrier_line, unmetered
from centre.statement_told import Told
from centre.statement_year import lines_by_month, node_months, year_figures

NOTHING: Final = Told()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatement(NodeFigures):
    """All figures of one node; `balances` stand where it has a meter of its own and its children have theirs.

    `months`: of a year, those that are part of it, whose sums its figures are. `running` are provisional, for those of
    a running month that still have no verdict. `value_added` (1e4CNY) and `products` are those of approved forms.
    """

    name: Mapping[str, str]
    depth: int
    months: tuple[NodeFigures, ...]
    water: WaterBalance
    balances: Mapping[Carrier, Balance]
    running: Mapping[Carrier, RunningBalance]
    value_added: Input | None
    products: Mapping[str, Input]
    intensities: tuple[Intensity, ...]
    wastes: tuple[WasteBalance, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The whole plant; `nodes` in the order of the tree, the plant first. `bills` one a month, `cost` their sum.

    `cost` is of electricity only: no prices of other carriers are known here. `signed`: how a closed month was closed.
    `unconfirmed`: what of the plant's terms was not checked, `contract` or `accuracy`, and `gas` where a meter of it
    states no conditions of its volume. `chps`: of a month.
    """

    site: str
    name: Mapping[str, str]
    region: str
    zone: str
    period: Period
    start_ns: int
    end_ns: int
    dates: ReportDates
    software: str
    energy_policy: str
    carbon_policy: str
    nodes: tuple[NodeStatement, ...]
    bills: tuple[Bill, ...]
    cost: Total
    cost_reason: str | None
    unconfirmed: tuple[str, ...] = ()
    signed: Signed | None = None
    chps: tuple[ChpMonth, ...] = ()

    def node(self, id_: str) -> NodeStatement | None:
        return next((node for node in self.nodes if node.id == id_), None)


def statement(
    plant: Plant, period: Period, records: Records, rules: Rules, dates: ReportDates, *,
    software: str, reactive: Sequence[Reactive] = (), told: Told = NOTHING,
    signed: Signed | None = None, membership: Membership = UNDATED, demands: Mapping[date, Demands] = NO_DEMANDS,
) -> Statement:  # fmt: skip
    """The figures of `period`, of a year the sums of its months. `reactive` energy and `demands` for the bills."""
    start, end = period.bounds(plant.zone)
    energy, carbon = (
        FactorBook(rows=rules.factors, policy=named.policy, dates=dates, region=plant.region)
        for named in (rules.terms.energy, rules.terms.carbon)
    )
    means = Means(site=plant.site, energy=energy, carbon=carbon, told=told)
    found = _figures(plant, period, records, means, membership)
    nodes = [
        _node(
            plant, node, depth, period, counted=found[node.id][0], months=found[node.id][1], told=told, records=records,
            rules=rules, membership=membership, run_on=dates.run_on,
        )
        for node, depth in _walk(plant.tree, 0)
    ]  # fmt: skip
    chps = rules.terms.chps if period.month is not None else ()
    month_bills, cost, reason = bills(
        plant, period, records, rules, reactive, membership=membership, told=told, demands=demands
    )  # fmt: skip
    return Statement(
        site=plant.site,
        name=plant.name,
        region=plant.region,
        zone=plant.zone.key,
        period=period,
        start_ns=start,
        end_ns=end,
        dates=dates,
        software=software,
        energy_policy=rules.terms.energy.policy.name,
        carbon_policy=rules.terms.carbon.policy.name,
        nodes=tuple(nodes),
        bills=month_bills,
        cost=cost,
        cost_reason=reason,
        unconfirmed=(
            *rules.terms.unconfirmed(period.last),
            *(["gas"] if any(record.points.unstated(start, end) for record in records.values()) else ()),
        ),
        signed=signed,
        chps=chp_months(chps, nodes, records, carbon, site=plant.site, period=period),
    )


def _figures(
    plant: Plant, period: Period, records: Records, means: Means, membership: Membership
) -> dict[str, tuple[NodeFigures, tuple[NodeFigures, ...]]]:
    """The figures of every node, and those of the months they are the sum of."""
    nodes = list(plant.tree.walk())
    lines: dict[str, dict[Carrier, CarrierLine]] = {}
    for node in nodes:
        each = (carrier_line(plant, node, carrier, period, records, membership=membership) for carrier in Carrier)
        lines[node.id] = {line.carrier: line for line in each if line is not None}
    if period.month is not None:
        return {node.id: (figures(node, period, lines, means), ()) for node in nodes}
    months = lines_by_month(plant, period, records, membership, means.run_on)
    found: dict[str, tuple[NodeFigures, tuple[NodeFigures, ...]]] = {}
    for node in nodes:
        parts = node_months(node, months, means)
        year = year_figures(node, period, parts, list(lines[node.id].values()), means)
        found[node.id] = (year, parts)
    return found


def _node(
    plant: Plant, node: Node, depth: int, period: Period, *, counted: NodeFigures, months: tuple[NodeFigures, ...],
    told: Told, records: Records, rules: Rules, membership: Membership, run_on: date,
) -> NodeStatement:  # fmt: skip
    site = plant.site
    water = _water(
        counted.line(Carrier.FRESH_WATER),
        statement_told.told_water(told, site, node, period, "reused"),
        statement_told.told_water(told, site, node, period, "discharged"),
    )
    value_added = statement_told.added(told, site, node, period)
    products = statement_told.products(told, site, node, period)
    balanced = balances(plant, node, period, records, rules.management(period.last), membership=membership)
    return NodeStatement(
        id=node.id,
        period=period,
        name=node.name,
        depth=depth,
        months=months,
        lines=counted.lines,
        fuels=counted.fuels,
        energy=counted.energy,
        scope1=counted.scope1,
        scope2=counted.scope2,
        water=water,
        balances=balanced,
        running=running_balances(
            plant, node, period, records, rules.management(period.last), made=balanced, membership=membership
        ),
        value_added=value_added,
        products=products,
        intensities=statement_told.intensities(
            site, node, period, energy=counted.energy.calorific, fresh=water.fresh, value=value_added, made=products
        ),
        wastes=statement_told.waste_balances(told, site, node, period, run_on),
    )


def _walk(node: Node, depth: int) -> list[tuple[Node, int]]:
    return [(node, depth), *(found for child in node.children for found in _walk(child, depth + 1))]


def _water(line: CarrierLine | None, reused: Input | None, discharged: Input | None) -> WaterBalance:
    return water_balance(
        WaterYear(
            fresh=[bought(line, "m3")],
            reused=[reused or unmetered("reused", "m3")],
            discharged=[discharged or unmetered("discharged", "m3")],
        )
    )
