"""The command `wattline centre import`: a CSV file of manual data into the books, whole or not at all."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

from centre.books.file import Books
from centre.books.forms import FormRow
from centre.errors import FigureError
from centre.manual import Manual
from centre.manual_forms import FORMS
from centre.settings import Setup, load_setup
from centre.store.base import StoreError, StoreUnusable
from wattline.clock import SystemClock

_FORMS: Final = "\n".join(f"  {form.name:14} {','.join(form.all)}" for form in FORMS.values())
_ABOUT: Final = f"""\
Takes a CSV file of manual data (UTF-8, comma, one header line) as a draft; the header tells which form it is:

{_FORMS}

Every mistake is a line FILE:LINE:COLUMN, and then nothing is taken. The same file again changes nothing. Figures have
the data when they were submitted (--submit) and approved by somebody else (--approve NUMBER, or the API). The centre
may be running.

  wattline centre import production-2026-10.csv --settings centre.yaml --author li --submit
  wattline centre import --approve 7 --settings centre.yaml --author wang --reason "checked against the ledger"

Exit status: 0 done, 1 not taken, 2 wrong usage, 78 wrong configuration.
"""


def main(argv: list[str]) -> int:
    """`wattline centre import ...`; returns the exit status. Raises ConfigError."""
    parser = argparse.ArgumentParser(
        prog="wattline centre import", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the CSV file")
    what.add_argument("--approve", type=_number, metavar="NUMBER", help="approve a submitted form instead")
    parser.add_argument("--settings", type=Path, required=True, metavar="CENTRE.YAML", help="settings of the centre")
    parser.add_argument("--author", required=True, help="who does it")
    parser.add_argument("--reason", default="", help="why; default: `import of FILE`")
    parser.add_argument("--submit", action="store_true", help="hand the draft in at once")
    options = parser.parse_args(argv)
    if options.approve is not None and (options.submit or not options.reason):
        parser.error("--approve stands with --reason and without --submit")
    setup = load_setup(options.settings)
    try:
        content = None if options.file is None else options.file.read_bytes()
        row = asyncio.run(_work(setup, options, content))
    except (FigureError, StoreError, StoreUnusable, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    print(f"form {row.id}: {row.form}, {row.rows} rows, {row.state}")
    return 0


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < len(text) < 19:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number of a form")
    return int(text)


async def _work(setup: Setup, options: argparse.Namespace, content: bytes | None) -> FormRow:
    clock = SystemClock()
    async with Books(setup.books, clock) as books:
        plants = {plant.site: plant for plant in setup.plants}
        manual = Manual(books=books, clock=clock, plants=plants, factors=setup.factors)
        if content is None:
            return await manual.approve(options.approve, author=options.author, reason=options.reason)
        reason = options.reason or f"import of {options.file.name}"
        row = await manual.take_csv(content, options.file.name, author=options.author, reason=reason)
        if options.submit and row.state == "draft":
            row = await manual.submit(row.id, author=options.author, reason=reason)
        return row
