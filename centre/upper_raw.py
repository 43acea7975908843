"""Raw readings of centres below: asking for them, and what came. They mix with nothing of this centre's own."""

import secrets
import sqlite3
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from centre.books import raw_requests, received
from centre.books.file import Books, Writing
from centre.books.raw_requests import RawRequest, RawState
from centre.errors import BadQuestion, FigureError
from metering.lineprotocol import number_text
from metering.raw import MAX_ASKS, Ask, RawError, RawPart, open_raw
from wattline.clock import NS, Clock

_MOST_TOLD: Final = 1000
COLUMNS: Final = ("device", "point", "taken_at", "value", "suspect")
ANSWER: Final = "the answer of the centre below"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequests:
    """Requests to the centres of `sites`. Methods raise FigureError or StoreError."""

    books: Books
    clock: Clock
    sites: Collection[str]

    async def ask(
        self,
        site: str,
        *,
        node: str | None,
        device: str | None,
        start: datetime,
        end: datetime,
        author: str,
        reason: str,
    ) -> RawRequest:
        """A new request for the registers of one node or one device in [start, end), whole seconds."""
        if site not in self.sites:
            raise FigureError("unknown_site", f"{site[:64]!r} is no member of `levels`", 404)
        if start.tzinfo is None or end.tzinfo is None:
            raise BadQuestion("a time needs its offset, such as 2026-10-01T00:00+08:00")
        try:
            ask = Ask(
                id=secrets.token_hex(8),
                author=author,
                reason=reason,
                node=node,
                device=device,
                start=int(start.timestamp()) * NS,
                end=int(end.timestamp()) * NS,
            )
        except RawError as err:
            raise BadQuestion(str(err)) from None

        def work(connection: Writing) -> RawRequest:
            centre = received.newest_centre(connection, site)
            if centre is None:
                raise FigureError("not_received", f"no centre of {site} was ever heard", 409)
            if len(raw_requests.asked(connection).get(centre, ())) >= MAX_ASKS:
                raise FigureError("too_many_requests", f"{MAX_ASKS} requests to {centre.centre} are open", 409)
            now = self.clock.now_ns()
            request = RawRequest(site=site, centre=centre.centre, at=now, ask=ask, changed=now)
            raw_requests.put(connection, request)
            connection.note(subject(request), None, request)
            return request

        return await self.books.change(author, reason, work)

    async def listed(self) -> list[RawRequest]:
        """The newest first."""
        return await self.books.read(partial(raw_requests.newest, limit=_MOST_TOLD))

    async def one(self, request: str) -> RawRequest:
        """A request as it stands."""
        found = await self.books.read(partial(raw_requests.find, request=request))
        if found is None:
            raise FigureError("unknown_request", f"there is no request {request[:64]!r}", 404)
        return found

    async def rows(self, request: str) -> AsyncIterator[tuple[str, ...]]:
        """What came, as COLUMNS; times in UTC ns, numbers exact, texts in quotes."""
        number = 1
        while (body := await self.books.read(partial(raw_requests.part, request=request, number=number))) is not None:
            for sweep in open_raw(body).sweeps:
                for point, value in sweep.values.items():
                    told = f'"{value}"' if isinstance(value, str) else number_text(value)
                    yield sweep.device, point, str(sweep.taken_at), told, "1" if point in sweep.faults else ""
            number += 1

    async def withdraw(self, request: str, *, author: str, reason: str) -> RawRequest:
        """No more of it is wanted, and what came is forgotten; the request itself stays."""
        found = await self.one(request)

        def work(connection: Writing) -> RawRequest:
            before = raw_requests.find(connection, request) or found
            after = replace(before, state=RawState.WITHDRAWN, changed=self.clock.now_ns())
            if before.state is RawState.WITHDRAWN:
                return before
            raw_requests.put(connection, after)
            raw_requests.drop(connection, [request])
            connection.note(subject(before), before, after)
            return after

        return await self.books.change(author, reason, work)

    async def take(self, part: RawPart, body: bytes) -> bool:
        """Keep a part that is wanted; False for one that is not, or not any more. Raises RawError, StoreError."""
        if part.next is not None and part.refused is None:
            return await self.books.keep(lambda connection: self._take(connection, part, body) is not None)

        def last(connection: Writing) -> bool:
            taken = self._take(connection, part, body)
            if taken is not None:
                connection.note(subject(taken[0]), *taken)
            return taken is not None

        return await self.books.change(f"centre {part.site}/{part.centre}"[:120], ANSWER, last)

    def _take(self, connection: sqlite3.Connection, part: RawPart, body: bytes) -> tuple[RawRequest, RawRequest] | None:
        """The request before and after; None: the part is not wanted."""
        request = raw_requests.find(connection, part.request)
        if request is None or request.state is not RawState.OPEN or request.ask.place != part.place:
            return None
        check(request, part)
        return request, raw_requests.take(connection, request, part, body, self.clock.now_ns())


def subject(request: RawRequest) -> str:
    """What the audit calls it."""
    return f"raw_request:{request.ask.id}"


def check(request: RawRequest, part: RawPart) -> None:
    """Raises RawError for what was not asked for."""
    if (part.site, part.centre) != (request.site, request.centre):
        raise RawError(f"{part.site}/{part.centre} was not asked for {part.request}")
    ask = request.ask
    if any(not ask.start <= sweep.taken_at < ask.end for sweep in part.sweeps):
        raise RawError(f"{part.request} does not ask for readings of that time")
    if ask.device is not None and any(sweep.device != ask.device for sweep in part.sweeps):
        raise RawError(f"{part.request} does not ask for that device")
