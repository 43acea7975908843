"""The closed intervals of a plant's nodes, as they are forwarded: the sum of the meters at a node's boundary."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from centre.accounting.calendar import Month, month_bounds, month_of
from centre.accounting.intervals import ZERO, Interval
from centre.accounting.quality import flag_shares
from centre.carriers import CARRIERS, Carrier, Flow
from centre.day import NO_DATA, NO_METER, Place, boundary, place_of
from centre.plant import Node, Plant
from centre.points import Directory
from centre.store.base import Grain, Store
from metering.intervals import NodeInterval
from wattline.clock import NS, Clock

_SETTLED_NS: Final = 3600 * NS  # a meter that told nothing by then is missing; until then it may only be slow

Closed = Mapping[int, Interval]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedFigures:
    """Reads them from the store. Methods raise StoreError."""

    store: Store
    clock: Clock
    plants: Mapping[str, Plant]
    directory: Directory
    grains: tuple[Grain, ...]

    async def months(self, site: str) -> list[Month]:
        """All months of which something is accounted, in order."""
        plant = self.plants[site]
        found: set[Month] = set()
        for points in await self.directory.points(plant):
            if points.counter is not None:
                stored = await self.store.read_rollup(points.counter, Grain.MONTH, 0, self.clock.now_ns())
                found |= {month_of(bucket.interval.start, plant.zone, plant.metering_day) for bucket in stored}
        return sorted(found)

    async def closed(self, site: str, month: Month) -> tuple[list[NodeInterval], bool]:
        """The closed intervals of a month, of every node with meters of its own and of the whole plant; revision 1.

        And whether some wait for a meter that told nothing yet.
        """
        plant = self.plants[site]
        start, end = month_bounds(month, plant.zone, plant.metering_day)
        now = self.clock.now_ns()
        found: list[NodeInterval] = []
        unsettled = False
        for grain in self.grains:
            stored: dict[Place, Closed | None] = {}
            for points in await self.directory.points(plant):
                buckets = (
                    None
                    if points.counter is None
                    else await self.store.read_rollup(points.counter, grain, start, min(end, now))
                )
                stored[place_of(points.meter)] = (
                    None if buckets is None else {bucket.interval.start: bucket.interval for bucket in buckets}
                )
            closed = await asyncio.to_thread(_of_tree, plant, grain, stored)
            due = [one for one in closed if one.reason is None or one.end <= now - _SETTLED_NS]
            unsettled = unsettled or len(due) < len(closed)
            found += due
        return found, unsettled


def _of_tree(plant: Plant, grain: Grain, stored: Mapping[Place, Closed | None]) -> list[NodeInterval]:
    nodes = [node for node in plant.tree.walk() if node is plant.tree or node.meters]
    return [found for node in nodes for found in of_node(plant.site, node, grain, stored)]


def of_node(site: str, node: Node, grain: Grain, stored: Mapping[Place, Closed | None]) -> Iterator[NodeInterval]:
    """Every carrier and flow of a node; an interval that is still open for one of its meters is left out."""
    for carrier in Carrier:
        meters = boundary(node, carrier)[0]
        for flow in Flow:
            places = [place_of(meter) for meter in meters if meter.flow is flow]
            series = [(place[0], stored.get(place)) for place in places]
            ends = {at: found.end for _, of_meter in series if of_meter for at, found in of_meter.items()}
            for at, end in sorted(ends.items()):
                parts = [(device, None if of_meter is None else of_meter.get(at)) for device, of_meter in series]
                lacks = [
                    f"{device}: {NO_METER if of_meter is None else NO_DATA}"
                    for (device, part), (_, of_meter) in zip(parts, series, strict=True)
                    if not part or part.amount is None
                ]
                known = [part for _, part in parts if part]
                if not any(part.open for part in known):
                    yield _sum((site, node.id, carrier, flow, grain), at, end, known, lacks)


def _sum(
    key: tuple[str, str, Carrier, Flow, Grain], start: int, end: int, parts: Sequence[Interval], lacks: Sequence[str]
) -> NodeInterval:
    site, node, carrier, flow, grain = key
    return NodeInterval(
        site=site,
        node=node,
        carrier=carrier.value,
        flow=flow.value,
        grain=grain.value,
        start=start,
        end=end,
        unit=CARRIERS[carrier].unit,
        amount=None if lacks else sum((part.amount for part in parts if part.amount is not None), ZERO),
        estimated=sum((part.estimated for part in parts), ZERO),
        shares=flag_shares(parts),
        revision=1,
        reason=", ".join(lacks)[:300] or None,
    )
