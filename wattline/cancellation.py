"""Ending tasks for sure."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

_AGAIN_S: Final = 1.0


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks and return when all have ended; their results and errors stay with them.

    A task may not hear the first time: before Python 3.13 a TaskGroup that is cancelled while one of its tasks fails
    raises the failure only, and a loop that catches it to connect again goes on. So it is said again each second.
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_AGAIN_S)
