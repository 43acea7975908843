"""Keeping: a batch of messages made durable. What no one can read, or no store takes, is put aside with its reason."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from centre.aside import Aside
from centre.insisting import Patience
from centre.messages import Unreadable, read_message, told
from centre.own_clock import OwnClock
from centre.sifting import Reasons, misdated, reasons_of
from centre.store.base import GatewayKey, ReadingsRefused, RefusedReading, Store, Written
from metering.parcel import Received
from metering.status import Status
from wattline.broker import Message
from wattline.clock import Clock
from wattline.events import EventLog

MOST_POINTS: Final = 300_000
"""Values and faults that are read before they are written: bounds memory, and for how long other tasks wait."""


@dataclass(slots=True)
class IngestCounts:
    """Since this process started."""

    messages: int = 0
    parcels: int = 0
    redelivered: int = 0
    readings: int = 0
    ignored: int = 0
    refused: int = 0
    refused_readings: int = 0
    statuses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Messages, read."""

    parcels: Sequence[Received]
    statuses: Mapping[GatewayKey, Sequence[Status]]
    refused: Sequence[tuple[Message, str]]


def read_batches(messages: Sequence[Message]) -> Iterator[Batch]:
    """Parcels, what each gateway said of itself, and what is neither; the next ones are read when these are kept."""
    parcels: list[Received] = []
    statuses: dict[GatewayKey, Sequence[Status]] = {}
    refused: list[tuple[Message, str]] = []
    points = 0
    for message in messages:
        if points > MOST_POINTS:
            yield Batch(parcels=parcels, statuses=statuses, refused=refused)
            parcels, statuses, refused, points = [], {}, [], 0
        try:
            found = read_message(message.topic, message.payload)
        except Unreadable as err:
            refused.append((message, str(err)))
            continue
        if isinstance(found, Received):
            parcels.append(found)
            points += sum(len(sweep.values) + len(sweep.faults) for sweep in found.sweeps)
        else:
            key, status = found
            statuses[key] = told(statuses.get(key, ()), status)
    if messages:
        yield Batch(parcels=parcels, statuses=statuses, refused=refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Writes for one worker; `times`, `aside` and `counts` are those of all."""

    store: Store
    clock: Clock
    times: OwnClock
    patience: Patience
    aside: Aside
    counts: IngestCounts
    log: EventLog

    async def keep(self, batch: Batch) -> None:
        """Return when all of the batch is durable."""
        judging = await self.times.judging(batch.parcels, self.patience)
        now = self.clock.now_ns()
        if batch.parcels:
            written = await self._store(batch.parcels, judging, now)
            self.counts.parcels += written.parcels
            self.counts.redelivered += written.redelivered
            self.counts.readings += written.readings
            self.counts.ignored += written.ignored
        for key, status in [(key, status) for key, those in batch.statuses.items() for status in those]:
            self.counts.statuses += 1
            if await self.patience.insist(partial(self.store.write_status, key, status, received_at=now)):
                self.log.info(f"gateway.{status.state}", site=key.site, gateway=key.gateway, software=status.software)
        for message, reason in batch.refused:
            self.counts.refused += 1
            self.aside.message(message, reason)

    async def _store(self, parcels: Sequence[Received], judging: int, now: int) -> Written:
        """Write the readings that can be stored; the others are in the dead-letter folder before that."""
        refused: Sequence[RefusedReading] = [one for parcel in parcels for one in misdated(parcel, judging)]
        while True:
            if refused:
                reasons = reasons_of(refused)
                parcels = [await self.patience.insist(partial(self._without, parcel, reasons)) for parcel in parcels]
            try:
                return await self.patience.insist(partial(self.store.write, parcels, received_at=now))
            except ReadingsRefused as err:
                refused = err.refused

    async def _without(self, parcel: Received, refused: Reasons) -> Received:
        rest = self.aside.readings(parcel, refused)
        self.counts.refused_readings += parcel.readings - rest.readings
        return rest
