"""The one page: routes that render the plant, its parts for HTMX, the load curve, and the stream of live values."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from centre.errors import FigureError
from centre.plant import Node, Plant
from centre.store.base import StoreError
from centre.views import Energy, Hours, Live, Load
from centre.web_attention import gap_views, troubles
from centre.web_curve import curve
from centre.web_headers import PageHeaders
from centre.web_hours import hours_view
from centre.web_i18n import Words
from centre.web_live import gateway_views, live_view, meter_key
from centre.web_panel import panel_view
from centre.web_render import Answer, Renderer, plant_of

_HERE: Final = Path(__file__).parent
_STATIC: Final = _HERE / "static"
_EVERY_S: Final = 2.0
_MAX_STREAMS: Final = 64


class PageFigures(Protocol):
    """What the page asks of centre.figures.Figures. Raise FigureError or StoreError without an answer."""

    @property
    def plants(self) -> Mapping[str, Plant]: ...

    async def live(self, site: str) -> Live: ...

    async def load(self, site: str, day: date | None = None) -> Load: ...

    async def energy(self, site: str, day: date | None = None) -> Energy: ...

    async def hours(self, site: str) -> Hours: ...


def routes(figures: PageFigures) -> list[BaseRoute]:
    """The page at `/`, its parts, its stream, and `/static`; mount them after the API's."""
    page = _Page(figures)
    guarded = [Middleware(PageHeaders)]
    answers: dict[str, Answer] = {
        "/": page.whole,
        "/panel": page.panel,
        "/attention": page.attention,
        "/curve": page.curve,
        "/live": page.live,
        "/favicon.ico": _favicon,
    }
    return [
        *(Route(path, partial(page.renderer.answered, answer), middleware=guarded) for path, answer in answers.items()),
        Mount("/static", StaticFiles(directory=_STATIC), middleware=guarded),
    ]


async def _favicon(_request: Request) -> Response:
    return FileResponse(_STATIC / "favicon.svg", media_type="image/svg+xml")


class _Page:
    """Turns requests into figures into HTML; holds no state but the number of open streams."""

    def __init__(self, figures: PageFigures) -> None:
        self._figures = figures
        self.renderer = Renderer()
        self._streams = 0

    async def whole(self, request: Request) -> Response:
        plant, words = plant_of(self._figures.plants, request), self.renderer.words(request)
        node = _node(plant, request)
        live, energy, load, hours = await asyncio.gather(
            self._figures.live(plant.site),
            self._figures.energy(plant.site),
            self._figures.load(plant.site),
            self._figures.hours(plant.site),
        )
        return self.renderer.page(
            request,
            "page.html",
            plant=plant,
            name=words.named(plant.name),
            plants=tuple(self._figures.plants.values()),
            node=node,
            panel=panel_view(plant, node, energy, load, words),
            live=live_view(plant, live, words),
            gateways=gateway_views(plant, live, words),
            hours=hours_view(plant, hours, words),
            meter_key=meter_key,
            **_attention(plant, live, words),
        )

    async def panel(self, request: Request) -> Response:
        plant, words = plant_of(self._figures.plants, request), self.renderer.words(request)
        node = _node(plant, request)
        live, energy, load = await asyncio.gather(
            self._figures.live(plant.site), self._figures.energy(plant.site), self._figures.load(plant.site)
        )
        panel = panel_view(plant, node, energy, load, words)
        view = live_view(plant, live, words)
        return HTMLResponse(self.renderer.part("panel.html", t=words, plant=plant, panel=panel, live=view))

    async def attention(self, request: Request) -> Response:
        plant, words = plant_of(self._figures.plants, request), self.renderer.words(request)
        live = await self._figures.live(plant.site)
        view = live_view(plant, live, words)
        hours = hours_view(plant, await self._figures.hours(plant.site), words)
        html = self.renderer.part(
            "attention.html", t=words, plant=plant, live=view, hours=hours, **_attention(plant, live, words)
        )
        return HTMLResponse(html)

    async def curve(self, request: Request) -> Response:
        plant, words = plant_of(self._figures.plants, request), self.renderer.words(request)
        load = await self._figures.load(plant.site)
        return JSONResponse(curve(plant, load, _node(plant, request), words))

    async def live(self, request: Request) -> Response:
        plant, words = plant_of(self._figures.plants, request), self.renderer.words(request)
        if self._streams >= _MAX_STREAMS:
            return Response(status_code=503, headers={"retry-after": "10"})
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._events(plant, words), media_type="text/event-stream", headers=headers)

    async def _events(self, plant: Plant, words: Words) -> AsyncGenerator[str, None]:
        """A `live` event every two seconds until the browser leaves; none while the figures cannot be had."""
        self._streams += 1
        try:
            yield "retry: 3000\n\n"
            while True:
                try:
                    live = await self._figures.live(plant.site)
                except (FigureError, StoreError):
                    yield ": no figures\n\n"
                else:
                    message = live_view(plant, live, words).message()
                    yield f"event: live\ndata: {json.dumps(message, ensure_ascii=False, separators=(',', ':'))}\n\n"
                await asyncio.sleep(_EVERY_S)
        finally:
            self._streams -= 1


def _node(plant: Plant, request: Request) -> Node:
    """The node of `?node=`, or the whole plant."""
    wanted = request.query_params.get("node") or plant.tree.id
    found = next((node for node in plant.tree.walk() if node.id == wanted), None)
    if found is None:
        raise FigureError("unknown_node", f"there is no node {wanted[:64]!r} in {plant.site}", 404)
    return found


def _attention(plant: Plant, live: Live, words: Words) -> dict[str, object]:
    return {
        "troubles": troubles(plant, live, words),
        "gaps": gap_views(plant, live, words),
        "nothing_yet": bool(live.meters) and all(meter.state == "never" for meter in live.meters),
    }
