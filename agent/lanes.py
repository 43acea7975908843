"""The two lanes of one connection: live parcels go first, the backlog fills what they leave of the window.

Live is what was sealed since the connection stands, as long as it is sent soon. The backlog is everything older that is
not released, oldest first; what the store has of it already is released instead of sent. Last of all comes what the
centre wants to have once more.
"""

from dataclasses import replace
from typing import Final

from agent.outbox import Outbox
from agent.replay import Replay
from agent.spool import Spool
from metering.parcel import Parcel, ParcelId

_FIRST: Final = ParcelId(epoch=0, seq=0)
_BEHIND: Final = 20  # parcels: a window of them


class Lanes:
    """Made anew for each connection; the outbox says how much may start."""

    def __init__(self, spool: Spool, outbox: Outbox, replay: Replay | None = None) -> None:
        self._spool, self._outbox, self._replay = spool, outbox, replay
        self._live = self._cut = spool.newest
        self._backlog = _FIRST
        self._backlog_done = False
        self._generation = spool.generation

    @property
    def empty(self) -> bool:
        """Every parcel there is was taken."""
        return self._backlog_done and self._live == self._spool.newest

    async def take(self, now: float) -> list[Parcel]:
        """The parcels to publish now, each already in flight for the outbox: live, to send again, backlog."""
        if self._generation != self._spool.generation:
            self._generation = self._spool.generation
            self._cut, self._backlog, self._backlog_done = self._live, _FIRST, False
        self._fall_back()
        taken: list[Parcel] = []
        await self._take_live(taken, now)
        for parcel_id in self._outbox.due_again(now, self._outbox.free(now)):
            again = await self._spool.fetch(parcel_id)
            if again is None and self._replay is not None:
                again = await self._replay.fetch(parcel_id)
            if again is None:
                self._outbox.released([parcel_id])
                if self._replay is not None:
                    self._replay.gone(parcel_id)
            else:
                self._start(taken, again, now)
        await self._take_backlog(taken, now)
        if self._replay is not None and self._backlog_done:
            await self._take_replay(self._replay, taken, now)
        return taken

    def _fall_back(self) -> None:
        """What has waited in the live lane, because the store was away, is backlog: the newest comes first again."""
        newest = self._spool.newest
        if newest.seq - self._live.seq > _BEHIND:
            if self._backlog_done:
                self._backlog, self._backlog_done = self._live, False
            self._live = self._cut = newest

    async def _take_live(self, taken: list[Parcel], now: float) -> None:
        while self._live < self._spool.newest:
            room = self._outbox.room(now, others_wait=not self._backlog_done)
            if not room:
                return
            newest = self._spool.newest
            live = await self._spool.read(self._live, None, room)
            self._live = live[-1].id if live else newest
            for parcel in live:
                if self._outbox.may_start(parcel.id):
                    self._start(taken, parcel, now)

    async def _take_backlog(self, taken: list[Parcel], now: float) -> None:
        before = replace(self._cut, seq=self._cut.seq + 1)
        while not self._backlog_done and (room := self._outbox.backlog_room(now)):
            backlog = await self._spool.read(self._backlog, before, room)
            self._backlog_done = not backlog
            for parcel in backlog:
                self._backlog = parcel.id
                if self._outbox.is_stored(parcel.id):
                    self._outbox.released([parcel.id])
                    self._spool.release([parcel.id])
                elif self._outbox.may_start(parcel.id):
                    self._start(taken, parcel, now)

    async def _take_replay(self, replay: Replay, taken: list[Parcel], now: float) -> None:
        while replay.waits and (room := self._outbox.backlog_room(now)):
            parcels = await replay.take(room)
            if parcels is None:
                return
            for parcel in parcels:
                if self._outbox.may_start(parcel.id):
                    self._start(taken, parcel, now)

    def _start(self, taken: list[Parcel], parcel: Parcel, now: float) -> None:
        self._outbox.start(parcel.id, now, len(parcel.body))
        taken.append(parcel)
