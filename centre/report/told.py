"""What people told and signed as tables of the statement: fuels, waste, intensities, a closed month and corrections."""

from zoneinfo import ZoneInfo

from centre.accounting.zones import local_day
from centre.closing_figures import headline
from centre.report.document import Cell, Table, carrier_name, short, value_of
from centre.statement import Statement


def told_tables(made: Statement) -> tuple[Table, ...]:
    """Only those that have something to say; of a closed month both its figures and the corrections."""
    tables = [table for table in (_fuels(made), _wastes(made), _intensities(made)) if table.rows]
    return (*tables, *_closed(made))


def _fuels(made: Statement) -> Table:
    rows = tuple(
        (
            node.id, carrier_name(fuel.carrier), value_of(fuel.stock_begin), value_of(fuel.purchased),
            value_of(fuel.sold), value_of(fuel.stock_end), fuel.purchased.unit, fuel.purchased.reason,
        )
        for node in made.nodes
        for fuel in node.fuels
    )  # fmt: skip
    columns = ("node", "carrier", "stock_begin", "purchased", "sold", "stock_end", "unit", "reason")
    return Table(key="fuels", columns=columns, rows=rows)


def _wastes(made: Statement) -> Table:
    """Stock at the beginning + generated = used + disposed of + stock at the end + the unexplained rest."""
    rows: list[tuple[Cell, ...]] = []
    for node in made.nodes:
        for found in node.wastes:
            waste = found.waste
            parts = (
                waste.stock_begin,
                waste.generated,
                waste.used,
                waste.old_stock_used,
                waste.disposed,
                waste.stock_end,
            )
            rest = None if found.rest is None else short(found.rest)
            rows.append(
                (
                    node.id, waste.kind, *(value_of(part) for part in parts), rest, "t",
                    None if found.use.value is None else short(found.use.value), found.reason or found.use.reason,
                )
            )  # fmt: skip
    columns = ("node", "waste", "stock_begin", "generated", "used", "old_stock_used", "disposed", "stock_end", "rest",
               "unit", "use_rate", "reason")  # fmt: skip
    return Table(key="wastes", columns=columns, rows=tuple(rows))


def _intensities(made: Statement) -> Table:
    rows = tuple(
        (
            node.id, found.numerator.id, value_of(found.numerator), found.denominator.id, value_of(found.denominator),
            None if found.value is None else short(found.value), found.unit, found.reason,
        )
        for node in made.nodes
        for found in node.intensities
    )  # fmt: skip
    columns = ("node", "input", "numerator", "activity", "denominator", "value", "unit", "reason")
    return Table(key="intensities", columns=columns, rows=rows)


def _closed(made: Statement) -> tuple[Table, ...]:
    signed = made.signed
    if signed is None:
        return ()
    zone = ZoneInfo(made.zone)
    now = headline(made)
    on = local_day(signed.at_ns, zone).isoformat()
    figures: list[tuple[Cell, ...]] = []
    for name, (value, unit) in signed.headline.items():
        today = now.get(name, (None, unit))[0]
        told = None if value is None else short(value)
        figures.append((name, told, None if today is None else short(today), unit, on, signed.author, signed.reason))
    corrections: list[tuple[Cell, ...]] = [
        (
            local_day(at, zone).isoformat(), change["name"], change["before"], change["after"], change["difference"],
            change["unit"],
        )
        for at, changes in signed.corrections
        for change in changes
    ]  # fmt: skip
    return (
        Table(
            key="signed",
            columns=("figure", "signed_value", "now", "unit", "closed_on", "closed_by", "closed_why"),
            rows=tuple(figures),
        ),
        Table(
            key="corrections",
            columns=("corrected_on", "figure", "before", "after", "difference", "unit"),
            rows=tuple(corrections),
        ),
    )
