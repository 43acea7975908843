"""WakeUps: many tasks that sleep until the same boundary share one timer, and wake in the same turn of the loop.

So the requests of all buses leave one after another before the first reply is looked at. A loop's timer is good for
two milliseconds; the rest is slept away in the thread, so that the first of them leaves at the boundary, never before.
Retries, which fall due at any time, are not worth that.
"""

import asyncio
import time
from typing import Final

from wattline.clock import NS, Clock, SystemClock

_NAP_NS: Final = 10 * NS  # a wall clock that is set is noticed within this
_BOUNDARY_NS: Final = NS // 10  # no interval is shorter, and every one hits these
_EARLY_NS: Final = 2_000_000  # select() rounds up to a whole ms, and its timer and the scheduler add to that


class WakeUps:
    """Of one event loop; `clock` tells UTC."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._exact = isinstance(clock, SystemClock)  # virtual time does not pass while a thread sleeps
        self._sleepers: dict[int, list[asyncio.Future[None]]] = {}

    async def sleep(self, due_ns: int) -> None:
        """Return at `due_ns`, or after a nap only, for the clock may be set meanwhile; at once when it has passed."""
        now_ns = self._clock.now_ns()
        if due_ns <= now_ns:
            return
        at_ns = min(due_ns, (now_ns + _NAP_NS) // NS * NS)
        loop = asyncio.get_running_loop()
        sleepers = self._sleepers.get(at_ns)
        if sleepers is None:
            sleepers = self._sleepers[at_ns] = []
            early_ns = _EARLY_NS if self._exact and at_ns % _BOUNDARY_NS == 0 else 0
            loop.call_later((at_ns - now_ns - early_ns) / NS, self._wake, at_ns, early_ns)
        awake = loop.create_future()
        sleepers.append(awake)
        await awake

    def _wake(self, at_ns: int, early_ns: int) -> None:
        if early_ns and 0 < (left_ns := at_ns - self._clock.now_ns()) <= early_ns:
            time.sleep(left_ns / NS)
        for awake in self._sleepers.pop(at_ns):
            if not awake.done():
                awake.set_result(None)
