"""Pollutants by outlet: hourly and daily means against their limits, mass, and how much of the time is known."""

from collections.abc import Sequence

from centre.emitted import Emitted
from centre.report.document import Cell, Document, Table, Word, document, name_of, short, yes
from centre.statement import Statement


def pollutants(made: Statement, found: Sequence[Emitted]) -> Document:
    """The report `pollutants`."""
    notes = () if all(one.averaging.confirmed for one in found) else ("note_unverified_averaging",)
    return document("pollutants", made, (pollutant_table(found), _days(found)), notes)


def pollutant_table(found: Sequence[Emitted]) -> Table:
    """A line for each pollutant of each outlet; limits are those of the last day, `confirmed` says whether checked."""
    columns = ("outlet", "name", "node", "pollutant", "highest_hour", "unit", "limit_hour", "hours_over", "limit_day",
               "days_over", "mass_known", "mass_hours", "hours", "valid_hours", "valid_share", "standard", "confirmed",
               "source", "reason")  # fmt: skip
    return Table(key="pollutant_months", columns=columns, rows=tuple(_month(one) for one in found))


def _month(one: Emitted) -> tuple[Cell, ...]:
    whole, limit = one.whole, one.limit
    return (
        one.outlet.id, name_of(one.outlet.name), one.outlet.node, Word(f"pollutant_{one.measured.pollutant}"),
        None if whole.highest is None else short(whole.highest), limit.unit, limit.hour, str(whole.hours_over),
        limit.day, str(whole.days_over), None if whole.mass_kg is None else short(whole.mass_kg),
        str(whole.mass_hours), str(whole.hours), str(whole.valid_hours), whole.valid_share,
        one.measured.standard, None if not limit.id else yes(limit.confirmed), limit.source or None, whole.reason,
    )  # fmt: skip


def _days(found: Sequence[Emitted]) -> Table:
    columns = ("day", "outlet", "pollutant", "mean", "unit", "limit_day", "over", "valid_hours", "reason")
    rows = tuple(
        (
            day.day.isoformat(), one.outlet.id, Word(f"pollutant_{one.measured.pollutant}"),
            None if day.mean is None else short(day.mean), one.limit.unit, day.limit,
            None if day.mean is None or day.limit is None else Word("over" if day.over else "not_over"),
            str(day.valid_hours), day.reason,
        )
        for one in found
        for day in one.days
    )  # fmt: skip
    return Table(key="pollutant_days", columns=columns, rows=rows)
