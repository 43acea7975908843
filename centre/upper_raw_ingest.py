"""Of an upper centre: tells those below what it asks for, and takes in what they answer."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from centre.acknowledged import publish
from centre.aside import Aside
from centre.books import raw_requests
from centre.books.received import CentreKey
from centre.reconnecting import reconnecting
from centre.upper_raw import RawRequests
from metering.raw import RawPart, encode_asks, open_raw
from metering.topics import ALL_RAW, Topics, check_sender
from wattline.broker import Broker, Connection, Message, PublishRefused
from wattline.clock import Clock
from wattline.events import EventLog

_LOOK_S: Final = 2.0  # a request may also come from another process, into the books
_AGAIN_S: Final = 300.0  # a broker may acknowledge and forget


def read_raw(topic: str, payload: bytes) -> RawPart:
    """The part in a message; raises ValueError, also where it is not of the centre whose topic it came on."""
    part = open_raw(payload)
    check_sender(topic, part.site, part.centre)
    return part


@dataclass(slots=True, kw_only=True)
class RawIngest:
    """Runs for ever."""

    broker: Broker
    requests: RawRequests
    clock: Clock
    dead_letters: Path
    log: EventLog = field(default_factory=EventLog)
    _told: dict[CentreKey, tuple[bytes, float]] = field(default_factory=dict[CentreKey, tuple[bytes, float]])
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Serve until cancelled; come back after every loss."""
        await reconnecting(self.broker, self.clock, self.log, "raw.lost", self._serve)

    async def _serve(self, connection: Connection) -> None:
        self._told.clear()  # a broker that was killed may have forgotten what it retained
        aside = Aside(self.dead_letters, self.clock, self.log)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(connection, aside), name="raw:answers")
            await connection.subscribe(ALL_RAW)
            while True:
                self._news.clear()
                await self._tell(connection)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._news.wait()

    async def _listen(self, connection: Connection, aside: Aside) -> None:
        async for message in connection.messages():
            await self._take(message, aside)
            message.ack()
            self._news.set()

    async def _take(self, message: Message, aside: Aside) -> None:
        try:
            part = read_raw(message.topic, message.payload)
            if not await self.requests.take(part, message.payload):
                self._told.pop(CentreKey(part.site, part.centre), None)  # it does not know what is wanted now
        except ValueError as err:
            aside.message(message, str(err))

    async def _tell(self, connection: Connection) -> None:
        """What is wanted of each centre, retained, where it differs from what was told, or was told long ago."""
        for key, asks in (await self.requests.books.read(raw_requests.asked)).items():
            body = encode_asks(asks)
            now = self.clock.monotonic()
            told, at = self._told.get(key, (b"", now))
            if told == body and not (asks and now - at > _AGAIN_S):
                continue
            try:
                await publish(connection, Topics(key.site, key.centre).asked, body, retain=True)
            except PublishRefused as err:
                self.log.warning("raw.refused", site=key.site, centre=key.centre, error=str(err))
            self._told[key] = body, now
