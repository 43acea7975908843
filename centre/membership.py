"""Which meters count for a node in a period, each with the days it was part of it; virtual ones where it has no other.

Pure. The sum over the spans is the sum of the period: a move in mid-month splits it at midnight of that day.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta, tzinfo

from centre.accounting.completeness import Count
from centre.accounting.intervals import Interval
from centre.accounting.zones import day_bounds
from centre.carriers import Carrier
from centre.day import Place, boundary, place_of
from centre.entities import Entities, Entity, EntityMeter, VirtualMeter, entities_of
from centre.entities_tree import MeterSpan, meter_spans, tree_on
from centre.period import Period
from centre.plant import Meter, Node, Plant
from centre.points import MeterPoints
from centre.records import MeterRecord, Records
from centre.store.base import Bucket, Grain
from centre.views import DerivedFrom
from centre.virtual_meters import compute, formula_of, in_order, series_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """`spans` by node and carrier; what it does not tell is as the tree has it."""

    spans: Mapping[tuple[str, Carrier], tuple[MeterSpan, ...]]

    def counted(
        self, node: Node, carrier: Carrier, period: Period, records: Records, zone: tzinfo
    ) -> tuple[list[MeterRecord], DerivedFrom]:
        """What the meters of a node counted of a carrier while they were part of it."""
        meters, derived = boundary(node, carrier)
        spans = self.spans.get((node.id, carrier))
        if spans is None:
            return [records[place_of(meter)] for meter in meters], derived
        found = [of_span(records[place_of(span.meter)], span, period, zone) for span in spans]
        return found, derived if meters or not found else "children"

    def within(self, period: Period) -> "Membership":
        """The part of it that lies in a period, such as a month of a year."""
        after = period.last + timedelta(days=1)
        return Membership(
            spans={
                key: tuple(
                    replace(span, start=max(span.start, period.first), end=min(span.end, after))
                    for span in spans
                    if span.start < after and span.end > period.first
                )
                for key, spans in self.spans.items()
            }
        )

    def settled(self, node: Node, carrier: Carrier, period: Period, zone: tzinfo) -> int:
        """Since when (UTC ns) in the period the meters of a node and of its children are what they are at its end."""
        near = (node.id, *(child.id for child in node.children))
        spans = [span for one in near for span in self.spans.get((one, carrier), ())]
        changed = [day for span in spans for day in (span.start, span.end) if period.first < day <= period.last]
        return day_bounds(max(changed), zone)[0] if changed else 0


UNDATED = Membership(spans={})


def of_span(record: MeterRecord, span: MeterSpan, period: Period, zone: tzinfo) -> MeterRecord:
    """The record of a meter as far as it lies in the days of a span."""
    if span.start <= period.first and span.end > period.last:
        return record
    start, end = span.bounds(zone)
    last = span.end - timedelta(days=1)
    return replace(
        record,
        days=tuple(day for day in record.days if start <= day.interval.start < end),
        quarters=tuple(quarter for quarter in record.quarters if start <= quarter.interval.start < end),
        bounds=(start, end),
        part=f"{span.start}..{last}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedPlant:
    """A plant with the tree of a period's last day, every meter that counted in the period, and what is virtual."""

    plant: Plant
    membership: Membership
    meters: tuple[Meter, ...]
    virtual: Mapping[Place, VirtualMeter]
    entities: tuple[Entity, ...]


def dated(plant: Plant, entities: Entities, period: Period, today: date) -> DatedPlant:
    """The plant as `entities` tell of it; as it is where they do not know it."""
    root = entities.plant(plant.site)
    if root is None:
        return DatedPlant(plant=plant, membership=UNDATED, meters=tuple(plant.meters()), virtual={}, entities=())
    sources = {place_of(_as_meter(one).meter): one for entity in entities.of(plant.site) for one in _sources(entity)}
    known = entities_of(tuple(_with_sources(entity) for entity in entities))
    tree = tree_on(known, root.key, min(period.last, max(period.first, today)))
    after = period.last + timedelta(days=1)
    spans: dict[tuple[str, Carrier], tuple[MeterSpan, ...]] = {}
    for node in tree.walk():
        for carrier in Carrier:
            found = meter_spans(known, f"{plant.site}/{node.id}", carrier, period.first, after)
            if found:
                spans[node.id, carrier] = found
    used = {place_of(meter): meter for node in tree.walk() for meter in node.meters}
    used |= {place_of(span.meter): span.meter for found in spans.values() for span in found}
    return DatedPlant(
        plant=replace(plant, tree=tree),
        membership=Membership(spans=spans),
        meters=tuple(meter for place, meter in used.items() if place not in sources),
        virtual={place: one for place, one in sources.items() if place in used},
        entities=entities.of(plant.site),
    )


def _sources(entity: Entity) -> list[VirtualMeter]:
    """A virtual meter is the source of its entity where no meter counts that carrier there."""
    metered = {meter.carrier for meter in entity.meters}
    return [one for one in entity.virtual if one.carrier not in metered]


def _as_meter(virtual: VirtualMeter) -> EntityMeter:
    return EntityMeter(device=virtual.id, carrier=virtual.carrier, flow=virtual.flow)


def _with_sources(entity: Entity) -> Entity:
    return replace(entity, meters=(*entity.meters, *(_as_meter(one) for one in _sources(entity))))


def virtual_records(found: DatedPlant, records: Records, count: Count) -> dict[Place, MeterRecord]:
    """The virtual meters that are sources, computed interval by interval; raises ExpressionError."""
    if not found.virtual:
        return {}
    names, units = series_names(found.entities)
    meters = [one for entity in found.entities for one in entity.virtual]
    formulas = in_order([formula_of(one, names, units) for one in meters])
    made: dict[Place, MeterRecord] = {}
    grains: dict[Grain, dict[str, dict[int, Interval]]] = {Grain.DAY: {}, Grain.QUARTER: {}}
    for (device, carrier, flow), record in records.items():
        name = f"{device}:{carrier.value}:{flow.value}"
        grains[Grain.DAY][name] = {bucket.interval.start: bucket.interval for bucket in record.days}
        grains[Grain.QUARTER][name] = {bucket.interval.start: bucket.interval for bucket in record.quarters}
    for formula in formulas:
        one = formula.meter
        buckets: dict[Grain, tuple[Bucket, ...]] = {}
        for grain, series in grains.items():
            used = [part for name in formula.uses.values() for part in series.get(name, {}).values()]
            bounds = sorted({(part.start, part.end) for part in used})
            computed = [compute(formula, series, [start], end - start)[0].interval for start, end in bounds]
            series[one.id] = {part.start: part for part in computed}
            buckets[grain] = tuple(Bucket(grain=grain, interval=part) for part in computed)
        place = (one.id, one.carrier, one.flow)
        if place in found.virtual:
            made[place] = MeterRecord(
                points=MeterPoints(meter=_as_meter(one).meter), days=buckets[Grain.DAY],
                quarters=buckets[Grain.QUARTER], count=count, formula=one.expression,
            )  # fmt: skip
    return made
