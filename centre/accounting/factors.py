"""Factors: the dated rows of config/factors.csv. Which of them counts is decided in centre.accounting.factor_choice.

The numbers are text of third parties, `confirmed` says whether a second source was seen; what is not confirmed is shown
as such. A row has two axes of time: what it is valid for (a data year, or since a day), and the day it was published.
`factor_set` names the table it belongs to: the same fuel stands in several with different numbers.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

_COLUMNS: Final = (
    "carrier", "unit", "metric", "value", "value_unit", "region", "valid_from", "valid_to", "published_on",
    "factor_set", "source", "confirmed",
)  # fmt: skip

NATIONAL: Final = "CN"
WORLD: Final = "world"


class FactorTableError(ValueError):
    """A factor table that cannot be used; the message names file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRow:
    """One dated factor as it stands in the table; `policy` says why it was chosen, once it is."""

    id: str
    carrier: str
    metric: str
    value: Decimal
    value_unit: str
    region: str
    valid_from: date | None
    valid_to: date | None
    published_on: date | None
    factor_set: str
    source: str
    confirmed: bool
    policy: str = ""

    @property
    def known_from(self) -> date:
        """The first day on which somebody could have used it; a row without day of publication, from its validity."""
        return self.published_on or self.valid_from or date.min


def load_factors(path: Path) -> tuple[FactorRow, ...]:
    """All rows of a factor table (CSV, UTF-8); raises FactorTableError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != _COLUMNS:
                raise FactorTableError(f"{path}:1: the columns must be {','.join(_COLUMNS)}")
            rows: dict[str, FactorRow] = {}
            for fields in reader:
                where = f"{path}:{reader.line_num}"
                row = _row(fields, where)
                if row.id in rows:
                    raise FactorTableError(f"{where}: {row.id} stands here a second time")
                rows[row.id] = row
            return tuple(rows.values())
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise FactorTableError(f"{path}: cannot be read: {err}") from err


def _row(fields: dict[str, str], where: str) -> FactorRow:
    try:
        value = Decimal(fields["value"])
        if not value.is_finite() or value < 0:
            raise ValueError(f"{value} is no factor")
        name = "/".join(fields[name] for name in ("carrier", "metric", "region", "factor_set", "valid_from"))
        published = fields["published_on"]
        return FactorRow(
            id=f"{name}@{published}" if published else name,
            carrier=fields["carrier"],
            metric=fields["metric"],
            value=value,
            value_unit=fields["value_unit"],
            region=fields["region"],
            valid_from=_date(fields["valid_from"]),
            valid_to=_date(fields["valid_to"]),
            published_on=_date(published),
            factor_set=fields["factor_set"],
            source=fields["source"],
            confirmed={"yes": True, "no": False}[fields["confirmed"]],
        )
    except (ValueError, InvalidOperation, KeyError, TypeError, AttributeError) as err:
        raise FactorTableError(f"{where}: {err}") from err


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def regions(rows: Iterable[FactorRow], metric: str) -> frozenset[str]:
    """The regions for which the table has `metric`."""
    return frozenset(row.region for row in rows if row.metric == metric)
