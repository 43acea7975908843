"""The roll-up of firms to a park, a district, a city: nothing counts twice, and what is missing is said. Pure.

Each firm counts what it took in, by the rules of a plant's statement. What a member had from another member was counted
where that other took it in, so it is deducted once. Energy a firm made itself was counted as what it was made of; its
own sun and wind were never bought: both are told beside, and never added.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from centre.accounting.coal_equivalent import EnergyLine, comprehensive_energy
from centre.accounting.emissions import Activity, Purchases, Source, scope1, scope2
from centre.accounting.factor_choice import FactorBook
from centre.accounting.terms import ZERO, Input, Term, Total, total
from centre.accounting.transfers import ParkTotal, Transfer, park_total
from centre.carriers import CARRIERS, Carrier, Flow
from centre.statement_lines import declared

NOT_RECEIVED: Final = "not_received"
MORE_THAN_TAKEN: Final = "more_passed_on_than_the_taker_took_in"
MORE_THAN_GIVEN: Final = "more_passed_on_than_the_giver_gave_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """A site in a period, as long as it was a member. No `flows`: nothing was ever received of it.

    `day`: that whose factors count.
    """

    site: str
    flows: Mapping[tuple[Carrier, Flow], Input]
    energy: FactorBook
    carbon: FactorBook
    day: date

    def taken(self, carrier: Carrier, flow: Flow = Flow.IMPORT) -> Input:
        """One flow; a carrier that never came is not used, but a firm that never told anything is not known."""
        unit = CARRIERS[carrier].unit
        if not self.flows:
            return Input(id=f"received:{self.site}", value=None, unit=unit, reason=NOT_RECEIVED)
        return self.flows.get((carrier, flow)) or declared(f"no_{flow}:{self.site}/{carrier}", unit)

    def sells(self, carrier: Carrier) -> bool:
        """Whether what it exports is deducted from what it took in: what generators feed out was never bought."""
        return (carrier, Flow.EXPORT) in self.flows and (carrier, Flow.GENERATION) not in self.flows


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOn:
    """What one firm passed to another."""

    giver: str
    taker: str
    carrier: Carrier
    amount: Input


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """`total` of the whole = `of_firms` - `internal`; the terms of `total` are those of both, the latter negative."""

    total: Total
    of_firms: Total
    internal: Total


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmFigures:
    """One firm by itself."""

    site: str
    calorific: Total
    equal_value: Total
    carbon: Total


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierTotals:
    """What a whole took in and gave out of one carrier; `generated` by its members is told, not added."""

    carrier: Carrier
    taken: ParkTotal
    given: ParkTotal
    generated: ParkTotal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollup:
    """tce by calorific and by equal value, tCO2 of scope 1 and scope 2 by location."""

    carriers: tuple[CarrierTotals, ...]
    calorific: Level
    equal_value: Level
    carbon: Level
    firms: tuple[FirmFigures, ...]


def rollup(firms: Sequence[Firm], passed: Sequence[PassedOn]) -> Rollup:
    """The figures of all of `firms` together; a transfer counts only between two of them."""
    by_site = {firm.site: firm for firm in firms}
    within = [one for one in passed if one.giver in by_site and one.taker in by_site]
    inside = [_checked(one, within, by_site) for one in within]
    figures = tuple(firm_figures(firm) for firm in firms)
    energy = [one for one in inside if not by_site[one.giver].sells(one.carrier)]
    calorific: list[Term] = []
    equal: list[Term] = []
    carbon: list[Term] = []
    for one in inside:
        taker = by_site[one.taker]
        alone = replace(taker, flows={(one.carrier, Flow.IMPORT): one.amount})
        found = firm_figures(alone)
        label = f"{one.giver} > {one.taker}"
        # scope 2 of the giver is without the electricity it sold; a transfer that is not known leaves no figure
        if one in energy or one.carrier is not Carrier.ELECTRICITY or one.amount.value is None:
            carbon += _named(label, found.carbon)
        if one in energy:
            calorific += _named(label, found.calorific)
            equal += _named(label, found.equal_value)
    return Rollup(
        carriers=tuple(_carrier(carrier, firms, inside) for carrier in Carrier),
        calorific=_level([term for one in figures for term in _named(one.site, one.calorific)], calorific, "tce"),
        equal_value=_level([term for one in figures for term in _named(one.site, one.equal_value)], equal, "tce"),
        carbon=_level([term for one in figures for term in _named(one.site, one.carbon)], carbon, "tCO2e"),
        firms=figures,
    )


def firm_figures(firm: Firm) -> FirmFigures:
    """What one firm consumed and emitted, by what it took in."""
    used = [carrier for carrier in Carrier if any(of is carrier for of, _ in firm.flows)] or list(Carrier)
    found = comprehensive_energy([_line(firm, carrier) for carrier in used], firm.energy, firm.day)
    gas = [firm.taken(Carrier.NATURAL_GAS)] if Carrier.NATURAL_GAS in used else []
    heat = [firm.taken(Carrier.HEAT)] if Carrier.HEAT in used else []
    electricity = firm.taken(Carrier.ELECTRICITY) if Carrier.ELECTRICITY in used else declared("not_used", "kWh")
    name = Carrier.NATURAL_GAS.value
    burnt = scope1(
        [Activity(label=name, source=Source.COMBUSTION, carrier=name, amount=amount) for amount in gas],
        firm.carbon,
        firm.day,
    )
    bought = scope2(
        Purchases(electricity=electricity, resold=_sold(firm, Carrier.ELECTRICITY), heat=heat), firm.carbon, firm.day
    )
    terms = [replace(term, unit="tCO2e") for term in (*burnt.terms, *bought.location.terms)]
    return FirmFigures(
        site=firm.site, calorific=found.calorific, equal_value=found.equal_value, carbon=total(terms, "tCO2e")
    )


def _line(firm: Firm, carrier: Carrier) -> EnergyLine:
    unit = CARRIERS[carrier].unit
    return EnergyLine(
        carrier=carrier.value,
        purchased=firm.taken(carrier),
        stock_begin=declared("no_stock", unit),
        stock_end=declared("no_stock", unit),
        sold=_sold(firm, carrier),
        self_produced=firm.flows.get((carrier, Flow.GENERATION)),
    )


def _sold(firm: Firm, carrier: Carrier) -> Input:
    return firm.taken(carrier, Flow.EXPORT) if firm.sells(carrier) else declared("nothing_sold", CARRIERS[carrier].unit)


def _checked(one: PassedOn, passed: Sequence[PassedOn], by_site: Mapping[str, Firm]) -> PassedOn:
    """Transfers that the meters of the taker do not contain would be deducted from what was never added.

    Those that the metered export of the giver does not contain would not be deducted at all.
    """
    giver, taker = by_site[one.giver], by_site[one.taker]
    whole = [other for other in passed if other.carrier is one.carrier]
    into = _sum(other.amount for other in whole if other.taker == one.taker)
    out = _sum(other.amount for other in whole if other.giver == one.giver)
    taken, given = taker.taken(one.carrier).value, giver.taken(one.carrier, Flow.EXPORT).value
    if taken is not None and into > taken:
        return replace(one, amount=replace(one.amount, value=None, reason=MORE_THAN_TAKEN))
    if (one.carrier, Flow.EXPORT) in giver.flows and given is not None and out > given:
        return replace(one, amount=replace(one.amount, value=None, reason=MORE_THAN_GIVEN))
    return one


def _sum(amounts: Iterable[Input]) -> Decimal:
    return sum((one.value for one in amounts if one.value is not None), ZERO)


def _carrier(carrier: Carrier, firms: Sequence[Firm], passed: Sequence[PassedOn]) -> CarrierTotals:
    unit = CARRIERS[carrier].unit
    moved = [Transfer(giver=one.giver, taker=one.taker, amount=one.amount) for one in passed if one.carrier is carrier]
    metered = {firm.site for firm in firms if (carrier, Flow.EXPORT) in firm.flows}
    taken, given, generated = (
        {firm.site: firm.taken(carrier, flow) for firm in firms} for flow in (Flow.IMPORT, Flow.EXPORT, Flow.GENERATION)
    )
    return CarrierTotals(
        carrier=carrier,
        taken=park_total(taken, moved, unit),
        given=park_total(given, [one for one in moved if one.giver in metered], unit),
        generated=park_total(generated, [], unit),
    )


def _named(label: str, found: Total) -> list[Term]:
    return [replace(term, label=f"{label}: {term.label}") for term in found.terms]


def _level(firms: Sequence[Term], internal: Sequence[Term], unit: str) -> Level:
    deducted = [replace(term, value=None if term.value is None else Decimal(0) - term.value) for term in internal]
    return Level(total=total([*firms, *deducted], unit), of_firms=total(firms, unit), internal=total(internal, unit))
