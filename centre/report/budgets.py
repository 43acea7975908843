"""Budgets and quotas of a year: what was used, what is left, and where the year will end."""

from collections.abc import Sequence
from decimal import Decimal

from centre.accounting.budget import Outturn, outturn
from centre.budgets import PlantBudget
from centre.report.document import Cell, Document, Table, Word, document, short
from centre.statement import Statement


def budgets(made: Statement, found: Sequence[tuple[PlantBudget, Outturn]]) -> Document:
    """The report `budgets`."""
    columns = ("budget", "node", "carrier", "used_so_far", "planned", "left", "year_end", "band_low_end",
               "band_high_end", "whole_plan", "reserve", "quota", "traded", "quota_after", "unit", "budget_state",
               "months", "reason")  # fmt: skip
    table = Table(key="budget_rows", columns=columns, rows=tuple(_row(one, end) for one, end in found))
    return document("budgets", made, (table,), () if found else ("note_no_budget",))


def _row(one: PlantBudget, end: Outturn) -> tuple[Cell, ...]:
    budget = one.budget
    amounts = (end.used, end.planned, end.left, end.year_end, end.low, end.high, sum(budget.plan), budget.reserve,
               one.agreed, one.traded, budget.quota)  # fmt: skip
    return (
        budget.id, one.node, Word(f"carrier_{one.carrier}"),
        *(None if amount is None else short(Decimal(amount)) for amount in amounts), budget.unit,
        None if end.state is None else Word(f"budget_{end.state}"), ", ".join(str(month) for month in end.months),
        end.reason,
    )  # fmt: skip


def outturns(found: Sequence[tuple[PlantBudget, dict[int, Decimal]]]) -> list[tuple[PlantBudget, Outturn]]:
    """The forecast of each budget from what was used of it by month."""
    return [(one, outturn(one.budget, used)) for one, used in found]
