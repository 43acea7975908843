"""Scope 1 and scope 2 of a boundary in one period (rule F14), every line with its inputs and factor rows.

Scope 2 stands twice, never added up: by location (what the grid emits where the meter is) and by market (what was
contracted). Electricity from own panels that is used on the site was not bought and counts nothing, unless its
certificates are claimed elsewhere: then, by market, the plant used the residual mix.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from centre.accounting.factor_choice import OWN_SETS, Choice, FactorBook, supplied
from centre.accounting.factors import FactorRow
from centre.accounting.terms import NO_QUANTITY, ZERO, Input, Term, Total, convert, term, total

GRID: Final = "grid_co2_factor_average"
RESIDUAL: Final = "grid_co2_factor_excl_traded_nonfossil"
HEAT: Final = "co2_factor_location"
NOT_PURCHASED: Final = "not_purchased"
CERTIFIED: Final = "matched_by_certificate"

_CO2_PER_C: Final = Fraction(44, 12)
# ways from a fuel to its CO2, best first: calorific value x carbon content x oxidation, or one factor for all of it
_FUEL_WAYS: Final = (
    (("net_calorific_value_ghg", "carbon_content_per_heat", "oxidation_rate"), _CO2_PER_C),
    (("co2_factor_combustion",), Fraction(1)),
    (("net_calorific_value_ipcc2006", "co2_factor_energy_ipcc2006"), Fraction(1)),
)
_GWP: Final = ("gwp100_AR6", "gwp100_AR5")


class Source(StrEnum):
    """How an activity on the site emits."""

    COMBUSTION = "combustion"
    PROCESS = "process"
    FUGITIVE = "fugitive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """A fuel burnt, a process run, a gas lost. `carrier` is the fuel or gas; a process brings its own factor `row`."""

    label: str
    source: Source
    carrier: str
    amount: Input
    row: FactorRow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Electricity bought by contract with a factor of its own, for the period that is computed."""

    amount: Input
    row: FactorRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchases:
    """What a boundary bought in a period.

    `resold` went through it to others. `retired` are certificates retired against this period (unit GEC). `own_use`
    is own renewable electricity used on the site; certificates of it that were sold, or retired for bought electricity,
    are `claimed_elsewhere` (unit GEC).
    """

    electricity: Input
    resold: Input
    heat: Sequence[Input] = ()
    contracts: Sequence[Contract] = ()
    retired: Input | None = None
    own_use: Input | None = None
    claimed_elsewhere: Input | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope2:
    """Both views in tCO2. `unmatched_kwh`: certificates and contracts beyond the consumption, which count nothing."""

    location: Total
    market: Total
    unmatched_kwh: Decimal


def scope1(activities: Sequence[Activity], book: FactorBook, day: date) -> Total:
    """Everything that is emitted on the site, in tCO2e."""
    return total([_activity(item, book, day) for item in activities], "tCO2e")


def _activity(item: Activity, book: FactorBook, day: date) -> Term:
    if item.row is not None:
        return term(item.label, item.amount, [supplied(item.row, day)], unit="tCO2e")
    if item.source is Source.COMBUSTION:
        return combustion(item.label, item.carrier, item.amount, book, day)
    if item.source is Source.FUGITIVE:
        ways = [[book.find(item.carrier, "gwp", metric, day)] for metric in _GWP]
        return term(item.label, item.amount, _first_complete(ways), unit="tCO2e")
    return term(item.label, item.amount, [book.find(item.carrier, "process", "co2_factor_process", day)], unit="tCO2e")


def combustion(label: str, carrier: str, amount: Input, book: FactorBook, day: date) -> Term:
    """CO2 of a burnt fuel by the first way for which all rows are there, of one set but for the plant's own."""
    lost: list[Choice] = []
    for metrics, ratio in _FUEL_WAYS:
        found = [book.find(carrier, metric, metric, day) for metric in metrics]
        sets = {choice.row.factor_set for choice in found if choice.row is not None} - OWN_SETS
        if all(choice.row is not None for choice in found) and len(sets) <= 1:
            unit = "tC" if ratio is _CO2_PER_C else "tCO2"
            return replace(term(label, amount, found, unit=unit, ratio=ratio), unit="tCO2")
        lost += [choice for choice in found if choice.row is None]
    return term(label, amount, lost[:1], unit="tCO2")


def _first_complete(ways: Sequence[list[Choice]]) -> list[Choice]:
    return next((way for way in ways if all(choice.row is not None for choice in way)), ways[0])


