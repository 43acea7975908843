"""Replay: what is kept of a range is sent again, when the centre asks for it. One request at a time; no I/O of its own.

A request releases nothing, deletes nothing and reaches no meter: whoever forges one gets parcels sent that the store
has. They ride the backlog lane, under their old ids, and fewer at a time than the store says a word about: a store that
knows their ids already cannot tell by them whether it keeps up.
"""

import asyncio
from array import array
from collections.abc import Container, Iterable, Sequence
from typing import Final

from agent.spool import Spool
from agent.spool_rows import key_of
from metering.parcel import Parcel, ParcelId
from metering.replay import decode_replay
from wattline.clock import Clock
from wattline.events import EventLog

_AT_ONCE: Final = 16  # parcels until the next word of the store
_APART_S: Final = 60.0  # between the beginnings of two replays, and between two complaints
_STUCK_S: Final = 600.0  # without any progress, until a replay gives way to the next


class Replay:
    """Of one publisher; outlives its connections, not the agent: who asked, asks again."""

    def __init__(self, spool: Spool, clock: Clock, events: EventLog) -> None:
        self._spool, self._clock, self._events = spool, clock, events
        self._number = self._refused = self._parcels = self._readings = self._missing = 0
        self._keys: array[int] = array("q")
        self._next = 0
        self._out: dict[ParcelId, int] = {}
        self._room = _AT_ONCE
        self._began_at = self._moved_at = self._complained_at = -_STUCK_S
        self.news = asyncio.Event()
        """Set when `counters` say something new about a request."""

    @property
    def waits(self) -> bool:
        """True when there is a parcel to be sent now."""
        return self._next < len(self._keys) and self._room > 0

    @property
    def out(self) -> Container[ParcelId]:
        """Those sent and not confirmed. A word that names one may be older than its sending."""
        return self._out.keys()

    @property
    def left(self) -> int:
        """Parcels that the store has not confirmed yet."""
        return len(self._keys) - self._next + len(self._out)

    def counters(self) -> dict[str, int]:
        """For the gateway's status: what is kept, and how the last request fares."""
        return {
            "history_since": self._spool.kept_since,
            "replay_request": self._number,
            "replay_refused": self._refused,
            "replay_parcels": self._parcels,
            "replay_readings": self._readings,
            "replay_missing": self._missing,
            "replay_left": self.left,
        }

    # --- requests ---------------------------------------------------------------------------------------------

    async def ask(self, payload: bytes, *, retained: bool) -> None:
        """Begin what is asked for, or refuse it; never raises for what a message says."""
        try:
            if retained:
                raise ValueError("a request is not retained")
            request = decode_replay(payload)
        except ValueError as err:
            self._complain(str(err))
            return
        if request.number == self._number:
            return  # the broker brought it twice
        reason = self._reason_against()
        found = None if reason else await self._spool.find(request)
        if found is None:
            self._refused = request.number
            self.news.set()
            self._complain(reason or "the disk does not tell what is kept")
            return
        self._number, self._keys, self._readings = request.number, array("q", found.keys), found.readings
        self._parcels, self._missing = len(found.keys), max(0, (request.named or 0) - len(found.keys))
        self._next = 0
        self._out.clear()
        self._began_at = self._moved_at = self._clock.monotonic()
        self._tell("replay.begun", readings=found.readings, kept_since=self._spool.kept_since, more=found.more)
        self._tell_end()

    def _reason_against(self) -> str:
        now = self._clock.monotonic()
        if self.left and now < self._moved_at + _STUCK_S:
            return f"another is under way, {self.left} parcels of it are left"
        if now < self._began_at + _APART_S:
            return f"the last one began less than {_APART_S:g} s ago"
        return ""

    def _complain(self, reason: str) -> None:
        """Seldom: whoever can send one such message can send many."""
        now = self._clock.monotonic()
        if now >= self._complained_at + _APART_S:
            self._complained_at = now
            self._events.error("replay.refused", error=reason)

    # --- parcels ----------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """A new connection: what is not confirmed counts as unsent."""
        again = array("q", [self._keys[place] for place in sorted(self._out.values())])
        self._keys, self._next = again + self._keys[self._next :], 0
        self._out.clear()
        self._room = _AT_ONCE

    def heard(self) -> None:
        """The store said a word: it has dealt with what came before."""
        self._room = _AT_ONCE

    async def take(self, limit: int) -> Sequence[Parcel] | None:
        """The next parcels to be sent, at most `limit`; None when the disk does not give any now."""
        keys = self._keys[self._next : self._next + min(limit, self._room)]
        parcels = await self._spool.recall(keys)
        if parcels is None:
            return None
        places = {key: self._next + place for place, key in enumerate(keys)}
        self._out |= {parcel.id: places[key_of(parcel.id)] for parcel in parcels}
        self._next += len(keys)
        self._room -= len(parcels)
        self._missing += len(keys) - len(parcels)  # given up meanwhile, or damaged
        self._moved_at = self._clock.monotonic()
        self._tell_end()
        return parcels

    async def fetch(self, parcel_id: ParcelId) -> Parcel | None:
        """This parcel, if it is one that was sent again and is not confirmed."""
        parcels = await self._spool.recall([key_of(parcel_id)]) if parcel_id in self._out else None
        return parcels[0] if parcels else None

    def confirmed(self, parcel_ids: Iterable[ParcelId]) -> list[ParcelId]:
        """Take note of those that were sent again; returns the others, which are the spool's to release."""
        others: list[ParcelId] = []
        for parcel_id in parcel_ids:
            if self._out.pop(parcel_id, None) is None:
                others.append(parcel_id)
            else:
                self._moved_at = self._clock.monotonic()
                self._tell_end()
        return others

    def gone(self, parcel_id: ParcelId) -> None:
        """It cannot be sent again, for it is no longer there, or too large for this broker."""
        if self._out.pop(parcel_id, None) is not None:
            self._missing += 1
            self._tell_end()

    def _tell_end(self) -> None:
        if not self.left:
            self._keys, self._next = array("q"), 0
            self._tell("replay.done")

    def _tell(self, event: str, **more: object) -> None:
        self.news.set()
        self._events.info(event, request=self._number, parcels=self._parcels, missing=self._missing, **more)
