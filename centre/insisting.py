"""Insisting: work for the store is tried again for as long as the store fails, and an outage is told once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from centre.store.base import StoreError
from wattline.clock import NS, Clock
from wattline.events import EventLog

_FIRST_BACKOFF_S: Final = 1.0
_MAX_BACKOFF_S: Final = 30.0
_NAP_NS: Final = 10 * NS

T = TypeVar("T")


@dataclass(slots=True)
class Outage:
    """Tells that the store fails, however many wait for it, and that it is back when none of them waits any more."""

    log: EventLog
    _waiting: int = 0

    def begin(self, error: StoreError) -> None:
        if not self._waiting:
            self.log.critical("store.failed", error=str(error))
        self._waiting += 1

    def end(self, *, served: bool) -> None:
        """`served`: the store did it; otherwise the wait was given up."""
        self._waiting -= 1
        if served and not self._waiting:
            self.log.info("store.back")


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits on behalf of one worker. `on_work` is called before each nap: waiting is what there is to do."""

    clock: Clock
    outage: Outage
    on_work: Callable[[], None]

    async def insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` returns; while the store fails it is tried again after 1, 2, 4, ... 30 s."""
        try:
            return await work()
        except StoreError as err:
            self.outage.begin(err)
        served = False
        try:
            result = await self._again(work)
            served = True
        finally:
            self.outage.end(served=served)
        return result

    async def _again(self, work: Callable[[], Awaitable[T]]) -> T:
        backoff = _FIRST_BACKOFF_S
        while True:
            await self.sleep(backoff)
            try:
                return await work()
            except StoreError:
                backoff = min(backoff * 2, _MAX_BACKOFF_S)

    async def sleep(self, seconds: float) -> None:
        """In naps."""
        due = self.clock.now_ns() + int(seconds * NS)
        while (now := self.clock.now_ns()) < due:
            self.on_work()
            await self.clock.sleep_until(min(due, now + _NAP_NS))
