"""Deadlines: the time-outs of many requests under one timer, for nearly every request is answered long before."""

import asyncio
from collections.abc import Callable
from functools import lru_cache


class Deadlines:
    """Of one event loop. Keys are whatever waits; each has one deadline at most."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[object, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, key: object, after_s: float, expired: Callable[[], None]) -> None:
        """Call `expired` after so long, unless `key` is met before."""
        at = self._loop.time() + after_s
        self._waiting[key] = at, expired
        if self._timer is None or at < self._timer.when():
            self._arm(at)

    def met(self, key: object) -> None:
        """`key` waits no more."""
        self._waiting.pop(key, None)

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        for key, (at, expired) in [*self._waiting.items()]:
            if at <= now and self._waiting.pop(key, None) is not None:
                expired()
        if self._waiting:
            self._arm(min(at for at, _ in self._waiting.values()))


@lru_cache(maxsize=1)
def deadlines_of(loop: asyncio.AbstractEventLoop) -> Deadlines:
    """The ones that all connections of this loop share."""
    return Deadlines(loop)
