"""Pipeline: the requests of one sweep under way at once, for a device far away: its blocks cost one round trip."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Self

from drivers.modbus.plan import Block

Ask = Callable[[Block], Coroutine[None, None, bytes]]


class Pipeline:
    """Asks `blocks` in order, `at_once` ahead of the answers. Leaving it gives up what is under way still."""

    def __init__(self, ask: Ask, blocks: Iterable[Block], at_once: int) -> None:
        self._ask = ask
        self._blocks = iter(blocks)
        self._at_once = at_once
        self._under_way: deque[asyncio.Task[bytes]] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def ask(self, block: Block) -> bytes:  # noqa: ARG002 - the next one; the reader goes through the same blocks
        """The register bytes of the next block; raises as the `ask` that was given."""
        while len(self._under_way) < self._at_once and (ahead := next(self._blocks, None)) is not None:
            self._under_way.append(asyncio.create_task(self._ask(ahead)))
        return await self._under_way.popleft()
