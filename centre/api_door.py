"""The door of API routes: JSON out, every mistake a clear answer; in with who and why, where something is changed."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from centre.accounting.calendar import Month
from centre.errors import BadQuestion, FigureError
from centre.json_views import to_json
from centre.store.base import StoreError
from wattline.strict_yaml import Strict

MAX_BODY: Final = 4 * 1024 * 1024
HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Answer = Callable[[Request], Awaitable[object]]


class Said(Strict):
    """What every change tells: its author and its reason."""

    author: str
    reason: str


S = TypeVar("S", bound=BaseModel)


def api_routes(table: Mapping[tuple[str, str], Answer]) -> list[BaseRoute]:
    """Routes of (method, path) -> answer, under /api/v1."""
    return [Route(f"/api/v1{path}", door(answer), methods=[method]) for (method, path), answer in table.items()]


def door(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """`answer` as an endpoint: its value as JSON, or a clear error."""

    async def endpoint(request: Request) -> Response:
        try:
            found = await answer(request)
        except FigureError as err:
            return _json({"error": {"code": err.code, "message": err.message}}, err.status)
        except StoreError as err:
            return _json({"error": {"code": "store_failed", "message": str(err)}}, 503)
        if isinstance(found, Response):
            return found
        return await asyncio.to_thread(_json, found, 200)  # a year's trace is a second of work: the loop goes on

    return endpoint


def _json(value: object, status: int) -> Response:
    return Response(to_json(value), status_code=status, media_type="application/json", headers=HEADERS)


async def asked(request: Request, model: type[S]) -> S:
    """The JSON body as `model`; raises FigureError."""
    raw = await body(request, "application/json")
    try:
        text = raw.decode()
        found: Any = json.loads(text, parse_float=str, parse_constant=_no_number, object_pairs_hook=_once)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # half of a pair (\ud800) is no character
        return model.model_validate(found)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadQuestion(f"{where}: {first['msg']}") from None
    except (ValueError, RecursionError):
        raise BadQuestion("the body is no JSON") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no key stands twice: which one was meant?"""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise BadQuestion(f"{twice[:64]!r} stands there twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def month_in(text: str) -> Month:
    """`2026-10`; raises BadQuestion."""
    try:
        return Month.of(text)
    except ValueError as err:
        raise BadQuestion(f"month: {err}") from None


async def body(request: Request, kind: str) -> bytes:
    """The body, which must say that it is of `kind`: a page of another site cannot send that unasked."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != kind:
        raise FigureError("wrong_content_type", f"send it as Content-Type: {kind}", 415)
    parts = bytearray()
    try:
        async for part in request.stream():
            parts += part
            if len(parts) > MAX_BODY:
                raise FigureError("too_large", f"at most {MAX_BODY // 1024 // 1024} MiB", 413)
    except ClientDisconnect:
        raise FigureError("cut_short", "the sender left before the end of the body", 400) from None
    return bytes(parts)
