"""API of manual data: take a form or a CSV file, hand it in, give it back, approve it, and look at what there is."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field
from starlette.requests import Request
from starlette.routing import BaseRoute

from centre.accounting.calendar import Month
from centre.api_door import Said, api_routes, asked, body, month_in
from centre.books.forms import FormRow, State
from centre.dead_letters import DeadLetters
from centre.errors import BadQuestion
from centre.json_views import plain
from centre.manual import Manual
from centre.manual_csv import MAX_ROWS
from centre.manual_forms import FORMS, READINGS, Entry
from centre.store.base import StoreError

_MANY: Final = 1000


class FilledIn(Said):
    """A form filled in on a page: rows of column -> text."""

    form: str
    rows: Annotated[list[dict[str, str]], Field(min_length=1, max_length=MAX_ROWS)]


class Many(Said):
    """Forms by number, or every batch of `site` that waits in `month`."""

    forms: Annotated[tuple[Annotated[int, Field(ge=1, lt=2**63)], ...], Field(max_length=_MANY)] = ()
    site: str = ""
    month: str = ""


def routes(manual: Manual, refused: DeadLetters) -> list[BaseRoute]:
    """The routes; everything that changes something tells its author and reason. `refused` batches lie there."""
    api = _Api(manual, refused)
    return api_routes(
        {
            ("GET", "/manual/columns"): api.columns,
            ("GET", "/manual/forms"): api.forms,
            ("POST", "/manual/forms"): api.fill,
            ("POST", "/manual/csv"): api.csv,
            ("GET", "/manual/forms/{number:int}"): api.form,
            ("POST", "/manual/forms/{number:int}/submit"): api.submit,
            ("POST", "/manual/forms/{number:int}/return"): api.give_back,
            ("POST", "/manual/forms/{number:int}/approve"): api.approve,
            ("POST", "/manual/approve"): api.approve_many,
            ("GET", "/manual/batches"): api.batches,
            ("GET", "/manual/batches/refused"): api.refused,
            ("GET", "/plants/{site}/manual/{form}"): api.entries,
        }
    )


class _Api:
    def __init__(self, manual: Manual, refused: DeadLetters) -> None:
        self._manual = manual
        self._refused = refused

    async def columns(self, _request: Request) -> object:
        """What each form asks for."""
        return {
            "forms": [
                {
                    "form": form.name,
                    "columns": [
                        {"name": column.name, "key": column.key, "optional": column.optional} for column in form.columns
                    ],
                }
                for form in FORMS.values()
            ]
        }

    async def forms(self, request: Request) -> object:
        state = request.query_params.get("state")
        try:
            wanted = None if state is None else State(state)
        except ValueError:
            raise BadQuestion(f"state must be one of {', '.join(State)}") from None
        return {"forms": await self._manual.forms(wanted)}

    async def form(self, request: Request) -> object:
        row, entries = await self._manual.form(request.path_params["number"])
        return _form(row) | {"entries": [_entry(entry) for entry in entries]}

    async def fill(self, request: Request) -> object:
        told = await asked(request, FilledIn)
        return _form(await self._manual.take_rows(told.form, told.rows, author=told.author, reason=told.reason))

    async def csv(self, request: Request) -> object:
        """The file is the body (text/csv); `name`, `author` and `reason` stand in the query."""
        content = await body(request, "text/csv")
        asked_for = request.query_params
        name = asked_for.get("name", "upload.csv")[:120]
        return _form(
            await self._manual.take_csv(
                content, name, author=asked_for.get("author", ""), reason=asked_for.get("reason", "")
            )
        )

    async def submit(self, request: Request) -> object:
        said = await asked(request, Said)
        return _form(await self._manual.submit(_number(request), author=said.author, reason=said.reason))

    async def give_back(self, request: Request) -> object:
        said = await asked(request, Said)
        return _form(await self._manual.give_back(_number(request), author=said.author, reason=said.reason))

    async def approve(self, request: Request) -> object:
        said = await asked(request, Said)
        return _form(await self._manual.approve(_number(request), author=said.author, reason=said.reason))

    async def approve_many(self, request: Request) -> object:
        """What was approved and what was not; that some were not is no error of the request."""
        said = await asked(request, Many)
        if not said.forms and not said.month:
            raise BadQuestion("say which: forms (their numbers), or site and month")
        found = await self._manual.approve_many(
            said.forms,
            site=said.site,
            month=month_in(said.month) if said.month else None,
            author=said.author,
            reason=said.reason,
        )
        return {"approved": [_form(row) for row in found.approved], "refused": found.refused}

    async def batches(self, _request: Request) -> object:
        """The batches that lines published, every revision, the newest first."""
        return {"batches": await self._manual.batches()}

    async def refused(self, _request: Request) -> object:
        """What lines published and is no batch, with the reason; the newest first."""
        try:
            return {"refused": await asyncio.to_thread(self._refused.newest)}
        except OSError as err:
            raise StoreError(f"dead letters: {err}") from err

    async def entries(self, request: Request) -> object:
        """The approved entries of `from` to `to`, months such as 2026-10."""
        form = request.path_params["form"]
        if form not in FORMS or form == READINGS:
            raise BadQuestion(f"there are monthly forms {', '.join(name for name in FORMS if name != READINGS)}")
        try:
            first = Month.of(request.query_params.get("from", ""))
            last = Month.of(request.query_params.get("to", str(first)))
        except ValueError as err:
            raise BadQuestion(f"from and to: {err}") from None
        found = await self._manual.entries(request.path_params["site"], form, [first, last])
        return {"entries": [_entry(entry) for entry in found]}


def _number(request: Request) -> int:
    number: int = request.path_params["number"]
    if number >= 2**63:
        raise BadQuestion("number is too large")
    return number


def _form(row: FormRow) -> dict[str, Any]:
    found: dict[str, Any] = plain(row)
    return found


def _entry(entry: Entry) -> Mapping[str, str | int]:
    return {"line": entry.place, **entry.values}
