"""One of the two processes of a simulated run: begun, killed, and begun again when its time has come."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, cast

from agent.spool_disk import DiskFailed
from support.sim_broker import SimBroker
from support.sim_ledger import Wrong
from wattline.broker import BrokerError

KEEPALIVE_S: Final = 45.0
"""Until a client sees that nothing passes any more."""


class SimProcess:
    """`task` is None while it is down; then `starts_at` is the second of the run at which it may live again."""

    def __init__(self, name: str, broker: SimBroker) -> None:
        """`name` is its client id at the broker, too."""
        self.name, self._broker = name, broker
        self.task: asyncio.Task[None] | None = None
        self.starts_at = 0.0
        self.kills = 0

    def _begin(self, life: Coroutine[Any, Any, None]) -> None:
        self.task = asyncio.create_task(life, name=self.name)

    async def _end(self, task: asyncio.Task[None]) -> None:
        """Nothing it says is heard any more; see wattline.cancellation for why it may have to be told twice."""
        self._broker.freeze(self.name, seen_after_s=KEEPALIVE_S)
        self.kills += 1
        for _ in range(5):
            task.cancel()
            await asyncio.wait({task}, timeout=10.0)
            if task.done():
                break
        if not task.done():
            raise Wrong(f"the {self.name} does not end when it is cancelled")
        if not task.cancelled() and not _was_cut(task.exception()):
            task.result()
        self._broker.drop(self.name)

    def look(self) -> None:
        """Raises what it ended with, and Wrong when it ended without: it should live for ever."""
        if self.task is not None and self.task.done():
            self.task.result()
            raise Wrong(f"the {self.name} ended by itself")


def _was_cut(error: BaseException | None) -> bool:
    """A task that was cancelled while another of its group failed raises that failure only (before Python 3.13)."""
    if isinstance(error, BaseExceptionGroup):
        return all(_was_cut(each) for each in cast("BaseExceptionGroup[BaseException]", error).exceptions)
    return isinstance(error, BrokerError | DiskFailed)
