"""A report as CSV, XLSX, JSON or HTML. The same document gives the same bytes in each.

JSON is in no language: words and reasons by their keys, names in both, numbers as text so that they stay exact, keys
sorted. XLSX is written by XlsxWriter: it only writes, has no dependencies, and puts no time into the file but the one
it is given.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import xlsxwriter  # pyright: ignore[reportMissingTypeStubs]
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from centre import web_i18n
from centre.report.document import Cell, Document, Name, Table, Word
from centre.web_reasons import reason
from wattline.strict_yaml import load_file

LANGUAGES: Final = ("en", "zh")
_HERE: Final = Path(__file__).parent
_MADE: Final = datetime(2020, 1, 1)  # noqa: DTZ001 - the workbook's own time stamp has no zone
_SHEET_NAME: Final = 31
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Words:
    """The words of reports in one language, and of reasons those of the page; an unknown key is a KeyError."""

    def __init__(self, texts: Mapping[str, Mapping[str, str]], lang: str, page: web_i18n.Words) -> None:
        self._texts = texts
        self._page = page
        self.lang = lang

    def __call__(self, key: str) -> str:
        return self._texts[key][self.lang]

    def cell(self, cell: Cell) -> str:
        """A cell as text; nothing for what is absent, its reason stands in its own column."""
        if cell is None:
            return ""
        if isinstance(cell, Word):
            return self(cell.key) if cell.name is None or cell.key in self._texts else cell.name
        if isinstance(cell, Name):
            return cell.zh if self.lang == "zh" else cell.en
        return f"{cell:f}" if isinstance(cell, Decimal) else cell

    def rows(self, table: Table) -> list[tuple[Cell, ...]]:
        """The rows of a table with each reason in words."""
        return [
            tuple(
                reason(cell, self._page) if column == "reason" and isinstance(cell, str) else cell
                for column, cell in zip(table.columns, row, strict=True)
            )
            for row in table.rows
        ]


def load_words() -> dict[str, Words]:
    """The words by language, with the combustion of each carrier as an emission source; raises ConfigError."""
    given: Mapping[str, Mapping[str, str]] = load_file(_HERE / "words.yaml").data
    burnt = {
        key.replace("carrier_", "source_", 1): {
            lang: given["combustion"][lang].format(word[lang]) for lang in LANGUAGES
        }
        for key, word in given.items()
        if key.startswith("carrier_")
    }
    texts = burnt | dict(given)
    page = web_i18n.load_words()
    return {lang: Words(texts, lang, page[lang]) for lang in LANGUAGES}


def to_json(found: Document, _words: Words) -> bytes:
    """Canonical JSON with a line break at its end."""
    told = {
        "report": found.report,
        "site": found.site,
        "period": found.period,
        "facts": {key: _plain(cell) for key, cell in found.facts},
        "notes": list(found.notes),
        "tables": {
            table.key: [dict(zip(table.columns, map(_plain, row), strict=True)) for row in table.rows]
            for table in found.tables
        },
    }
    text = json.dumps(told, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text.encode() + b"\n"


def _plain(cell: Cell) -> Any:
    if isinstance(cell, Word):
        return cell.key
    if isinstance(cell, Name):
        return {"en": cell.en, "zh": cell.zh}
    return f"{cell:f}" if isinstance(cell, Decimal) else cell


def to_csv(found: Document, words: Words) -> bytes:
    """All tables in one file (UTF-8 with a mark, so that spreadsheets see it), each with its title and heads."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([words(found.report)])
    for key, cell in found.facts:
        writer.writerow([words(key), _harmless(cell, words)])
    for note in found.notes:
        writer.writerow([words("note"), words(note)])
    for table in found.tables:
        writer.writerow([])
        writer.writerow([words(table.key)])
        writer.writerow([words(column) for column in table.columns])
        for row in words.rows(table):
            writer.writerow([_harmless(cell, words) for cell in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _harmless(cell: Cell, words: Words) -> str:
    """Text that a spreadsheet would take for a formula is quoted; numbers are left alone."""
    text = words.cell(cell)
    return f"'{text}" if not isinstance(cell, Decimal) and text.startswith(_FORMULA) else text


def to_xlsx(found: Document, words: Words) -> bytes:
    """A workbook: the facts on the first sheet, then one for each table. Excel keeps 15 digits of a number."""
    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book: Any = xlsxwriter.Workbook(out, options)
    book.set_properties({"title": words(found.report), "created": _MADE})
    head = book.add_format({"bold": True, "text_wrap": True, "bottom": 1})
    sheet = book.add_worksheet(_sheet_name(words(found.report)))
    sheet.set_column(0, 1, 32)
    for place, (key, cell) in enumerate(found.facts):
        sheet.write_string(place, 0, words(key))
        sheet.write_string(place, 1, words.cell(cell))
    for place, note in enumerate(found.notes, len(found.facts) + 1):
        sheet.write_string(place, 0, words("note"))
        sheet.write_string(place, 1, words(note))
    for table in found.tables:
        sheet = book.add_worksheet(_sheet_name(words(table.key)))
        sheet.set_column(0, len(table.columns), 16)
        sheet.freeze_panes(1, 0)
        for across, column in enumerate(table.columns):
            sheet.write_string(0, across, words(column), head)
        for down, row in enumerate(words.rows(table), 1):
            for across, cell in enumerate(row):
                if isinstance(cell, Decimal):
                    sheet.write_number(down, across, cell)
                elif cell is not None:
                    sheet.write_string(down, across, words.cell(cell))
    book.close()
    return out.getvalue()


def _sheet_name(text: str) -> str:
    return "".join(sign for sign in text if sign not in "[]:*?/\\")[:_SHEET_NAME]


_PAGES: Final = Environment(
    loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def to_html(found: Document, words: Words) -> bytes:
    """One page without scripts or anything from elsewhere, laid out for paper."""
    page = _PAGES.get_template("report.html")
    return page.render(found=found, t=words, lang=words.lang, number=_is_number).encode()


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, Decimal)


WRITERS: Final[Mapping[str, tuple[str, Callable[[Document, Words], bytes]]]] = {
    "json": ("application/json", to_json),
    "csv": ("text/csv; charset=utf-8", to_csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", to_xlsx),
    "html": ("text/html; charset=utf-8", to_html),
}
"""Format -> (media type, writer)."""
