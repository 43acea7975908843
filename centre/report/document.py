"""A report as data: facts and tables, in no language and no format yet. The writers make both of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from centre.accounting.exact import rounded
from centre.accounting.factor_choice import Choice
from centre.accounting.factors import FactorRow
from centre.accounting.terms import Input, Term, Total
from centre.accounting.zones import local_day
from centre.period import Period
from centre.statement import NodeStatement, Statement
from centre.statement_figures import NodeFigures
from centre.statement_year import spans

FACTORS: Final = "factors"
_EXACT: Final = 6  # places of an amount that is rounded only in its line
_SHOWN: Final = {
    "contract": {"bill", "bill_sections"},
    "accuracy": {"balances", "running_balances", "meters"},
    "gas": {"quantities", "sources", "energy_balance", "items", "products", "footprints"},
}  # in which tables they have a say


class Word(NamedTuple):
    """A word of words.yaml, by its key; `name` stands where a key made of data, such as a fuel, is not there."""

    key: str
    name: str | None = None


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


def carrier_name(label: str) -> Word:
    """A carrier or fuel in the reader's language, where it has a word; else as the factor table names it."""
    return Word(f"carrier_{label}", label)


def yes(value: object) -> Word:
    return Word("yes" if value else "no")


def choices_of(totals: Iterable[Total]) -> list[Choice]:
    return [choice for total in totals for term in total.terms for choice in term.choices]


def uses_of(
    nodes: Iterable[NodeStatement], pick: Callable[[NodeFigures], Iterable[Total]]
) -> list[tuple[Period, Choice]]:
    """What was chosen for the totals of some nodes, month by month."""
    parts = [part for node in nodes for part in node.months or (node,)]
    return [(part.period, choice) for part in parts for choice in choices_of(pick(part))]


def factor_table(uses: Iterable[tuple[Period, Choice]]) -> Table:
    """The rows that were used, each once: for which months, where they come from, whether somebody has checked them."""
    used: dict[str, tuple[FactorRow, list[Period], dict[str, None]]] = {}
    for period, choice in uses:
        if choice.row is not None:
            _, periods, why = used.setdefault(choice.row.id, (choice.row, [], {}))
            periods.append(period)
            why[f"{choice.policy}: {choice.reason}"] = None
    rows = tuple(
        (
            row.id, carrier_name(row.carrier), row.metric, row.value, row.value_unit, row.region, row.factor_set,
            None if row.published_on is None else row.published_on.isoformat(), "; ".join(why), spans(periods),
            yes(row.confirmed), row.source,
        )
        for _, (row, periods, why) in sorted(used.items())
    )  # fmt: skip
    columns = ("factor", "carrier", "metric", "value", "unit", "region", "factor_set", "published_on", "chosen_by",
               "months", "confirmed", "source")  # fmt: skip
    return Table(key=FACTORS, columns=columns, rows=rows)


def only_row(found: Term) -> FactorRow | None:
    """The row of a term with one factor; None where there is none, or the months of a year have several."""
    return found.choices[0].row if len(found.choices) == 1 else None


def tariff_table(made: Statement) -> Table:
    """The lines of the bills, then their sum or why there is none; `confirmed`: prices seen in a notice or a bill."""
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
    whole = made.cost.value
    cost = None if whole is None else rounded(Fraction(whole))
    confirmed = yes(all(bill.confirmed for bill in made.bills)) if made.bills else None
    rows.append((None, Word("total"), None, None, None, cost, made.cost.unit, made.cost_reason, confirmed, None))
    columns = ("from", "item", "quantity", "unit", "price", "amount", "currency", "reason", "confirmed", "source")
    return Table(key="bill", columns=columns, rows=tuple(rows))


def sections_table(made: Statement) -> Table:
    """What the lines of a bill are made of since each day on which a meter or the contract changed."""
    zone = ZoneInfo(made.zone)
    rows: list[tuple[Cell, ...]] = []
    for bill in made.bills:
        devices = {local_day(one.start, zone).isoformat(): ", ".join(one.meters) for one in bill.sections}
        rows += [
            (
                part.since, devices[part.since], name_of(line.name), part.key, short(part.quantity), line.unit,
                part.price, str(part.share), rounded(part.amount, _EXACT), bill.currency,
            )
            for line in bill.lines
            for part in line.parts
            if part.since
        ]  # fmt: skip
    columns = ("since", "device", "item", "bill_part", "quantity", "unit", "price", "share_of_month", "amount",
               "currency")  # fmt: skip
    return Table(key="bill_sections", columns=columns, rows=tuple(rows))


def value_of(found: Total | Term | Input) -> Cell:
    return None if found.value is None else short(found.value)


def reason_of(found: Total | Term) -> str | None:
    """Why there is no value: what is missing."""
    if found.value is not None:
        return None
    if isinstance(found, Term):
        return found.reason
    return ", ".join(f"{term.label}: {term.reason}" for term in found.terms if term.value is None)


def reasons_of(*found: Total) -> str | None:
    """Why some of them have no value, each reason once."""
    return ", ".join(dict.fromkeys(reason for total in found for reason in [reason_of(total)] if reason)) or None


def short(value: Decimal) -> Decimal:
    """Without the zeros at its end."""
    whole = value.normalize()
    return whole.quantize(Decimal(1)) if whole == whole.to_integral_value() else whole
