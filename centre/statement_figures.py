"""What follows from the quantities of a node in a month: tce, scopes 1 and 2, with the factor rows of that month; pure.

Factors are those of the month's last day: a row that begins in mid-month counts for all of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from centre.accounting.coal_equivalent import ComprehensiveEnergy, EnergyLine, comprehensive_energy
from centre.accounting.emissions import Activity, Purchases, Scope2, Source, scope1, scope2
from centre.accounting.factor_choice import FactorBook
from centre.accounting.terms import ZERO, Input, Total
from centre.carriers import CARRIERS, Carrier, Flow
from centre.period import Period
from centre.plant import Node
from centre.statement_lines import CarrierLine, declared
from centre.statement_told import Told, burnt, claimed, fuels, retired

SOLD: Final = "sold:"

Lines = Mapping[str, Mapping[Carrier, CarrierLine]]
"""What the meters of every node counted: node, the plant first -> carrier -> line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFigures:
    """What a node consumed and emitted in a period; `fuels` are those of approved forms."""

    id: str
    period: Period
    lines: tuple[CarrierLine, ...]
    fuels: tuple[EnergyLine, ...]
    energy: ComprehensiveEnergy
    scope1: Total
    scope2: Scope2

    def line(self, carrier: Carrier) -> CarrierLine | None:
        return next((line for line in self.lines if line.carrier is carrier), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What the figures of a plant are made with: where rows are chosen from for tce and CO2, and what people told."""

    site: str
    energy: FactorBook
    carbon: FactorBook
    told: Told

    @property
    def run_on(self) -> date:
        return self.carbon.dates.run_on


def figures(node: Node, month: Period, lines: Lines, means: Means, *, complete: bool = True) -> NodeFigures:
    """The figures of a month; unless it is `complete` what no form tells yet of a fuel is left out."""
    mine = lines[node.id]
    day = month.last
    burning = fuels(means.told, means.site, node, [month], [carrier.value for carrier in mine])
    if not complete:
        burning = tuple(line for line in burning if line.purchased.value is not None)
    metered = [_energy_line(node, month, lines, means.site, carrier) for carrier in mine]
    return NodeFigures(
        id=node.id,
        period=month,
        lines=tuple(mine.values()),
        fuels=burning,
        energy=comprehensive_energy([*metered, *burning], means.energy, day),
        scope1=_scope1(mine, burning, means.carbon, day),
        scope2=_scope2(node, month, lines, means),
    )


def bought(line: CarrierLine | None, unit: str) -> Input:
    """What came in of a carrier."""
    if line is None:
        return declared("not_used", unit)
    return line.flows.get(Flow.IMPORT) or declared("no_import", unit)


def _energy_line(node: Node, month: Period, lines: Lines, site: str, carrier: Carrier) -> EnergyLine:
    """Piped carriers have no stock."""
    line = lines[node.id][carrier]
    return EnergyLine(
        carrier=carrier.value,
        purchased=bought(line, line.unit),
        stock_begin=declared("no_stock", line.unit),
        stock_end=declared("no_stock", line.unit),
        sold=_sold(node, month, lines, site, carrier),
        self_produced=line.flows.get(Flow.GENERATION),
    )


def _sold(node: Node, month: Period, lines: Lines, site: str, carrier: Carrier) -> Input:
    """What generators in a node feed out of it was never bought; it is the rest that is sold."""
    line = lines[node.id].get(carrier)
    exported = None if line is None else line.flows.get(Flow.EXPORT)
    if line is None or exported is None:
        return declared("nothing_sold", CARRIERS[carrier].unit)
    generated = _generated(node, lines, carrier)
    if not generated:
        return exported
    parts = [exported, *generated]
    name = f"{SOLD}{site}/{node.id}/{carrier}/{month.label}"
    lost = next((part for part in parts if part.value is None), None)
    if lost is not None:
        return Input(id=name, value=None, unit=line.unit, reason=f"{lost.id}: {lost.reason}")
    rest = (exported.value or ZERO) - sum((part.value or ZERO for part in generated), ZERO)
    if rest <= 0:
        return declared("nothing_sold", line.unit)
    return Input(id=name, value=rest, unit=line.unit)


def _scope1(
    lines: Mapping[Carrier, CarrierLine], burning: Sequence[EnergyLine], book: FactorBook, day: date
) -> Total:  # fmt: skip
    gas = lines.get(Carrier.NATURAL_GAS)
    metered = () if gas is None else (bought(gas, gas.unit),)
    name = Carrier.NATURAL_GAS.value
    piped = [Activity(label=name, source=Source.COMBUSTION, carrier=name, amount=amount) for amount in metered]
    return scope1([*piped, *burnt(burning)], book, day)


def _scope2(node: Node, month: Period, lines: Lines, means: Means) -> Scope2:
    """What was generated and used on the site enters as soon as certificates of it are in other hands."""
    site, told = means.site, means.told
    heat = lines[node.id].get(Carrier.HEAT)
    elsewhere = claimed(told, site, node, month, whole=node.id == next(iter(lines)))
    return scope2(
        Purchases(
            electricity=bought(lines[node.id].get(Carrier.ELECTRICITY), "kWh"),
            resold=_sold(node, month, lines, site, Carrier.ELECTRICITY),
            heat=() if heat is None else (bought(heat, heat.unit),),
            retired=retired(told, site, node, month),
            own_use=None if elsewhere is None else _own_use(site, node, month, lines),
            claimed_elsewhere=elsewhere,
        ),
        means.carbon,
        month.last,
    )


def _own_use(site: str, node: Node, month: Period, lines: Lines) -> Input:
    """Electricity generated inside a node and not fed out of it."""
    line = lines[node.id].get(Carrier.ELECTRICITY)
    generated = _generated(node, lines, Carrier.ELECTRICITY)
    fed = None if line is None else line.flows.get(Flow.EXPORT)
    parts = generated if fed is None else [*generated, fed]
    own = line is not None and Flow.GENERATION in line.flows
    id_ = " - ".join(part.id for part in parts) if own else f"own_generation:{site}/{node.id}/{month.label}"
    lost = next((part for part in parts if part.value is None), None)
    if lost is not None:
        return Input(id=id_, value=None, unit="kWh", reason=f"{lost.id}: {lost.reason}")
    made = sum((part.value or ZERO for part in generated), ZERO)
    return Input(id=id_, value=max(ZERO, made - (ZERO if fed is None else fed.value or ZERO)), unit="kWh")


def _generated(node: Node, lines: Lines, carrier: Carrier) -> list[Input]:
    """What a node's meters of generation counted, or, without any, those below it."""
    line = lines[node.id].get(carrier)
    found = None if line is None else line.flows.get(Flow.GENERATION)
    if found is not None:
        return [found]
    return [part for child in node.children for part in _generated(child, lines, carrier)]
