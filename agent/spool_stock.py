"""The parcels there are, in RAM and on disk: read, released, split, and made durable by one commit at a time."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from agent.resealing import Halves
from agent.spool_changes import Found
from agent.spool_disk import Change, Disk, DiskFailed
from agent.spool_ram import Ram
from agent.spool_rows import id_of, key_of
from agent.spool_state import DiskState
from metering.parcel import Parcel, ParcelId
from metering.replay import ReplayRequest
from wattline.clock import NS, Clock
from wattline.events import EventLog

_RELEASES: Final = 256  # releases of parcels on disk that are carried out at once instead of at their time
_READ_BYTES: Final = 2 * 1024 * 1024
_KEPT_BYTES: Final = 2 * 1024 * 1024  # of what is confirmed and waits to join the history
_CAREFUL_BYTES: Final = 256 * 1024  # of one commit on a full disk: its journal fits into the ballast
_NEWEST: Final = 1 << 62
_LATEST_EPOCH: Final = 1 << 31  # of a clock that is absurdly ahead


class Stock:
    """Entered by `open`, which gives it an epoch. `wake` is called when a commit may have become due.

    `keep_all`: what is confirmed before it was on disk joins the history there, too.
    """

    def __init__(
        self,
        disk: Disk,
        clock: Clock,
        events: EventLog,
        *,
        state: DiskState,
        ram_bound: int,
        wake: Callable[[], None],
        keep_all: bool = False,
    ) -> None:
        self._disk, self._clock, self._events = disk, clock, events
        self._state, self._ram_bound, self._wake = state, ram_bound, wake
        self.epoch = 0
        self.ram = Ram()
        self._confirmed = Ram() if keep_all else None
        self.released = 0
        self._opened = False
        self._committing: frozenset[ParcelId] = frozenset()
        self._releases: set[ParcelId] = set()
        self._releases_since = 0.0
        self._dropped_in_ram = 0
        self._one_commit = asyncio.Lock()

    async def open(self) -> None:
        """Raise the epoch and make it durable; a failing disk does not stop it."""
        try:
            self._state.heed(await self._disk.open())
            self._opened = True
        except DiskFailed as err:
            self._state.failed(err)
        # never below the clock: when the file is lost, what the centre knows of earlier epochs must not match ours
        self.epoch = max(self._state.stored.epoch + 1, min(self._clock.now_ns() // NS, _LATEST_EPOCH))
        if self._opened:
            await self.commit()

    async def close(self) -> None:
        await self._disk.close()

    # --- in and out -------------------------------------------------------------------------------------------

    def put(self, parcel: Parcel, since: float) -> None:
        """Take a sealed parcel; `since` is when (monotonic) its first sweep came. The RAM bound costs the oldest."""
        self.ram.put(parcel, since)
        if self.ram.bytes > self._ram_bound:
            self._state.tell_ram_drops()
            self._dropped_in_ram += self.ram.drop_oldest(self._ram_bound, self._committing)
        if self.ram.bytes > self._ram_bound // 2:
            self._wake()

    async def read(self, after: ParcelId, before: ParcelId | None, limit: int) -> list[Parcel]:
        """The oldest unreleased parcels with after < id < before, up to `limit`; while the disk fails those in RAM."""
        start, end = key_of(after), _NEWEST if before is None else key_of(before)
        cursor = start
        found: dict[ParcelId, Parcel] = {}
        while not found and cursor < self._state.stored.newest and self._state.durable:
            try:
                read = await self._disk.read(cursor, end, limit, _READ_BYTES)
            except DiskFailed as err:
                self._state.failed(err)
                break
            self._set_aside(read.damaged)
            found = {parcel.id: parcel for parcel in read.parcels if parcel.id not in self._releases}
            if read.complete:
                break
            cursor = max(key_of(parcel.id) for parcel in read.parcels)
            end = end if not found else cursor + 1
        found |= {parcel.id: parcel for parcel in self.ram if start < key_of(parcel.id) < end}
        return [found[parcel_id] for parcel_id in sorted(found)[:limit]]

    async def fetch(self, parcel_id: ParcelId) -> Parcel | None:
        """This parcel, or None when it was released or dropped, or the disk does not give it now."""
        parcel = self.ram.get(parcel_id)
        if parcel is not None:
            return parcel
        key = key_of(parcel_id)
        parcels = await self.read(id_of(key - 1), id_of(key + 1), 1)
        return parcels[0] if parcels else None

    def release(self, parcel_ids: Iterable[ParcelId]) -> None:
        """Forget parcels that are safe elsewhere: those in RAM at once, those on disk with the next commit."""
        for parcel_id in parcel_ids:
            if parcel_id in self._releases:
                continue
            self.released += 1
            if self._confirmed is not None:
                self._keep(parcel_id, self._confirmed)
            if not self.ram.forget(parcel_id) or parcel_id in self._committing:
                self._delete(parcel_id)

    def _keep(self, parcel_id: ParcelId, kept: Ram) -> None:
        parcel = self.ram.get(parcel_id)
        if parcel is not None and parcel_id not in self._committing:
            if not kept:
                self._wake()
            kept.put(parcel, self._clock.monotonic())
            if kept.bytes > _KEPT_BYTES // 2:
                self._wake()
            kept.drop_oldest(_KEPT_BYTES, ())

    async def find(self, request: ReplayRequest) -> Found | None:
        """What the history has of it, all that is confirmed by now; None when the disk does not tell."""
        await self.commit()
        try:
            return await self._disk.find(request)
        except DiskFailed as err:
            self._state.failed(err)
            return None

    async def recall(self, keys: Sequence[int]) -> Sequence[Parcel] | None:
        """Parcels of the history, as far as they are still there; None when the disk does not give any now."""
        try:
            return await self._disk.recall(keys)
        except DiskFailed as err:
            self._state.failed(err)
            return None

    def _delete(self, parcel_id: ParcelId) -> None:
        if not self._releases:
            self._releases_since = self._clock.monotonic()
            self._wake()
        self._releases.add(parcel_id)
        if len(self._releases) == _RELEASES:
            self._wake()

    def _set_aside(self, damaged: Iterable[tuple[ParcelId, int]]) -> None:
        for parcel_id, readings in damaged:
            if parcel_id not in self._releases:
                self._events.error("spool.damaged", epoch=parcel_id.epoch, seq=parcel_id.seq, readings=readings)
                self._dropped_in_ram += readings
                self._delete(parcel_id)

    # --- to disk ----------------------------------------------------------------------------------------------

    @property
    def is_pressing(self) -> bool:
        """True when so much has gathered that a commit is due whatever the time."""
        kept = 0 if self._confirmed is None else self._confirmed.bytes
        return self.ram.bytes > self._ram_bound // 2 or len(self._releases) >= _RELEASES or kept > _KEPT_BYTES // 2

    def waiting_since(self) -> list[float]:
        """When (monotonic) what waits for the next commit began to wait."""
        oldest = [self.ram.oldest_since(), None if self._confirmed is None else self._confirmed.oldest_since()]
        since = [each for each in oldest if each is not None]
        return [*since, self._releases_since] if self._releases else since

    async def commit(self) -> None:
        """Make all sealed parcels and all releases durable in one transaction; a failing disk is noted, not raised."""
        async with self._one_commit:
            if not self._opened and not await self._open_late():
                return
            was, durable = self._state.stored, self._state.durable
            # while the disk fails or is full a little at a time: that may find room where all of it does not
            insert = self.ram.first(_CAREFUL_BYTES if was.tight or not durable else self._ram_bound)
            delete, dropped = tuple(self._releases), self._dropped_in_ram
            keep = () if self._confirmed is None else self._confirmed.first(_KEPT_BYTES)
            if not insert and not delete and not dropped and not keep and was.epoch == self.epoch and durable:
                return
            self._committing = frozenset(parcel.id for parcel in insert)
            change = Change(epoch=self.epoch, insert=insert, delete=delete, dropped=dropped, keep=keep, confirmed=True)
            try:
                stored = await self._disk.commit(change)
            except DiskFailed as err:
                self._state.failed(err)
                return
            finally:
                self._committing = frozenset()
            for parcel in insert:
                self.ram.forget(parcel.id)
            if self._confirmed is not None:
                for parcel in keep:
                    self._confirmed.forget(parcel.id)
            self._releases.difference_update(delete)
            self._releases_since = self._clock.monotonic()
            self._dropped_in_ram -= dropped
            thinned = stored.thinned - was.thinned
            over_budget = stored.dropped - was.dropped - dropped - thinned
            self._state.heed(stored)
            if stored.mended is None:
                self._state.tell_losses(thinned, over_budget)

    async def replace(self, parcel_id: ParcelId, by: Callable[[Parcel], Halves | None]) -> bool:
        """Put the halves that `by` makes of a parcel in its place, durably and at once; False when that cannot be.

        The first half keeps the id, so both halves are durable in the place of the whole before either can be sent:
        else a crash could leave the whole on disk under an id of which the store has but a half.
        """
        async with self._one_commit:
            parcel = await self.fetch(parcel_id)
            if parcel is None or not self._state.durable:
                return False
            made = by(parcel)
            if made is None:
                return False
            self._committing = frozenset((parcel_id,))
            insert = (made.first, made.second)
            try:
                stored = await self._disk.commit(Change(epoch=self.epoch, insert=insert, delete=(parcel_id,)))
            except DiskFailed as err:
                self._state.failed(err)
                # its id must not stay away: the store takes what comes twice for what it is, a gap it would report
                self.ram.put(made.second, self._clock.monotonic())
                return False
            finally:
                self._committing = frozenset()
            self.ram.forget(parcel_id)
            self._state.heed(stored)
            self._state.generation += 1
        return True

    async def _open_late(self) -> bool:
        """The disk that was away at the start: False when it still is. An epoch that it knows already is not ours."""
        try:
            stored = await self._disk.open()
        except DiskFailed as err:
            self._state.failed(err)
            return False
        self._opened = True
        self._state.heed_late(stored)
        if stored.epoch >= self.epoch:
            self._events.warning("spool.epoch_raised", told=self.epoch, epoch=stored.epoch + 1)
            self.epoch = stored.epoch + 1
            self.ram.reseal(self.epoch)
        return True

    # --- figures ----------------------------------------------------------------------------------------------

    @property
    def dropped(self) -> int:
        return self._state.stored.dropped + self._dropped_in_ram

    @property
    def parcels(self) -> int:
        return max(0, self._state.stored.parcels - len(self._releases)) + len(self.ram)
