"""Meters that nobody reads by wire: approved readings as those of a register, and the days they make known; pure."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from centre.accounting.intervals import Interval, cut
from centre.accounting.registers import Flag, deltas
from centre.accounting.zones import day_bounds, local_day
from centre.carriers import pick
from centre.manual_forms import Entry
from centre.plant import Plant
from centre.points import MeterPoints, registers_of
from centre.register_samples import samples_of
from centre.store.base import FAR_NS, Bucket, Grain, Reading, SeriesKey

_NO_GAP_S: Final = Decimal(4_000_000_000)  # U tells already that the shape is not measured: no gap is too long


class Approved(NamedTuple):
    """An approved reading, and who says so."""

    entry: Entry
    entered_by: str
    approved_by: str

    @property
    def words(self) -> str:
        return f"read by hand: entered by {self.entered_by}, approved by {self.approved_by}, form {self.entry.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualMeter:
    """The approved readings of a meter before `until` (UTC ns), when its register was first read by wire.

    `points` names that register. It answers as a store does of it (store.base.Registers); `told` says who read what.
    """

    points: MeterPoints
    readings: tuple[Reading, ...]
    told: Mapping[int, str]
    until: int

    def counts(self, day: Interval) -> bool:
        """Whether a day counts by these readings: those that the wire knows anything of count by the wire."""
        return day.end <= self.until

    def days(self, plant: Plant, start: int, end: int) -> list[Interval]:
        """The local days of [start, end) of which anything is known; between two readings the rate is steady."""
        samples = samples_of(self.readings)
        whole = deltas(samples, self.points.rule)
        register = replace(
            whole,
            steps=tuple(
                step._replace(flag=Flag.MANUAL) if step.flag is Flag.MEASURED else step
                for step in whole.steps
                if step.end > start and step.start < end
            ),
        )
        found: list[Interval] = []
        day = local_day(start, plant.zone)
        while (bounds := day_bounds(day, plant.zone))[0] < end:
            first, last = bounds
            [known] = cut(register, samples, start=first, end=last, max_gap_ns=FAR_NS, step_ns=last - first)
            if (known.amount is not None or known.breaks) and self.counts(known):
                found.append(known)
            day += timedelta(days=1)
        return found

    async def read(self, _series: SeriesKey, t0: int, t1: int, *, limit: int) -> Sequence[Reading]:
        """As a store has it."""
        first = bisect_left(self.readings, t0, key=_at)
        return self.readings[first : bisect_left(self.readings, t1, key=_at)][:limit]

    async def before(self, _series: SeriesKey, t: int, count: int) -> Sequence[Reading]:
        """As a store has it."""
        place = bisect_left(self.readings, t, key=_at)
        return self.readings[max(place - count, 0) : place]

    async def changes(self, _series: SeriesKey) -> Sequence[tuple[int, int]]:
        """Nobody reads serial numbers by hand: a changed meter stands in the entity."""
        return ()

    async def read_rollup(self, _series: SeriesKey, _grain: Grain, _t0: int, _t1: int) -> Sequence[Bucket]:
        """Nothing stands in for what these readings do not tell."""
        return ()


def _at(reading: Reading) -> int:
    return reading.at


def register_of_hand(points: MeterPoints, approved: Mapping[tuple[str, str], Sequence[Approved]]) -> str | None:
    """The point of a meter that approved readings are of; the best where there are several."""
    meter = points.meter
    return pick(registers_of(meter), {point for device, point in approved if device == meter.device})


def manual_meter(
    site: str, points: MeterPoints, point: str, found: Sequence[Approved], since: int | None
) -> ManualMeter:
    """A meter with its approved readings in any order; `since`: when the wire first told of it, if it did."""
    until = FAR_NS if since is None else since
    told = sorted((int(one.entry.period), one) for one in found if int(one.entry.period) < until)
    return ManualMeter(
        points=replace(
            points, meter=replace(points.meter, check=None), counter=SeriesKey(site, points.meter.device, point),
            interval_s=_NO_GAP_S, integrated=False,
        ),
        readings=tuple(Reading(at, Decimal(one.entry.values["reading"])) for at, one in told),
        told={at: one.words for at, one in told},
        until=until,
    )  # fmt: skip
