"""Takes in the batches that lines publish: into the books, and only then acknowledged to the broker."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from centre.aside import Aside
from centre.insisting import Outage, Patience
from centre.manual import Manual
from centre.manual_batches import WrongBatch, read_batch
from centre.reconnecting import reconnecting
from metering.topics import ALL_PRODUCTION
from wattline.broker import Broker, Connection, Message
from wattline.clock import NS
from wattline.events import EventLog

AHEAD_NS: Final = 300 * NS
"""How far the clock of a line may be ahead of ours."""


@dataclass(slots=True, kw_only=True)
class BatchIngest:
    """Runs for ever. One message is one change of the books. `approval`: somebody has to approve each batch."""

    broker: Broker
    manual: Manual
    aside: Aside
    approval: bool
    log: EventLog = field(default_factory=EventLog)
    connected: bool = False
    taken: int = 0
    refused: int = 0

    async def run(self) -> None:
        """Serve until cancelled; come back after every loss."""
        await reconnecting(self.broker, self.manual.clock, self.log, "batches.lost", self._connected)

    async def _connected(self, connection: Connection) -> None:
        try:
            await self._serve(connection, Patience(self.manual.clock, Outage(self.log), lambda: None))
        finally:
            self.connected = False

    async def _serve(self, connection: Connection, patience: Patience) -> None:
        await connection.subscribe(ALL_PRODUCTION)
        self.connected = True
        self.log.info("batches.connected")
        async for message in connection.messages():
            await self._take(message, patience)
            message.ack()

    async def _take(self, message: Message, patience: Patience) -> None:
        """Return when the batch stands in the books, or the message among the dead letters."""
        known = self.manual.known()
        try:
            batch = read_batch(message.topic, message.payload, replace(known, now=known.now + AHEAD_NS))
        except WrongBatch as err:
            self.refused += 1
            self.aside.message(message, str(err))
            return
        row = await patience.insist(partial(self.manual.take_batch, batch, approved=not self.approval))
        self.taken += 1
        self.log.info("batches.taken", site=batch.site, source=batch.source, batch=batch.batch, form=row.id)
