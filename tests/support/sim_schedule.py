"""What goes wrong in one simulated run, and when: drawn from a seed alone, before the run begins."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

HOURS: Final = 6
LENGTH_S: Final = HOURS * 3600.0
QUIET_S: Final = 2400.0  # at the end nothing goes wrong: longer than any parcel waits to be sent again
FAULTS: Final = ((0, 4), (5, 12), (10, 28), (10, 28))
"""How many: in a calm run no later fault heals what an earlier one broke."""


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
    "broker loses some": 900.0,
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
    "agent killed, word forged": 60.0,
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

_SIDE_FILES: Final = 0.3  # of all runs

_OUTAGES: Final = frozenset(
    {"broker down", "broker killed", "broker mute", "broker swallows", "topic refused", "store fails", "committed lost"}
)
_WORSE_THEN: Final = frozenset(kind for kind in (*SPELLS, *BLOWS) if kind.startswith(("agent", "disk")))
"""While parcels are confirmed within seconds, the disk matters little: these fall upon an outage more often."""

_RARE: Final = {"card lost": 0.15, "clock set": 0.6}

_OVERLAP: Final = (
    ("broker down", "disk slow"),
    ("committed late", "disk slow"),
    ("committed lost", "broker loses some"),
    ("committed late", "broker loses some"),
    ("store fails", "broker loses some"),
    ("store fails", "agent killed, word forged"),
    ("broker swallows", "agent killed, word forged"),
    ("acks lost", "agent cut off"),
    ("broker slow", "agent half open"),
    ("broker mute", "agent half open"),
    ("disk fails", "broker down"),
    ("disk unsure", "broker loses some"),
)
"""Faults of which the second, when it comes before the first ends and outlasts it, shows what neither shows alone."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """All faults of one seed, and how the plant is."""

    seed: int
    interval_s: int
    devices: tuple[int, ...]  # on each bus
    faults: tuple[Fault, ...]
    length_s: float = LENGTH_S
    window: int = 20  # parcels in flight; a small one fills with the few meters of a run
    side_files: bool = False


def schedule(seed: int) -> Schedule:
    """The same for the same seed, always."""
    chance = Random(f"wattline schedule {seed}")
    kinds = [*SPELLS, *BLOWS]
    weights = [_RARE.get(kind, 1.0) for kind in kinds]
    favourites = chance.choices(kinds, weights, k=4)  # some runs are about a few kinds that meet often
    faults: list[Fault] = []
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        faults += _overlapping(chance)
    for _ in range(chance.randint(*chance.choice(FAULTS))):
        kind = chance.choice(favourites) if chance.random() < 0.4 else chance.choices(kinds, weights)[0]
        at = chance.uniform(0.0, LENGTH_S - QUIET_S)
        outages = [fault for fault in faults if fault.kind in _OUTAGES]
        if outages and kind in _WORSE_THEN and chance.random() < 0.7:
            outage = chance.choice(outages)
            at = outage.at + chance.random() * outage.lasts
        faults.append(_fault(at, kind, _most_s(kind) * chance.random() ** 2 + 0.5, chance))
    return Schedule(
        seed=seed,
        interval_s=chance.choice((30, 60, 180, 180)),
        devices=chance.choice(((1,), (2,), (1, 1), (2, 1))),
        faults=tuple(sorted(faults)),
        window=chance.choice((20, 20, 3, 2)),
        side_files=chance.random() < _SIDE_FILES,
    )


def _most_s(kind: str) -> float:
    return SPELLS.get(kind, BLOWS.get(kind, 0.0))


def _fault(at: float, kind: str, lasts: float, chance: Random) -> Fault:
    return Fault(at, kind, max(0.0, min(lasts, LENGTH_S - QUIET_S - at)), chance.random())


def _overlapping(chance: Random) -> list[Fault]:
    """Two faults, the second from some time within the first to some time after it."""
    first, second = chance.choice(_OVERLAP)
    at = chance.uniform(0.0, LENGTH_S - QUIET_S)
    lasts = _most_s(first) * chance.uniform(0.2, 0.8)
    into = lasts * chance.random()
    after = lasts - into + chance.uniform(0.1, 0.3) * _most_s(second) if second in SPELLS else _most_s(second) / 2
    return [_fault(at, first, lasts, chance), _fault(min(at + into, LENGTH_S - QUIET_S), second, after, chance)]


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
