"""The equipment ledger: the plate of every machine, its hours, load rate, energy and specific consumption."""

from collections.abc import Sequence
from typing import Final

from centre.equipment_ledger import LedgerRow
from centre.report.document import Cell, Document, Table, Word, document, name_of, short
from centre.statement import Statement

MACHINES: Final = (
    "node", "name", "from", "to", "rated_kw", "efficiency_class", "grade", "year_made", "eliminated",
    "key_equipment", "running_h", "idle_h", "off_h", "unknown_h", "starts", "load_rate", "energy_kwh", "idle_kwh",
    "output", "output_unit", "specific", "unit", "compared", "reason",
)  # fmt: skip


def equipment(made: Statement, found: Sequence[LedgerRow]) -> Document:
    """The report `equipment`."""
    table = Table(key="machines", columns=MACHINES, rows=tuple(_row(row) for row in found))
    return document("equipment", made, (table,), () if found else ("note_no_equipment",))


def _row(row: LedgerRow) -> tuple[Cell, ...]:
    entry, done, specific = row.entry, row.operation, row.specific
    output = None if specific is None else specific.denominator
    return (
        row.node, name_of(row.name), row.first.isoformat(), row.last.isoformat(), entry.rated_kw,
        entry.efficiency_class, None if entry.grade is None else str(entry.grade),
        None if entry.made is None else str(entry.made), Word("is" if entry.eliminated else "is_not"),
        Word("is" if entry.key else "is_not"), short(done.running_h), short(done.idle_h), short(done.off_h),
        short(done.unknown_h), str(done.starts), done.load_rate,
        None if done.energy_kwh is None else short(done.energy_kwh), short(done.idle_kwh),
        None if output is None or output.value is None else short(output.value),
        None if output is None else output.unit,
        None if specific is None or specific.value is None else short(specific.value),
        None if specific is None else specific.unit, row.compared,
        row.reason,
    )  # fmt: skip
