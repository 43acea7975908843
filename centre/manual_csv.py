"""From a CSV file, or the rows of a form, to entries: all rows are right, or every mistake is told with its place."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from centre.errors import FigureError
from centre.manual_columns import Known
from centre.manual_forms import FORMS, Entry, Form, check_row

MAX_ROWS: Final = 20_000
_MAX_MISTAKES: Final = 50
_MAX_COLUMNS: Final = 100  # a header of more is that of no form, and not looked through


class Wrong(FigureError):
    """Nothing was taken; the message has a line `FILE:LINE:COLUMN: name: what would be right` for each mistake."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        shown = list(mistakes[:_MAX_MISTAKES])
        if len(mistakes) > len(shown):
            shown.append(f"... and {len(mistakes) - len(shown)} more")
        super().__init__("invalid_rows", "\n".join(shown), 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A form filled in. `digest` is that of what the rows say, not of how the file writes it."""

    form: str
    name: str
    digest: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A row with its line number, its texts by column, and the number of each column."""

    number: int
    texts: Mapping[str, str]
    columns: Mapping[str, int]


def read_csv(content: bytes, name: str, known: Known) -> Filled:
    """The entries of a CSV file (UTF-8, comma, header line); raises Wrong."""
    lines = _lines(content, name)
    nothing: tuple[int, list[str]] = (1, [])
    header_line, header = next(lines, nothing)
    form, columns = _form_of(header, f"{name}:{header_line}")
    rows: list[_Line] = []
    mistakes: list[str] = []
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            mistakes.append(f"{name}:{number}:{len(cells)}: has {len(cells)} cells; the header has {len(header)}")
        rows.append(_Line(number=number, texts=dict(zip(columns, cells, strict=False)), columns=columns))
        if len(rows) > MAX_ROWS:
            raise Wrong([f"{name}:{number}:1: at most {MAX_ROWS} rows in a file"])
    if mistakes:
        raise Wrong(mistakes)
    return _filled(form, name, rows, known)


def read_rows(form: str, rows: Sequence[Mapping[str, str]], known: Known) -> Filled:
    """The entries of a form filled in elsewhere, rows counted from 1; raises Wrong."""
    if form not in FORMS:
        raise Wrong([f"there is no form {form[:40]!r}: {', '.join(FORMS)}"])
    columns = {name: place for place, name in enumerate(FORMS[form].all, 1)}
    mistakes = [
        f"{form}:{number}: {name[:40]}: is no column of this form: {', '.join(columns)}"
        for number, row in enumerate(rows, 1)
        for name in row
        if name not in columns
    ]
    if mistakes or len(rows) > MAX_ROWS:
        raise Wrong(mistakes or [f"at most {MAX_ROWS} rows at once"])
    return _filled(
        FORMS[form],
        form,
        [_Line(number=number, texts=row, columns=columns) for number, row in enumerate(rows, 1)],
        known,
    )


def utf8(content: bytes, name: str) -> str:
    """The text of a file that was sent; raises Wrong with the line that another encoding stands in."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = content[: err.start].count(b"\n") + 1
        raise Wrong([f"{name}:{line}:1: is not UTF-8: save it as `CSV UTF-8 (comma delimited)`"]) from None


def _lines(content: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    """The line on which each record begins, and its cells."""
    reader = csv.reader(io.StringIO(utf8(content, name), newline=""), strict=True)
    begun = 1
    try:
        for cells in reader:
            yield begun, cells
            begun = reader.line_num + 1
    except csv.Error as err:
        raise Wrong([f"{name}:{reader.line_num}:1: is no CSV: {err}"]) from None


def _form_of(header: Sequence[str], place: str) -> tuple[Form, dict[str, int]]:
    """The form whose columns these are; raises Wrong against the one that comes nearest."""
    if len(header) > _MAX_COLUMNS:
        raise Wrong([f"{place}:{_MAX_COLUMNS + 1}: has {len(header)} columns; no form has so many"])
    names = [cell.strip() for cell in header]
    form = max(FORMS.values(), key=lambda form: (len(set(names) & set(form.all)), -len(form.required)))
    mistakes = [
        f"{place}:{number}: {name[:40]!r} is no column of the form {form.name}: {', '.join(form.all)}"
        for number, name in enumerate(names, 1)
        if name not in form.all
    ]
    mistakes += [
        f"{place}:{number}: {name} stands here a second time"
        for number, name in enumerate(names, 1)
        if name in names[: number - 1]
    ]
    missing = [name for name in form.required if name not in names]
    if missing:
        mistakes.append(f"{place}:{len(names) + 1}: the form {form.name} also needs {', '.join(missing)}")
    if mistakes:
        raise Wrong(mistakes)
    return form, {name: number for number, name in enumerate(names, 1)}


def _filled(form: Form, name: str, rows: Sequence[_Line], known: Known) -> Filled:
    entries: list[Entry] = []
    mistakes: list[str] = []
    first: dict[tuple[str, ...], int] = {}
    for row in rows:
        entry, wrong = check_row(form, row.texts, known, row.number)
        for column, what in wrong:
            mistakes.append(f"{name}:{row.number}:{row.columns.get(column, 1)}: {column}: {what}")
        if entry is None:
            continue
        if (earlier := first.setdefault(entry.key, row.number)) != row.number:
            mistakes.append(f"{name}:{row.number}:1: is about the same as line {earlier}: {', '.join(entry.key)}")
        entries.append(entry)
    if not rows:
        mistakes.append(f"{name}:2:1: has no rows")
    if mistakes:
        raise Wrong(mistakes)
    told = json.dumps([form.name, *(dict(entry.values) for entry in entries)], sort_keys=True, ensure_ascii=False)
    return Filled(form=form.name, name=name, digest=hashlib.sha256(told.encode()).hexdigest(), entries=tuple(entries))
