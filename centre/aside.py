"""Aside: what cannot be read or stored goes into the dead-letter folder, and is told once an hour a cause."""

from pathlib import Path
from typing import Final

from centre.dead_letters import DeadLetters
from centre.sifting import Reasons, as_lines, split
from centre.store.base import StoreError
from metering.parcel import Received
from metering.topics import Topics
from wattline.broker import Message
from wattline.clock import Clock
from wattline.events import EventLog

_TELL_AGAIN_S: Final = 3600.0
_MOST_TOLD: Final = 1000
_LONGEST: Final = 500  # of a reason: it may quote what came


class Aside:
    """The dead-letter folder of an ingest, with its voice."""

    def __init__(self, folder: Path, clock: Clock, log: EventLog) -> None:
        self._letters = DeadLetters(folder)
        self._clock, self._log = clock, log
        self._told: dict[tuple[str, ...], float] = {}

    def message(self, message: Message, reason: str) -> None:
        """Keep a message no one can read; where the folder takes it not, only the log tells of it."""
        reason = reason[:_LONGEST]
        try:
            kept, lost = self._put(message.topic, message.payload, reason), False
        except StoreError as err:
            kept, lost = f"not kept: {err}", True
        if lost or self._is_news(message.topic, reason):
            self._log.error("ingest.refused", topic=message.topic[:200], error=reason, file=kept)

    def readings(self, parcel: Received, refused: Reasons) -> Received:
        """The parcel without what is `refused` of it, which is durable in the folder then; raises StoreError."""
        rest, taken, reasons = split(parcel, refused)
        if not taken:
            return parcel
        topic = Topics(parcel.site, parcel.gateway).readings
        why = f"parcel {parcel.id.epoch}:{parcel.id.seq}: {'; '.join(reasons)}"
        kept = self._put(topic, as_lines(parcel, taken), why)
        for reason in reasons:
            if self._is_news(parcel.site, parcel.gateway, reason):
                self._log.error(
                    "ingest.readings_refused",
                    site=parcel.site,
                    gateway=parcel.gateway,
                    epoch=parcel.id.epoch,
                    seq=parcel.id.seq,
                    readings=parcel.readings - rest.readings,
                    error=reason,
                    file=kept,
                )
        return rest

    def _put(self, topic: str, payload: bytes, reason: str) -> str:
        before = self._letters.forgotten
        try:
            kept = str(self._letters.put(topic, payload, reason, self._clock.now_ns()))
        except OSError as err:
            raise StoreError(f"dead letter: {err}") from err
        if self._letters.forgotten > before and self._is_news("forgotten"):
            self._log.warning("dead_letters.full", forgotten=self._letters.forgotten)
        return kept

    def _is_news(self, *what: str) -> bool:
        """False for what was told within the last hour."""
        now = self._clock.monotonic()
        told = self._told.get(what)
        if told is not None and now - told < _TELL_AGAIN_S:
            return False
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[what] = now
        return True
