"""Intensities of a year against the base years of the plant: the change, and whether the target is reached."""

from collections.abc import Sequence

from centre.accounting.intensity import Progress
from centre.progress import Standing
from centre.report.document import Cell, Document, Table, Word, document, factor_table, short, uses_of
from centre.statement import Statement
from centre.statement_year import spans


def progress(made: Statement, found: Sequence[Standing]) -> Document:
    """The report `progress`; of a base year that was restated a row for each version, the original first."""
    columns = ("goal", "node", "measure", "per", "base_year", "restatement", "restated_why", "boundary", "prices",
               "base_numerator", "base_denominator", "base_value", "source", "months", "numerator", "denominator",
               "value", "unit", "change", "target", "by", "reached", "reason")  # fmt: skip
    rows = tuple(_row(one, part) for one in found for part in one.progress)
    nodes = [node for node in made.nodes if any(one.goal.node == node.id for one in found)]
    return document(
        "progress",
        made,
        (
            Table(key="standings", columns=columns, rows=rows),
            factor_table(uses_of(nodes, lambda node: (node.energy.calorific, node.scope1, node.scope2.location))),
        ),
        () if found else ("note_no_base_year",),
    )


def _row(one: Standing, part: Progress) -> tuple[Cell, ...]:
    """`reached` is said of twelve months only."""
    of, base, now = one.goal, part.base.intensity, part.current
    amounts = [base.numerator.value, base.denominator.value, base.value]
    current = [now.numerator.value, now.denominator.value, now.value]
    reached = None if part.reached is None or not one.whole else Word("is" if part.reached else "is_not")
    return (
        of.id, of.node, Word(f"measure_{of.of}"), Word("value_added") if of.prices else of.per, str(base.year),
        str(part.base.revision), part.base.why, base.boundary, None if of.prices is None else str(of.prices),
        *(None if value is None else short(value) for value in amounts), base.numerator.id, spans(one.months),
        *(None if value is None else short(value) for value in current), now.unit,
        None if part.change is None else short(part.change), part.target, None if of.by is None else str(of.by),
        reached, "; ".join(filter(None, (part.reason, *one.missing))) or None,
    )  # fmt: skip
