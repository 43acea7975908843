"""The closed intervals of a plant's nodes, as they are forwarded: the sum of the meters at a node's boundary.

Each interval is summed by the tree of its own time, and a month is the sum of its days.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, NamedTuple

from centre.accounting.calendar import Month, first_day, month_bounds, month_of, months
from centre.accounting.intervals import ZERO, Interval, merge
from centre.accounting.quality import flag_shares
from centre.books.forward import Look
from centre.carriers import CARRIERS, Carrier, Flow
from centre.day import NO_DATA, NO_METER
from centre.entities import Entities, entities_of
from centre.entities_tree import MeterSpan, counting_nodes, entities_of_tree
from centre.plant import Meter, Plant
from centre.points import MeterPoints, resolve
from centre.store.base import Grain, Store
from metering.intervals import NOT_METERED, NodeInterval
from wattline.clock import NS, Clock

_SETTLED_NS: Final = 3600 * NS  # a meter that told nothing by then is missing; until then it may only be slow

Closed = Mapping[int, Interval]


class Counting(NamedTuple):
    """A meter that counts for a node from `start` to before `end` (UTC ns); `over`: no more is waited for of it."""

    meter: Meter
    start: int
    end: int
    over: bool = False


class NodeCarrier(NamedTuple):
    """Whose intervals are made, and how long they are."""

    site: str
    node: str
    carrier: Carrier
    grain: Grain


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedFigures:
    """Reads them from the store; `entities` tells the tree of every day. Methods raise StoreError."""

    store: Store
    clock: Clock
    plants: Mapping[str, Plant]
    entities: Callable[[], Awaitable[Entities]]
    grains: tuple[Grain, ...]

    async def months(self, site: str, sent: tuple[int, int] | None) -> list[Month]:
        """All months of which something is accounted, or was sent (its first and its last start), in order."""
        plant = self.plants[site]
        entities = await self._entities(plant)
        found: set[Month] = set()
        if sent is not None:
            found |= set(months(sent[0], sent[1] + 1, plant.zone, plant.metering_day))
        for points in await self._points(plant, {one.meter for entity in entities.of(site) for one in entity.meters}):
            if points.counter is not None:
                stored = await self.store.read_rollup(points.counter, Grain.MONTH, 0, self.clock.now_ns())
                found |= {month_of(bucket.interval.start, plant.zone, plant.metering_day) for bucket in stored}
        return sorted(found)

    async def closed(self, site: str, month: Month) -> tuple[Look, bool]:
        """The closed intervals of a month, of every node with meters of its own and of the whole plant; revision 1.

        And whether some wait for a meter that told nothing yet, or for the end of the month.
        """
        plant = self.plants[site]
        entities = await self._entities(plant)
        root = entities.plant(site)
        assert root is not None
        first = first_day(month, plant.metering_day)
        after = first_day(month.plus(1), plant.metering_day) + timedelta(days=1)  # tells which meters go on
        now = self.clock.now_ns()
        spans = await asyncio.to_thread(counting_nodes, entities, root.key, first, after)
        counting = _counting(spans, plant, after, now - _SETTLED_NS)
        points = await self._points(plant, {one.meter for of in counting.values() for one in of})
        start, end = month_bounds(month, plant.zone, plant.metering_day)
        found: list[NodeInterval] = []
        unsettled = False
        for grain in self.grains:
            stored: dict[Meter, Closed | None] = {}
            for one in points:
                parts = Grain.DAY if grain is Grain.MONTH else grain
                buckets = (
                    None
                    if one.counter is None
                    else await self.store.read_rollup(one.counter, parts, start, min(end, now))
                )
                stored[one.meter] = (
                    None if buckets is None else {bucket.interval.start: bucket.interval for bucket in buckets}
                )
            closed = await asyncio.to_thread(_of_nodes, site, grain, counting, stored, (start, end))
            due = [one for one in closed if one.end <= (now if one.reason is None else now - _SETTLED_NS)]
            unsettled = unsettled or len(due) < len(closed)
            found += due
        if Grain.MONTH in self.grains and end <= now:
            ever = await asyncio.to_thread(counting_nodes, entities, root.key, date.min, date.max)
            found += _not_metered(site, ever, counting, (start, end))
        return Look(site=site, grains=self.grains, start=start, end=end, intervals=found), unsettled

    async def _entities(self, plant: Plant) -> Entities:
        """Those of the books; the plant as it is, where they do not know it."""
        entities = await self.entities()
        return entities if entities.plant(plant.site) is not None else entities_of(entities_of_tree(plant))

    async def _points(self, plant: Plant, meters: Collection[Meter]) -> tuple[MeterPoints, ...]:
        every = replace(plant, tree=replace(plant.tree, meters=tuple(meters), children=()))
        return resolve(every, await self.store.inventory(plant.site))


Nodes = Mapping[tuple[str, Carrier], Sequence[Counting]]


def _counting(
    spans_of: Mapping[tuple[str, Carrier], Sequence[MeterSpan]], plant: Plant, after: date, settled: int
) -> Nodes:
    """What counts for the nodes; a device that is nowhere part of the plant any more by `after` is not waited for."""
    going_on = {span.meter.device for spans in spans_of.values() for span in spans if span.end == after}

    def counting(span: MeterSpan) -> Counting:
        start, end = span.bounds(plant.zone)
        return Counting(span.meter, start, end, span.meter.device not in going_on and end <= settled)

    return {of: [counting(span) for span in spans] for of, spans in spans_of.items()}


def _not_metered(
    site: str, ever: Mapping[tuple[str, Carrier], Sequence[MeterSpan]], counting: Nodes, month: tuple[int, int]
) -> list[NodeInterval]:
    """Of a month that is over, that nothing is to come of what has its meters at other times only."""
    now = {(*of, one.meter.flow) for of, spans in counting.items() for one in spans if one.start < month[1]}
    wanted = {(*of, span.meter.flow) for of, spans in ever.items() for span in spans} - now
    return [
        _sum(NodeCarrier(site, node, carrier, Grain.MONTH), flow, month, (), (NOT_METERED,))
        for node, carrier, flow in sorted(wanted)
    ]


def _of_nodes(
    site: str, grain: Grain, counting: Nodes, stored: Mapping[Meter, Closed | None], month: tuple[int, int]
) -> list[NodeInterval]:
    return [
        found
        for (node, carrier), spans in counting.items()
        for found in of_node(NodeCarrier(site, node, carrier, grain), spans, stored, month)
    ]


def of_node(
    of: NodeCarrier, spans: Sequence[Counting], stored: Mapping[Meter, Closed | None], month: tuple[int, int]
) -> Iterator[NodeInterval]:
    """Every flow of a node's carrier; an interval that is still open for one of its meters is left out.

    `stored`: the intervals of each meter by start, for the grain MONTH its days; None: it has no counter.
    """
    for flow in Flow:
        series = [
            (span, _within(span, stored[span.meter], of.grain, month)) for span in spans if span.meter.flow is flow
        ]
        ends = {at: found.end for _, closed in series if closed for at, found in closed.items()}
        if of.grain is Grain.MONTH:
            ends = dict.fromkeys(ends, month[1])
        for at, end in sorted(ends.items()):
            parts = [
                (span.meter.device, closed, None if closed is None else closed.get(at))
                for span, closed in series
                if span.start < end and span.end > at
            ]
            lacks = [
                f"{device}: {NO_METER if closed is None else NO_DATA}"
                for device, closed, part in parts
                if part is None or part.amount is None
            ]
            known = [part for _, _, part in parts if part is not None]
            if not any(part.open for part in known):
                yield _sum(of, flow, (at, end), known, dict.fromkeys(lacks))


def _within(span: Counting, closed: Closed | None, grain: Grain, month: tuple[int, int]) -> Closed | None:
    """What a meter counted while it was part of the node, by the start of the interval."""
    if closed is None:
        return None
    inside = {at: found for at, found in closed.items() if span.start <= at < span.end}
    if grain is Grain.MONTH and inside:
        start, end = max(span.start, month[0]), min(span.end, month[1])
        inside = {month[0]: merge([inside[at] for at in sorted(inside)], start=start, end=end)}
    return {at: replace(found, open=False) for at, found in inside.items()} if span.over else inside


def _sum(
    of: NodeCarrier, flow: Flow, bounds: tuple[int, int], parts: Sequence[Interval], lacks: Collection[str]
) -> NodeInterval:
    return NodeInterval(
        site=of.site,
        node=of.node,
        carrier=of.carrier.value,
        flow=flow.value,
        grain=of.grain.value,
        start=bounds[0],
        end=bounds[1],
        unit=CARRIERS[of.carrier].unit,
        amount=None if lacks else sum((part.amount for part in parts if part.amount is not None), ZERO),
        estimated=sum((part.estimated for part in parts), ZERO),
        shares=flag_shares(parts),
        revision=1,
        reason=", ".join(lacks)[:300] or None,
    )
