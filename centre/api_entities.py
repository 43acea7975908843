"""Entities and audit over HTTP: who may be asked for, changed with author, reason and the version that was read.

The version stands in the answer and as its ETag; a change sends it back as If-Match, and is refused with 412 when
somebody else was faster.
"""

import re
from collections import Counter
from datetime import date
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from centre.api_door import Said, api_routes, asked
from centre.books.audit import MAX_ROWS
from centre.entities import entities_of
from centre.entities_file import EntitiesForm, EntityForm, all_of, document_of, entities_in, entity_of, form_of, to_yaml
from centre.entities_kept import EntityBook, UnknownEntity
from centre.entities_tree import tree_on
from centre.errors import BadQuestion, FigureError
from centre.json_views import to_json
from wattline.errors import ConfigError
from wattline.strict_yaml import load_text

_VERSION: Final = re.compile(r'(?:W/)?"?(\d{1,15})"?')
_NUMBER: Final = re.compile(r"\d{1,15}")


class SaidEntity(Said):
    """One entity as it is to be."""

    entity: EntityForm


class SaidEntities(Said):
    """All entities as they are to be."""

    entities: EntitiesForm


class SaidFile(Said):
    """All entities as they are to be, as the text of an entities.yaml."""

    yaml: str


def entity_routes(book: EntityBook) -> list[BaseRoute]:
    """The routes, for centre/app.py."""
    api = _Api(book)
    return api_routes(
        {
            ("GET", "/audit"): api.audit,
            ("GET", "/entities.yaml"): api.export,
            ("POST", "/entities.yaml"): api.import_,
            ("GET", "/entities"): api.all,
            ("PUT", "/entities"): api.put_all,
            ("GET", "/trees/{key:path}"): api.tree,
            ("GET", "/entities/{key:path}"): api.one,
            ("PUT", "/entities/{key:path}"): api.put,
            ("DELETE", "/entities/{key:path}"): api.remove,
        }
    )


class _Api:
    def __init__(self, book: EntityBook) -> None:
        self._book = book

    async def all(self, _request: Request) -> object:
        kept = await self._book.kept()
        return _at({"version": kept.version, **document_of(kept.entities)}, kept.version)

    async def export(self, _request: Request) -> object:
        kept = await self._book.kept()
        return Response(to_yaml(kept.entities), media_type="application/yaml", headers=_headers(kept.version))

    async def one(self, request: Request) -> object:
        kept, key = await self._book.kept(), _key(request)
        if key not in kept.entities.by_key:
            raise UnknownEntity(key)
        return _at({"version": kept.version, "entity": form_of(kept.entities.by_key[key])}, kept.version)

    async def tree(self, request: Request) -> object:
        """The entity with all that belonged to it on `day`."""
        kept, key = await self._book.kept(), _key(request)
        try:
            day = date.fromisoformat(request.query_params.get("day", ""))
        except ValueError:
            raise BadQuestion("day must be YYYY-MM-DD") from None
        if key not in kept.entities.by_key:
            raise UnknownEntity(key)
        return {"version": kept.version, "day": day, "tree": tree_on(kept.entities, key, day)}

    async def put(self, request: Request) -> object:
        said, expected = await asked(request, SaidEntity), _expected(request)
        site, _, id_ = _key(request).rpartition("/")
        if said.entity.id != id_:
            raise BadQuestion(f"entity.id: is not {id_[:64]!r}, which the address names")
        kept = await self._book.kept()
        upper = {entity.id for entity in kept.entities.of(None)}
        entity = entity_of(site or None, said.entity, upper)
        return _done(await self._book.put(entity, author=said.author, reason=said.reason, expected=expected))

    async def remove(self, request: Request) -> object:
        said, expected = await asked(request, Said), _expected(request)
        return _done(await self._book.remove(_key(request), author=said.author, reason=said.reason, expected=expected))

    async def put_all(self, request: Request) -> object:
        said, expected = await asked(request, SaidEntities), _expected(request)
        found = all_of(said.entities)
        if twice := next((key for key, number in Counter(entity.key for entity in found).items() if number > 1), None):
            raise BadQuestion(f"entities: {twice} stands there twice")
        entities = entities_of(found)
        return _done(await self._book.replace_all(entities, author=said.author, reason=said.reason, expected=expected))

    async def import_(self, request: Request) -> object:
        said, expected = await asked(request, SaidFile), _expected(request)
        try:
            entities = entities_in(load_text(said.yaml, "entities.yaml"))
        except ConfigError as err:
            raise FigureError("bad_entities", str(err), 422) from None
        return _done(await self._book.replace_all(entities, author=said.author, reason=said.reason, expected=expected))

    async def audit(self, request: Request) -> object:
        """The newest changes first; `below` the number of the last row seen gives the next page."""
        limit = _whole(request, "limit") or 100
        if limit > MAX_ROWS:
            raise BadQuestion(f"limit must be 1 to {MAX_ROWS}")
        subject = request.query_params.get("subject")
        return {"rows": await self._book.audit(subject=subject, below=_whole(request, "below"), limit=limit)}


def _key(request: Request) -> str:
    key: str = request.path_params["key"]
    return key


def _expected(request: Request) -> int:
    header = request.headers.get("if-match")
    if header is None:
        raise FigureError("no_version", "send the version you read as If-Match", 428)
    found = _VERSION.fullmatch(header.strip())
    if found is None:
        raise BadQuestion("If-Match must be a version such as 12")
    return int(found[1])


def _whole(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise BadQuestion(f"{name} must be a whole number")
    return int(text)


def _headers(version: int) -> dict[str, str]:
    return {"ETag": f'"{version}"', "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _at(value: object, version: int) -> Response:
    return Response(to_json(value), media_type="application/json", headers=_headers(version))


def _done(version: int) -> Response:
    return _at({"version": version}, version)
