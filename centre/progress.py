"""Where a year stands against the base years of its plant: the months that are known of both parts; pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.calendar import Month
from centre.accounting.intensity import Progress, both, intensity
from centre.accounting.terms import NO_QUANTITY, ZERO, Input, convert, rounded
from centre.base_years import MONEY, VALUE_ADDED, Goal, Measure
from centre.carriers import Carrier
from centre.manual_figures import produced, value_added
from centre.period import Period
from centre.plant import Node
from centre.statement import Statement
from centre.statement_figures import NodeFigures, bought
from centre.statement_told import SEVERAL, Told
from centre.statement_year import spans

NO_INDEX: Final = "no_price_index"
NO_MONTH: Final = "no_month_is_known"
NO_NODE: Final = "no_such_part"
TOO_LITTLE: Final = "too_little_known"
_TEN_THOUSAND: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A goal in a year. `months` are those it is of, `missing` says why others are not.

    `whole`: all twelve. A progress for each version of the base year, the original first.
    """

    goal: Goal
    months: tuple[Period, ...]
    whole: bool
    missing: tuple[str, ...]
    progress: tuple[Progress, ...]


def standings(
    made: Statement, tree: Node, told: Told, goals: Sequence[Goal], least_known: Decimal
) -> tuple[Standing, ...]:
    """Each goal in the year of a statement, over the months that are over and known of both its parts.

    A month of which the meters know a smaller share than `least_known` is not one of them: its output would be whole.
    """
    nodes = {node.id: node for node in tree.walk()}
    return tuple(_standing(made, nodes.get(one.node), told, one, least_known) for one in goals)


def _standing(made: Statement, node: Node | None, told: Told, of: Goal, least_known: Decimal) -> Standing:
    known: list[tuple[Period, Decimal, Decimal]] = []
    missing: list[str] = []
    found = None if node is None else made.node(node.id)
    parts = {} if found is None else {month.period.label: month for month in found.months}
    for month in made.period.months():
        if node is None or month.last >= made.dates.run_on:
            continue
        upper = _numerator(of, parts.get(month.label), least_known)
        lower = _denominator(of, made.site, node, told, month)
        if upper.value is None or lower.value is None:
            lost = upper if upper.value is None else lower
            missing.append(f"{month.label}: {lost.reason or NO_QUANTITY}")
        else:
            known.append((month, upper.value, lower.value))
    months = tuple(month for month, _, _ in known)
    reason = NO_NODE if node is None else None if known else NO_MONTH
    above = sum((value for _, value, _ in known), ZERO) if known else None
    whole = sum((value for _, _, value in known), ZERO) if known else None
    name, span = f"{made.site}/{of.node}", spans(months)
    now = intensity(
        year=made.period.year,
        numerator=Input(id=f"{name}/{of.of}/{span}", value=above, unit=of.unit, reason=reason),
        denominator=_priced(
            of,
            made.period.year,
            Input(id=f"{name}/{of.per}/{span}", value=whole, unit=of.denominator_unit, reason=reason),
        ),
        boundary=of.boundary,
        prices=of.prices,
    )
    return Standing(
        goal=of,
        months=months,
        whole=len(months) == len(made.period.months()),
        missing=tuple(missing),
        progress=both(of.bases, now, of.target),
    )


def _numerator(of: Goal, month: NodeFigures | None, least_known: Decimal) -> Input:
    """Of one month, in the unit of the goal; none of what has no meter and no form."""
    nothing = Input(id=of.id, value=None, unit=of.unit, reason=NO_QUANTITY)
    if month is None:
        return nothing
    fresh = month.line(Carrier.FRESH_WATER)
    water = of.of is Measure.WATER
    if (fresh is None) if water else not (month.lines or month.fuels):
        return nothing
    if any(line.known < least_known for line in month.lines if line is fresh or not water):
        return Input(id=of.id, value=None, unit=of.unit, reason=TOO_LITTLE)
    if water:
        return bought(fresh, "m3")
    totals = [month.energy.calorific] if of.of is Measure.ENERGY else [month.scope1, month.scope2.location]
    values = [total.value for total in totals]
    if any(value is None for value in values):
        lost = [term.reason for total in totals for term in total.terms if term.value is None]
        return Input(id=of.id, value=None, unit=of.unit, reason=next((why for why in lost if why), NO_QUANTITY))
    whole = sum((value for value in values if value is not None), ZERO)
    return Input(id=of.id, value=convert(whole, totals[0].unit, of.unit), unit=of.unit)


def _denominator(of: Goal, site: str, node: Node, told: Told, month: Period) -> Input:
    """Of one month: value added in 1e4CNY at its own prices, or a product; of several each would need its share."""
    months = [Month(month.year, month.month or 1)]
    if of.per == VALUE_ADDED:
        added = value_added(told.of("value_added"), site, node, months)
        money = None if added.value is None else added.value / _TEN_THOUSAND
        return Input(id=added.id, value=money, unit=MONEY, reason=added.reason)
    made = produced(told.of("production"), site, node, months)
    found, reason = made.get(of.per), SEVERAL if len(made) > 1 else None
    value: Decimal | None = None
    if found is not None and found.value is not None and reason is None:
        try:
            value = convert(found.value, found.unit, of.denominator_unit)
        except ValueError as err:
            reason = str(err)
    reason = reason or (NO_QUANTITY if found is None else found.reason)
    return Input(id=of.per, value=value, unit=of.denominator_unit, reason=reason)


def _priced(of: Goal, year: int, found: Input) -> Input:
    """Value added at the prices of the base, by the index of its year; what is no money stays as it is."""
    if of.per != VALUE_ADDED or found.value is None:
        return found
    index = of.index.get(year)
    if index is None:
        return replace(found, value=None, reason=f"{NO_INDEX}: {year}")
    return replace(found, value=rounded(Fraction(found.value) / Fraction(index)))
