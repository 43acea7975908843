"""The books of the demo plant served as an application: three days of a real store, an alarm, a month that is closed."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from starlette.applications import Starlette

from centre import web, web_books
from centre.accounting.alarms import Measured, run
from centre.accounting.calendar import Month
from centre.books import alarms
from centre.books.file import Books
from centre.closing import Closings
from centre.closing_figures import StatementFigures
from centre.figures import Figures
from centre.office import open_office
from centre.points import Directory
from support.books_plant import CLOCK, filled, setup, statements
from wattline.clock import NS

SITE = "jiangjin-1"
CLOSED = "2026-10"
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
            directory = Directory(store, CLOCK)
            closings = Closings(
                store=store, books=books, clock=CLOCK, plants=service.plants, directory=directory,
                maker=StatementFigures(service), limit=Decimal("0.95"),
            )  # fmt: skip
            await closings.close(SITE, Month.of(CLOSED), author="Li Na", reason="before the first reading")
            office = open_office(
                setup=found, plants=service.plants, store=store, books=books, clock=CLOCK, directory=directory
            )
            await _raise_alarm(books)
            figures = Figures(store=store, clock=CLOCK, plants=found.plants, factors=found.factors, directory=directory)
            site.router.routes += [
                *web_books.routes(service, office.alarms, closings),
                *web.routes(figures),
            ]
            yield

    site.router.lifespan_context = lifespan
    return site


async def _raise_alarm(books: Books) -> None:
    """Of the demand, half an hour ago."""
    rule = setup().rules[SITE].management.alarms["demand_forecast_percent"]
    began = CLOCK.now_ns() - 1800 * NS
    seen = [Measured(at=began + minute * 60 * NS, value=Decimal("131.5"), basis="789 of 600 kW") for minute in range(3)]
    alarm, changes = run(rule, seen)
    row = alarms.AlarmRow(
        id=ALARM, indicator="demand_forecast_percent", site=SITE, node="plant", carrier=None, device=None, budget=None,
        alarm=alarm,
    )  # fmt: skip
    await books.keep(lambda to: alarms.put_all(to, [(row, changes)]))
