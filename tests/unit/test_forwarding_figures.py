"""Which intervals of a plant go up: closed ones, a node's sum exactly, and what a meter lacks only with its reason."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from centre.accounting.calendar import Month
from centre.accounting.intervals import Interval
from centre.carriers import Carrier, Flow
from centre.day import boundary
from centre.entities import Entities
from centre.forwarding_figures import Closed, Counting, ForwardedFigures, NodeCarrier, of_node
from centre.plant import Meter
from centre.points import Directory
from centre.store.base import Grain
from metering.intervals import NodeInterval
from support.books_plant import CLOCK, DAYS, filled, setup

MONTH = (0, 40)
METERS = {
    device: Meter(device=device, carrier=Carrier.ELECTRICITY, flow=flow)
    for device, flow in (("a", Flow.IMPORT), ("b", Flow.IMPORT), ("sun", Flow.GENERATION))
}


def of(device: str, *known: tuple[int, int | None, bool]) -> tuple[Meter, Closed]:
    return METERS[device], {
        at: Interval(
            start=at, end=at + 10, amount=None if amount is None else Decimal(amount), known_ns=10, open=still_open
        )
        for at, amount, still_open in known
    }


def forwarded(
    stored: dict[Meter, Closed | None], grain: Grain = Grain.HOUR, spans: Sequence[Counting] | None = None
) -> dict[tuple[str, int], tuple[Decimal | None, str | None]]:
    spans = spans or [Counting(meter, *MONTH) for meter in METERS.values()]
    missing: dict[Meter, Closed | None] = {span.meter: {} for span in spans}
    of_hall = NodeCarrier("works", "hall", Carrier.ELECTRICITY, grain)
    found: list[NodeInterval] = list(of_node(of_hall, spans, missing | stored, MONTH))
    return {(one.flow, one.start): (one.amount, one.reason) for one in found}


def test_a_node_is_the_sum_of_its_meters_and_an_open_interval_stays() -> None:
    stored = dict([of("a", (0, 1, False), (10, 2, False), (20, 5, False)), of("b", (0, 3, False), (10, 4, True))])
    assert forwarded({**stored, **dict([of("sun", (0, 9, False))])}) == {
        ("import", 0): (Decimal(4), None),
        ("import", 20): (None, "b: no_data"),
        ("generation", 0): (Decimal(9), None),
    }
    without: dict[Meter, Closed | None] = {**dict([of("a", (0, 1, False))]), METERS["b"]: None}
    assert forwarded(without) == {("import", 0): (None, "b: no_meter")}
    assert forwarded(dict([of("a", (0, 1, False)), of("b", (0, None, False))])) == {("import", 0): (None, "b: no_data")}


def test_a_meter_counts_while_it_is_part_of_the_node_and_the_month_is_the_sum_of_its_days() -> None:
    stored: dict[Meter, Closed | None] = dict(
        [of("a", *((at, 1, False) for at in (0, 10, 20, 30))), of("b", *((at, 5, at == 10) for at in (0, 10)))]
    )
    moved = [Counting(METERS["a"], *MONTH), Counting(METERS["b"], 0, 20)]
    assert forwarded(stored, Grain.HOUR, moved) == {
        ("import", 0): (Decimal(6), None), ("import", 20): (Decimal(1), None), ("import", 30): (Decimal(1), None),
    }  # fmt: skip
    assert forwarded(stored, Grain.MONTH, moved) == {}
    gone = [moved[0], moved[1]._replace(over=True)]
    assert forwarded(stored, Grain.HOUR, gone)["import", 10] == (Decimal(6), None)
    assert forwarded(stored, Grain.MONTH, gone) == {("import", 0): (Decimal(14), None)}
    later = [moved[0]._replace(start=10), Counting(METERS["b"], 30, 40)]
    assert forwarded(stored, Grain.MONTH, later) == {("import", 0): (None, "b: no_data")}


def test_the_demo_plant_forwards_the_sums_of_its_boundary(tmp_path_factory: pytest.TempPathFactory) -> None:
    async def main() -> None:
        plant, entities = setup().plants[0], setup().entities

        async def told() -> Entities:
            return entities

        async with await filled(tmp_path_factory) as store:
            directory = Directory(store, CLOCK)
            figures = ForwardedFigures(
                store=store,
                clock=CLOCK,
                plants={plant.site: plant},
                entities=told,
                grains=(Grain.HOUR, Grain.DAY),
            )
            (month,) = [found for found in await figures.months(plant.site, None) if found == Month(2026, 11)]
            look, unsettled = await figures.closed(plant.site, month)
            found = list(look.intervals)
            assert not unsettled
            root = [one for one in found if (one.node, one.carrier, one.flow) == ("plant", "electricity", "import")]
            days = [one for one in root if one.grain == "day" and one.amount is not None]
            assert len(days) >= DAYS
            for day in days[:DAYS]:
                hours = [one for one in root if one.grain == "hour" and day.start <= one.start < day.end]
                assert sum(one.amount or 0 for one in hours) == day.amount
            places = {meter.device for meter in boundary(plant.tree, Carrier.ELECTRICITY)[0]}
            total = Decimal(0)
            for points in await directory.points(plant):
                if points.meter.device in places and points.meter.flow is Flow.IMPORT and points.counter is not None:
                    (bucket,) = await store.read_rollup(points.counter, Grain.DAY, days[0].start, days[0].end)
                    total += bucket.interval.amount or 0
            assert days[0].amount == total

    asyncio.run(main())
