"""Budgets and quotas of a year: what is used, what was planned so far, and where the year will end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from centre.accounting.exact import rounded

_PLACES: Final = 6
_MONTHS: Final = 12
NO_ACTUAL: Final = "no_closed_month"
NO_PLAN: Final = "no_plan_so_far"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A year's plan by month (in `unit`); `reserve` of it is held back; `quota` is the limit set from outside."""

    id: str
    unit: str
    plan: tuple[Decimal, ...]
    reserve: Decimal = Decimal(0)
    quota: Decimal | None = None

    def __post_init__(self) -> None:
        if len(self.plan) != _MONTHS or any(month < 0 for month in self.plan):
            raise ValueError("a plan has twelve months, none below 0")


class BudgetState(StrEnum):
    """Of the forecast: WITHIN the plan less reserve, into the RESERVE, OVER the plan, or over the QUOTA."""

    WITHIN = "within"
    RESERVE = "reserve"
    OVER = "over"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outturn:
    """`used` against `planned` in the months that are known; `year_end` with its range, or the reason why none.

    The forecast has the rest of the plan go as the known months did; `low` and `high` as their best and worst.
    """

    budget: str
    used: Decimal
    planned: Decimal
    left: Decimal
    year_end: Decimal | None
    low: Decimal | None
    high: Decimal | None
    state: BudgetState | None
    months: tuple[int, ...]
    reason: str | None


def outturn(budget: Budget, actual: Mapping[int, Decimal]) -> Outturn:
    """From the actual of the closed months (1 to 12); a month that is missing counts as still to come, not as 0."""
    months = tuple(sorted(actual))
    used = sum((actual[month] for month in months), Decimal(0))
    planned = sum((budget.plan[month - 1] for month in months), Decimal(0))
    total = sum(budget.plan, Decimal(0))
    low = high = end = None
    state = None
    if months and planned:
        rest = Fraction(total - planned)
        # a month planned as 0 has no ratio of its own; what it used is in the sum
        ratios = [Fraction(actual[m]) / Fraction(budget.plan[m - 1]) for m in months if budget.plan[m - 1]]
        ratio = Fraction(used) / Fraction(planned)
        ends = [Fraction(used) + rest * factor for factor in (ratio, min(*ratios, ratio), max(*ratios, ratio))]
        state = _state(budget, ends[0], total)
        end, low, high = (rounded(value, _PLACES) for value in ends)
    return Outturn(
        budget=budget.id,
        used=used,
        planned=planned,
        left=total - used,
        year_end=end,
        low=low,
        high=high,
        state=state,
        months=months,
        reason=None if state is not None else NO_PLAN if months else NO_ACTUAL,
    )


def _state(budget: Budget, year_end: Fraction, total: Decimal) -> BudgetState:
    if budget.quota is not None and year_end > Fraction(budget.quota):
        return BudgetState.QUOTA
    if year_end > Fraction(total):
        return BudgetState.OVER
    return BudgetState.RESERVE if year_end > Fraction(total - budget.reserve) else BudgetState.WITHIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """Quota bought (positive) or sold (negative), with the document that proves it."""

    id: str
    amount: Decimal
    document: str


def quota_after(quota: Decimal, trades: Sequence[Trade]) -> Decimal:
    """The quota with what was traded; ValueError for a trade that is entered twice, or more sold than there is."""
    if len({trade.id for trade in trades}) != len(trades):
        raise ValueError("a trade is entered twice")
    after = quota + sum((trade.amount for trade in trades), Decimal(0))
    if after < 0:
        raise ValueError("more was sold than the quota holds")
    return after
