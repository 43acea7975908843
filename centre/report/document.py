"""A report as data: facts and tables, in no language and no format yet. The writers make both of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from centre.accounting.factor_choice import Choice
from centre.accounting.terms import Term, Total
from centre.accounting.zones import local_day
from centre.statement import Statement

FACTORS: Final = "factors"
_SHOWN: Final = {"contract": {"bill"}, "accuracy": {"balances", "meters"}}  # in which tables they have a say


class Word(NamedTuple):
    """A word of words.yaml, by its key."""

    key: str


class Name(NamedTuple):
    """A name in both languages."""

    en: str
    zh: str


Cell = str | Decimal | Word | Name | None


def name_of(names: Mapping[str, str]) -> Name:
    """A configured name as a cell."""
    first = next(iter(names.values()))
    return Name(names.get("en", first), names.get("zh", first))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`columns` are keys of words.yaml, each row has a cell for each. `key`, its title, is one too."""

    key: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One report of one site and period; `report`, the facts' names and the notes are keys of words.yaml."""

    report: str
    site: str
    period: str
    facts: tuple[tuple[str, Cell], ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()


def document(report: str, made: Statement, tables: Sequence[Table], notes: Sequence[str] = ()) -> Document:
    """A report of a statement, with the facts that every report begins with."""
    unverified = any(row[-2] == Word("no") for table in tables if table.key == FACTORS for row in table.rows)
    priced = any(not bill.confirmed for bill in made.bills) and any(table.key == "bill" for table in tables)
    warning = ("note_unverified",) if unverified else ()
    keys = {table.key for table in tables}
    examples = tuple(f"note_unconfirmed_{what}" for what in made.unconfirmed if _SHOWN[what] & keys)
    return Document(
        report=report,
        site=made.site,
        period=made.period.label,
        facts=(
            ("plant", name_of(made.name)),
            ("site", made.site),
            ("period", made.period.label),
            ("from", made.period.first.isoformat()),
            ("to", made.period.last.isoformat()),
            ("zone", made.zone),
            ("region", made.region),
            ("energy_policy", made.energy_policy),
            ("carbon_policy", made.carbon_policy),
            ("made_on", made.dates.made_on.isoformat()),
            ("run_on", made.dates.run_on.isoformat()),
            ("software", made.software),
        ),
        tables=tuple(tables),
        notes=(*warning, *(("note_unverified_tariff",) if priced else ()), *examples, *notes),
    )


def yes(value: object) -> Word:
    return Word("yes" if value else "no")


def choices_of(totals: Iterable[Total]) -> list[Choice]:
    return [choice for total in totals for term in total.terms for choice in term.choices]


def factor_table(choices: Iterable[Choice]) -> Table:
    """The rows that were used, each once, with where they come from and whether somebody has checked them."""
    rows: dict[str, tuple[Cell, ...]] = {}
    for choice in choices:
        row = choice.row
        if row is not None:
            published = None if row.published_on is None else row.published_on.isoformat()
            rows[row.id] = (
                row.id, row.carrier, row.metric, row.value, row.value_unit, row.region, row.factor_set, published,
                f"{choice.policy}: {choice.reason}", yes(row.confirmed), row.source,
            )  # fmt: skip
    columns = ("factor", "carrier", "metric", "value", "unit", "region", "factor_set", "published_on", "chosen_by",
               "confirmed", "source")  # fmt: skip
    return Table(key=FACTORS, columns=columns, rows=tuple(rows[key] for key in sorted(rows)))


def tariff_table(made: Statement) -> Table:
    """The lines of the bills; `confirmed` says whether their prices were checked against a notice or a bill."""
    zone = ZoneInfo(made.zone)
    rows: list[tuple[Cell, ...]] = []
    for bill in made.bills:
        first = local_day(bill.start, zone).isoformat()
        rows += [
            (
                first, name_of(line.name), line.quantity, line.unit, line.price, line.amount, bill.currency,
                line.reason, yes(line.confirmed), ", ".join(line.sources),
            )
            for line in bill.lines
        ]  # fmt: skip
    columns = ("from", "item", "quantity", "unit", "price", "amount", "currency", "reason", "confirmed", "source")
    return Table(key="bill", columns=columns, rows=tuple(rows))


def value_of(found: Total) -> Cell:
    return None if found.value is None else short(found.value)


def term_value(found: Term) -> Cell:
    return None if found.value is None else short(found.value)


def reason_of(found: Total | Term) -> str | None:
    """Why there is no value: what is missing."""
    if found.value is not None:
        return None
    if isinstance(found, Term):
        return found.reason
    return ", ".join(f"{term.label}: {term.reason}" for term in found.terms if term.value is None)


def short(value: Decimal) -> Decimal:
    """Without the zeros at its end."""
    whole = value.normalize()
    return whole.quantize(Decimal(1)) if whole == whole.to_integral_value() else whole
