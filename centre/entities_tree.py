"""The tree on a day, and what a period contains as dated spans, so that a move in mid-month splits its sum exactly."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, tzinfo
from itertools import pairwise
from typing import TypeVar

from centre.accounting.zones import day_bounds
from centre.carriers import Carrier
from centre.day import boundary
from centre.entities import (
    Entities,
    Entity,
    EntityKind,
    EntityMeter,
    Membership,
    MeterEpoch,
    covers,
    key_of,
)
from centre.plant import Meter, Node, Plant

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSpan:
    """`key` belongs to the asked entity, itself or through others, from `start` to before `end`."""

    key: str
    start: date
    end: date


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSpan:
    """`meter` counts for the asked entity from `start` to before `end`."""

    meter: Meter
    start: date
    end: date

    def bounds(self, zone: tzinfo) -> tuple[int, int]:
        """[start, end) in UTC ns."""
        return day_bounds(self.start, zone)[0], day_bounds(self.end, zone)[0]


def tree_on(entities: Entities, key: str, day: date) -> Node:
    """The entity `key` with all that belonged to it on `day`; raises KeyError."""
    below: dict[str, list[Entity]] = {}
    for entity in entities:
        parent = entity.parent_on(day)
        if parent is not None:
            below.setdefault(parent, []).append(entity)
    return _node(entities.by_key[key], below, day)


def _node(entity: Entity, below: dict[str, list[Entity]], day: date) -> Node:
    return Node(
        id=entity.id,
        name=entity.name,
        meters=tuple(found.meter for found in entity.meters if covers(found.since, found.until, day)),
        children=tuple(_node(child, below, day) for child in below.get(entity.key, ())),
    )


def changes(entities: Entities, start: date, end: date) -> list[date]:
    """The days in [start, end) on which a membership or a place of a meter begins or ends, with both ends."""
    found = {start, end}
    for entity in entities:
        spans = [(one.since, one.until) for one in entity.memberships]
        spans += [(one.since, one.until) for one in entity.meters]
        found |= {day for span in spans for day in span if day is not None and start < day < end}
    return sorted(found)


def members(entities: Entities, key: str, start: date, end: date) -> tuple[MemberSpan, ...]:
    """What belonged to `key` in [start, end), itself among it, each as unbroken spans; in the order of the tree."""

    def inside(day: date) -> Iterator[str]:
        below: dict[str, list[str]] = {}
        for entity in entities:
            parent = entity.parent_on(day)
            if parent is not None:
                below.setdefault(parent, []).append(entity.key)
        waiting = [key]
        while waiting:
            found = waiting.pop()
            yield found
            waiting += below.get(found, [])[::-1]

    return tuple(
        MemberSpan(key=found, start=first, end=last) for found, first, last in _spans(entities, start, end, inside)
    )


def meter_spans(entities: Entities, key: str, carrier: Carrier, start: date, end: date) -> tuple[MeterSpan, ...]:
    """The meters that counted a carrier for `key` in [start, end): its own, or, without any, those of what it held.

    The sum over the spans is the sum of the period: no meter counts twice on a day, and each with the days it was part.
    """

    def counting(day: date) -> Iterator[Meter]:
        yield from boundary(tree_on(entities, key, day), carrier)[0]

    return tuple(
        MeterSpan(meter=found, start=first, end=last) for found, first, last in _spans(entities, start, end, counting)
    )


def counting_nodes(
    entities: Entities, key: str, start: date, end: date
) -> dict[tuple[str, Carrier], tuple[MeterSpan, ...]]:
    """`meter_spans` by node id and carrier, of the plant `key` and of its nodes while they had meters of their own."""

    def counting(day: date) -> Iterator[tuple[str, Carrier, Meter]]:
        tree = tree_on(entities, key, day)
        for node in tree.walk():
            if node is tree or node.meters:
                for carrier in Carrier:
                    yield from ((node.id, carrier, meter) for meter in boundary(node, carrier)[0])

    found: dict[tuple[str, Carrier], list[MeterSpan]] = {}
    for (node, carrier, meter), first, last in _spans(entities, start, end, counting):
        found.setdefault((node, carrier), []).append(MeterSpan(meter=meter, start=first, end=last))
    return {of: tuple(spans) for of, spans in found.items()}


def _spans(
    entities: Entities, start: date, end: date, found_on: Callable[[date], Iterator[T]]
) -> list[tuple[T, date, date]]:
    """Each thing with its unbroken stretches of days; between two changes every day is like the first."""
    spans: dict[T, list[tuple[date, date]]] = {}
    for first, last in pairwise(changes(entities, start, end)):
        for thing in found_on(first):
            known = spans.setdefault(thing, [])
            if known and known[-1][1] == first:
                known[-1] = (known[-1][0], last)
            else:
                known.append((first, last))
    return [(thing, first, last) for thing, known in spans.items() for first, last in known]


def entities_of_tree(plant: Plant) -> tuple[Entity, ...]:
    """The entities of an undated tree, as centre.yaml has it: what has parts is a workshop, what has none equipment."""
    return tuple(_entities(plant.site, plant.tree, None))


def _entities(site: str, node: Node, parent: str | None) -> Iterator[Entity]:
    small = EntityKind.WORKSHOP if node.children else EntityKind.EQUIPMENT
    yield Entity(
        site=site,
        id=node.id,
        kind=EntityKind.PLANT if parent is None else small,
        name=node.name,
        memberships=() if parent is None else (Membership(parent=parent),),
        meters=tuple(_meter(meter) for meter in node.meters),
    )
    for child in node.children:
        yield from _entities(site, child, key_of(site, node.id))


def _meter(meter: Meter) -> EntityMeter:
    return EntityMeter(
        device=meter.device,
        carrier=meter.carrier,
        flow=meter.flow,
        point=meter.point,
        limit=meter.limit,
        accuracy=meter.accuracy,
        epochs=tuple(
            MeterEpoch(
                since=change.at,
                final=change.final,
                initial=change.initial,
                factor=None if change.factor == 1 else change.factor,
            )
            for change in sorted(meter.replaced, key=lambda change: change.at)
        ),
        steam=meter.steam,
    )
