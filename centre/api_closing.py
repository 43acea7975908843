"""API of the month close: list, sign, open again, and what was corrected since."""

from typing import Final

from starlette.requests import Request
from starlette.routing import BaseRoute

from centre.api_door import Said, api_routes, asked, month_in
from centre.closing import Closings
from wattline.strict_yaml import Strict

_MONTH: Final = "/plants/{site}/closings/{month}"


class Signed(Strict):
    """Who closes a month; the reason is needed only where the month is not complete."""

    author: str
    reason: str = ""


def closing_routes(closings: Closings) -> list[BaseRoute]:
    """GET .../closings, GET and POST .../closings/MONTH, POST .../MONTH/reopen, GET .../MONTH/corrections."""

    async def every(request: Request) -> object:
        return {"closings": await closings.closings(request.path_params["site"])}

    async def one(request: Request) -> object:
        return await closings.closed(request.path_params["site"], month_in(request.path_params["month"]))

    async def close(request: Request) -> object:
        month, said = month_in(request.path_params["month"]), await asked(request, Signed)
        return await closings.close(request.path_params["site"], month, author=said.author, reason=said.reason)

    async def reopen(request: Request) -> object:
        month, said = month_in(request.path_params["month"]), await asked(request, Said)
        return await closings.reopen(request.path_params["site"], month, author=said.author, reason=said.reason)

    async def corrections(request: Request) -> object:
        found = await closings.closed(request.path_params["site"], month_in(request.path_params["month"]))
        return {"closing": found.closing, "corrections": found.corrections}

    return api_routes(
        {
            ("GET", "/plants/{site}/closings"): every,
            ("GET", _MONTH): one,
            ("POST", _MONTH): close,
            ("POST", f"{_MONTH}/reopen"): reopen,
            ("GET", f"{_MONTH}/corrections"): corrections,
        }
    )
