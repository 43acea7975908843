"""The centre's own clock, as far as readings are judged by it: where they seem to lie ahead, we may lie behind.

What is refused for its time is confirmed, and leaves its gateway. So a centre that starts with a time of the past must
not refuse what is read now.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from centre.insisting import Patience
from centre.sifting import MAX_AHEAD_NS
from centre.store.base import Store
from metering.parcel import Received
from wattline.clock import NS, Clock
from wattline.events import EventLog

_EARLIEST_NS: Final = 1_735_689_600 * NS  # 2025, as on a gateway: before that no clock was set
_FAR_NS: Final = 2**62
_WAIT_S: Final = 300.0
_LOOK_S: Final = 5.0


@dataclass(slots=True)
class OwnClock:
    """Of one ingest. `synchronised` says whether somebody keeps the clock right, None when nobody can tell."""

    clock: Clock
    store: Store
    synchronised: Callable[[], bool | None]
    log: EventLog
    _began: float = field(init=False)
    _newest: int | None = None
    _told: bool = False

    def __post_init__(self) -> None:
        self._began = self.clock.monotonic()

    async def judging(self, parcels: Sequence[Received], patience: Patience) -> int:
        """The time by which `parcels` are judged: now, or later where the clock must be behind.

        In the first five minutes of a clock that nobody has set it is waited for, if anything seems to lie ahead.
        """
        if self._newest is None:
            self._newest = max([row.last_seen for row in await patience.insist(self.store.gateways)], default=0)
        last = max((sweep.taken_at for parcel in parcels for sweep in parcel.sweeps), default=0)
        while (now := self._now(self._newest)) + MAX_AHEAD_NS < last and self._may_be_set():
            self._tell()
            await patience.sleep(_LOOK_S)
        return now

    def _now(self, newest: int) -> int:
        now = self.clock.now_ns()
        if now >= max(newest, _EARLIEST_NS):
            return now
        self._tell()
        return newest if now >= _EARLIEST_NS else _FAR_NS

    def _may_be_set(self) -> bool:
        return self.clock.monotonic() - self._began < _WAIT_S and self.synchronised() is False

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            self.log.warning("clock.unsynchronised")
