"""The demand of a stretch of days that its quarters of an hour do not tell: sliding, or by the meter's own register.

Minutes are not kept. They are counted again from the readings, and only where there is room for more than the highest
demand found so far: no 15 minutes take more than the two quarters that they lie in, nor more than the register rose.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from operator import gt
from typing import Final, TypeVar

from centre.accounting.demand import Demand, DemandKind, fixed_demands, peak, sliding_demands
from centre.accounting.exact import rounded
from centre.accounting.intervals import QUARTER_NS, ZERO, Interval
from centre.accounting.metered import Amount
from centre.carriers import pick
from centre.day import place_of
from centre.plant import Plant
from centre.points import MeterPoints
from centre.records import MeterRecord, Records
from centre.recount import CHUNK_NS, CHUNK_READINGS, Recount
from centre.register_samples import samples_of
from centre.statement_cost import Demands, Stretch, bought_quarters
from centre.store.base import Columns, Grain, SeriesKey, Store
from wattline.clock import NS

MINUTE_NS: Final = 60 * NS
_DAY_NS: Final = 86_400 * NS
_MOST: Final = 200_000  # readings of a register in a day
_KEPT: Final = 4096  # chunks: more than a year
_REGISTERS: Final = ("demand_power_active_import_max", "demand_power_active_max")

_PERIOD: Final = 15  # minutes
_DOUBT: Final = 1e-12  # of a register: beyond what binary fractions may be off

_Chunk = tuple[object, ...]
_T = TypeVar("_T")


@dataclass(slots=True)
class Peaks:
    """Finds demands, and keeps those of chunks of hours as long as their quarters stay what they are."""

    _known: dict[_Chunk, Demand | None] = field(default_factory=dict[_Chunk, Demand | None])
    _rose: dict[_Chunk, float | None] = field(default_factory=dict[_Chunk, float | None])

    async def of(self, store: Store, plant: Plant, part: Stretch, records: Records) -> Demands:
        """What the contract of a stretch bills, and the other as a check. Raises StoreError."""
        kind = DemandKind.FIXED if part.contract is None else part.contract.demand
        billed = [records[place_of(meter)] for meter in part.meters]
        quarters = [one for one in bought_quarters(plant, [part], records) if one.amount is not None]
        found = peak(fixed_demands(quarters))
        if kind is not DemandKind.FIXED and billed and all(one.points.counter is not None for one in billed):
            found = await self._sliding(store, plant, billed, quarters, found)
        register = await by_register(store, billed[0].points, *part.bounds(plant.zone)) if len(billed) == 1 else None
        by_meter = kind is DemandKind.METER
        return Demands(billed=register if by_meter else found, beside=found if by_meter else register)

    async def _sliding(
        self, store: Store, plant: Plant, billed: Sequence[MeterRecord], quarters: Sequence[Amount], best: Demand | None
    ) -> Demand | None:
        """The highest of all 15 minutes moved by one; `best` is that of the quarters."""
        if best is None:
            return None
        chunks: dict[int, list[Amount]] = {}
        before: Amount | None = None
        for one in quarters:
            inside = chunks.setdefault(one.start - one.start % CHUNK_NS, [])
            if not inside and before is not None and before.end == one.start:
                inside.append(before)  # 15 minutes may begin in it
            inside.append(one)
            before = one
        best = _sliding_of(best)
        for inside in sorted(chunks.values(), key=_room, reverse=True):
            if _room(inside) <= best.kw:
                break
            found = await self._chunk(store, plant, billed, inside, best.kw)
            best = peak(one for one in (best, found) if one is not None) or best
        return best

    async def _chunk(
        self, store: Store, plant: Plant, billed: Sequence[MeterRecord], inside: Sequence[Amount], best: Decimal
    ) -> Demand | None:
        """The highest of some hours; None where it is not above `best`, or not known."""
        start, end = inside[0].start, inside[-1].end
        seen = tuple(_seen(one, start, end) for one in billed)
        key = (plant.site, start, end, seen)
        if key not in self._known:
            if key not in self._rose:
                _keep(self._rose, key, await _at_most(store, [one.points for one in billed], start, end))
            most = self._rose[key]
            if most is not None and most <= best:
                return None
            _keep(self._known, key, await counted(store, plant, [one.points for one in billed], start, end))
        return self._known[key]


def _keep(known: dict[_Chunk, _T], key: _Chunk, found: _T) -> None:
    if len(known) >= _KEPT:
        del known[next(iter(known))]
    known[key] = found


async def _at_most(store: Store, billed: Sequence[MeterPoints], start: int, end: int) -> float | None:
    """More than this, kW, no 15 minutes can have; None where that takes more than to look at the registers."""
    sums = [0.0] * ((end - start) // MINUTE_NS + 1)
    for points in billed:
        if points.counter is None or points.integrated or _changes(points, start, end):
            return None
        columns = await store.columns(points.counter, start, end, before=1, after=1, limit=CHUNK_READINGS)
        shown = _shown(columns, start, len(sums), points.max_gap_ns)
        if shown is None:
            return None
        factor = float(points.rule.factor_at(start))
        sums = [one + factor * value for one, value in zip(sums, shown, strict=True)]
    rises = (last - first for first, last in zip(sums, sums[_PERIOD:], strict=False))
    return 4 * max(rises, default=0.0) + _DOUBT * (1 + max(sums))


def _changes(points: MeterPoints, start: int, end: int) -> bool:
    rule = points.rule
    return any(start <= at <= end for at in (*rule.epochs, *(change.at for change in rule.replacements)))


def _shown(columns: Columns, start: int, count: int, max_gap_ns: int) -> list[float] | None:
    """A register that only rises, without a pause, at each of `count` minutes from `start`; None otherwise."""
    times = columns.times
    values = [float(value) for value in columns.values if not isinstance(value, str)]
    last = start + (count - 1) * MINUTE_NS
    if columns.suspects or len(values) < max(2, len(times)) or times[0] > start or times[-1] < last:
        return None
    if any(map(gt, values, values[1:])) or any(new - old > max_gap_ns for old, new in pairwise(times)):
        return None
    found: list[float] = []
    place = 1
    for at in range(start, last + 1, MINUTE_NS):
        while times[place] < at:
            place += 1
        part = (at - times[place - 1]) / (times[place] - times[place - 1])
        found.append(values[place - 1] + part * (values[place] - values[place - 1]))
    return found


def _room(inside: Sequence[Amount]) -> Decimal:
    """More than this, kW, no 15 minutes of these quarters can have."""
    pairs = [(one.amount or ZERO) + (other.amount or ZERO) for one, other in pairwise(inside)]
    return 4 * max(pairs, default=inside[0].amount or ZERO)


def _seen(record: MeterRecord, start: int, end: int) -> _Chunk:
    """What changes whenever the readings of a meter in [start, end) do."""
    quarters = record.quarters
    first = bisect_left(quarters, start, key=lambda one: one.interval.start)
    last = bisect_left(quarters, end, key=lambda one: one.interval.start)
    told = tuple((one.interval.amount, one.interval.readings, one.revision) for one in quarters[first:last])
    return (record.points.counter, record.points.rule, told)


def _sliding_of(found: Demand) -> Demand:
    """A quarter is one of the sliding 15 minutes."""
    return Demand(
        kw=found.kw, start=found.start, end=found.end, kind=DemandKind.SLIDING, estimated=found.estimated
    )  # fmt: skip


async def counted(
    store: Store, plant: Plant, billed: Sequence[MeterPoints], start: int, end: int
) -> Demand | None:  # fmt: skip
    """The highest 15 minutes of the meters together in [start, end), with what each of them counted in it."""
    each = [await minutes(store, plant, points, start, end) for points in billed]
    found = peak(sliding_demands(together(each)))
    if found is None:
        return None
    energies = tuple(
        (
            points.meter.device,
            sum((one.amount or ZERO for one in found_minutes if found.start <= one.start < found.end), ZERO),
        )
        for points, found_minutes in zip(billed, each, strict=True)
    )
    return Demand(
        kw=found.kw, start=found.start, end=found.end, kind=found.kind, estimated=found.estimated, energies=energies
    )  # fmt: skip


async def minutes(store: Store, plant: Plant, points: MeterPoints, start: int, end: int) -> list[Interval]:
    """What a meter counted in each minute of [start, end), between quarters; the sum of a quarter's is the quarter."""
    counter = points.counter
    if counter is None:
        return []

    async def stored(t0: int, t1: int) -> dict[int, Interval]:
        buckets = await store.read_rollup(counter, Grain.QUARTER, t0, t1)
        return {bucket.interval.start: bucket.interval for bucket in buckets}

    recount = Recount(store=store, series=counter, plant=plant, points=points, history=stored)
    return await recount.quarters(start, end, MINUTE_NS)


