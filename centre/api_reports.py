"""The API of statements, reports and traces: GET /api/v1/reports/... and /api/v1/why/..."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from centre.accounting.factor_choice import ReportDates
from centre.api_door import HEADERS, api_routes
from centre.errors import BadQuestion
from centre.period import Period
from centre.readings_export import FORMS, Row, heading, readings, written
from centre.report.reports import REPORTS, Reports
from centre.report.writers import WRITERS
from centre.trace import Trace, check
from centre.why import FIGURES, why

_BATCH: Final = 500  # rows of readings that are written together
_AT_ONCE: Final = 2  # a report of a year holds a second of CPU; more wait


def routes(reports: Reports) -> list[BaseRoute]:
    """The routes, to stand before those of centre.api, which answer for the rest of /api/v1."""
    api = _Api(reports)
    return api_routes(
        {
            ("GET", "/reports"): api.listed,
            ("GET", "/reports/{site}/{period}/{report}"): api.report,
            ("GET", "/why/{site}/{period}/{figure:path}"): api.why,
        }
    )


class _Api:
    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def listed(self, _request: Request) -> object:
        return {"reports": list(REPORTS), "formats": list(WRITERS), "figures": list(FIGURES)}

    async def report(self, request: Request) -> Response:
        """`format` (json), `lang` (en), `made_on` and `run_on` (days), `batch` of a footprint, as query parameters."""
        site, period, dates = await self._asked(request)
        name: str = request.path_params["report"]
        form, lang = request.query_params.get("format", "json"), request.query_params.get("lang", "en")
        async with self._turns:
            batch = request.query_params.get("batch")
            found = await self._reports.document(name, site, period, dates=dates, batch=batch)
            media, body = await asyncio.to_thread(self._reports.written, found, form, lang)
        headers = dict(HEADERS)
        if form in {"csv", "xlsx"}:
            headers["Content-Disposition"] = f'attachment; filename="{site}-{period.label}-{name}.{form}"'
        return Response(body, media_type=media, headers=headers)

    async def why(self, request: Request) -> object:
        """The trace of a figure with the verdict of the check; with `readings` (all, or a day) every reading behind it.

        The readings come as `format` jsonl or csv; their last line is the verdict.
        """
        site, period, dates = await self._asked(request)
        days = request.query_params.get("readings")
        if days is not None:
            return await self._readings(request, site, period, dates, days)
        async with self._turns:
            trace = await why(self._reports.statements, site, period, request.path_params["figure"], dates)
            return await asyncio.to_thread(trace_view, trace)

    async def _readings(
        self, request: Request, site: str, period: Period, dates: ReportDates, days: str
    ) -> StreamingResponse:
        form = request.query_params.get("format", "jsonl")
        if form not in FORMS:
            raise BadQuestion(f"readings come as {', '.join(FORMS)}")
        figure: str = request.path_params["figure"]
        rows = readings(self._reports.statements, site, period, figure, days=days, dates=dates)
        async with self._turns:
            first = await anext(rows)

        async def body() -> AsyncIterator[bytes]:
            yield heading(form) + written(first, form)
            async for batch in _batches(rows):
                yield b"".join(written(row, form) for row in batch)

        name = f"{site}-{period.label}-readings.{form}"
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(body(), media_type=FORMS[form], headers=headers)

    async def _asked(self, request: Request) -> tuple[str, Period, ReportDates]:
        service = self._reports.statements
        site = service.plant(request.path_params["site"]).site
        period = service.period(site, request.path_params["period"])
        dates = await service.dates_of(site, period, _day(request, "made_on"), _day(request, "run_on"))
        return site, period, dates


async def _batches(rows: AsyncIterator[Row]) -> AsyncIterator[list[Row]]:
    batch: list[Row] = []
    async for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def trace_view(trace: Trace) -> dict[str, Any]:
    """A trace as JSON has it: steps by id, their parts as [sign, id]."""
    mistakes = check(trace)
    return {
        "figure": trace.root,
        "adds_up": not mistakes,
        "mistakes": [mistake._asdict() for mistake in mistakes],
        "steps": {
            step.id: {
                "rule": step.rule,
                "words": step.words,
                "value": step.value,
                "unit": step.unit,
                "rounding": step.rounding,
                "ratio": step.ratio,
                "at_ns": step.at_ns,
                "reason": step.reason,
                "why": step.why,
                "factor": step.factor,
                "shares": step.flags,
                "parts": [[part.sign, part.id] for part in step.parts],
                "proof": [[part.sign, part.id] for part in step.proof],
            }
            for step in trace.steps.values()
        },
    }


def _day(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise BadQuestion(f"{name} must be YYYY-MM-DD") from None
