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
from centre.accounting.coal_equivalent import ComprehensiveEnergy, EnergyLine, comprehensive_energy
from centre.accounting.emissions import Activity, Purchases, Scope2, Source, scope1, scope2
from centre.accounting.factor_choice import FactorBook, ReportDates
from centre.accounting.intensity import Intensity
from centre.accounting.terms import Input, Total
from centre.accounting.water import WaterBalance, WaterYear
from centre.accounting.water import balance as water_balance
from centre.carriers import Carrier, Flow
from centre.membership import UNDATED, Membership
from centre.period import Period
from centre.plant import Node, Plant
from centre.records import Records, Rules
from centre.statement_balance import balances
from centre.statement_books import Signed
from centre.statement_cost import Reactive, bills
from centre.statement_lines import CarrierLine, carrier_line, declared, unmetered
from centre.statement_told import Told

NOTHING: Final = Told()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatement:
    """All figures of one node; `balances` stand where it has a meter of its own and its children have theirs.

    `fuels`, `value_added` (1e4CNY) and `products` are those of approved forms.
    """

    id: str
    name: Mapping[str, str]
    depth: int
    lines: tuple[CarrierLine, ...]
    energy: ComprehensiveEnergy
    scope1: Total
    scope2: Scope2
    water: WaterBalance
    balances: Mapping[Carrier, Balance]
    fuels: tuple[EnergyLine, ...]
    value_added: Input | None
    products: Mapping[str, Input]
    intensities: tuple[Intensity, ...]

    def line(self, carrier: Carrier) -> CarrierLine | None:
        return next((line for line in self.lines if line.carrier is carrier), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The whole plant; `nodes` in the order of the tree, the plant first. `bills` one a month, `cost` their sum.

    `cost` is of electricity only: no prices of other carriers are known here. `signed`: how a closed month was closed.
    `unconfirmed`: what of the plant's terms was not checked, `contract` or `accuracy`.
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

    def node(self, id_: str) -> NodeStatement | None:
        return next((node for node in self.nodes if node.id == id_), None)


def statement(
    plant: Plant, period: Period, records: Records, rules: Rules, dates: ReportDates, *,
    software: str, reactive: Sequence[Reactive] = (), told: Told = NOTHING,
    signed: Signed | None = None, membership: Membership = UNDATED,
) -> Statement:  # fmt: skip
    """The figures of `period`; factors are those of its last day. `reactive` energy by month, for the bills."""
    start, end = period.bounds(plant.zone)
    energy, carbon = (
        FactorBook(rows=rules.factors, policy=named.policy, dates=dates, region=plant.region)
        for named in (rules.terms.energy, rules.terms.carbon)
    )
    nodes: list[NodeStatement] = []
    for node, depth in _walk(plant.tree, 0):
        found = (carrier_line(plant, node, carrier, period, records, membership=membership) for carrier in Carrier)
        by_carrier = {line.carrier: line for line in found if line is not None}
        nodes.append(
            _node(
                plant, node, depth, period, lines=by_carrier, books=(energy, carbon), told=told, records=records,
                rules=rules, membership=membership,
            )
        )  # fmt: skip
    month_bills, cost, reason = bills(plant, period, records, rules, reactive)
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
        unconfirmed=rules.terms.unconfirmed,
        signed=signed,
    )


def _node(
    plant: Plant, node: Node, depth: int, period: Period, *, lines: Mapping[Carrier, CarrierLine],
    books: tuple[FactorBook, FactorBook], told: Told, records: Records, rules: Rules,
    membership: Membership,
) -> NodeStatement:  # fmt: skip
    energy_book, carbon_book = books
    site = plant.site
    fuels = statement_told.fuels(told, site, node, period, [carrier.value for carrier in lines])
    energy = comprehensive_energy([*(_energy_line(line) for line in lines.values()), *fuels], energy_book, period.last)
    water = _water(
        lines.get(Carrier.FRESH_WATER),
        statement_told.told_water(told, site, node, period, "reused"),
        statement_told.told_water(told, site, node, period, "discharged"),
    )
    value_added = statement_told.added(told, site, node, period)
    products = statement_told.products(told, site, node, period)
    return NodeStatement(
        id=node.id,
        name=node.name,
        depth=depth,
        lines=tuple(lines.values()),
        energy=energy,
        scope1=_scope1(lines, fuels, carbon_book, period.last),
        scope2=_scope2(lines, statement_told.retired(told, site, node, period), carbon_book, period.last),
        water=water,
        balances=balances(plant, node, period, records, rules.management, membership=membership),
        fuels=fuels,
        value_added=value_added,
        products=products,
        intensities=statement_told.intensities(
            site, node, period, energy=energy.calorific, fresh=water.fresh, value=value_added, made=products
        ),
    )


def _walk(node: Node, depth: int) -> list[tuple[Node, int]]:
    return [(node, depth), *(found for child in node.children for found in _walk(child, depth + 1))]


def _bought(line: CarrierLine | None, unit: str) -> Input:
    if line is None:
        return declared("not_used", unit)
    return line.flows.get(Flow.IMPORT) or declared("no_import", unit)


def _energy_line(line: CarrierLine) -> EnergyLine:
    """Piped carriers have no stock. What generators feed out was never bought; it is the rest that is sold."""
    generated, exported = line.flows.get(Flow.GENERATION), line.flows.get(Flow.EXPORT)
    sold = exported if exported is not None and generated is None else None
    return EnergyLine(
        carrier=line.carrier.value,
        purchased=_bought(line, line.unit),
        stock_begin=declared("no_stock", line.unit),
        stock_end=declared("no_stock", line.unit),
        sold=sold or declared("nothing_sold", line.unit),
        self_produced=generated,
    )


def _scope1(lines: Mapping[Carrier, CarrierLine], fuels: Sequence[EnergyLine], book: FactorBook, day: date) -> Total:
    gas = lines.get(Carrier.NATURAL_GAS)
    metered = () if gas is None else (_bought(gas, gas.unit),)
    name = Carrier.NATURAL_GAS.value
    piped = [Activity(label=name, source=Source.COMBUSTION, carrier=name, amount=amount) for amount in metered]
    return scope1([*piped, *statement_told.burnt(fuels)], book, day)


def _scope2(lines: Mapping[Carrier, CarrierLine], retired: Input | None, book: FactorBook, day: date) -> Scope2:
    heat = lines.get(Carrier.HEAT)
    return scope2(
        Purchases(
            electricity=_bought(lines.get(Carrier.ELECTRICITY), "kWh"),
            resold=declared("nothing_resold", "kWh"),
            heat=() if heat is None else (_bought(heat, heat.unit),),
            retired=retired,
        ),
        book,
        day,
    )


def _water(line: CarrierLine | None, reused: Input | None, discharged: Input | None) -> WaterBalance:
    return water_balance(
        WaterYear(
            fresh=[_bought(line, "m3")],
            reused=[reused or unmetered("reused", "m3")],
            discharged=[discharged or unmetered("discharged", "m3")],
        )
    )
