"""The commands `wattline centre report` and `wattline centre why`: read a store, also beside a running centre."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path
from typing import Final, TypeVar

from centre.accounting.factor_choice import ReportDates
from centre.books.file import Books
from centre.errors import FigureError
from centre.period import Period
from centre.points import Directory
from centre.readings_export import ALL, heading, readings, written
from centre.report.production import load_production
from centre.report.reports import REPORTS, reports
from centre.report.writers import LANGUAGES, WRITERS
from centre.settings import Setup, load_setup
from centre.statement_books import StatementBooks
from centre.statements import Statements
from centre.store.base import StoreError, StoreUnusable
from centre.store.sqlite import SqliteStore
from centre.trace import Step, Trace, check
from centre.why import FIGURES, why
from wattline.clock import SystemClock

_REPORT: Final = f"""\
Writes a report of a plant for a month (2026-11) or a year (2026).

  wattline centre report centre.yaml jiangjin-1 2026-11 statement
  wattline centre report centre.yaml jiangjin-1 2026 inventory --format xlsx --out inventory.xlsx
  wattline centre report centre.yaml jiangjin-1 2026-11 footprint --lang zh --format html
  wattline centre report centre.yaml jiangjin-1 2026-11 footprint --batch B17
  wattline centre report centre.yaml jiangjin-1 2026-11 unit-product --production november.csv

Reports: {", ".join(REPORTS)}. The same readings, settings and days give the same bytes; --made-on keeps the factors
that were known when the report was first made. What was produced is that of the books (approved rows of forms, CSV
and MQTT), or of PRODUCTION.CSV: product,name_en,name_zh,node,output,scrap,unit.
"""
_WHY: Final = f"""\
Why a number is what it is: from the figure down to factor rows, days and register readings; every step is checked.

  wattline centre why centre.yaml jiangjin-1 2026-11 scope2/location
  wattline centre why centre.yaml jiangjin-1 2026-11 workshop-1:tce/calorific --all
  wattline centre why centre.yaml jiangjin-1 2026-11 scope2/location --readings > readings.csv
  wattline centre why centre.yaml jiangjin-1 2026-11 quantity/electricity --readings 2026-11-03

