"""API of raw readings between levels: what was asked of centres below and what came, and what was asked of this one."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Final

from pydantic import AwareDatetime
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import BaseRoute

from centre.api_door import HEADERS, Said, api_routes, asked
from centre.books.raw_requests import RawRequest
from centre.forwarding_raw import RawAnswers
from centre.upper_raw import COLUMNS, RawRequests

_LINES_AT_ONCE: Final = 1000


class NewRawRequest(Said):
    """Which registers, and from when to when; one of `node` and `device`."""

    site: str
    node: str | None = None
    device: str | None = None
    start: AwareDatetime
    end: AwareDatetime


def request_routes(requests: RawRequests) -> list[BaseRoute]:
    """Of a centre above others."""

    async def listed(_: Request) -> object:
        """All requests, the newest first."""
        return {"requests": [view(one) for one in await requests.listed()]}

    async def ask(request: Request) -> object:
        """Ask the centre of a site; who asks and why is told there, too."""
        told = await asked(request, NewRawRequest)
        made = await requests.ask(
            told.site,
            node=told.node,
            device=told.device,
            start=told.start,
            end=told.end,
            author=told.author,
            reason=told.reason,
        )
        return view(made)

    async def one(request: Request) -> object:
        """How far the answer is, or why there is none."""
        return view(await requests.one(request.path_params["id"]))

    async def readings(request: Request) -> object:
        """What came so far, as CSV."""
        found = await requests.one(request.path_params["id"])
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="raw-{found.ask.id}.csv"'}
        return StreamingResponse(as_csv(requests, found.ask.id), media_type="text/csv; charset=utf-8", headers=headers)

    async def withdraw(request: Request) -> object:
        """No more is wanted, and what came is forgotten."""
        told = await asked(request, Said)
        return view(await requests.withdraw(request.path_params["id"], author=told.author, reason=told.reason))

    return api_routes(
        {
            ("GET", "/raw-requests"): listed,
            ("POST", "/raw-requests"): ask,
            ("GET", "/raw-requests/{id}"): one,
            ("GET", "/raw-requests/{id}/readings"): readings,
            ("POST", "/raw-requests/{id}/withdraw"): withdraw,
        }
    )


def answer_routes(answers: RawAnswers) -> list[BaseRoute]:
    """Of a centre below another."""

    async def listed(_: Request) -> object:
        """Who above asked for what, why, and how it was decided."""
        return {"answers": await answers.told()}

    return api_routes({("GET", "/raw-answers"): listed})


def view(request: RawRequest) -> dict[str, object]:
    """A request as it is told."""
    ask = request.ask
    told = {name: getattr(ask, name) for name in ("id", "node", "device", "start", "end", "author", "reason")}
    return {
        **told,
        "site": request.site,
        "centre": request.centre,
        "asked_at": request.at,
        "state": request.state,
        "refused": request.reason,
        "readings": request.readings,
        "changed_at": request.changed,
    }


async def as_csv(requests: RawRequests, request: str) -> AsyncIterator[bytes]:
    """The readings of a request, in pieces."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(COLUMNS)
    count = 0
    async for row in requests.rows(request):
        lines.writerow(row)
        count += 1
        if count % _LINES_AT_ONCE == 0:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()
