"""Whether a bus can carry its plan: the time its reads need of each second, at least and as a rule. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

NS: Final = 1_000_000_000
USUAL_REPLY_S: Final = 0.02  # a meter on TCP or behind a quick gateway; `wattline check` says that it is a guess
QUICKEST_REPLY_S: Final = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One poll group of one device: so many requests each interval, with a pause (s) after each."""

    requests: int
    interval_ns: int
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Shares of the bus's time (1.0 is all of it), and the seconds a boundary takes at which all devices are due."""

    least: float
    usual: float
    rush_s: float
    shortest_s: float

    @property
    def fits(self) -> bool:
        """False when not even instant replies would leave time enough."""
        return self.least <= 1.0


def budget(loads: Iterable[Load]) -> Budget:
    """The budget of one bus, at least one load."""
    loads = tuple(loads)
    return Budget(
        least=sum(_share(load, QUICKEST_REPLY_S) for load in loads),
        usual=sum(_share(load, USUAL_REPLY_S) for load in loads),
        rush_s=sum(load.requests * (USUAL_REPLY_S + load.pause_s) for load in loads),
        shortest_s=min(load.interval_ns for load in loads) / NS,
    )


def _share(load: Load, reply_s: float) -> float:
    return load.requests * (reply_s + load.pause_s) * NS / load.interval_ns
