"""The carbon inventory of an enterprise, structured as GB/T 32150 and ISO 14064-1 ask.

Categories are those of ISO 14064-1: 1 direct, 2 from imported energy. Imported energy stands twice, by location and by
market, and is never added up twice. What is not counted is said.
"""

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Final

from centre.accounting.restatement import compare
from centre.accounting.terms import ZERO, Input, Total
from centre.report.document import (
    Cell,
    Document,
    Table,
    Word,
    document,
    factor_table,
    reason_of,
    reasons_of,
    short,
    uses_of,
    value_of,
    yes,
)
from centre.statement import NodeStatement, Statement
from centre.statement_figures import NodeFigures
from centre.statement_year import by_rows, spans

_COLUMNS = ("category", "emission_source", "activity", "unit", "input", "factor", "months", "emission", "emission_unit",
            "confirmed", "reason")  # fmt: skip

_CATEGORIES: Final[Mapping[str, Callable[[NodeFigures], Total]]] = {
    "category_1": lambda node: node.scope1,
    "category_2_location": lambda node: node.scope2.location,
    "category_2_market": lambda node: node.scope2.market,
}


def inventory(made: Statement, known_now: Statement | None = None) -> Document:
    """The report `inventory`, of the whole plant.

    `known_now`: the same by the factors known on the day it is run, for a report that was first made on an earlier one.
    """
    plant = made.nodes[0]
    sources = tuple(row for category, pick in _CATEGORIES.items() for row in _sources(category, plant, pick))
    return document(
        "inventory",
        made,
        (
            Table(key="sources", columns=_COLUMNS, rows=sources),
            _totals(made),
            *(() if known_now is None else (_restated(plant, known_now.nodes[0]),)),
            _quality(made),
            factor_table(uses_of([plant], lambda node: [pick(node) for pick in _CATEGORIES.values()])),
        ),
        ("note_boundary", "note_not_counted", "note_scope2_twice"),
    )


def _sources(category: str, plant: NodeStatement, pick: Callable[[NodeFigures], Total]) -> Iterator[tuple[Cell, ...]]:
    """A line for each source; in a year for each that has rows of its own, with its months."""
    months = [(month.period, pick(month)) for month in plant.months]
    lines = by_rows(plant.period, months) if months else [((plant.period,), term) for term in pick(plant).terms]
    for periods, term in lines:
        amount = term.inputs[0] if term.inputs else Input(id="", value=None, unit="", reason=term.reason)
        factors = " x ".join(choice.row.id for choice in term.choices if choice.row is not None)
        yield (
            Word(category), Word(f"source_{term.label}", term.label), value_of(amount),
            amount.unit, amount.id, factors, spans(periods), value_of(term), term.unit, yes(not term.unverified),
            reason_of(term),
        )  # fmt: skip


def _totals(made: Statement) -> Table:
    plant = made.nodes[0]
    rows: list[tuple[Cell, ...]] = []
    for view, second in (("location", plant.scope2.location), ("market", plant.scope2.market)):
        both = (plant.scope1.value, second.value)
        known = [value for value in both if value is not None]
        whole = short(sum(known, ZERO)) if len(known) == len(both) else None
        reasons = reasons_of(plant.scope1, second)
        rows.append((Word(view), value_of(plant.scope1), value_of(second), whole, "tCO2e", reasons))
    return Table(
        key="totals", columns=("view", "category_1", "category_2", "total", "unit", "reason"), rows=tuple(rows)
    )


def _restated(plant: NodeStatement, now: NodeStatement) -> Table:
    """Every total as it was reported beside what it is with the factors known now; neither replaces the other."""
    rows: list[tuple[Cell, ...]] = []
    for category, pick in _CATEGORIES.items():
        found = compare(pick(plant), pick(now))
        before, after = (
            ", ".join(dict.fromkeys(row.id for change in found.changed for row in of(change)))
            for of in (attrgetter("before"), attrgetter("after"))
        )
        difference = None if found.difference is None else short(found.difference)
        rows.append(
            (Word(category), value_of(found.original), value_of(found.restated), difference, found.original.unit,
             before, after, reason_of(found.original) or reason_of(found.restated))
        )  # fmt: skip
    columns = ("category", "as_reported", "as_known_now", "difference", "unit", "factors_reported", "factors_known_now",
               "reason")  # fmt: skip
    return Table(key="restated", columns=columns, rows=tuple(rows))


def _quality(made: Statement) -> Table:
    """How well the activity data are known."""
    rows = tuple(
        (
            Word(f"carrier_{line.carrier}"), line.completeness, line.known, line.shares.get("M"),
            line.shares.get("E"), line.shares.get("Q"),
        )
        for line in made.nodes[0].lines
    )  # fmt: skip
    return Table(key="quality", columns=("carrier", "completeness", "known", "flag_M", "flag_E", "flag_Q"), rows=rows)
