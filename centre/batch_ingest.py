"""Takes in the batches that lines publish: into the books, and only then acknowledged to the broker."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from centre.aside import Aside
from centre.insisting import Outage, Patience
from centre.manual import Manual
from centre.manual_batches import WrongBatch, read_batch
from metering.topics import ALL_PRODUCTION
from wattline.broker import Broker, BrokerError, Connection, Message
from wattline.clock import NS
from wattline.events import EventLog

AHEAD_NS: Final = 300 * NS
"""How far the clock of a line may be ahead of ours."""
_FIRST_BACKOFF_S: Final = 1.0
_MAX_BACKOFF_S: Final = 30.0


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
        patience = Patience(self.manual.clock, Outage(self.log), lambda: None)
        backoff, told = _FIRST_BACKOFF_S, ""
        while True:
            lost: Sequence[str] = ()
            try:
                async with self.broker.connect() as connection:
                    backoff, told = _FIRST_BACKOFF_S, ""
                    await self._serve(connection, patience)
            except* BrokerError as errors:
                lost = [str(err) for err in errors.exceptions]
            finally:
                self.connected = False
            if "; ".join(lost) != told:
                told = "; ".join(lost)
                self.log.warning("batches.lost", error=told)
            await patience.sleep(backoff)
            backoff = min(backoff * 2, _MAX_BACKOFF_S)

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
