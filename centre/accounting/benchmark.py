"""Consumption of a unit of product against the benchmarks of an edition: baseline (基准) and advanced (标杆) level."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Final

from centre.accounting.csv_rows import csv_rows
from centre.accounting.exact import rounded
from wattline.errors import ConfigError

_COLUMNS: Final = (
    "product", "name_en", "name_zh", "unit", "output_unit", "kgce_per_unit", "baseline", "advanced", "edition",
    "valid_from", "source", "confirmed",
)  # fmt: skip
_PLACES: Final = 6
NO_BENCHMARK: Final = "no_benchmark"
NO_OUTPUT: Final = "no_output"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRow:
    """A product's two levels, in `unit` (such as kWh/t); `kgce_per_unit` makes kgce of one unit of what is consumed."""

    id: str
    product: str
    name: Mapping[str, str]
    unit: str
    output_unit: str
    kgce_per_unit: Decimal
    baseline: Decimal
    advanced: Decimal
    edition: str
    valid_from: date
    source: str
    confirmed: bool


def load_benchmarks(path: Path) -> tuple[BenchmarkRow, ...]:
    """All rows of a table (CSV, UTF-8); raises ConfigError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return benchmarks_of(file, str(path))
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: cannot be read: {err}") from err


def benchmarks_of(lines: Iterable[str], source: str) -> tuple[BenchmarkRow, ...]:
    """The rows of such a table; raises ConfigError that names file, line and column."""
    found: dict[str, BenchmarkRow] = {}
    for where, fields in csv_rows(lines, source, _COLUMNS):
        row = _row(fields, where)
        if row.id in found:
            raise ConfigError(f"{where}: product: {row.product} stands a second time in edition {row.edition}")
        found[row.id] = row
    return tuple(found.values())


def _row(fields: Mapping[str, str], where: str) -> BenchmarkRow:
    baseline, advanced = _number(fields, "baseline", where), _number(fields, "advanced", where)
    if advanced > baseline:
        raise ConfigError(f"{where}: advanced: must not be above the baseline: less is better")
    if fields["confirmed"] not in {"yes", "no"}:
        raise ConfigError(f"{where}: confirmed: must be yes or no")
    try:
        valid_from = date.fromisoformat(fields["valid_from"])
    except ValueError:
        raise ConfigError(f"{where}: valid_from: must be a day such as 2024-01-01") from None
    return BenchmarkRow(
        id=f"{fields['product']}/{fields['edition']}",
        product=fields["product"],
        name={"en": fields["name_en"], "zh": fields["name_zh"]},
        unit=fields["unit"],
        output_unit=fields["output_unit"],
        kgce_per_unit=_number(fields, "kgce_per_unit", where),
        baseline=baseline,
        advanced=advanced,
        edition=fields["edition"],
        valid_from=valid_from,
        source=fields["source"],
        confirmed=fields["confirmed"] == "yes",
    )


def _number(fields: Mapping[str, str], column: str, where: str) -> Decimal:
    try:
        value = Decimal(fields[column])
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ConfigError(f"{where}: {column}: must be a plain number such as 117")
    return value


class Level(StrEnum):
    """Less is better: ADVANCED reaches the advanced level, BETWEEN only the baseline, WORSE not even that."""

    ADVANCED = "advanced"
    BETWEEN = "between"
    WORSE = "worse_than_baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What must go for a level to be reached (0 when it is): per unit of product, in tce and in money."""

    per_unit: Decimal
    tce: Decimal
    cost: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`value` = consumption / output in the unit of `row`; None everywhere, with a reason, if it cannot be said."""

    value: Decimal | None
    level: Level | None
    to_baseline: Gap | None
    to_advanced: Gap | None
    row: BenchmarkRow | None
    reason: str | None


def row_on(rows: Sequence[BenchmarkRow], product: str, day: date) -> BenchmarkRow | None:
    """The edition of a product's levels that counts on `day`: the latest begun."""
    begun = [row for row in rows if row.product == product and row.valid_from <= day]
    return max(begun, key=lambda row: row.valid_from, default=None)


def standing(
    row: BenchmarkRow | None, *, consumption: Decimal, output: Decimal, price: Decimal | None = None
) -> Standing:
    """Where a product stands; `price` is money per unit consumed (per kWh, per kgce)."""
    if row is None or output <= 0:
        reason = NO_BENCHMARK if row is None else NO_OUTPUT
        return Standing(value=None, level=None, to_baseline=None, to_advanced=None, row=row, reason=reason)
    value = Fraction(consumption) / Fraction(output)
    if value <= Fraction(row.advanced):
        level = Level.ADVANCED
    else:
        level = Level.BETWEEN if value <= Fraction(row.baseline) else Level.WORSE
    return Standing(
        value=rounded(value, _PLACES),
        level=level,
        to_baseline=_gap(value - Fraction(row.baseline), row, output, price),
        to_advanced=_gap(value - Fraction(row.advanced), row, output, price),
        row=row,
        reason=None,
    )


def _gap(above: Fraction, row: BenchmarkRow, output: Decimal, price: Decimal | None) -> Gap:
    gap = max(Fraction(0), above)
    whole = gap * Fraction(output)
    return Gap(
        per_unit=rounded(gap, _PLACES),
        tce=rounded(whole * Fraction(row.kgce_per_unit) / 1000, _PLACES),
        cost=None if price is None else rounded(whole * Fraction(price)),
    )