Figures: {", ".join(FIGURES)}; of a part of the plant NODE:FIGURE. Exit status 1: something does not add up.
"""
_T = TypeVar("_T")


def report(argv: Sequence[str]) -> int:
    """`wattline centre report`; raises ConfigError."""
    parser = parser_of("report", _REPORT)
    parser.add_argument("report", choices=REPORTS, metavar="REPORT")
    parser.add_argument("--format", choices=list(WRITERS), default="csv", help="default: csv")
    parser.add_argument("--lang", choices=LANGUAGES, default="en", help="default: en")
    parser.add_argument("--production", type=Path, metavar="PRODUCTION.CSV", help="what was made; default: the books")
    parser.add_argument("--batch", metavar="BATCH", help="the footprint of one batch that ended in the period")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    options = parser.parse_args(argv)
    setup = load_setup(options.settings)

    async def make(service: Statements, period: Period, dates: ReportDates) -> bytes:
        maker = reports(service)
        nodes = [node.id for node in service.plant(options.site).tree.walk()]
        made = None if options.production is None else load_production(options.production, nodes)
        found = await maker.document(
            options.report, options.site, period, dates=dates, production=made, batch=options.batch
        )
        return maker.written(found, options.format, options.lang)[1]

    body = asked(setup, options, make)
    if body is None:
        return 1
    if options.out is None:
        sys.stdout.buffer.write(body)
        return 0
    try:
        options.out.write_bytes(body)
    except OSError as err:
        print(f"{options.out}: cannot be written: {err.strerror}", file=sys.stderr)
        return 1
    return 0


def why_command(argv: Sequence[str]) -> int:
    """`wattline centre why`; raises ConfigError."""
    parser = parser_of("why", _WHY)
    parser.add_argument("figure", metavar="FIGURE")
    parser.add_argument("--all", action="store_true", help="also every quarter of an hour")
    parser.add_argument(
        "--readings", nargs="?", const=ALL, metavar="DAY", help="every reading behind it as CSV, of one day or of all"
    )
    options = parser.parse_args(argv)
    setup = load_setup(options.settings)

    async def rows(service: Statements, period: Period, dates: ReportDates) -> bool:
        adds_up = False
        sys.stdout.buffer.write(heading("csv"))
        async for row in readings(service, options.site, period, options.figure, days=options.readings, dates=dates):
            adds_up = row.get("adds_up", False)
            sys.stdout.buffer.write(written(row, "csv"))
        return adds_up

    if options.readings is not None:
        return 0 if asked(setup, options, rows) else 1

    async def make(service: Statements, period: Period, dates: ReportDates) -> Trace:
        return await why(service, options.site, period, options.figure, dates)

    trace = asked(setup, options, make)
    if trace is None:
        return 1
    for depth, sign, step in trace.walk():
        if options.all or not step.id.startswith("quarter:"):
            print(line(depth, sign, step))
    mistakes = check(trace)
    for mistake in mistakes:
        print(f"DOES NOT ADD UP: {mistake.id} says {mistake.says}, its parts make {mistake.computed}")
    if not mistakes:
        print(f"adds up: {len(trace.steps)} steps were computed again from their parts")
    return 1 if mistakes else 0


def line(depth: int, sign: int, step: Step) -> str:
    """One step as a line of text."""
    value = f"- ({step.reason})" if step.value is None else f"{step.value:f}"
    mark = {1: "", -1: "- ", 0: "beside: "}[sign]
    told = f"{'  ' * depth}{mark}{value} {step.unit}  {step.id}: {step.words}"
    if step.factor is not None:
        row = step.factor
        checked = "verified" if row.confirmed else "UNVERIFIED"
        told += f"; published {row.published_on or 'not dated'}, {checked}; {step.why}; source: {row.source}"
    return told


def parser_of(name: str, about: str) -> argparse.ArgumentParser:
    """What commands that ask about a period of a site have in common."""
    parser = argparse.ArgumentParser(
        prog=f"wattline centre {name}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", type=Path, metavar="CENTRE.YAML", help="the settings file")
    parser.add_argument("site", metavar="SITE")
    parser.add_argument("period", metavar="PERIOD", help="2026-11 or 2026")
    parser.add_argument(
        "--made-on", type=date.fromisoformat, metavar="DAY", help="when it was first made; default today"
    )
    parser.add_argument("--run-on", type=date.fromisoformat, metavar="DAY", help="default: today")
    return parser


def asked(
    setup: Setup, options: argparse.Namespace, make: Callable[[Statements, Period, ReportDates], Awaitable[_T]]
) -> _T | None:
    """What `make` gives, over the store of the settings; None with a message where there is no answer."""

    async def run() -> _T:
        clock = SystemClock()
        async with AsyncExitStack() as opened:
            store = await opened.enter_async_context(SqliteStore(setup.store))
            books: StatementBooks | None = None
            if setup.books.is_file():
                books = StatementBooks(books=await opened.enter_async_context(Books(setup.books, clock)))
            service = Statements(
                store=store,
                clock=clock,
                plants={plant.site: plant for plant in setup.plants},
                rules=setup.rules,
                directory=Directory(store, clock),
                books=books,
            )
            period = service.period(options.site, options.period)
            dates = await service.dates_of(options.site, period, options.made_on, options.run_on)
            return await make(service, period, dates)

    try:
        if not setup.store.is_file():
            raise StoreUnusable(f"there is no store at {setup.store}")
        return asyncio.run(run())
    except (FigureError, StoreError, StoreUnusable) as err:
        print(f"wattline centre: {err}", file=sys.stderr)
        return None
