"""API of the certificates ledger: issue, transfer, retire, what stands in it; a refusal is a 409 with its reason."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Annotated, Final

from pydantic import Field, StringConstraints
from starlette.requests import Request
from starlette.routing import BaseRoute

from centre.accounting.certificates import Certificate, Entry, Issue, Ledger, Retire, Transfer, Validity, last_month
from centre.api_door import Said, api_routes, asked, month_in
from centre.books import certificates, entities
from centre.books.file import Books, Writing
from centre.errors import BadQuestion

Code = Annotated[str, StringConstraints(pattern=r"^[\w.:/-]{1,120}$")]
_MOST: Final = 10_000


class _Entered(Said):
    """Every entry has a number of its own, so that sending it again changes nothing."""

    entry: Code
    ids: Annotated[list[Code], Field(min_length=1, max_length=_MOST)]
    holder: Code


class Issued(_Entered):
    """For what a plant generated in a month."""

    plant: Code
    generated: str


class Transferred(_Entered):
    """To another holder."""

    to: Code


class Retired(_Entered):
    """For what a node (SITE/NODE) consumed in a month."""

    node: Code
    month: str


def routes(books: Books, validity: Sequence[Validity]) -> list[BaseRoute]:
    """The routes; `validity` says which certificates may still be retired."""
    api = _Api(books, validity)
    return api_routes(
        {
            ("GET", "/certificates"): api.ledger,
            ("GET", "/certificates/retired"): api.retired,
            ("POST", "/certificates/issue"): api.issue,
            ("POST", "/certificates/transfer"): api.transfer,
            ("POST", "/certificates/retire"): api.retire,
        }
    )


class _Api:
    def __init__(self, books: Books, validity: Sequence[Validity]) -> None:
        self._books = books
        self._validity = validity

    async def ledger(self, request: Request) -> object:
        """All certificates, or those of one `holder`; `valid_until`: the last month they may be retired for."""
        found = (await self._books.read(certificates.ledger)).certificates.values()
        holder = request.query_params.get("holder")
        return {"certificates": [self._view(one) for one in found if holder in {None, one.holder}]}

    async def retired(self, request: Request) -> object:
        """Those used for `node` (SITE/NODE) in `month`."""
        node, month = request.query_params.get("node", ""), _month(request.query_params.get("month", ""))
        return {"ids": await self._books.read(lambda of: certificates.retired_of(of, node, month))}

    async def issue(self, request: Request) -> object:
        told = await asked(request, Issued)
        month = _month(told.generated)
        entry = Issue(entry=told.entry, ids=tuple(told.ids), holder=told.holder, plant=told.plant, generated=month)
        return await self._enter(entry, told)

    async def transfer(self, request: Request) -> object:
        told = await asked(request, Transferred)
        return await self._enter(Transfer(entry=told.entry, ids=tuple(told.ids), holder=told.holder, to=told.to), told)

    async def retire(self, request: Request) -> object:
        told = await asked(request, Retired)
        month = _month(told.month)
        return await self._enter(
            Retire(entry=told.entry, ids=tuple(told.ids), holder=told.holder, node=told.node, month=month), told
        )

    async def _enter(self, entry: Entry, said: Said) -> object:
        def change(to: Writing) -> Ledger:
            known = entities.load(to).entities.by_key
            if isinstance(entry, Retire) and known and entry.node not in known:
                raise BadQuestion(f"node: {entry.node} is none; write SITE/NODE as /api/v1/entities has them")
            return certificates.enter(to, entry, self._validity)

        after = await self._books.change(said.author, said.reason, change)
        return {"certificates": [self._view(after.certificates[one]) for one in entry.ids]}

    def _view(self, one: Certificate) -> object:
        return asdict(one) | {"valid_until": last_month(self._validity, one.generated)}


def _month(text: str) -> date:
    month = month_in(text)
    return date(month.year, month.month, 1)
