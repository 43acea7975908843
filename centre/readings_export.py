"""The full list of readings behind a figure as CSV or JSON lines, checked while it is written; nothing is collected."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from centre.accounting.factor_choice import ReportDates
from centre.accounting.intervals import Interval
from centre.accounting.registers import Flag
from centre.accounting.zones import local_day
from centre.errors import BadQuestion
from centre.json_views import plain
from centre.period import Period
from centre.readings_check import ReadingsCheck
from centre.readings_list import Kind, Line, listed
from centre.records import MeterRecord
from centre.statements import Statements
from centre.store.base import Bucket
from centre.trace_build import Builder
from centre.why import built

ALL: Final = "all"
FORMS: Final[Mapping[str, str]] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
COLUMNS: Final = ("meter", "kind", "at", "value", "counted", "unit", "scale", "flag", "what", "since")

Row = dict[str, Any]


async def readings(
    statements: Statements, site: str, period: Period, figure: str, *, days: str = ALL, dates: ReportDates | None = None
) -> AsyncIterator[Row]:
    """The rows of every meter that the figure rests on, then one of kind `end` with the verdict.

    `days`: `all`, or one day such as 2026-11-03. Raises FigureError (before the first row) or StoreError.
    """
    only = _day(days)
    build, _ = await built(statements, site, period, figure, dates)
    checks: list[ReadingsCheck] = []
    for name, record in build.meters.items():
        check = ReadingsCheck(meter=name)
        checks.append(check)
        async for line in _lines(statements, build, record, only):
            check.take(line)
            yield _row(build, name, record, line)
    mistakes = [mistake for check in checks for mistake in check.mistakes]
    yield {
        "kind": "end",
        "adds_up": not mistakes,
        "meters": len(checks),
        "readings": sum(check.readings for check in checks),
        "events": sum(check.events for check in checks),
        "intervals": sum(check.intervals for check in checks),
        "mistakes": [mistake._asdict() for mistake in mistakes],
    }


async def _lines(statements: Statements, build: Builder, record: MeterRecord, only: date | None) -> AsyncIterator[Line]:
    zone = build.plant.zone

    def wanted(buckets: Sequence[Bucket]) -> list[Interval]:
        every = [bucket.interval for bucket in buckets]
        return [found for found in every if only is None or local_day(found.start, zone) == only]

    if record.manual is not None:
        async for line in listed(record.manual, record.manual.points, wanted(record.manual_days)):
            yield line._replace(flag=Flag.MANUAL if line.flag == Flag.MEASURED else line.flag)
    async for line in listed(statements.store, record.points, wanted(record.quarters or record.wire_days)):
        yield line


def _day(text: str) -> date | None:
    try:
        return None if text == ALL else date.fromisoformat(text)
    except ValueError:
        raise BadQuestion("readings must be `all` or a day such as 2026-11-03") from None


def _row(build: Builder, name: str, record: MeterRecord, line: Line) -> Row:
    said = record.said(line.at) if line.kind is Kind.READING else ""
    return {
        "meter": name,
        "kind": line.kind.value,
        "at": build.clock(line.at),
        "value": line.value,
        "counted": line.counted,
        "unit": record.points.unit,
        "scale": line.scale,
        "flag": line.flag,
        "what": "; ".join(text for text in (line.what, said) if text),
        "since": build.clock(line.since) if line.kind is Kind.INTERVAL else "",
    }


def written(row: Row, form: str) -> bytes:
    """One row as a line; of the verdict CSV has the words alone."""
    if form == "jsonl":
        return json.dumps(plain(row), ensure_ascii=False, allow_nan=False).encode() + b"\n"
    if row["kind"] == "end":
        verdict = "adds up" if row["adds_up"] else "DOES NOT ADD UP"
        wrong = "; ".join(f"{found['id']}: {found['says']}, not {found['computed']}" for found in row["mistakes"])
        words = f"{verdict}: {row['readings']} readings in {row['intervals']} intervals {wrong}".strip()
        return _csv(["", "end", "", "", "", "", "", "", words, ""])
    return _csv([_cell(row[column]) for column in COLUMNS])


def heading(form: str) -> bytes:
    """What stands before the first line."""
    return _csv(COLUMNS) if form == "csv" else b""


def _cell(value: object) -> str:
    """As text; no formula for whoever opens it in a spreadsheet."""
    told = plain(value)
    text = "" if told is None else str(told)
    return f"'{text}" if text[:1] in {"=", "+", "@", "\t", "\r"} else text


def _csv(cells: Sequence[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().encode()
