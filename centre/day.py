"""A day's figures out of accounted intervals: load curve, energy, carbon, completeness; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from centre.accounting.carbon import emission, factor_for
from centre.accounting.completeness import Count
from centre.accounting.factors import FactorRow
from centre.accounting.intervals import QUARTER_NS, ZERO, Interval
from centre.accounting.quality import flag_shares
from centre.accounting.registers import HOUR_NS, Flag
from centre.carriers import CARRIERS, Carrier, Flow
from centre.plant import Meter, Node, Plant
from centre.points import MeterPoints
from centre.store.base import Bucket
from centre.views import CarrierFigure, DerivedFrom, LoadPoint, MeterFigure, Shares

_WATT: Final = Decimal("0.001")
_WORST: Final = tuple(Flag(letter) for letter in "XQESUCM")

NO_DATA: Final = "no_data"
NO_METER: Final = "no_meter"

Place = tuple[str, Carrier, Flow]


def place_of(meter: Meter) -> Place:
    """What identifies a meter in the tree."""
    return meter.device, meter.carrier, meter.flow


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterDay:
    """What is known of one meter in a day: its accounted day, None without a reading, and its completeness."""

    points: MeterPoints
    bucket: Bucket | None
    count: Count

    @property
    def amount(self) -> Decimal | None:
        return None if self.bucket is None else self.bucket.interval.amount


def meter_figure(day: MeterDay) -> MeterFigure:
    """One row of the table of meters."""
    points, bucket = day.points, day.bucket
    reason = NO_METER if points.counter is None else NO_DATA
    return MeterFigure(
        device=points.meter.device,
        carrier=points.meter.carrier,
        flow=points.meter.flow,
        point=None if points.counter is None else points.counter.point,
        quantity=day.amount,
        unit=points.unit,
        shares={} if bucket is None else shares([bucket.interval]),
        completeness=day.count.completeness,
        suspects=0 if bucket is None else bucket.interval.suspects,
        breaks=0 if bucket is None else bucket.interval.breaks,
        revision=None if bucket is None else bucket.revision,
        reason=reason if day.amount is None else None,
    )


def shares(intervals: Sequence[Interval]) -> Shares:
    """The flags of what is known by energy; by time where nothing flowed. Empty when nothing is known."""
    return dict(flag_shares(intervals, missing=False))


def carrier_figures(
    plant: Plant, days: Mapping[Place, MeterDay], factors: Sequence[FactorRow], day: date
) -> dict[str, tuple[CarrierFigure, ...]]:
    """Every carrier of every node that has meters of it, itself or below."""
    rows = {carrier: factor_for(carrier, plant.region, day, factors) for carrier in Carrier}
    figures: dict[str, tuple[CarrierFigure, ...]] = {}
    for node in plant.tree.walk():
        found: list[CarrierFigure] = []
        for carrier in Carrier:
            meters, derived = boundary(node, carrier)
            if meters:
                counted = [days[place_of(meter)] for meter in meters]
                found.append(_carrier_figure(carrier, counted, derived, rows[carrier]))
        figures[node.id] = tuple(found)
    return figures


def boundary(node: Node, carrier: Carrier) -> tuple[list[Meter], DerivedFrom]:
    """The meters that count a carrier for a node: its own, or, without any, those of its children."""
    own = [meter for meter in node.meters if meter.carrier is carrier]
    if own:
        return own, "meters"
    below = [meter for child in node.children for meter in boundary(child, carrier)[0]]
    return below, "children" if below else "none"


def _carrier_figure(
    carrier: Carrier, days: Sequence[MeterDay], derived: DerivedFrom, factor: FactorRow | None
) -> CarrierFigure:
    imported, generated, exported = (_flow(days, flow) for flow in (Flow.IMPORT, Flow.GENERATION, Flow.EXPORT))
    missing = tuple(day.points.meter.device for day in days if day.amount is None)
    parts = [
        sign * day.amount
        for day in days
        for sign in [-1 if day.points.meter.flow is Flow.EXPORT else 1]
        if day.amount is not None
    ]
    unknown = all(day.points.counter is None for day in days)
    unit = CARRIERS[carrier].unit
    carbon = emission(carrier, imported, unit, factor)
    completeness = [day.count.completeness for day in days]
    known = [share for share in completeness if share is not None]
    return CarrierFigure(
        carrier=carrier,
        quantity=None if missing else sum(parts, ZERO),
        unit=unit,
        import_=imported,
        generation=generated,
        export=exported,
        shares=shares([day.bucket.interval for day in days if day.bucket is not None]),
        completeness=min(known) if len(known) == len(completeness) else None,
        missing=missing,
        reason=None if not missing else NO_METER if unknown else NO_DATA,
        scope=carbon.scope,
        co2_kg=carbon.kg,
        co2_reason=carbon.reason,
        factor=factor,
        derived_from=derived,
    )


def _flow(days: Sequence[MeterDay], flow: Flow) -> Decimal | None:
    """The sum of one flow; None when there is no meter of it, or one of them has nothing to say."""
    amounts = [day.amount for day in days if day.points.meter.flow is flow]
    known = [amount for amount in amounts if amount is not None]
    return sum(known, ZERO) if known and len(known) == len(amounts) else None


def load_curve(
    node: Node, quarters: Mapping[Place, Mapping[int, Interval]], start: int, end: int
) -> tuple[LoadPoint, ...]:
    """Mean electric power of a node in each quarter of an hour of [start, end); empty without electricity meters."""
    meters, _ = boundary(node, Carrier.ELECTRICITY)
    if not meters:
        return ()
    points: list[LoadPoint] = []
    for at in range(start, end, QUARTER_NS):
        parts = [(meter, quarters.get(place_of(meter), {}).get(at)) for meter in meters]
        flags = {Flag.MISSING if part is None else part.flag for _, part in parts}
        powers = [_mean_kw(part) for _, part in parts]
        known = [
            -power if meter.flow is Flow.EXPORT else power
            for (meter, _), power in zip(parts, powers, strict=True)
            if power is not None
        ]
        points.append(
            LoadPoint(
                start_ns=at,
                kw=sum(known, ZERO) if len(known) == len(powers) else None,
                quality=next(flag for flag in _WORST if flag in flags),
                open=any(part is not None and part.open for _, part in parts),
            )
        )
    return tuple(points)


def _mean_kw(interval: Interval | None) -> Decimal | None:
    """Mean over the time that is known: the running interval, and one in which the readings began, have less."""
    if interval is None or interval.amount is None or not interval.known_ns:
        return None
    return (interval.amount * HOUR_NS / interval.known_ns).quantize(_WATT, ROUND_HALF_EVEN)
