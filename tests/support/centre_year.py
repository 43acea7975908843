"""A plant of four meters whose years are written as amounts by month, for statements without a store."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from centre.accounting.completeness import Count
from centre.accounting.intervals import Interval
from centre.accounting.zones import day_bounds
from centre.carriers import CARRIERS, Carrier, Flow
from centre.day import place_of
from centre.period import Period
from centre.plant import Meter, Node, Plant
from centre.points import MeterPoints
from centre.records import MeterRecord, Records
from centre.store.base import Bucket, Grain, SeriesKey

ZONE: Final = ZoneInfo("Asia/Shanghai")
UNKNOWN = Count(expected=None, received=0, unexplained=None, completeness=None)
FLOWS = (
    ("incomer", Carrier.ELECTRICITY, Flow.IMPORT),
    ("boiler", Carrier.NATURAL_GAS, Flow.IMPORT),
    ("heat", Carrier.HEAT, Flow.IMPORT),
    ("water", Carrier.FRESH_WATER, Flow.IMPORT),
)
METERS = tuple(Meter(device=device, carrier=carrier, flow=flow) for device, carrier, flow in FLOWS)
PLANT = Plant(
    site="s", name={"en": "S"}, zone=ZONE, region="CN-Chongqing",
    tree=Node(id="plant", name={"en": "Plant"}, meters=METERS, children=()),
)  # fmt: skip

Amounts = Mapping[Carrier, Sequence[int | None]]
"""Thousandths a day, for each month; None: not a single reading."""


def records(year: Period, amounts: Amounts) -> Records:
    made: dict[tuple[str, Carrier, Flow], MeterRecord] = {}
    for meter in METERS:
        days: list[Bucket] = []
        for month, amount in zip(year.months(), amounts[meter.carrier], strict=True):
            for day in month.days() if amount is not None else ():
                start, end = day_bounds(day, ZONE)
                counted = Decimal(amount or 0).scaleb(-3) + day.day
                found = Interval(start=start, end=end, amount=counted, known_ns=end - start, readings=1)
                days.append(Bucket(grain=Grain.DAY, interval=found))
        counter = SeriesKey("s", meter.device, CARRIERS[meter.carrier].counters[0])
        points = MeterPoints(meter=meter, counter=counter)
        made[place_of(meter)] = MeterRecord(points=points, days=tuple(days), quarters=(), count=UNKNOWN)
    return made