def scope2(bought: Purchases, book: FactorBook, day: date) -> Scope2:
    """Scope 2 of one period; a certificate or contract covers consumption of the same period only."""
    consumed = _net(bought)
    grid = book.find("electricity", "location", GRID, day)
    heat = [
        term("heat", item, [book.find("purchased_heat", "location", HEAT, day)], unit="tCO2") for item in bought.heat
    ]
    covered, terms, spare, beyond = _covered(bought, consumed, book, day)
    own, spare = _own_use(bought, spare, book, day)
    residual = book.find("electricity", "market", RESIDUAL, day)
    rest = replace(
        consumed,
        id=" - ".join([consumed.id, *(part.id for covering in terms for part in covering.inputs)]),
        value=None if consumed.value is None or covered is None else consumed.value - covered,
    )
    return Scope2(
        location=total([term("electricity", consumed, [grid], unit="tCO2"), *own[0], *heat], "tCO2"),
        market=total([*terms, term("electricity", rest, [residual], unit="tCO2"), *own[1], *heat], "tCO2"),
        unmatched_kwh=spare + beyond,
    )


def _net(bought: Purchases) -> Input:
    """Electricity bought and not passed on, in kWh; more resold than bought is nothing consumed, with its reason."""
    name = f"{bought.electricity.id} - {bought.resold.id}"
    for part in (bought.electricity, bought.resold):
        if part.value is None:
            return Input(id=name, value=None, unit="kWh", reason=f"{part.id}: {part.reason or NO_QUANTITY}")
    value = _kwh(bought.electricity) - _kwh(bought.resold)
    reason = None if value >= 0 else "more_resold_than_bought"
    known = value if value >= 0 else None
    return Input(id=name, value=known, unit="kWh", shares=bought.electricity.shares, reason=reason)


def _covered(
    bought: Purchases, consumed: Input, book: FactorBook, day: date
) -> tuple[Decimal | None, list[Term], Decimal, Decimal]:
    """How much of what was bought is certified or contracted, its terms, and what of either lies beyond it."""
    left = consumed.value
    claims = [(_energy(bought.retired, book, day), None)] if bought.retired is not None else []
    offered = [*claims, *((item.amount, item.row) for item in bought.contracts)]
    terms: list[Term] = []
    spare, beyond, taken = ZERO, ZERO, ZERO
    for amount, row in offered:
        if amount.value is None or left is None:
            reason = amount.reason or consumed.reason
            terms.append(Term(label="covered", value=None, unit="tCO2", inputs=(amount,), reason=reason))
            return None, terms, ZERO, ZERO
        used = min(_kwh(amount), left)
        left, taken = left - used, taken + used
        if row is None:
            spare += _kwh(amount) - used
        else:
            beyond += _kwh(amount) - used
        part = replace(amount, value=used, unit="kWh")
        if row is None:
            terms.append(Term(label="certificates", value=ZERO, unit="tCO2", inputs=(part,), reason=CERTIFIED))
        else:
            terms.append(term("contract", part, [supplied(row, day)], unit="tCO2"))
    return taken, terms, spare, beyond


def _own_use(
    bought: Purchases, spare: Decimal, book: FactorBook, day: date
) -> tuple[tuple[list[Term], list[Term]], Decimal]:
    """Own renewable electricity by location and by market, and what is left of the certificates to `spare`.

    Certificates that were sold count against the own use first, whatever else was fed into the grid. What was retired
    beyond all that was bought covers such own use again.
    """
    if bought.own_use is None:
        return ([], []), spare
    nothing = Term(label="own_renewables", value=ZERO, unit="tCO2", inputs=(bought.own_use,), reason=NOT_PURCHASED)
    if bought.claimed_elsewhere is None:
        return ([nothing], [nothing]), spare
    sold = _energy(bought.claimed_elsewhere, book, day)
    lost = next((item for item in (sold, bought.own_use) if item.value is None), None)
    if lost is not None:
        claimed, used = replace(sold, value=None, reason=f"{lost.id}: {lost.reason or NO_QUANTITY}"), ZERO
    else:
        whole = min(_kwh(sold), _kwh(bought.own_use))
        used = min(spare, whole)
        name = f"{sold.id}; less {used} kWh retired beyond what was bought" if used else sold.id
        claimed = replace(sold, id=name, value=whole - used)
    residual = book.find("electricity", "market", RESIDUAL, day)
    elsewhere = term("own_renewables_claimed_elsewhere", claimed, [residual], unit="tCO2")
    return ([nothing], [elsewhere]), spare - used


def _energy(certificates: Input, book: FactorBook, day: date) -> Input:
    """The electricity that certificates stand for, in kWh."""
    each = term(
        "energy", certificates, [book.find("green_certificate", "energy", "energy_per_certificate", day)], unit="kWh"
    )
    return replace(certificates, value=each.value, unit="kWh", reason=each.reason)


def _kwh(item: Input) -> Decimal:
    assert item.value is not None
    return convert(item.value, item.unit, "kWh")
