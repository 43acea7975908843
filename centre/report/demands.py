"""The highest 15-min demand of each month at the grid connection, its load factor, what was agreed (rules F4, F5)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from centre.accounting.bill import Bill
from centre.accounting.demand import DemandKind, load_factor
from centre.accounting.terms import ZERO, rounded
from centre.period import Period
from centre.plant_terms import PlantTerms
from centre.report.document import Cell, Table, Word, short
from centre.statement_balance import is_whole
from centre.statement_cost import stretches, usage_of
from centre.statements import Basis
from wattline.clock import NS

_PERCENT = 2


def demand_tables(basis: Basis, terms: PlantTerms, bills: Sequence[Bill] = ()) -> tuple[Table, ...]:
    """Of the months of which a quarter of an hour is known whole, and of these only.

    Fixed blocks, or what the bill of the month says; beside it the meter's own register, the authority of a bill.
    """
    basis = replace(
        basis,
        records={
            place: replace(record, quarters=tuple(one for one in record.quarters if is_whole(one.interval)))
            for place, record in basis.records.items()
        },
    )
    billed = {bill.start: bill for bill in bills}
    months = [(month, billed.get(month.bounds(basis.plant.zone)[0])) for month in basis.period.months()]
    rows = [row for month, bill in months for row in [_row(basis, terms, month, bill)] if row is not None]
    columns = ("period", "demand_kw", "demand_kind", "beside_kw", "from", "estimated", "mean_kw", "load_factor",
               "known", "contract_kw", "share_percent")  # fmt: skip
    return (Table(key="demands", columns=columns, rows=tuple(rows)),) if rows else ()


def _row(basis: Basis, terms: PlantTerms, month: Period, bill: Bill | None) -> tuple[Cell, ...] | None:
    parts = stretches(basis.plant, month, basis.membership, terms)
    usage = usage_of(basis.plant, month, basis.records, parts, {})
    if usage is None or usage.demand is None:
        return None
    known = [one for one in usage.intervals if one.amount is not None]
    lasted = sum(one.end - one.start for one in known)
    energy = sum((one.amount or ZERO for one in known), ZERO)
    billed = None if bill is None else bill.demand
    highest = usage.demand if billed is None or billed.kind is DemandKind.FIXED else billed
    found = load_factor(energy, start=0, end=lasted, demand=highest)
    beside = None if bill is None or bill.beside is None else short(bill.beside.kw)
    agreed: Decimal | None = None if usage.contract is None else usage.contract.contract_kw
    return (
        month.label, short(highest.kw), Word(f"demand_{highest.kind}"), beside,
        datetime.fromtimestamp(highest.start // NS, usage.zone).isoformat(),
        Word("is" if highest.estimated else "is_not"), short(found.mean_kw), found.value,
        rounded(Fraction(lasted, usage.end - usage.start), 4), agreed,
        None if not agreed else rounded(Fraction(highest.kw) / Fraction(agreed) * 100, _PERCENT),
    )  # fmt: skip
