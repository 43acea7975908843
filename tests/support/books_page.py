"""The books of the demo plant served as an application: three days of a real store, an alarm, a month that is closed."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from starlette.applications import Starlette

from centre import web, web_books
from centre.accounting.alarms import Measured, run
from centre.accounting.calendar import Month
from centre.accounting.stated_bill import Stated
from centre.bills import Bills
from centre.books import alarms
from centre.books.file import Books
from centre.closing import Closings
from centre.closing_figures import StatementFigures
from centre.figures import Figures
from centre.manual_batches import read_batch
from centre.office import Office, open_office
from centre.points import Directory
from centre.statement_books import StatementBooks
from metering.topics import Topics
from support.books_plant import CLOCK, filled, setup, statements
from support.page_figures import DAY
from wattline.clock import NS

SITE = "jiangjin-1"
CLOSED = "2026-10"
RUNNING = "2026-11"
ALARM = "demand_forecast_percent:jiangjin-1/plant"


def centre(factory: pytest.TempPathFactory) -> Starlette:
    """The live page and the books over the filled store; needs its lifespan run. October is closed, without readings."""
    found = setup()
    folder: Path = factory.mktemp("books-page")
    site = Starlette()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with await filled(factory) as store, Books(folder / "books.db", CLOCK) as books:
            service = statements(store, found)
            service.books = StatementBooks(books=books)
            directory = Directory(store, CLOCK)
            closings = Closings(
                store=store, books=books, clock=CLOCK, plants=service.plants,
                maker=StatementFigures(service), limit=Decimal("0.95"),
            )  # fmt: skip
            await closings.close(SITE, Month.of(CLOSED), author="Li Na", reason="before the first reading")
            office = open_office(
                setup=replace(found, store=folder / "centre.db"),
                plants=dict(service.plants),
                store=store,
                books=books,
                clock=CLOCK,
                directory=directory,
            )
            await _raise_alarm(books)
            await _produce(office)
            given = Stated(item="late <fee>", quantity=None, price=None, amount=Decimal("12.34"))
            await Bills(statements=service).state(SITE, RUNNING, [given], author="Wang <Fang>", reason="invoice")
            figures = Figures(
                store=store, clock=CLOCK, plants=service.plants, factors=found.factors, directory=directory
            )
            site.router.routes += [
                *web_books.routes(service, office.alarms, closings, office.desk),
                *web.routes(figures),
            ]
            yield

    site.router.lifespan_context = lifespan
    return site


async def _produce(office: Office) -> None:
    """A batch in force, one that waits, and a message that is none."""
    manual = office.desk.manual
    topic = Topics(SITE, "mes").production
    for batch, approved in (("B1", True), ("B2", False)):
        told = {"batch": batch, "product": "casting <1>", "node": "furnace", "quantity": 5, "unit": "t",
                "from": "2026-11-01T08:07:00+08:00", "to": "2026-11-01T11:52:00+08:00"}  # fmt: skip
        await manual.take_batch(read_batch(topic, json.dumps(told).encode(), manual.known()), approved=approved)
    office.desk.letters.put(topic, b"{}", "batch: is missing", CLOCK.now_ns())


async def _raise_alarm(books: Books) -> None:
    """Of the demand, half an hour ago."""
    rule = setup().rules[SITE].management(DAY).alarms["demand_forecast_percent"]
    began = CLOCK.now_ns() - 1800 * NS
    seen = [Measured(at=began + minute * 60 * NS, value=Decimal("131.5"), basis="789 of 600 kW") for minute in range(3)]
    alarm, changes = run(rule, seen)
    row = alarms.AlarmRow(
        id=ALARM, indicator="demand_forecast_percent", site=SITE, node="plant", carrier=None, device=None, budget=None,
        alarm=alarm,
    )  # fmt: skip
    await books.keep(lambda to: alarms.put_all(to, [(row, changes)]))
