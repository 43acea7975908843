"""Orders for one port of a simulated process: its n-th call fails, or is the last thing that the process does."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

T = TypeVar("T")

ORDERS: Final = ("fail before", "fail after", "die before", "die after")
"""What may become of a call: it fails or its process dies, before anything was done or when all of it was."""

_FOR_EVER_S: Final = 3600.0


class Port:
    """Counts the calls through one port, over all lives of its process, and carries out the orders for some of them."""

    def __init__(self, orders: Mapping[int, str], die: Callable[[], None]) -> None:
        """`orders` by the number of the call, from 1; `die` begins the death of the process."""
        self._orders, self._die = dict(orders), die
        self.calls = 0
        self.obeyed_at = float("-inf")

    def order_next(self, order: str) -> None:
        """What is to become of the call after this one."""
        self._orders[self.calls + 1] = order

    def next(self, die: bool = True) -> str | None:
        """Count a call; what is to become of it. A death begins here with `die`."""
        self.calls += 1
        order = self._orders.get(self.calls)
        if order is not None:
            self.obeyed_at = asyncio.get_running_loop().time()
            if die and order.startswith("die"):
                self._die()
        return order

    async def call(self, work: Callable[[], Awaitable[T]], failure: Callable[[], Exception]) -> T:
        """What `work` returns, or what the order for this call makes of it."""
        order = self.next(die=False)
        if order is None:
            return await work()
        if order == "fail before":
            raise failure()
        if order == "die before":
            await self._end()
        result = await work()
        if order == "fail after":
            raise failure()
        await self._end()
        return result

    async def _end(self) -> None:
        """The process dies, and whoever called never hears again."""
        self._die()
        await asyncio.sleep(_FOR_EVER_S)


FREE: Final = Port({}, lambda: None)
"""Of tests that order nothing."""
