"""The second view: the books of a month, and why each of its figures is what it is."""

import asyncio
from functools import partial
from typing import Any, Final

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from centre.accounting.calendar import Month, month_of
from centre.alarm_watch import AlarmWatch
from centre.bills import Bills
from centre.closing import Closed, Closings
from centre.errors import BadQuestion, FigureError
from centre.period import Period
from centre.plant import Plant
from centre.report.writers import load_words as load_titles
from centre.statement import Statement
from centre.statement_ledgers import emitted_in, machines_in
from centre.statements import Statements
from centre.web_alarms import alarm_rows
from centre.web_bill import StatedView, stated_view
from centre.web_closing import sign_off
from centre.web_format import moment
from centre.web_headers import PageHeaders
from centre.web_i18n import Words
from centre.web_ledgers import machine_rows, pollutant_rows
from centre.web_month import month_choices, month_view
from centre.web_production import ProductionDesk, ProductionView
from centre.web_render import Renderer, plant_of
from centre.web_reports import report_links
from centre.web_why import why_view
from centre.why import named, why

_AT_ONCE: Final = 2  # a month of twenty meters holds half a second of CPU; more wait


def routes(
    statements: Statements, alarms: AlarmWatch, closings: Closings, desk: ProductionDesk
) -> list[BaseRoute]:  # fmt: skip
    """`/books` and `/books/why`; both take `?site=`, `month=` and `lang=`, the second `figure=`."""
    books = _Books(statements=statements, alarms=alarms, closings=closings, desk=desk, renderer=Renderer())
    guarded = [Middleware(PageHeaders)]
    answers = {"/books": books.month, "/books/why": books.why}
    return [
        Route(path, partial(books.renderer.answered, answer), middleware=guarded) for path, answer in answers.items()
    ]


class _Books:
    """Turns requests into HTML; at most two at a time are made."""

    def __init__(
        self, *, statements: Statements, alarms: AlarmWatch, closings: Closings, desk: ProductionDesk,
        renderer: Renderer,
    ) -> None:  # fmt: skip
        self._desk = desk
        self._statements = statements
        self._alarms = alarms
        self._closings = closings
        self.renderer = renderer
        self._titles = load_titles()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def month(self, request: Request) -> Response:
        plant, words = plant_of(self._statements.plants, request), self.renderer.words(request)
        current, period = self._current(plant), self._period(plant, request)
        async with self._turns:
            basis = await self._statements.basis(plant.site, period)
            made = await self._statements.of_basis(basis, await self._statements.dates_of(plant.site, period))
            view = await asyncio.to_thread(month_view, made, words)
            machines = await machines_in(self._statements, basis, made)
            emitted = await emitted_in(self._statements, basis)
        closings = await self._closings.closings(plant.site)
        alarms = await self._alarms.alarms(plant.site)
        signed = await self._signed(plant, period)
        return self.renderer.page(
            request,
            "books.html",
            **self._frame(plant, period),
            view=view,
            stated=await self._stated(made, plant, words),
            year=period.year,
            this_year=current.year,
            months=month_choices(
                period.year, period, current, {row.month for row in closings if row.reopened_at is None}
            ),
            state="closed" if signed else "running" if period == current else "open",
            now=moment(self._statements.clock.now_ns(), plant.zone),
            days=f"{period.first} – {period.last}",
            signed=None if signed is None else sign_off(signed, plant.zone, words),
            reopened=[
                words("books.reopened", by=row.reopened_by or "", why=row.reopened_why or "")
                for row in closings
                if row.month == period.label and row.reopened_at is not None
            ],
            alarms=alarm_rows(alarms, made, plant.zone, words),
            production=await self._production(plant, period),
            machines=machine_rows(machines, words),
            pollutants=pollutant_rows(emitted, plant.zone, words),
            policies=(made.energy_policy, made.carbon_policy),
            reports=report_links(period, self._titles[words.lang]),
        )

    async def why(self, request: Request) -> Response:
        plant, words = plant_of(self._statements.plants, request), self.renderer.words(request)
        period, figure = self._period(plant, request), request.query_params.get("figure", "")
        tariff = self._statements.rules[plant.site].terms.tariff
        confirmed = None if tariff is None else all(version.confirmed for version in tariff.versions)
        async with self._turns:
            trace = await why(self._statements, plant.site, period, figure)
            view = await asyncio.to_thread(why_view, trace, confirmed, words)
        node_id, name = named(figure, plant.tree.id)
        node = next((part for part in plant.tree.walk() if part.id == node_id), plant.tree)
        kind, _, carrier = name.partition("/")
        title = words.get(f"books.figure.{name}", "") or words(
            f"books.figure.{kind}", carrier=words.get(f"carrier.{carrier}", carrier)
        )
        return self.renderer.page(
            request, "why.html", **self._frame(plant, period), view=view, figure=figure, title=title,
            node=words.named(node.name),
        )  # fmt: skip

    def _frame(self, plant: Plant, period: Period) -> dict[str, Any]:
        return {"plant": plant, "plants": tuple(self._statements.plants.values()), "month": period.label}

    def _current(self, plant: Plant) -> Period:
        day = self._statements.rules[plant.site].terms.metering_day
        found = month_of(self._statements.clock.now_ns(), plant.zone, day)
        return Period(year=found.year, month=found.month, metering_day=day)

    def _period(self, plant: Plant, request: Request) -> Period:
        """The month of `?month=`, or the running one; raises BadQuestion."""
        text = request.query_params.get("month")
        found = self._current(plant) if text is None else self._statements.period(plant.site, text)
        if found.month is None:
            raise BadQuestion("month must be YYYY-MM")
        return found

    async def _stated(self, made: Statement, plant: Plant, words: Words) -> StatedView | None:
        """The supplier's bill against ours; None where there is none of one."""
        if self._statements.books is None or not made.bills:
            return None
        found = await Bills(statements=self._statements).stated(plant.site, made.period.label)
        return None if found is None else stated_view(made.bills[0], found, plant.zone, words)

    async def _production(self, plant: Plant, period: Period) -> ProductionView:
        assert period.month is not None
        return await self._desk.view(plant.site, Month(period.year, period.month), plant.zone)

    async def _signed(self, plant: Plant, period: Period) -> Closed | None:
        assert period.month is not None
        try:
            return await self._closings.closed(plant.site, Month(period.year, period.month))
        except FigureError as err:
            if err.code != "not_closed":
                raise
            return None
