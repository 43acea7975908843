"""What goes wrong in one simulated run, and when: drawn from a seed alone, before the run begins."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

HOURS: Final = 6
LENGTH_S: Final = HOURS * 3600.0
QUIET_S: Final = 2400.0  # at the end nothing goes wrong: longer than any parcel waits to be sent again
FAULTS: Final = (10, 28)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """`kind` happens at second `at` and lasts `lasts` seconds; `size` in [0, 1) says how bad it is."""

    at: float
    kind: str
    lasts: float
    size: float

    def __str__(self) -> str:
        return f"{self.at:8.1f} s  {self.kind} for {self.lasts:.1f} s, size {self.size:.2f}"


SPELLS: Final = {
    "broker down": 1800.0,
    "broker killed": 600.0,
    "broker slow": 900.0,
    "broker mute": 600.0,
    "broker swallows": 300.0,
    "acks late": 900.0,
    "acks lost": 300.0,
    "delivered twice": 900.0,
    "topic refused": 600.0,
    "committed lost": 1800.0,
    "committed late": 1800.0,
    "store slow": 900.0,
    "store fails": 1200.0,
    "store partial": 600.0,
    "disk fails": 600.0,
    "disk unsure": 300.0,
    "disk slow": 900.0,
    "meters silent": 600.0,
}
"""Faults that hold for a time, with the longest (s)."""

BLOWS: Final = {
    "agent killed": 120.0,
    "agent killed in commit": 60.0,
    "agent loses power": 300.0,
    "agent restarted": 20.0,
    "centre killed": 900.0,
    "centre killed after write": 60.0,
    "agent cut off": 0.0,
    "centre cut off": 0.0,
    "agent half open": 0.0,
    "centre half open": 0.0,
    "committed forged": 0.0,
    "clock set": 0.0,
    "card lost": 60.0,
}
"""Faults of a moment, with the longest time (s) until what was killed is started again."""

_OUTAGES: Final = frozenset(
    {"broker down", "broker killed", "broker mute", "broker swallows", "topic refused", "store fails", "committed lost"}
)
_WORSE_THEN: Final = frozenset(kind for kind in (*SPELLS, *BLOWS) if kind.startswith(("agent", "disk")))
"""While parcels are confirmed within seconds, the disk matters little: these fall upon an outage more often."""

_RARE: Final = {"card lost": 0.15, "clock set": 0.6}


@dataclass(frozen=True, slots=True)
class Schedule:
    """All faults of one seed, and how the plant is."""

    seed: int
    interval_s: int
    devices: tuple[int, ...]  # on each bus
    faults: tuple[Fault, ...]
    length_s: float = LENGTH_S


def schedule(seed: int) -> Schedule:
    """The same for the same seed, always."""
    chance = Random(f"wattline schedule {seed}")
    kinds = [*SPELLS, *BLOWS]
    weights = [_RARE.get(kind, 1.0) for kind in kinds]
    favourites = chance.choices(kinds, weights, k=4)  # some runs are about a few kinds that meet often
    faults: list[Fault] = []
    for _ in range(chance.randint(*FAULTS)):
        kind = chance.choice(favourites) if chance.random() < 0.4 else chance.choices(kinds, weights)[0]
        most = SPELLS.get(kind, BLOWS.get(kind, 0.0))
        at = chance.uniform(0.0, LENGTH_S - QUIET_S)
        outages = [fault for fault in faults if fault.kind in _OUTAGES]
        if outages and kind in _WORSE_THEN and chance.random() < 0.7:
            outage = chance.choice(outages)
            at = outage.at + chance.random() * outage.lasts
        lasts = min(most * chance.random() ** 2 + 0.5, LENGTH_S - QUIET_S - at)
        faults.append(Fault(at, kind, lasts, chance.random()))
    return Schedule(
        seed=seed,
        interval_s=chance.choice((30, 60, 60, 180)),
        devices=chance.choice(((1,), (2,), (1, 1), (2, 1))),
        faults=tuple(sorted(faults)),
    )


class Weather:
    """Which spells hold now."""

    def __init__(self, faults: tuple[Fault, ...], now: Callable[[], float]) -> None:
        """`now`: seconds since the run began."""
        self._now = now
        edges = sorted(
            {edge for fault in faults if fault.kind in SPELLS for edge in (fault.at, fault.at + fault.lasts)}
        )
        self._edges = [0.0, *edges]
        self._spells = [
            {
                fault.kind: fault.size
                for fault in faults
                if fault.kind in SPELLS and fault.at <= edge < fault.at + fault.lasts
            }
            for edge in self._edges
        ]

    def size(self, kind: str) -> float | None:
        """How bad it is; None when it does not hold."""
        return self._spells[bisect_right(self._edges, self._now()) - 1].get(kind)

    def spells_of(self, kinds: frozenset[str], first: float, last: float) -> float:
        """For how many seconds of [first, last] any of `kinds` held."""
        total = 0.0
        for index, spells in enumerate(self._spells):
            if not kinds.isdisjoint(spells):
                until = self._edges[index + 1] if index + 1 < len(self._edges) else last
                total += max(0.0, min(until, last) - max(self._edges[index], first))
        return total
