"""Emission factors: dated rows of a table, and the policy by which a day gets its row.

The table is config/factors.csv; its numbers are text of third parties, `confirmed` says whether a second source was
seen. Grid factors have two axes of time: the data year (valid_from, valid_to) and the day of publication.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

_PUBLISHED: Final = re.compile(r"\((\d{4}-\d{2}-\d{2})\)")
_COLUMNS: Final = (
    "carrier", "unit", "metric", "value", "value_unit", "region", "valid_from", "valid_to", "source", "confirmed",
)  # fmt: skip

LATEST_PUBLISHED: Final = "latest data year published on or before the day"
IN_FORCE: Final = "in force on the day"
NATIONAL: Final = "CN"


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
    source: str
    confirmed: bool
    policy: str = ""


def load_factors(path: Path) -> tuple[FactorRow, ...]:
    """All rows of a factor table (CSV, UTF-8); raises FactorTableError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != _COLUMNS:
                raise FactorTableError(f"{path}:1: the columns must be {','.join(_COLUMNS)}")
            return tuple(_row(fields, f"{path}:{reader.line_num}") for fields in reader)
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise FactorTableError(f"{path}: cannot be read: {err}") from err


def _row(fields: dict[str, str], where: str) -> FactorRow:
    try:
        published = _PUBLISHED.search(fields["source"])
        value = Decimal(fields["value"])
        if not value.is_finite() or value < 0:
            raise ValueError(f"{value} is no factor")
        return FactorRow(
            id="/".join(fields[name] for name in ("carrier", "metric", "region", "valid_from")),
            carrier=fields["carrier"],
            metric=fields["metric"],
            value=value,
            value_unit=fields["value_unit"],
            region=fields["region"],
            valid_from=_date(fields["valid_from"]),
            valid_to=_date(fields["valid_to"]),
            published_on=None if published is None else date.fromisoformat(published[1]),
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


def latest_published(rows: Sequence[FactorRow], *, metric: str, region: str, day: date) -> FactorRow | None:
    """The row of the latest data year among those published on or before `day`; None when there was none yet.

    So a report of a past month keeps the factor it had, however often it is run again.
    """
    known = [
        row
        for row in rows
        if row.metric == metric and row.region == region and row.published_on is not None and row.published_on <= day
    ]
    return max(known, key=lambda row: (row.valid_from or date.min, row.published_on or date.min), default=None)


def in_force(rows: Sequence[FactorRow], *, carrier: str, metric: str, region: str, day: date) -> FactorRow | None:
    """The row valid on `day`, the latest begun where several are; the region's own, or the national one."""
    for place in (region, NATIONAL):
        valid = [
            row
            for row in rows
            if row.carrier == carrier
            and row.metric == metric
            and row.region == place
            and (row.valid_from is None or row.valid_from <= day)
            and (row.valid_to is None or day <= row.valid_to)
        ]
        if valid:
            return max(valid, key=lambda row: row.valid_from or date.min)
    return None
