"""The physics of the simulated plant: every flow as a pure function of time, its integral in closed form.

A rate is in kW or m3/h, an amount in kWh or m3 (see Carrier); time is UTC nanoseconds. The books balance exactly,
because a node is a weighted sum of the loads below it. The plant keeps the offset from UTC it has at its origin: its
week has no hour twice, and summer time does not begin during a run.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from drivers.simulation.plant_file import Carrier, Load, PlantFile, Shift, Source, carrier_of
from drivers.simulation.shapes import WEEK_S, Blend, Constant, Cycle, Gated, Ramps, Ripple, Shape
from wattline.clock import NS
from wattline.strict_yaml import Document, KeyPath

_DAY_S: Final = 86_400
_WEEK_NS: Final = WEEK_S * NS
_FIRST_MONDAY_NS: Final = 4 * _DAY_S * NS  # 1970-01-05
_TURNS: Final = (-WEEK_S, 0, WEEK_S)
_RIPPLE: Final = ((977, 0.04), (5_003, 0.03), (21_001, 0.02))  # turns a week (10, 2 and 0.5 min), share of idle load


@dataclass(frozen=True, slots=True)
class Flow:
    """What flows at one place of the plant: kW or m3/h over the week, integrals in kW x s or m3/h x s."""

    carrier: Carrier
    shape: Shape
    week: float  # the integral over a whole week


class Plant:
    """Rates and amounts at every load, node and source."""

    def __init__(self, flows: Mapping[str, Flow], zone_offset_ns: int, origin_ns: int) -> None:
        self._flows = dict(flows)
        self._offset = zone_offset_ns - _FIRST_MONDAY_NS
        self.origin_ns = origin_ns

    def carrier(self, name: str) -> Carrier:
        return self._flows[name].carrier

    def _place(self, at_ns: int) -> tuple[int, float]:
        """(the number of the week, seconds into it)."""
        week, rest = divmod(at_ns + self._offset, _WEEK_NS)
        return week, rest / NS

    def rate(self, name: str, at_ns: int) -> float:
        """kW or m3/h drawn at `name`; what a source gives, for a source. Never negative."""
        return self._flows[name].shape.at(self._place(at_ns)[1])

    def amount(self, name: str, from_ns: int, to_ns: int) -> float:
        """kWh or m3 that flowed at `name` between two instants, exactly (to the precision of a double)."""
        flow = self._flows[name]
        week_a, a = self._place(from_ns)
        week_b, b = self._place(to_ns)
        return ((week_b - week_a) * flow.week + flow.shape.until(b) - flow.shape.until(a)) / 3600.0


def build_plant(file: PlantFile, document: Document, now_ns: int) -> Plant:
    """The plant of a checked file; its origin is the file's, else `now_ns`. Raises ConfigError when the sources of a
    node could ever produce more than it draws: nothing here sells back."""
    origin = file.origin or datetime.fromtimestamp(now_ns // NS, UTC)
    origin_ns = now_ns if file.origin is None else round(file.origin.timestamp() * 1000) * 1_000_000
    offset = origin.astimezone(ZoneInfo(file.zone)).utcoffset()
    assert offset is not None, "an aware instant has an offset"
    busy = {name: week_of(shift, document, ("shifts", name)) for name, shift in file.shifts.items()}
    shapes: dict[str, Shape] = {
        name: Blend([(load.rated, _load_shape(load, busy[load.shift], random.Random(f"{file.seed} {name}")))])
        for name, load in file.loads.items()
    }
    suns = {name: _sun(source, random.Random(f"{file.seed} {name}")) for name, source in file.sources.items()}
    shapes |= {name: Blend([(file.sources[name].peak, sun.shape())]) for name, sun in suns.items()}
    for name in _bottom_up(file):
        node = file.nodes[name]
        shapes[name] = Blend(
            [
                *((1.0 + node.loss, shapes[fed]) for fed in node.feeds),
                (node.standing_loss, Constant(1.0)),
                *((-1.0, shapes[source]) for source in node.sources),
            ]
        )
    _check_no_surplus(file, document, busy, suns)
    flows = {name: Flow(carrier_of(file, name), shape, shape.until(WEEK_S)) for name, shape in shapes.items()}
    return Plant(flows, round(offset.total_seconds()) * NS, origin_ns)


def _bottom_up(file: PlantFile) -> list[str]:
    """The nodes, each after those it feeds."""
    order: list[str] = []
    while len(order) < len(file.nodes):
        order += [
            name
            for name, node in file.nodes.items()
            if name not in order and all(fed in order or fed in file.loads for fed in node.feeds)
        ]
    return order


@dataclass(frozen=True, slots=True)
class Week:
    """How busy a shift is over the week, as a share: the curve with its ramps, and the periods of full work in it."""

    curve: Ramps
    work: tuple[tuple[float, float, float], ...]  # (start, end, level)


def week_of(shift: Shift, document: Document, path: KeyPath) -> Week:
    """Raises ConfigError when blocks of work overlap or are shorter than the ramp."""
    ramp = float(shift.ramp)
    blocks: list[_Block] = []
    for work in shift.work:
        length = (work.end - work.start) % _DAY_S or _DAY_S
        if length <= ramp:
            raise document.error((*path, "work"), "a block of work must be longer than the ramp")
        starts = [day * _DAY_S + work.start for day in work.days]
        blocks += [_Block(start, start + length, work.level, work.level - shift.idle) for start in starts]
    blocks.sort(key=lambda block: block.start)
    if any(b.start < a.end for a, b in pairwise(blocks)) or (blocks and blocks[-1].end > blocks[0].start + WEEK_S):
        raise document.error((*path, "work"), "two blocks of work overlap")

    def level(p: float) -> float:
        return shift.idle + sum(block.rise * block.share(p - turn, ramp) for block in blocks for turn in _TURNS)

    times = {0.0, float(WEEK_S)}
    for block in blocks:
        times |= {at % WEEK_S for at in (block.start - ramp, block.start, block.end - ramp, block.end)}
    full = [block for block in blocks if block.rise > 0]
    periods = [(block.start + turn, block.end - ramp + turn, block.level) for block in full for turn in _TURNS]
    inside = [(max(start, 0.0), min(end, float(WEEK_S)), high) for start, end, high in periods]
    work_periods = tuple(sorted(period for period in inside if period[0] < period[1]))
    return Week(Ramps([(at, level(at)) for at in sorted(times)]), work_periods)


@dataclass(frozen=True, slots=True)
class _Block:
    """Work from `start` to `end` (the end may lie in the next week), which lifts the curve by `rise`."""

    start: float
    end: float
    level: float
    rise: float

    def share(self, p: float, ramp: float) -> float:
        """0 outside, 1 inside. The ramps of two blocks that follow each other sum up to no dip."""
        return max(0.0, min(1.0, (p - self.start + ramp) / ramp, (self.end - p) / ramp))


def _load_shape(load: Load, week: Week, chance: random.Random) -> Shape:
    """The share of its rating a load draws: the shift's curve, less the dips of its cycle, plus a ripple when idle."""
    idle = min(level for _, level in week.curve.knots)
    ripple = Ripple([(turns, idle * share, chance.random()) for turns, share in _RIPPLE])
    parts: list[tuple[float, Shape]] = [(1.0, week.curve), (1.0, ripple)]
    if load.cycle is not None:
        dips = Cycle(_dips(float(load.cycle.period), load.cycle.busy), chance.random() * float(load.cycle.period))
        parts.append((load.cycle.depth, Gated(week.work, dips)))
    return Blend(parts)


