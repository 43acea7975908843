"""The carbon footprint of a product, in kgCO2e per declared unit of good output (rule F16, GB/T 24067, ISO 14067).

Scrap has no footprint of its own: what it took is carried by the good output. Electricity counts by its life-cycle
factor, not by the grid's CO2; the book's policy says so. Offsets have no place here. The record lists every input.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from centre.accounting.allocation import Shares, allocate
from centre.accounting.emissions import GRID, HEAT, combustion
from centre.accounting.factor_choice import OWN_SETS, FactorBook, supplied
from centre.accounting.factors import FactorRow
from centre.accounting.ratios import Ratio, ratio
from centre.accounting.terms import Input, Term, Total, rounded, term, total

NOT_TWELVE_MONTHS: Final = "period_is_not_twelve_months"
NOT_ALLOCATED: Final = "not_allocated"

_MONTHS_OF_A_STUDY: Final = 12


class Kind(StrEnum):
    """The parts of a product's life that are counted."""

    MATERIAL = "material"
    FUEL = "fuel"
    ENERGY = "energy"
    TRANSPORT = "transport"
    PROCESS = "process"
    WASTE = "waste"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Something a product takes or causes. `row`: the supplier's or database's own factor, needed for all but energy.

    `shares`: how it is divided among products; None where all of it is for this one.
    """

    label: str
    kind: Kind
    carrier: str
    amount: Input
    row: FactorRow | None = None
    shares: Shares | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """What is left out, and why."""

    label: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One product in one period (first and last day); `output` is in the declared unit."""

    product: str
    begin: date
    end: date
    boundary: str
    output: Input
    scrap: Input
    flows: Sequence[Flow]
    cut_offs: Sequence[CutOff] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """The record handed to a customer. `primary`: share of the total that rests on measured or supplier factors."""

    study: Study
    policy: str
    total: Total
    per_unit: Ratio
    primary: Decimal | None
    notes: tuple[str, ...]


def footprint(study: Study, book: FactorBook) -> Footprint:
    """The product's footprint with the factors of the last day; raises UnitError where a flow's unit has no factor."""
    terms = [_term(flow, study.product, book, study.end) for flow in study.flows]
    whole = total(terms, "kgCO2e")
    emitted = Input(
        id=f"{study.product}/total", value=whole.value, unit=whole.unit, reason=", ".join(whole.missing) or None
    )
    return Footprint(
        study=study,
        policy=book.policy.name,
        total=whole,
        per_unit=ratio(study.product, emitted, study.output, unit=f"kgCO2e/{study.output.unit}"),
        primary=_primary(whole),
        notes=() if _months(study) == _MONTHS_OF_A_STUDY else (NOT_TWELVE_MONTHS,),
    )


def _term(flow: Flow, product: str, book: FactorBook, day: date) -> Term:
    amount = _part(flow, product)
    if flow.row is not None:
        found = term(flow.label, amount, [supplied(flow.row, day)], unit="kgCO2e")
    elif flow.kind is Kind.FUEL:
        found = combustion(flow.label, flow.carrier, amount, book, day)
    else:
        metric = {"electricity": GRID, "purchased_heat": HEAT}.get(flow.carrier, "co2_factor_supply")
        found = term(flow.label, amount, [book.find(flow.carrier, "location", metric, day)], unit="kgCO2e")
    return found if flow.shares is None else replace(found, inputs=(flow.amount, *found.inputs, *_keys(flow.shares)))


def _part(flow: Flow, product: str) -> Input:
    """What of the amount is the product's."""
    if flow.shares is None or flow.amount.value is None:
        return flow.amount
    part = allocate(flow.amount.value, flow.shares).get(product)
    share = flow.shares.of.get(product)
    name = f"{flow.amount.id} x {share}"
    reason = None if part is not None else flow.shares.reason or NOT_ALLOCATED
    return replace(flow.amount, id=name, value=part, reason=reason)


def _keys(shares: Shares) -> tuple[Input, ...]:
    return () if shares.keys is None else tuple(item for _, item in sorted(shares.keys.of.items()))


def _primary(whole: Total) -> Decimal | None:
    if not whole.value:
        return None
    own = total([part for part in whole.terms if _is_primary(part)], whole.unit)
    return rounded(Fraction(own.known) / Fraction(whole.value), 4)


def _is_primary(part: Term) -> bool:
    return any(choice.row is not None and choice.row.factor_set in OWN_SETS for choice in part.choices)


def _months(study: Study) -> int:
    """Whole months of the period; 0 if it does not begin and end with a month."""
    after = date.fromordinal(study.end.toordinal() + 1)
    whole = study.begin.day == 1 and after.day == 1
    return (after.year - study.begin.year) * 12 + after.month - study.begin.month if whole else 0
