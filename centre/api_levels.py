"""API of the levels above plants: which there are, the roll-up of one for a month, and statistics by industry."""

from starlette.requests import Request
from starlette.routing import BaseRoute

from centre.api_door import api_routes, month_in
from centre.forwarding import Forwarder
from centre.upper import UpperFigures


def routes(figures: UpperFigures) -> list[BaseRoute]:
    """The routes."""

    async def levels(_: Request) -> object:
        """All entities above plants."""
        return {"levels": await figures.known()}

    async def level(request: Request) -> object:
        """One for `month`: carriers, tce, tCO2, its members, what they passed to each other, what is missing."""
        return await figures.level(request.path_params["key"], month_in(request.query_params.get("month", "")))

    async def statistics(request: Request) -> object:
        """Unit consumption by industry in `month`; small groups are left out, with the reason."""
        return await figures.statistics(request.path_params["key"], month_in(request.query_params.get("month", "")))

    return api_routes(
        {
            ("GET", "/levels"): levels,
            ("GET", "/levels/{key}"): level,
            ("GET", "/levels/{key}/statistics"): statistics,
        }
    )


def forwarding_routes(forwarder: Forwarder) -> list[BaseRoute]:
    """Of a centre below another: how the way up is."""

    async def forwarding(_: Request) -> object:
        """Whether the upper centre's broker is there, and how many intervals the upper centre lacks."""
        return {"connected": forwarder.connected, "waiting": await forwarder.waiting()}

    return api_routes({("GET", "/forwarding"): forwarding})
