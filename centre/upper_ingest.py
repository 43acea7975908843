"""Of an upper centre: takes in what centres below forward. Write, then acknowledge, then say what is held."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from centre.acknowledged import publish
from centre.aside import Aside
from centre.books import received
from centre.books.file import Books
from centre.books.received import CentreKey
from centre.insisting import Outage, Patience
from centre.reconnecting import reconnecting
from metering.intervals import IntervalParcel, open_intervals
from metering.topics import ALL_INTERVALS, Topics, check_sender, encode_committed
from wattline.broker import Broker, Connection, Message, PublishRefused
from wattline.clock import Clock
from wattline.events import EventLog


def read_intervals(topic: str, payload: bytes) -> IntervalParcel:
    """The parcel in a message; raises ValueError, also where it is not of the centre whose topic it came on."""
    parcel = open_intervals(payload)
    check_sender(topic, parcel.site, parcel.centre)
    return parcel


@dataclass(slots=True, kw_only=True)
class UpperIngest:
    """Runs for ever. One message is one transaction: it holds hundreds of intervals."""

    broker: Broker
    books: Books
    clock: Clock
    dead_letters: Path
    log: EventLog = field(default_factory=EventLog)
    connected: bool = False
    parcels: int = 0
    changed: int = 0
    refused: int = 0
    _patience: Patience = field(init=False)

    def __post_init__(self) -> None:
        self._patience = Patience(self.clock, Outage(self.log), lambda: None)

    async def run(self) -> None:
        """Serve until cancelled; come back after every loss."""
        await reconnecting(self.broker, self.clock, self.log, "levels.lost", self._connected)

    async def _connected(self, connection: Connection) -> None:
        try:
            await self._serve(connection, Aside(self.dead_letters, self.clock, self.log))
        finally:
            self.connected = False

    async def _serve(self, connection: Connection, aside: Aside) -> None:
        await connection.subscribe(ALL_INTERVALS)
        self.connected = True
        self.log.info("levels.connected")
        for key in await self._patience.insist(partial(self.books.read, received.committed)):
            await self._tell(connection, key)  # a broker that was killed may have forgotten what it retained
        async for message in connection.messages():
            await self._take(connection, message, aside)

    async def _take(self, connection: Connection, message: Message, aside: Aside) -> None:
        try:
            parcel = read_intervals(message.topic, message.payload)
        except ValueError as err:
            self.refused += 1
            aside.message(message, str(err))
            message.ack()
            return
        now = self.clock.now_ns()
        self.changed += await self._patience.insist(
            partial(self.books.keep, lambda connection: received.take(connection, parcel, now))
        )
        self.parcels += 1
        message.ack()
        await self._tell(connection, CentreKey(parcel.site, parcel.centre))

    async def _tell(self, connection: Connection, key: CentreKey) -> None:
        """What the books hold of a centre, retained."""
        held = (await self._patience.insist(partial(self.books.read, received.committed)))[key]
        try:
            await publish(connection, Topics(key.site, key.centre).committed, encode_committed(held), retain=True)
        except PublishRefused as err:
            self.log.warning("committed.refused", site=key.site, centre=key.centre, error=str(err))
