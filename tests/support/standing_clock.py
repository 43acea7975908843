"""A clock for what is computed at one moment, in a test that moves it by hand."""

from wattline.clock import sleep_until


class StandingClock:
    """Shows `now` until that is set anew; its monotonic time runs on, so that nothing is taken from a cache."""

    def __init__(self, now: int) -> None:
        self.now, self._ticks = now, 0.0

    def now_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        self._ticks += 100.0
        return self._ticks

    async def sleep_until(self, due_ns: int) -> None:
        await sleep_until(self, due_ns)
