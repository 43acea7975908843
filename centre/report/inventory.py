"""The carbon inventory of an enterprise, structured as GB/T 32150 and ISO 14064-1 ask.

Categories are those of ISO 14064-1: 1 direct, 2 from imported energy. Imported energy stands twice, by location and by
market, and is never added up twice. What is not counted is said.
"""

from collections.abc import Iterator

from centre.accounting.terms import ZERO, Input, Total
from centre.report.document import (
    Cell,
    Document,
    Table,
    Word,
    choices_of,
    document,
    factor_table,
    reason_of,
    short,
    term_value,
    value_of,
    yes,
)
from centre.statement import Statement

_COLUMNS = ("category", "emission_source", "activity", "unit", "input", "factor", "emission", "emission_unit",
            "confirmed", "reason")  # fmt: skip


def inventory(made: Statement) -> Document:
    """The report `inventory`, of the whole plant."""
    plant = made.nodes[0]
    totals = (plant.scope1, plant.scope2.location, plant.scope2.market)
    sources = (
        *_sources("category_1", plant.scope1),
        *_sources("category_2_location", plant.scope2.location),
        *_sources("category_2_market", plant.scope2.market),
    )
    return document(
        "inventory",
        made,
        (
            Table(key="sources", columns=_COLUMNS, rows=sources),
            _totals(made),
            _quality(made),
            factor_table(choices_of(totals)),
        ),
        ("note_boundary", "note_not_counted", "note_scope2_twice"),
    )


def _sources(category: str, found: Total) -> Iterator[tuple[Cell, ...]]:
    for term in found.terms:
        amount = term.inputs[0] if term.inputs else Input(id="", value=None, unit="", reason=term.reason)
        factors = " x ".join(choice.row.id for choice in term.choices if choice.row is not None)
        yield (
            Word(category), Word(f"source_{term.label}"), None if amount.value is None else short(amount.value),
            amount.unit, amount.id, factors, term_value(term), term.unit, yes(not term.unverified), reason_of(term),
        )  # fmt: skip


def _totals(made: Statement) -> Table:
    plant = made.nodes[0]
    rows: list[tuple[Cell, ...]] = []
    for view, second in (("location", plant.scope2.location), ("market", plant.scope2.market)):
        both = (plant.scope1.value, second.value)
        known = [value for value in both if value is not None]
        whole = short(sum(known, ZERO)) if len(known) == len(both) else None
        reason = reason_of(plant.scope1) or reason_of(second)
        rows.append((Word(view), value_of(plant.scope1), value_of(second), whole, "tCO2e", reason))
    return Table(
        key="totals", columns=("view", "category_1", "category_2", "total", "unit", "reason"), rows=tuple(rows)
    )


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
