"""Raw readings for the centre above, on its request and where the settings allow it; every request is in the audit.

The centre above tells, retained, what it asks for and from which place on; so nothing is remembered here of what is
under way, and the part that begins at that place is made again as often as it takes.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from centre.acknowledged import publish
from centre.books import raw_answers
from centre.books.file import Books
from centre.books.raw_answers import RawAnswer
from centre.forwarding_raw_rule import (
    ID_TAKEN,
    NO_REGISTER,
    WRONG_PLACE,
    RawRule,
    devices_of,
    goes_on,
    place_of,
    refusal,
    registers_of,
    too_many,
)
from centre.plant import Plant
from centre.points import Directory
from centre.reconnecting import reconnecting
from centre.store.base import SeriesKey, Store
from metering.faults import Fault
from metering.raw import Ask, RawError, RawPart, decode_asks, seal_raw
from metering.sweep import Sweep
from metering.topics import Topics
from wattline.broker import Broker, Connection, PublishRefused
from wattline.clock import NS, Clock
from wattline.events import EventLog

_PER_PART: Final = 2000
_AGAIN_S: Final = 60.0
_MOST_AGAIN_S: Final = 3600.0
_DAY_NS: Final = 86_400 * NS
_MOST_A_DAY: Final = 200
_MOST_TOLD: Final = 1000


@dataclass(slots=True)
class _Sent:
    """The part that was sent last for a request, and when it is sent again."""

    place: str
    due: float
    pause_s: float = _AGAIN_S


@dataclass(slots=True, kw_only=True)
class RawAnswers:
    """`run` is a task; `name` is this centre's on the topics of its `plants`. `rule` None: all is refused."""

    name: str
    plants: Mapping[str, Plant]
    store: Store
    directory: Directory
    books: Books
    broker: Broker
    clock: Clock
    rule: RawRule | None
    log: EventLog = field(default_factory=EventLog)
    _asks: dict[str, tuple[Ask, ...]] = field(default_factory=dict[str, tuple[Ask, ...]])
    _sent: dict[tuple[str, str], _Sent] = field(default_factory=dict[tuple[str, str], _Sent])
    _free_at: float = 0.0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Answer until cancelled; come back after every loss."""
        await reconnecting(self.broker, self.clock, self.log, "raw.lost", self._serve)

    async def told(self) -> list[RawAnswer]:
        """What was asked and how it was decided, the newest first."""
        return await self.books.read(partial(raw_answers.newest, limit=_MOST_TOLD))

    async def _serve(self, connection: Connection) -> None:
        self._asks.clear()
        self._sent.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(connection), name="raw:asked")
            for site in self.plants:
                await connection.subscribe(Topics(site, self.name).asked)
            while True:
                self._news.clear()
                soonest = await self._round(connection)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(max(0.001, soonest - self.clock.monotonic()), _AGAIN_S)):
                        await self._news.wait()

    async def _listen(self, connection: Connection) -> None:
        sites = {Topics(site, self.name).asked: site for site in self.plants}
        async for message in connection.messages():
            try:
                asks = decode_asks(message.payload)
            except RawError as err:
                self.log.error("raw.invalid", error=str(err))  # noqa: TRY400 - an event, not a traceback
            else:
                self._asks[sites[message.topic]] = asks
                self._news.set()
            message.ack()

    async def _round(self, connection: Connection) -> float:
        """Send one part of each request that is due; returns when the next one is."""
        wanted = {(site, ask.id): ask for site, asks in self._asks.items() for ask in asks}
        self._sent = {key: sent for key, sent in self._sent.items() if key in wanted}
        for (site, _), ask in wanted.items():
            now = self.clock.monotonic()
            if now < self._free_at:
                return self._free_at
            sent = self._sent.get((site, ask.id))
            if sent is None or sent.place != ask.place:
                sent = self._sent[site, ask.id] = _Sent(ask.place, 0.0)
            if now < sent.due:
                continue
            sent.due = now + sent.pause_s
            sent.pause_s = min(sent.pause_s * 2, _MOST_AGAIN_S)
            part = await self.part(site, ask)
            if part is not None:
                if self.rule is not None:
                    self._free_at = now + 60 * part.readings / self.rule.per_minute
                await self._publish(connection, part)
        return min((sent.due for sent in self._sent.values()), default=float("inf"))

    async def _publish(self, connection: Connection, part: RawPart) -> None:
        try:
            await publish(connection, Topics(part.site, self.name).raw, seal_raw(part))
        except PublishRefused as err:
            self.log.error("raw.refused", topic=err.topic, error=err.reason)  # noqa: TRY400 - an event

    async def part(self, site: str, ask: Ask) -> RawPart | None:
        """The answer from `ask.place` on; None: too much was asked within a day, it waits. Raises StoreError."""
        plant = self.plants[site]
        registers = registers_of(await self.directory.points(plant), devices_of(plant, ask) or ())
        part = RawPart(site=site, centre=self.name, request=ask.id, place=ask.place, next=None, refused=None, sweeps=())
        answer = await self.books.read(lambda connection: raw_answers.find(connection, site, ask.id))
        if answer is None:
            answer = await self._decide(site, ask, registers)
            if answer is None:
                return None
        if answer.ask != ask.subject:
            return replace(part, refused=ID_TAKEN)
        refused = answer.refused or refusal(self.rule, plant, ask, self.clock.now_ns())
        if refused is None:
            try:
                return await self._readings(part, ask, answer, registers)
            except ValueError:
                return replace(part, refused=WRONG_PLACE)
        if refused != answer.refused:  # what was allowed when it was asked is not any more
            await self._keep(replace(answer, refused=refused))
        return replace(part, refused=refused)

    async def _decide(self, site: str, ask: Ask, registers: list[SeriesKey]) -> RawAnswer | None:
        now = self.clock.now_ns()
        if await self.books.read(partial(raw_answers.count_since, at=now - _DAY_NS)) >= _MOST_A_DAY:
            return None
        refused = refusal(self.rule, self.plants[site], ask, now)
        given: dict[str, int] = {}
        if refused is None and self.rule is not None:
            for series in registers:
                span = await self.store.span(series, ask.start, ask.end)
                given[f"{series.device}/{series.point}"] = 0 if span is None else span.readings
            refused = too_many(self.rule, given) if registers else NO_REGISTER
        answer = RawAnswer(site=site, at=now, ask=ask.subject, given=given, refused=refused)
        await self._keep(answer)
        self.log.info("raw.asked", site=site, request=ask.id, author=ask.author, refused=refused)
        return answer

    async def _keep(self, answer: RawAnswer) -> None:
        """With the audit, in the name of whoever asked."""
        await self.books.change(
            f"{answer.ask.author} (centre above)", answer.ask.reason, lambda writing: raw_answers.put(writing, answer)
        )

    async def _readings(self, part: RawPart, ask: Ask, answer: RawAnswer, registers: list[SeriesKey]) -> RawPart:
        """Up to _PER_PART readings of one register."""
        where = goes_on(registers, ask)
        if where is not None:
            series, start = where
            found = await self.store.read(series, start, ask.end, limit=_PER_PART)
            rest = registers[registers.index(series) + 1 :]
            following = place_of(rest[0], ask.start) if rest else None
            if len(found) == _PER_PART:
                following = place_of(series, found[-1].at + 1)
            sweeps = tuple(
                Sweep(
                    device=series.device,
                    taken_at=reading.at,
                    values={series.point: reading.value},
                    faults={series.point: Fault.SUSPECT} if reading.suspect else {},
                )
                for reading in found
            )
            part = replace(part, next=following, sweeps=sweeps)
        if part.next is None and answer.ended is None:
            await self._keep(replace(answer, ended=self.clock.now_ns()))
        return part
