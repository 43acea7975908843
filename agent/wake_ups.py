"""WakeUps: many tasks that sleep until the same boundary share one timer, and wake in the same turn of the loop.

So the requests of all buses leave one after another before the first reply is looked at.
"""

import asyncio
from typing import Final

from wattline.clock import NS, Clock

_NAP_NS: Final = 10 * NS  # a wall clock that is set is noticed within this


class WakeUps:
    """Of one event loop; `clock` tells UTC."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
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
            loop.call_later((at_ns - now_ns) / NS, self._wake, at_ns)
        awake = loop.create_future()
        sleepers.append(awake)
        await awake

    def _wake(self, at_ns: int) -> None:
        for awake in self._sleepers.pop(at_ns):
            if not awake.done():
                awake.set_result(None)
