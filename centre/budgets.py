"""Budgets of a plant: the door of `budgets:` in centre.yaml, and what was used of them by month."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from centre.accounting.budget import Budget, Trade, quota_after
from centre.accounting.file_types import Exact, Id, NotNegative, Positive, Text
from centre.accounting.intervals import Interval
from centre.carriers import CARRIERS, Carrier
from wattline.errors import ConfigError
from wattline.strict_yaml import Document, KeyPath, Strict


class TradeSettings(Strict):
    """Quota that was bought, or sold (below 0), and the document that proves it."""

    id: Id
    amount: Exact
    document: Text


class BudgetSettings(Strict):
    """What a node may use of a carrier in a year, by month, in the carrier's unit. `trades` change the quota."""

    id: Id
    node: str
    carrier: Carrier
    year: Annotated[int, Field(ge=2020, le=2200)]
    plan: Annotated[list[NotNegative], Field(min_length=12, max_length=12)]
    reserve: NotNegative = Decimal(0)
    quota: Positive | None = None
    trades: tuple[TradeSettings, ...] = ()

    @model_validator(mode="after")
    def _traded(self) -> Self:
        if self.trades and self.quota is None:
            raise ValueError("trades change a quota, and there is none")
        self.quota_after()
        return self

    def quota_after(self) -> Decimal | None:
        """The quota with what was traded; ValueError for a trade that stands twice, or more sold than there is."""
        trades = [Trade(id=one.id, amount=one.amount, document=one.document) for one in self.trades]
        return None if self.quota is None else quota_after(self.quota, trades)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantBudget:
    """A budget and whose it is; its quota is the one `agreed` with what was `traded`."""

    node: str
    carrier: Carrier
    year: int
    budget: Budget
    agreed: Decimal | None = None
    traded: Decimal = Decimal(0)


def budget_of(given: BudgetSettings) -> PlantBudget:
    """As the rules take it."""
    unit = CARRIERS[given.carrier].unit
    quota = given.quota_after()
    rule = Budget(id=given.id, unit=unit, plan=tuple(given.plan), reserve=given.reserve, quota=quota)
    return PlantBudget(
        node=given.node,
        carrier=given.carrier,
        year=given.year,
        budget=rule,
        agreed=given.quota,
        traded=sum((trade.amount for trade in given.trades), Decimal(0)),
    )


def budget_mistakes(
    given: Sequence[BudgetSettings], nodes: Collection[str], at: KeyPath, document: Document
) -> list[ConfigError]:
    """Nodes that are not there, and ids that stand twice."""
    mistakes: list[ConfigError] = []
    seen: set[str] = set()
    for place, budget in enumerate(given):
        here = (*at, "budgets", place)
        if budget.node not in nodes:
            near = ", ".join(sorted(nodes)[:12])
            mistakes.append(document.error((*here, "node"), f"{budget.node} is no node of the tree: {near}"))
        if budget.id in seen:
            mistakes.append(document.error((*here, "id"), f"{budget.id} stands here a second time"))
        seen.add(budget.id)
    return mistakes


def used_by_month(meters: Sequence[Mapping[int, Interval]], *, now: int, least_known: Decimal) -> dict[int, Decimal]:
    """What a node used in the months that are over and known well enough; `meters`: month (1 to 12) -> interval."""
    used: dict[int, Decimal] = {}
    for month in range(1, 13):
        found = [intervals.get(month) for intervals in meters]
        amounts = [
            part.amount
            for part in found
            if part is not None
            and part.amount is not None
            and part.end <= now
            and part.known_ns >= least_known * (part.end - part.start)
        ]
        if meters and len(amounts) == len(meters):
            used[month] = sum(amounts, Decimal(0))
    return used
