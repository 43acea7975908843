"""The one page: routes that render the plant, its parts for HTMX, the load curve, and the stream of live values."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from centre.errors import FigureError, UnknownSite
from centre.plant import Node, Plant
from centre.store.base import StoreError
from centre.views import Energy, Hours, Live, Load
from centre.web_curve import curve
from centre.web_headers import PageHeaders
from centre.web_hours import hours_view
from centre.web_i18n import LANGUAGES, Words, choose_language, load_words
from centre.web_live import gap_views, gateway_views, live_view, meter_key, troubles
from centre.web_panel import panel_view

_HERE: Final = Path(__file__).parent
_STATIC: Final = _HERE / "static"
_EVERY_S: Final = 2.0
_MAX_STREAMS: Final = 64
_COOKIE: Final = "lang"
_YEAR_S: Final = 365 * 86400


class PageFigures(Protocol):
    """What the page asks of centre.figures.Figures. Raise FigureError or StoreError without an answer."""

    @property
    def plants(self) -> Mapping[str, Plant]: ...

    async def live(self, site: str) -> Live: ...

    async def load(self, site: str, day: date | None = None) -> Load: ...

    async def energy(self, site: str, day: date | None = None) -> Energy: ...

    async def hours(self, site: str) -> Hours: ...


Answer = Callable[[Request], Coroutine[Any, Any, Response]]


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
        *(Route(path, partial(page.answered, answer), middleware=guarded) for path, answer in answers.items()),
        Mount("/static", StaticFiles(directory=_STATIC), middleware=guarded),
    ]


async def _favicon(_request: Request) -> Response:
    return FileResponse(_STATIC / "favicon.svg", media_type="image/svg+xml")


class _Page:
    """Turns requests into figures into HTML; holds no state but the number of open streams."""

    def __init__(self, figures: PageFigures) -> None:
        self._figures = figures
        self._words = load_words()
        self._streams = 0
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def answered(self, answer: Answer, request: Request) -> Response:
        """The answer, or a page that says in words why there is none."""
        try:
            return await answer(request)
        except (FigureError, StoreError) as err:
            words = self._words_for(request)
            code, status = (err.code, err.status) if isinstance(err, FigureError) else ("unavailable", 503)
            reason = words.get(f"error.{code}", words("error.unavailable"))
            return HTMLResponse(self._render("error.html", t=words, reason=reason), status_code=status)

    async def whole(self, request: Request) -> Response:
        plant, words = self._plant(request), self._words_for(request)
        node = _node(plant, request)
        live, energy, load, hours = await asyncio.gather(
            self._figures.live(plant.site),
            self._figures.energy(plant.site),
            self._figures.load(plant.site),
            self._figures.hours(plant.site),
        )
        html = self._render(
            "page.html",
            t=words,
            plant=plant,
            name=words.named(plant.name),
            plants=tuple(self._figures.plants.values()),
            languages=tuple(self._words.values()),
            node=node,
            panel=panel_view(plant, node, energy, load, words),
            live=live_view(plant, live, words),
            gateways=gateway_views(plant, live, words),
            hours=hours_view(plant, hours, words),
            **_attention(plant, live, words),
        )
        response = HTMLResponse(html, headers={"content-language": words("language.code")})
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(_COOKIE, words.lang, max_age=_YEAR_S, httponly=True, samesite="lax")
        return response

    async def panel(self, request: Request) -> Response:
        plant, words = self._plant(request), self._words_for(request)
        node = _node(plant, request)
        live, energy, load = await asyncio.gather(
            self._figures.live(plant.site), self._figures.energy(plant.site), self._figures.load(plant.site)
        )
        panel = panel_view(plant, node, energy, load, words)
        view = live_view(plant, live, words)
        return HTMLResponse(self._render("panel.html", t=words, plant=plant, panel=panel, live=view))

    async def attention(self, request: Request) -> Response:
        plant, words = self._plant(request), self._words_for(request)
        live = await self._figures.live(plant.site)
        view = live_view(plant, live, words)
        hours = hours_view(plant, await self._figures.hours(plant.site), words)
        html = self._render(
            "attention.html", t=words, plant=plant, live=view, hours=hours, **_attention(plant, live, words)
        )
        return HTMLResponse(html)

    async def curve(self, request: Request) -> Response:
        plant, words = self._plant(request), self._words_for(request)
        load = await self._figures.load(plant.site)
        return JSONResponse(curve(plant, load, _node(plant, request), words))

    async def live(self, request: Request) -> Response:
        plant, words = self._plant(request), self._words_for(request)
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

    def _plant(self, request: Request) -> Plant:
        """The plant of `?site=`, or the first one."""
        plants = self._figures.plants
        site = request.query_params.get("site") or next(iter(plants))
        if site not in plants:
            raise UnknownSite(site)
        return plants[site]

    def _words_for(self, request: Request) -> Words:
        asked, kept = request.query_params.get("lang"), request.cookies.get(_COOKIE)
        return self._words[choose_language(asked, kept, request.headers.get("accept-language", ""))]

    def _render(self, template: str, **context: object) -> str:
        return self._templates.get_template(template).render(context, query=_query, meter_key=meter_key)


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


def _query(**values: str) -> str:
    return urlencode(values)
