"""The read API: JSON under /api/v1, live values as server-sent events. Reads only; every answer is JSON, errors too."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import BaseRoute, Route

from centre.api_door import HEADERS, Answer, door
from centre.errors import BadQuestion, FigureError
from centre.figures import Figures
from centre.json_views import plain, to_json
from centre.plant import Node
from centre.points import MeterPoints
from centre.store.base import SeriesKey, StoreError
from centre.views import Live, MeterLive
from wattline import __version__

MAX_WATCHERS: Final = 32
_EVENT_EVERY_S: Final = 2.0


def routes(figures: Figures, health: Callable[[], Mapping[str, object]]) -> list[BaseRoute]:
    """The routes of the API; `health` tells what the process knows of itself."""
    api = _Api(figures, health)
    table: dict[str, Answer] = {
        "/healthz": api.health,
        "/api/v1/healthz": api.health,
        "/api/v1/plants": api.plants,
        "/api/v1/plants/{site}/tree": api.tree,
        "/api/v1/plants/{site}/live": api.live,
        "/api/v1/plants/{site}/load": api.load,
        "/api/v1/plants/{site}/energy": api.energy,
        "/api/v1/plants/{site}/completeness": api.completeness,
        "/api/v1/plants/{site}/registers": api.registers,
        "/api/v1/plants/{site}/gateways": api.gateways_of,
        "/api/v1/gateways": api.gateways,
        "/api/v1/totals": api.totals,
        "/api/v1/series/{site}": api.series,
        "/api/v1/series/{site}/{device}/{point}": api.readings,
    }
    watching = Route("/api/v1/plants/{site}/events", door(api.events), methods=["GET"])
    nothing = Route("/api/v1/{rest:path}", door(api.unknown), methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    return [watching, *(Route(path, door(answer), methods=["GET"]) for path, answer in table.items()), nothing]


class _Api:
    def __init__(self, figures: Figures, health: Callable[[], Mapping[str, object]]) -> None:
        self._figures = figures
        self._health = health
        self._watchers = 0

    async def health(self, _request: Request) -> object:
        return {
            "ok": True,
            "software": __version__,
            **self._health(),
            "ledger_pending": await self._figures.ledger_pending(),
        }

    async def plants(self, _request: Request) -> object:
        return {
            "plants": [
                {
                    "site": plant.site,
                    "name": plant.name,
                    "zone": plant.zone.key,
                    "region": plant.region,
                    "devices": len({meter.device for meter in plant.meters()}),
                }
                for plant in self._figures.plants.values()
            ]
        }

    async def tree(self, request: Request) -> object:
        plant = self._figures.plant(_site(request))
        live = await self._figures.live(plant.site)
        points = await self._figures.points(plant.site)
        by_place = {
            (found.meter.device, found.meter.carrier, found.meter.flow): (found, state)
            for found, state in zip(points, live.meters, strict=True)
        }
        return {
            "site": plant.site,
            "name": plant.name,
            "zone": plant.zone.key,
            "region": plant.region,
            "tree": _node(plant.tree, by_place),
        }

    async def live(self, request: Request) -> object:
        return await self._figures.live(_site(request))

    async def load(self, request: Request) -> object:
        return await self._figures.load(_site(request), _day(request))

    async def energy(self, request: Request) -> object:
        energy = await self._figures.energy(_site(request), _day(request))
        # a node is an object, so that more than its carriers can be told one day
        return plain(energy) | {"nodes": {node: {"carriers": found} for node, found in energy.nodes.items()}}

    async def completeness(self, request: Request) -> object:
        """By device and hour with `from` and `to`, else the counters of a day."""
        if "from" in request.query_params:
            return await self._figures.hours(_site(request), _time(request, "from"), _time(request, "to"))
        return await self._figures.completeness(_site(request), _day(request))

    async def registers(self, request: Request) -> object:
        t0, t1 = _time(request, "from"), _time(request, "to")
        return {"registers": await self._figures.registers(_site(request), t0, t1, request.query_params.get("device"))}

    async def gateways(self, _request: Request) -> object:
        return {"gateways": await self._figures.gateways()}

    async def gateways_of(self, request: Request) -> object:
        site = self._figures.plant(_site(request)).site
        return {"gateways": [state for state in await self._figures.gateways() if state.site == site]}

    async def totals(self, _request: Request) -> object:
        totals = await self._figures.totals()
        return {
            "readings": totals.readings,
            "faults": totals.faults,
            "parcels": totals.parcels,
            "redelivered_parcels": totals.redelivered_parcels,
            "ignored_readings": totals.ignored_readings,
            **self._health(),
            "by_device": {f"{site}/{device}": number for (site, device), number in totals.by_device.items()},
            "ledger_pending": await self._figures.ledger_pending(),
        }

    async def series(self, request: Request) -> object:
        return {"devices": await self._figures.series(_site(request))}

    async def readings(self, request: Request) -> object:
        series = SeriesKey(_site(request), request.path_params["device"], request.path_params["point"])
        t0, t1 = _time(request, "from"), _time(request, "to")
        limit = _whole(request.query_params.get("limit", "10000"), "limit")
        found, truncated = await self._figures.readings(series, t0, t1, limit)
        return {"points": [[reading.at, reading.value] for reading in found], "truncated": truncated}

    async def unknown(self, request: Request) -> object:
        raise FigureError("unknown_route", f"there is no {request.method} {request.url.path[:200]} here", 404)

    async def events(self, request: Request) -> object:
        """Live values as long as the client stays; a bounded number of clients."""
        site = self._figures.plant(_site(request)).site
        if self._watchers >= MAX_WATCHERS:
            raise FigureError("too_many_watchers", f"{MAX_WATCHERS} clients are watching already", 503)
        return StreamingResponse(self._watch(site), media_type="text/event-stream", headers=HEADERS)

    async def _watch(self, site: str) -> AsyncIterator[bytes]:
        self._watchers += 1
        try:
            while True:
                try:
                    live: Live = await self._figures.live(site)
                    yield b"event: live\ndata: " + to_json(live) + b"\n\n"
                except StoreError as err:
                    yield b"event: failed\ndata: " + to_json({"message": str(err)}) + b"\n\n"
                await asyncio.sleep(_EVENT_EVERY_S)
        finally:
            self._watchers -= 1


def _node(node: Node, by_place: Mapping[Any, tuple[MeterPoints, MeterLive]]) -> dict[str, Any]:
    meters: list[dict[str, Any]] = []
    for meter in node.meters:
        points, live = by_place[meter.device, meter.carrier, meter.flow]
        meters.append(
            {
                "device": meter.device,
                "carrier": plain(meter.carrier),
                "flow": plain(meter.flow),
                "point": None if points.counter is None else points.counter.point,
                "gauge": None if points.gauge is None else points.gauge.point,
                "unit": live.unit,
                "state": plain(live.state),
            }
        )
    return {
        "id": node.id,
        "name": node.name,
        "meters": meters,
        "children": [_node(child, by_place) for child in node.children],
    }


def _site(request: Request) -> str:
    site: str = request.path_params["site"]
    return site


def _day(request: Request) -> date | None:
    text = request.query_params.get("day")
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadQuestion("day must be YYYY-MM-DD") from None


def _time(request: Request, name: str) -> int:
    text = request.query_params.get(name)
    if text is None:
        raise BadQuestion(f"{name} is missing: UTC nanoseconds since 1970")
    return _whole(text, name)


def _whole(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18 + 1 or int(text) >= 2**63 - 1:
        raise BadQuestion(f"{name} must be a whole number, not negative")
    return int(text)
