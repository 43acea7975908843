"""Templates in the reader's language: what every page of the centre is rendered with, and its answer in trouble."""

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from centre.errors import FigureError, UnknownSite
from centre.plant import Plant
from centre.store.base import StoreError
from centre.web_i18n import LANGUAGES, Words, choose_language, load_words

_TEMPLATES: Final = Path(__file__).parent / "templates"
_COOKIE: Final = "lang"
_YEAR_S: Final = 365 * 86400

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class Renderer:
    """Holds the catalogues and the compiled templates. Raises ConfigError for a broken catalogue."""

    def __init__(self) -> None:
        self._words = load_words()
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @property
    def languages(self) -> tuple[Words, ...]:
        return tuple(self._words.values())

    async def answered(self, answer: Answer, request: Request) -> Response:
        """The answer, or a page that says in words why there is none."""
        try:
            return await answer(request)
        except (FigureError, StoreError) as err:
            words = self.words(request)
            code, status = (err.code, err.status) if isinstance(err, FigureError) else ("unavailable", 503)
            reason = words.get(f"error.{code}", words("error.unavailable"))
            return HTMLResponse(self.part("error.html", t=words, reason=reason), status_code=status)

    def words(self, request: Request) -> Words:
        """Those of the language that is asked for, kept, or preferred by the browser."""
        asked, kept = request.query_params.get("lang"), request.cookies.get(_COOKIE)
        return self._words[choose_language(asked, kept, request.headers.get("accept-language", ""))]

    def page(self, request: Request, template: str, **context: object) -> HTMLResponse:
        """A whole page; the language that was asked for is kept for the next one."""
        words = self.words(request)
        html = self.part(template, t=words, languages=self.languages, **context)
        response = HTMLResponse(html, headers={"content-language": words("language.code")})
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(_COOKIE, words.lang, max_age=_YEAR_S, httponly=True, samesite="lax")
        return response

    def part(self, template: str, **context: object) -> str:
        """The HTML of a template."""
        return self._templates.get_template(template).render(context, query=_query)


def plant_of(plants: Mapping[str, Plant], request: Request) -> Plant:
    """The plant of `?site=`, or the first one; raises UnknownSite."""
    site = request.query_params.get("site") or next(iter(plants), "")
    if site not in plants:
        raise UnknownSite(site)
    return plants[site]


def _query(**values: str) -> str:
    return urlencode(values)
