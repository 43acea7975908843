"""A seeded plant year: its meters, and what happens to them. Pure; times are minutes since an hour before the first day.

Amounts are whole thousandths: Wh where the meter counts kWh, litres where it counts m3. `small` years keep every kind
of event, as far as they have meters for it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from centre.accounting.zones import day_bounds
from support.plant_year_meters import ZONE, Spec, specs
from wattline.clock import NS

LEAD: Final = 60
"""Minutes of readings before the first day and after the last: so every interval of the year is whole."""
DAY: Final = 1440
_OUTAGES: Final = 5
_LATE: Final = 3
_MISREADS: Final = 3
_CLEAR_POLLS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much: the first day of the plant's clock, days, meters (3 to 20), minutes between polls."""

    first: date = date(2026, 1, 1)
    days: int = 365
    meters: int = 20
    every: int = 1

    @property
    def minutes(self) -> int:
        return self.days * DAY + 2 * LEAD


class Change(StrEnum):
    """What happens to a register once."""

    WRITTEN = "swap written down"
    FACTOR = "swap written down, with another factor"
    SERIAL = "swap seen by the serial number only"
    RESET = "reset"
    ROLLS = "rolls over"


_CHANGES: Final = (
    Change.WRITTEN, Change.FACTOR, Change.WRITTEN, Change.SERIAL, Change.RESET, Change.RESET, Change.ROLLS,
    Change.ROLLS,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The register of a meter ends at `out` and begins anew at `back` with `initial`; nothing flows between."""

    change: Change
    out: int
    back: int
    initial: int
    factor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A gateway is cut off in [first, last); what it read meanwhile comes `late` minutes after, or never (None)."""

    gateway: str
    first: int
    last: int
    late: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """The plan. `misreads`: (device, minute) -> thousandths that are wrongly told."""

    seed: int
    size: Size
    begin_ns: int
    specs: tuple[Spec, ...]
    begins: dict[str, int]
    modulus: dict[str, int]
    events: dict[str, Event]
    rolls: frozenset[str]
    outages: tuple[Outage, ...]
    misreads: dict[tuple[str, int], int]

    def at(self, minute: int) -> int:
        """UTC ns."""
        return self.begin_ns + minute * 60 * NS

    def lost(self, gateway: str, minute: int) -> bool:
        """Whether a reading of then never comes."""
        return any(
            outage.gateway == gateway and outage.late is None and outage.first <= minute < outage.last
            for outage in self.outages
        )

    def polls(self, spec: Spec, first: int, last: int) -> Iterator[int]:
        """The minutes in [first, last) whose reading of the meter comes, some day."""
        every, event = self.size.every, self.events.get(spec.device)
        gone = [(event.out, event.back)] if event is not None else []
        gone += [(o.first, o.last) for o in self.outages if o.gateway == spec.gateway and o.late is None]
        for start, end in sorted(gone):
            yield from range(-(-first // every) * every, min(start, last), every)
            first = max(first, end)
        yield from range(-(-first // every) * every, last, every)


def plan(seed: int, size: Size) -> Year:
    """The year of `seed`; the same each time."""
    rng = random.Random(f"plan/{seed}")
    zone_begin = day_bounds(size.first, ZONE)[0] - LEAD * 60 * NS
    found = specs(size.meters)
    changes = dict(zip((spec.device for spec in rng.sample(found, len(found))), rng.sample(_CHANGES, 8), strict=False))
    rolls = frozenset(device for device, change in changes.items() if change is Change.ROLLS)
    modulus = {spec.device: (10**6 if spec.device in rolls else 10**8) * 1000 for spec in found}
    begins: dict[str, int] = {}
    for spec in found:
        whole = modulus[spec.device]
        counts = spec.peak * size.days * 24 // 6
        begins[spec.device] = (
            whole - rng.randrange(1, counts) if spec.device in rolls else rng.randrange(whole // 2) + whole // 5
        )
    events = {device: _event(change, size, rng) for device, change in changes.items() if device not in rolls}
    outages = _outages(found, size, rng)
    year = Year(
        seed=seed, size=size, begin_ns=zone_begin, specs=found, begins=begins, modulus=modulus, events=events,
        rolls=rolls, outages=outages, misreads={},
    )  # fmt: skip
    year.misreads.update(_misreads(year, rng))
    return year


def _event(change: Change, size: Size, rng: random.Random) -> Event:
    out = rng.randrange(size.minutes // 20, size.minutes * 19 // 20)
    if change is Change.RESET:
        return Event(change=change, out=out, back=out, initial=0, factor=1)
    back = out + rng.randrange(8, 45)
    factor = 2 if change is Change.FACTOR else 1
    return Event(change=change, out=out, back=back, initial=rng.randrange(90_000), factor=factor)


def _outages(found: tuple[Spec, ...], size: Size, rng: random.Random) -> tuple[Outage, ...]:
    """Hours to days, shorter in a short year; those of one gateway apart."""
    longest = min(4 * DAY, size.minutes // 12)
    gateways = sorted({spec.gateway for spec in found})
    made: list[Outage] = []
    while len(made) < _OUTAGES:
        gateway, length = rng.choice(gateways), rng.randrange(min(120, longest // 3), longest)
        first = rng.randrange(size.minutes // 20, size.minutes * 19 // 20 - length)
        if all(other.gateway != gateway or first > other.last or first + length < other.first for other in made):
            late = rng.randrange(10, longest) if len(made) < _LATE else None
            made.append(Outage(gateway=gateway, first=first, last=first + length, late=late))
    return tuple(made)


def _misreads(year: Year, rng: random.Random) -> dict[tuple[str, int], int]:
    """Single readings of nonsense, each alone: what happens beside another event is anybody's guess."""
    clear, edge = _CLEAR_POLLS * year.size.every, 5 * year.size.every
    taken: list[tuple[str, int]] = []
    for outage in year.outages:
        taken += [
            (spec.device, at)
            for spec in year.specs
            if spec.gateway == outage.gateway
            for at in (outage.first, outage.last)
        ]
    taken += [(device, at) for device, event in year.events.items() for at in (event.out, event.back)]
    secret = {device for device, event in year.events.items() if event.change is Change.SERIAL}
    made: dict[tuple[str, int], int] = {}
    for _ in range(200):
        spec = rng.choice(year.specs)
        minute = rng.choice(range(0, year.size.minutes, year.size.every))
        alone = all(device != spec.device or abs(at - minute) > clear for device, at in taken)
        # nobody can tell that the very first reading is wrong
        alone = alone and edge <= minute <= year.size.minutes - edge
        if alone and spec.device not in secret | year.rolls and not year.lost(spec.gateway, minute):
            made[spec.device, minute] = rng.choice([0, year.begins[spec.device] + 100 * spec.peak * 24])
            taken.append((spec.device, minute))
        if len(made) == _MISREADS:
            break
    return made