def _dips(period: float, busy: float) -> Ramps:
    """0 for the share `busy` of the period, -1 for the rest, with edges of a twentieth of the period."""
    edge = 0.05 * period
    knots = [(0.0, -1.0), (edge, 0.0), (busy * period, 0.0), (busy * period + edge, -1.0), (period, -1.0)]
    return Ramps(knots, period)


@dataclass(frozen=True, slots=True)
class _Sun:
    """A week of sun as a share of the peak: the clear curve of each day (its own brightness), and passing clouds."""

    clear: Ramps
    clouds: Shape

    def shape(self) -> Shape:
        return Blend([(1.0, self.clear), (1.0, self.clouds)])


def _sun(source: Source, chance: random.Random) -> _Sun:
    length = source.sunset - source.sunrise
    knots: list[tuple[float, float]] = [(0.0, 0.0)]
    cloudy: list[tuple[float, float, float]] = []
    for day in range(7):
        bright, dawn = chance.uniform(0.55, 1.0), day * _DAY_S + source.sunrise
        curve = [(step / 24, bright * max(0.0, math.sin(math.pi * step / 24)) ** 1.3) for step in range(25)]
        knots += [(dawn + length * share, level) for share, level in curve]
        cloudy.append((dawn + 0.25 * length, dawn + 0.75 * length, 0.5 * bright * chance.random()))
    knots.append((WEEK_S, 0.0))
    return _Sun(Ramps(knots), Gated(cloudy, Cycle(_dips(1200.0, 0.6))))


def _check_no_surplus(file: PlantFile, document: Document, weeks: Mapping[str, Week], suns: Mapping[str, _Sun]) -> None:
    """Raises ConfigError when what a node's sources may give exceeds the least it may draw, at any time of the week.

    Both bounds are straight between knots, so the knots tell all: sources without clouds; loads with their cycle in
    the dip and their ripple at its lowest.
    """

    def least(name: str, p: float) -> float:
        if load := file.loads.get(name):
            week = weeks[load.shift]
            level = week.curve.at(p) - sum(share for _, share in _RIPPLE) * min(at for _, at in week.curve.knots)
            dip = load.cycle.depth if load.cycle else 0.0
            return load.rated * (level - dip * max((w[2] for w in week.work if w[0] <= p <= w[1]), default=0.0))
        node = file.nodes[name]
        below = (1.0 + node.loss) * sum(least(fed, p) for fed in node.feeds)
        return below + node.standing_loss - sum(file.sources[s].peak * suns[s].clear.at(p) for s in node.sources)

    times = {at for week in weeks.values() for at, _ in week.curve.knots}
    times |= {at for sun in suns.values() for at, _ in sun.clear.knots}
    for name, node in file.nodes.items():
        if not node.sources:
            continue
        worst = min(sorted(times), key=lambda p: least(name, p))
        if (left := least(name, worst)) < 0:
            raise document.error(
                ("nodes", name, "sources"),
                f"could give {-left:.0f} kW more than {name} draws ({_clock(worst)}); this plant sells nothing back:"
                " lower the peak of the sources, or raise the loads that run then",
            )


def _clock(p: float) -> str:
    """A position in the week for people: `Tue 12:30`."""
    day, second = divmod(int(p), _DAY_S)
    return f"{('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun')[day % 7]} {second // 3600:02}:{second % 3600 // 60:02}"