def together(each: Sequence[Sequence[Interval]]) -> list[Amount]:
    """The sum of all meters in each minute, unknown where one of them is."""
    found: list[Amount] = []
    for parts in zip(*each, strict=True):
        known = [part.amount for part in parts if part.amount is not None]
        amount = sum(known, ZERO) if len(known) == len(parts) else None
        estimated = sum((part.estimated for part in parts), ZERO)
        found.append(Amount(start=parts[0].start, end=parts[0].end, amount=amount, estimated=estimated))
    return found


async def by_register(store: Store, points: MeterPoints, start: int, end: int) -> Demand | None:
    """The highest value that the meter's own register of its maximum came to show in [start, end).

    What it showed before and never left may be of any earlier time: then nothing is known, as without a register.
    """
    known = () if points.info is None else [point.name for point in points.info.points]
    name = pick(_REGISTERS, known)
    if name is None or points.counter is None:
        return None
    series = SeriesKey(points.counter.site, points.counter.device, name)
    earlier = samples_of([one for one in await store.before(series, start, 1) if not one.suspect])
    shown = earlier[-1].value if earlier else None
    best: Demand | None = None
    for day in range(start, end, _DAY_NS):
        until = min(day + _DAY_NS, end)
        last = samples_of([one for one in await store.before(series, until, 1) if one.at >= day and not one.suspect])
        if last and last[0].value == shown:
            continue
        for at, value in samples_of(
            [one for one in await store.read(series, day, until, limit=_MOST) if not one.suspect]
        ):  # fmt: skip
            if shown is not None and value != shown and (best is None or value / 1000 > best.kw):
                kw = rounded(Fraction(value) / 1000, 6)
                best = Demand(kw=kw, start=at - QUARTER_NS, end=at, kind=DemandKind.METER)
            shown = value
    return best
