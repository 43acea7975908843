"""What the spool's disk last said of itself, whether it fails, and the events that tell it, once a spell."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from agent.spool_disk import DiskFailed, Stored
from wattline.clock import Clock
from wattline.events import EventLog

_SPELL: Final = 10  # commits that lose nothing end one: what was dropped last may have left room for a few
_NO_ROOM: Final = "the budget or the file system is full"


class DiskState:
    """`retry_at` (monotonic) is set while the disk fails; `on_back` is called when it no longer does."""

    def __init__(self, clock: Clock, events: EventLog, *, retry_s: float, on_back: Callable[[], None]) -> None:
        self._clock, self._events, self._retry_s, self._on_back = clock, events, retry_s, on_back
        self.stored = Stored(epoch=0, dropped=0, parcels=0, readings=0, newest=0, bytes=0)
        self.retry_at: float | None = None
        self.generation = 0
        """Rises when parcels older than those read before may have appeared: read from the start again."""
        self._dropping = self._thinning = 0  # commits until the spell is over
        self._tight = False

    @property
    def durable(self) -> bool:
        """False while the disk fails."""
        return self.retry_at is None

    def heed(self, stored: Stored) -> None:
        """Take over what the disk said after all went well."""
        if stored.mended is not None:
            self._events.critical("spool.salvaged", found=stored.mended)
            self.generation += 1
        if self.retry_at is not None:
            self.retry_at = None
            self.generation += 1
            self._events.info("spool.disk_back", parcels=stored.parcels)
            self._on_back()
        if stored.tight and not self._tight:
            self._events.critical("spool.disk_full", error="others fill the file system; the ballast is given up")
        elif self._tight and not stored.tight:
            self._events.info("spool.disk_roomy")
        self._tight = stored.tight
        self.stored = stored

    def heed_late(self, stored: Stored) -> None:
        """Take over what a disk said that was away at the start; it counts as back when a commit has passed."""
        self.stored = replace(stored, mended=None)
        if stored.mended is not None:
            self._events.critical("spool.salvaged", found=stored.mended)

    def failed(self, err: DiskFailed) -> None:
        if self.retry_at is None:
            self._events.critical("spool.disk_failed", error=str(err))
        self.retry_at = self._clock.monotonic() + self._retry_s

    def tell_losses(self, thinned: int, over_budget: int) -> None:
        """One event for each spell of commits that lose readings, one for each kind of loss."""
        if thinned > 0 and not self._thinning:
            self._events.critical("spool.thinning", reason=_NO_ROOM, readings=thinned)
        if over_budget > 0 and not self._dropping:
            self._events.critical("spool.dropping", reason=_NO_ROOM, readings=over_budget)
        self._thinning = _SPELL if thinned > 0 else max(0, self._thinning - 1)
        self._dropping = _SPELL if over_budget > 0 else max(0, self._dropping - 1)

    def tell_ram_drops(self) -> None:
        if not self._dropping:
            self._dropping = _SPELL
            self._events.critical("spool.dropping", reason="the disk does not keep up and the RAM bound is reached")
