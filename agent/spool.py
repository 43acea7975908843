"""The spool: gathers sweeps, seals them into parcels and keeps each parcel, in RAM or on disk, until it is released.

The only queue of the agent. A parcel released before its commit is due never touches flash. Each start has an epoch of
its own, durable before the first parcel exists, so that an id never comes twice. While the disk fails the spool runs on
from RAM, says so once, and drops its oldest parcels, counted, when the RAM bound is reached.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from agent.honest_time import HonestTime, Noted
from agent.resealing import halves
from agent.spool_disk import Change, Disk, DiskFailed, Stored
from agent.spool_ram import Ram, SpoolStats
from agent.spool_rows import id_of, key_of
from metering.parcel import Parcel, ParcelId, TimeQuality, seal
from metering.sweep import Sweep
from wattline.clock import NS, Clock
from wattline.events import EventLog

_ENOUGH_POINTS: Final = 5000  # values and faults: the parcel is sealed when the replies under way are dealt with
_MOST_POINTS: Final = 8000  # sealed at once: bounds a parcel's bytes and the time its sealing takes
_FEWEST_POINTS: Final = 50  # to which a broker that takes only small messages can bring that bound
_RELEASES: Final = 256  # releases of parcels on disk that are carried out at once instead of at their time
_READ_BYTES: Final = 2 * 1024 * 1024
_CAREFUL_BYTES: Final = 256 * 1024  # of one commit on a full disk: its log fits into the ballast
_TOLERANCE_S: Final = 1e-3
_NEWEST: Final = 1 << 62
_NO_ROOM: Final = "the budget or the file system is full"
_LATEST_EPOCH: Final = 1 << 31  # of a clock that is absurdly ahead


class Spool:
    """An async context: entered, it has an epoch; left, all is on disk. `run` must be running in between."""

    def __init__(
        self,
        *,
        site: str,
        gateway: str,
        disk: Disk,
        clock: Clock,
        events: EventLog,
        seal_interval_s: float = 5.0,
        commit_interval_s: float = 30.0,
        ram_bound: int = 8 * 1024 * 1024,
        time: HonestTime | None = None,
    ) -> None:
        self._site, self._gateway = site, gateway
        self._disk, self._clock, self._events = disk, clock, events
        self._seal_interval_s, self._commit_interval_s = seal_interval_s, commit_interval_s
        self._ram_bound = ram_bound
        self._time = time
        self._gathered: list[Sweep] = []
        self._noted: list[Noted] = []
        self._gathered_points = 0
        self._enough_points, self._most_points = _ENOUGH_POINTS, _MOST_POINTS
        self._gathered_since = 0.0
        self._ram = Ram()
        self._committing: frozenset[ParcelId] = frozenset()
        self._releases: set[ParcelId] = set()
        self._releases_since = 0.0
        self._stored = Stored(epoch=0, dropped=0, parcels=0, readings=0, newest=0, bytes=0)
        self._dropped_in_ram = 0
        self._dropping = self._thinning = self._tight = self._opened = False
        self._retry_at: float | None = None  # set while the disk fails
        self._epoch = self._seq = 0
        self._acquired = self._sealed = self._released = 0
        self._online = False
        self._wake = asyncio.Event()
        self._one_commit = asyncio.Lock()
        self.on_sealed: Callable[[], None] = lambda: None
        self.generation = 0
        """Rises when parcels older than those read before may have appeared: read from the start again."""

    # --- life -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        try:
            self._heed(await self._disk.open())
            self._opened = True
        except DiskFailed as err:
            self._disk_failed(err)
        # never below the clock: when the file is lost, what the centre knows of earlier epochs must not match ours
        self._epoch = max(self._stored.epoch + 1, min(self._clock.now_ns() // NS, _LATEST_EPOCH))
        if self._opened:
            await self._commit_now()
        self._events.info(
            "spool.opened",
            epoch=self._epoch,
            parcels=self._stored.parcels,
            readings=self._stored.readings,
            durable=self.durable,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seal()
        await self._commit_now()
        while self._ram and self.durable:
            await self._commit_now()
        if self._ram:
            self._events.critical("spool.not_saved", readings=self._ram.readings, parcels=len(self._ram))
        await self._disk.close()

    async def run(self) -> None:
        """Seal and commit at their times, for ever."""
        while True:
            self._wake.clear()
            due = self._due()
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - self._clock.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                await self._tick(self._clock.monotonic() + _TOLERANCE_S)

    # --- in ---------------------------------------------------------------------------------------------------

    def append(self, sweep: Sweep) -> None:
        """Take a sweep. Never waits, never raises: the spool's bounds are kept by committing, then by dropping."""
        if not self._gathered:
            self._gathered_since = self._clock.monotonic()
            self._wake.set()
        self._gathered.append(sweep)
        if self._time is not None:
            self._noted.append(self._time.note())
        before = self._gathered_points
        self._gathered_points += len(sweep.values) + len(sweep.faults)
        self._acquired += len(sweep.values)
        if self._gathered_points >= self._most_points:
            self.seal()
        elif before < self._enough_points <= self._gathered_points:
            self._wake.set()

    def seal(self) -> None:
        """Seal what is gathered into a parcel now; nothing gathered, nothing done."""
        if not self._gathered:
            return
        self._seq += 1
        sweeps, quality = self._gathered, TimeQuality.GOOD
        if self._time is not None:
            sweeps, quality = self._time.settle(sweeps, self._noted)
            self._noted = []
        parcel = seal(
            sweeps,
            site=self._site,
            gateway=self._gateway,
            parcel_id=ParcelId(epoch=self._epoch, seq=self._seq),
            dropped=self._dropped,
            time_quality=quality,
            thinned=self._stored.thinned,
        )
        self._gathered, self._gathered_points = [], 0
        self._ram.put(parcel, self._gathered_since)
        self._sealed += 1
        if self._ram.bytes > self._ram_bound:
            self._drop_oldest()
        if self._ram.bytes > self._ram_bound // 2:
            self._wake.set()
        self.on_sealed()

    def set_online(self, online: bool) -> None:
        """Tell whether a broker is there: then parcels are small and soon, otherwise as large as a commit."""
        self._online = online
        self._wake.set()

    def _drop_oldest(self) -> None:
        if not self._dropping:
            self._dropping = True
            self._events.critical("spool.dropping", reason="the disk does not keep up and the RAM bound is reached")
        self._dropped_in_ram += self._ram.drop_oldest(self._ram_bound, self._committing)

    # --- out --------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def newest(self) -> ParcelId:
        """The id of the parcel sealed last; seq 0 before the first."""
        return ParcelId(epoch=self._epoch, seq=self._seq)

    async def read(self, after: ParcelId, before: ParcelId | None, limit: int) -> list[Parcel]:
        """The oldest unreleased parcels with after < id < before, up to `limit`; empty when there is none.

        While the disk fails these are the ones in RAM; `generation` rises when it is back.
        """
        start, end = key_of(after), _NEWEST if before is None else key_of(before)
        cursor = start
        found: dict[ParcelId, Parcel] = {}
        while not found and cursor < self._stored.newest and self._retry_at is None:
            try:
                read = await self._disk.read(cursor, end, limit, _READ_BYTES)
            except DiskFailed as err:
                self._disk_failed(err)
                break
            self._set_aside(read.damaged)
            found = {parcel.id: parcel for parcel in read.parcels if parcel.id not in self._releases}
            if read.complete:
                break
            cursor = max(key_of(parcel.id) for parcel in read.parcels)
            end = end if not found else cursor + 1
        found |= {parcel.id: parcel for parcel in self._ram if start < key_of(parcel.id) < end}
        return [found[parcel_id] for parcel_id in sorted(found)[:limit]]

    async def fetch(self, parcel_id: ParcelId) -> Parcel | None:
        """This parcel, or None when it was released or dropped, or the disk does not give it now."""
        parcel = self._ram.get(parcel_id)
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
            self._released += 1
            if not self._ram.forget(parcel_id) or parcel_id in self._committing:
                self._delete(parcel_id)

    def _delete(self, parcel_id: ParcelId) -> None:
        if not self._releases:
            self._releases_since = self._clock.monotonic()
            self._wake.set()
        self._releases.add(parcel_id)
        if len(self._releases) == _RELEASES:
            self._wake.set()

    def _set_aside(self, damaged: Iterable[tuple[ParcelId, int]]) -> None:
        for parcel_id, readings in damaged:
            if parcel_id not in self._releases:
                self._events.error("spool.damaged", epoch=parcel_id.epoch, seq=parcel_id.seq, readings=readings)
                self._dropped_in_ram += readings
                self._delete(parcel_id)

    async def split(self, parcel_id: ParcelId) -> bool:
        """Put two parcels in the place of one that is too large to be sent; from now on smaller ones are sealed.

        The first half keeps the id, so both halves are durable in the place of the whole before either can be sent:
        else a crash could leave the whole on disk under an id of which the store has but a half. False when it cannot
        be split or the disk fails.
        """
        async with self._one_commit:
            parcel = await self.fetch(parcel_id)
            if parcel is None or not self.durable:
                return False
            made = halves(parcel, ParcelId(epoch=self._epoch, seq=self._seq + 1))
            if made is None:
                return False
            self._seq += 1
            self._sealed += 1
            self._most_points = max(_FEWEST_POINTS, min(self._most_points, made.points))
            self._enough_points = min(self._enough_points, self._most_points)
            self._committing = frozenset((parcel_id,))
            insert = (made.first, made.second)
            try:
                stored = await self._disk.commit(Change(epoch=self._epoch, insert=insert, delete=(parcel_id,)))
            except DiskFailed as err:
                self._disk_failed(err)
                # its id must not stay away: the store takes what comes twice for what it is, a gap it would report
                self._ram.put(made.second, self._clock.monotonic())
                return False
            finally:
                self._committing = frozenset()
            self._ram.forget(parcel_id)
            self._heed(stored)
            self.generation += 1
        self.on_sealed()
        return True

    # --- to disk ----------------------------------------------------------------------------------------------

    def _due(self) -> float | None:
        """Monotonic time of the next seal or commit, None when nothing waits."""
        dues: list[float] = []
        if self._gathered:
            dues.append(self._seal_due())
        commit = self._commit_due()
        if commit is not None:
            dues.append(commit)
        return min(dues, default=None)

    def _seal_due(self) -> float:
        """Of what is gathered: small and soon while a broker is there, unless the clock is about to be set right."""
        if self._gathered_points >= self._enough_points:
            return self._gathered_since
        soon = self._online and not (self._time is not None and self._time.waiting)
        return self._gathered_since + (self._seal_interval_s if soon else self._commit_interval_s)

    def _commit_due(self) -> float | None:
        if self._retry_at is not None:
            return self._retry_at
        if self._ram.bytes > self._ram_bound // 2 or len(self._releases) >= _RELEASES:
            return self._clock.monotonic()
        oldest = self._ram.oldest_since()
        dues = [] if oldest is None else [oldest + self._commit_interval_s]
        if self._gathered and not self._online:
            dues.append(self._gathered_since + self._commit_interval_s)
        if self._releases:
            dues.append(self._releases_since + self._commit_interval_s)
        return min(dues, default=None)

    async def _tick(self, now: float) -> None:
        commit = self._commit_due()
        committing = commit is not None and commit <= now
        if self._gathered and (self._seal_due() <= now or (committing and not self._online)):
            self.seal()
        if committing:
            await self._commit_now()

    async def _commit_now(self) -> None:
        """Make all sealed parcels and all releases durable in one transaction; a failing disk is noted, not raised."""
        async with self._one_commit:
            if not self._opened and not await self._open_late():
                return
            # while the disk fails or is full a little at a time: that may find room where all of it does not
            careful = self._retry_at is not None or self._stored.tight
            insert = self._ram.first(_CAREFUL_BYTES if careful else self._ram_bound)
            delete, dropped = tuple(self._releases), self._dropped_in_ram
            if not insert and not delete and not dropped and self._stored.epoch == self._epoch and self.durable:
                return
            self._committing = frozenset(parcel.id for parcel in insert)
            change = Change(epoch=self._epoch, insert=insert, delete=delete, dropped=dropped)
            try:
                stored = await self._disk.commit(change)
            except DiskFailed as err:
                self._disk_failed(err)
                return
            finally:
                self._committing = frozenset()
            for parcel in insert:
                self._ram.forget(parcel.id)
            self._releases.difference_update(delete)
            self._releases_since = self._clock.monotonic()
            self._dropped_in_ram -= dropped
            thinned = stored.thinned - self._stored.thinned
            over_budget = stored.dropped - self._stored.dropped - dropped - thinned
            mended = stored.mended is not None
            self._heed(stored)
            if not mended:
                self._tell_losses(thinned, over_budget)

    def _tell_losses(self, thinned: int, over_budget: int) -> None:
        """One event for each spell of commits that lose readings, one for each kind of loss."""
        if thinned > 0 and not self._thinning:
            self._events.critical("spool.thinning", reason=_NO_ROOM, readings=thinned)
        if over_budget > 0 and not self._dropping:
            self._events.critical("spool.dropping", reason=_NO_ROOM, readings=over_budget)
        self._thinning, self._dropping = thinned > 0, over_budget > 0

    async def _open_late(self) -> bool:
        """The disk that was away at the start: False when it still is. An epoch that it knows already is not ours."""
        try:
            stored = await self._disk.open()
        except DiskFailed as err:
            self._disk_failed(err)
            return False
        self._opened = True
        self._stored = replace(stored, mended=None)
        if stored.mended is not None:
            self._events.critical("spool.salvaged", found=stored.mended)
        if stored.epoch >= self._epoch:
            self._events.warning("spool.epoch_raised", told=self._epoch, epoch=stored.epoch + 1)
            self._epoch = stored.epoch + 1
            self._ram.reseal(self._epoch)
        return True

    def _heed(self, stored: Stored) -> None:
        """Take over what the disk said of itself."""
        if stored.mended is not None:
            self._events.critical("spool.salvaged", found=stored.mended)
            self.generation += 1
        if self._retry_at is not None:
            self._retry_at = None
            self.generation += 1
            self._events.info("spool.disk_back", parcels=stored.parcels)
            self.on_sealed()
        if stored.tight and not self._tight:
            self._events.critical("spool.disk_full", error="others fill the file system; the ballast is given up")
        elif self._tight and not stored.tight:
            self._events.info("spool.disk_roomy")
        self._tight = stored.tight
        self._stored = stored

    def _disk_failed(self, err: DiskFailed) -> None:
        if self._retry_at is None:
            self._events.critical("spool.disk_failed", error=str(err))
        self._retry_at = self._clock.monotonic() + self._commit_interval_s

    # --- figures ----------------------------------------------------------------------------------------------

    @property
    def durable(self) -> bool:
        """False while the disk fails."""
        return self._retry_at is None

    @property
    def _dropped(self) -> int:
        return self._stored.dropped + self._dropped_in_ram

    def stats(self) -> SpoolStats:
        return SpoolStats(
            epoch=self._epoch,
            acquired=self._acquired,
            dropped=self._dropped,
            thinned=self._stored.thinned,
            parcels_sealed=self._sealed,
            parcels_released=self._released,
            parcels_pending=max(0, self._stored.parcels - len(self._releases)) + len(self._ram),
            readings_pending=self._stored.readings + self._ram.readings,
            ram_bytes=self._ram.bytes,
            disk_bytes=self._stored.bytes,
            durable=self.durable,
        )
