"""The spool: gathers sweeps, seals them into parcels and keeps each parcel, in RAM or on disk, until it is released.

The only queue of the agent. A parcel released before its commit is due never touches flash. Each start has an epoch of
its own, durable before the first parcel exists, so that an id never comes twice. While the disk fails the spool runs on
from RAM, says so once, and drops its oldest parcels, counted, when the RAM bound is reached.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from agent.honest_time import HonestTime
from agent.resealing import Halves, halves
from agent.side_files import SideFiles
from agent.spool_changes import Found
from agent.spool_disk import Disk
from agent.spool_intake import Intake
from agent.spool_kept import Kept, KeptIntake
from agent.spool_ram import SpoolStats
from agent.spool_state import DiskState
from agent.spool_stock import Stock
from metering.lineprotocol import encode_sweep
from metering.parcel import Parcel, ParcelId, TimeQuality, seal, tags_of
from metering.replay import ReplayRequest
from metering.sweep import Sweep
from wattline.clock import Clock
from wattline.events import EventLog

_TOLERANCE_S: Final = 1e-3


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
        side_files: SideFiles | None = None,
        keep_all: bool = False,
    ) -> None:
        self._site, self._gateway = site, gateway
        self._clock, self._events = clock, events
        self._seal_interval_s, self._commit_interval_s = seal_interval_s, commit_interval_s
        self._wake = asyncio.Event()
        self._kept = None if side_files is None else Kept(side_files, tags_of(site, gateway), events)
        self._intake = Intake(clock, time) if self._kept is None else KeptIntake(clock, time, self._kept)
        self._state = DiskState(clock, events, retry_s=commit_interval_s, on_back=self._tell_sealed)
        self._stock = Stock(
            disk, clock, events, state=self._state, ram_bound=ram_bound, wake=self._wake.set, keep_all=keep_all
        )
        self._seq = self._acquired = self._sealed = 0
        self._online = False
        self.on_sealed: Callable[[], None] = lambda: None

    # --- life -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._stock.open()
        if self._kept is not None:
            self._kept.take_over(self._put, self._clock.monotonic())
            await self._stock.commit()
            self._kept.forget(self._stock.ram)
        stored = self._state.stored
        self._events.info(
            "spool.opened", epoch=self.epoch, parcels=stored.parcels, readings=stored.readings, durable=self.durable
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seal()
        await self._stock.commit()
        while self._stock.ram and self.durable:
            await self._stock.commit()
        ram = self._stock.ram
        if ram:
            self._events.critical("spool.not_saved", readings=ram.readings, parcels=len(ram))
        if self._kept is not None:
            self._kept.close(ram)
        await self._stock.close()

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
        if not self._intake:
            self._wake.set()
        enough = self._intake.add(sweep)
        self._acquired += len(sweep.values)
        if self._intake.is_full:
            self.seal()
        elif enough:
            self._wake.set()

    def seal(self) -> None:
        """Seal what is gathered into a parcel now; nothing gathered, nothing done."""
        if not self._intake:
            return
        since = self._intake.since
        sweeps, quality = self._intake.take()
        if self._kept is not None:
            self._kept.end(self._seq + 1, sweeps, quality, self._stock.ram)
        self._put(sweeps, quality, since)
        self.on_sealed()

    def _put(self, sweeps: Sequence[Sweep], quality: TimeQuality, since: float) -> int:
        """Seal these; returns the number of the parcel."""
        self._seq += 1
        parcel = seal(
            sweeps,
            site=self._site,
            gateway=self._gateway,
            parcel_id=self.newest,
            dropped=self._stock.dropped,
            time_quality=quality,
            thinned=self._state.stored.thinned,
            quick=self._online,
            encode=encode_sweep if self._kept is None else self._kept.encode,
        )
        self._sealed += 1
        self._stock.put(parcel, since)
        return self._seq

    def _tell_sealed(self) -> None:
        self.on_sealed()  # which is set after we were made

    def set_online(self, online: bool) -> None:
        """Tell whether a broker is there: then parcels are small and soon, otherwise as large as a commit."""
        self._online = online
        self._intake.want(large=not online)
        self._wake.set()

    # --- out --------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        return self._stock.epoch

    @property
    def newest(self) -> ParcelId:
        """The id of the parcel sealed last; seq 0 before the first."""
        return ParcelId(epoch=self.epoch, seq=self._seq)

    @property
    def generation(self) -> int:
        """Rises when parcels older than those read before may have appeared: read from the start again."""
        return self._state.generation

    async def read(self, after: ParcelId, before: ParcelId | None, limit: int) -> list[Parcel]:
        """The oldest unreleased parcels with after < id < before, up to `limit`; empty when there is none.

        While the disk fails these are the ones in RAM; `generation` rises when it is back.
        """
        return await self._stock.read(after, before, limit)

    async def fetch(self, parcel_id: ParcelId) -> Parcel | None:
        """This parcel, or None when it was released or dropped, or the disk does not give it now."""
        return await self._stock.fetch(parcel_id)

    def release(self, parcel_ids: Iterable[ParcelId]) -> None:
        """Forget parcels that are safe elsewhere: those in RAM at once, those on disk with the next commit."""
        self._stock.release(parcel_ids)

    async def find(self, request: ReplayRequest) -> Found | None:
        """What the history has of a request; None when the disk does not tell now."""
        return await self._stock.find(request)

    async def recall(self, keys: Sequence[int]) -> Sequence[Parcel] | None:
        """Parcels of the history, as far as they are still there; None when the disk does not give any now."""
        return await self._stock.recall(keys)

    async def split(self, parcel_id: ParcelId) -> bool:
        """Put two parcels in the place of one that is too large to be sent; from now on smaller ones are sealed.

        False when it cannot be split or the disk fails.
        """

        def in_two(parcel: Parcel) -> Halves | None:
            made = halves(parcel, ParcelId(epoch=self.epoch, seq=self._seq + 1))
            if made is not None:
                self._seq += 1
                self._sealed += 1
                self._intake.bound(made.points)
            return made

        split = await self._stock.replace(parcel_id, in_two)
        if split:
            self.on_sealed()
        return split

    # --- when -------------------------------------------------------------------------------------------------

    def _due(self) -> float | None:
        """Monotonic time of the next seal or commit, None when nothing waits."""
        dues = [self._seal_due()] if self._intake else []
        commit = self._commit_due()
        if commit is not None:
            dues.append(commit)
        return min(dues, default=None)

    def _seal_due(self) -> float:
        """Of what is gathered: small and soon while a broker is there, unless the clock is about to be set right."""
        if self._intake.is_enough:
            return self._intake.since
        soon = self._online and not self._intake.waits_for_time
        return self._intake.since + (self._seal_interval_s if soon else self._commit_interval_s)

    def _commit_due(self) -> float | None:
        if self._state.retry_at is not None:
            return self._state.retry_at
        if self._stock.is_pressing:
            return self._clock.monotonic()
        waiting = self._stock.waiting_since()
        if self._intake and not self._online:
            waiting.append(self._intake.since)
        return min(waiting) + self._commit_interval_s if waiting else None

    async def _tick(self, now: float) -> None:
        commit = self._commit_due()
        committing = commit is not None and commit <= now
        if self._intake and (self._seal_due() <= now or (committing and not self._online)):
            self.seal()
        if committing:
            await self._stock.commit()

    # --- figures ----------------------------------------------------------------------------------------------

    @property
    def durable(self) -> bool:
        """False while the disk fails."""
        return self._state.durable

    @property
    def kept_since(self) -> int:
        """When the oldest parcel of the history ended (UTC ns), 0 when there is none."""
        return self._state.stored.kept_since

    def stats(self) -> SpoolStats:
        stored, ram = self._state.stored, self._stock.ram
        return SpoolStats(
            epoch=self.epoch,
            acquired=self._acquired,
            dropped=self._stock.dropped,
            thinned=stored.thinned,
            parcels_sealed=self._sealed,
            parcels_released=self._stock.released,
            parcels_pending=self._stock.parcels,
            readings_pending=stored.readings + ram.readings,
            ram_bytes=ram.bytes,
            disk_bytes=stored.bytes,
            durable=self.durable,
        )
