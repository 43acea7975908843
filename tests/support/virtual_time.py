"""A loop whose time jumps to the next timer: hours of schedule in a second, the same every time.

`run(main)` runs `await main(clock)`; `clock` is a `wattline.clock.Clock`. Work for an executor runs inline, real
sockets are served only when something is ready at once, and a loop in which nothing can ever happen again raises.
"""

import asyncio
import math
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from wattline.clock import NS, sleep_until

T = TypeVar("T")

START_NS = 1_767_225_600 * NS  # 2026-01-01T00:00:00Z


class Deadlock(RuntimeError):
    """Every task waits and no timer is set."""


class _Jump(selectors.SelectSelector):
    """Instead of waiting, moves the time on; whole nanoseconds, so that a due time is hit exactly."""

    elapsed_ns = 0
    jumps = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # no thread and no socket but the loop's own: then there is nothing to ask the kernel for
        alone = timeout is not None and len(self.get_map()) <= 1
        ready = [] if alone else super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            waiting = "; ".join(sorted(str(task.get_coro()) for task in asyncio.all_tasks(asyncio.get_running_loop())))
            raise Deadlock(f"nothing will ever happen again: {waiting}")
        self.jumps += 1
        self.elapsed_ns += math.ceil(timeout * NS - 0.25)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module; good for about ten simulated days, then a float second no longer resolves a nanosecond."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = 0.5 / NS

    def time(self) -> float:
        return self._jump.elapsed_ns / NS

    @property
    def elapsed_ns(self) -> int:
        return self._jump.elapsed_ns

    @property
    def jumps(self) -> int:
        """How often the time moved on: what wakes up often without need shows here."""
        return self._jump.jumps

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as err:
            future.set_exception(err)
        return future


class VirtualClock:
    """The loop's time as UTC; `step` moves the wall clock alone, as NTP or an operator does."""

    def __init__(self, loop: VirtualLoop, start_ns: int) -> None:
        self._loop = loop
        self._offset = start_ns

    def now_ns(self) -> int:
        return self._offset + self._loop.elapsed_ns

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep_until(self, due_ns: int) -> None:
        await sleep_until(self, due_ns)

    def step(self, by_ns: int) -> None:
        self._offset += by_ns


def run(main: Callable[[VirtualClock], Awaitable[T]], start_ns: int = START_NS) -> T:
    """The result of `main(clock)` in virtual time; raises Deadlock, and AssertionError when a task was left running."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        result: T = runner.run(_main(main, VirtualClock(loop, start_ns)))
        return result


async def _main(main: Callable[[VirtualClock], Awaitable[T]], clock: VirtualClock) -> T:
    result = await main(clock)
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and not task.done()]
    assert not left, f"left running: {left}"
    return result
