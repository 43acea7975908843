"""Whether a bus can carry its plan: the time its reads need of each second, at least and as a rule. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from wattline.errors import ConfigError

NS: Final = 1_000_000_000
USUAL_REPLY_S: Final = 0.02  # a meter on TCP or behind a quick gateway; `wattline check` says that it is a guess
QUICKEST_REPLY_S: Final = 0.0005
_EASY: Final = 0.9  # of the time: what is suggested leaves something for a silent meter and a late start
_INTERVALS_S: Final = (
    *map(Decimal, ("0.1", "0.2", "0.5")),
    *map(Decimal, (1, 2, 3, 5, 10, 15, 20, 30, 60, 180, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)),
)  # which divide a quarter of an hour, or are whole quarters that divide a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One poll group of one device: so many requests each interval, with a pause (s) after each.

    `wire_s` is what all of them take on a serial line, silences included; next to nothing on TCP.
    """

    requests: int
    interval_ns: int
    pause_s: float
    wire_s: float = 0.0

    def busy_s(self, reply_s: float) -> float:
        """Seconds of the bus for one poll when the device takes `reply_s` to begin each reply."""
        return self.requests * (reply_s + self.pause_s) + self.wire_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Shares of the bus's time (1.0 is all of it), and the seconds a boundary takes at which all devices are due.

    `fitting_s` is the shortest interval at which the bus could carry all this, None when none is long enough.
    """

    least: float
    usual: float
    rush_s: float
    shortest_s: float
    fitting_s: Decimal | None = None

    @property
    def fits(self) -> bool:
        """False when not even instant replies would leave time enough."""
        return self.least <= 1.0

    def needs(self, share: float) -> str:
        """The share as people speak of it: `6.2 s of each 10 s`."""
        return f"{_seconds(share * self.shortest_s)} of each {self.shortest_s:g} s"

    def refusal(self, share: float, why: str) -> str:
        """Why the plan cannot be, and what could."""
        return f"its reads need {self.needs(share)} {why}: {self.way_out}"

    @property
    def way_out(self) -> str:
        """What would fit, as the settings say it."""
        if self.fitting_s is None:
            return "no interval would fit: read fewer points, or put some of the meters on another bus"
        return f"`every: {interval_text(self.fitting_s)}` would fit; or read fewer points, or use a second bus"


class TooMuch(ConfigError):
    """The plan of bus number `place` (from 0) does not fit into its time."""

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.place = place


def interval_text(seconds: Decimal) -> str:
    """As the settings take it: `500ms`, `2s`, `15min`, `1h`."""
    for size, unit in ((3600, "h"), (60, "min"), (1, "s")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds * 1000:.0f}ms"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def budget(loads: Iterable[Load], reply_s: float = USUAL_REPLY_S) -> Budget:
    """The budget of one bus, at least one load; `reply_s` is how long its meters take to begin a reply."""
    loads = tuple(loads)
    return Budget(
        least=_shares(loads, QUICKEST_REPLY_S),
        usual=_shares(loads, reply_s),
        rush_s=sum(load.busy_s(reply_s) for load in loads),
        shortest_s=min(load.interval_ns for load in loads) / NS,
        fitting_s=_fitting(loads, reply_s),
    )


def _shares(loads: Iterable[Load], reply_s: float) -> float:
    return sum(load.busy_s(reply_s) * NS / load.interval_ns for load in loads)


def _fitting(loads: Sequence[Load], reply_s: float) -> Decimal | None:
    """The shortest interval which, for all that is read more often, leaves the bus some room."""
    for interval_s in _INTERVALS_S:
        slower = [replace(load, interval_ns=max(load.interval_ns, int(interval_s * NS))) for load in loads]
        if _shares(slower, reply_s) <= _EASY:
            return interval_s
    return None
