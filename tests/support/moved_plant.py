"""A plant whose incomer is another device since mid-month, with panels in a hall, and its statement."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo

from centre.accounting.completeness import Count
from centre.accounting.factor_choice import ReportDates
from centre.accounting.intervals import QUARTER_NS, Interval
from centre.accounting.zones import day_bounds
from centre.carriers import CARRIERS, Carrier, Flow
from centre.day import Place, place_of
from centre.entities_tree import MeterSpan
from centre.membership import Membership
from centre.period import Period
from centre.plant import Meter, Node, Plant
from centre.points import MeterPoints
from centre.records import MeterRecord, Records, Rules
from centre.statement import Statement, statement
from centre.statement_told import Told
from centre.store.base import Bucket, Grain, SeriesKey
from support.books_plant import setup

ZONE = ZoneInfo("Asia/Shanghai")
MONTH = Period(year=2026, month=3)
MOVED = date(2026, 3, 11)
DATES = ReportDates(made_on=date(2026, 4, 2), run_on=date(2026, 4, 2))
UNKNOWN = Count(expected=None, received=0, unexplained=None, completeness=None)
POWER = Carrier.ELECTRICITY
OLD, NEW = (Meter(device=device, carrier=POWER, flow=Flow.IMPORT) for device in ("old", "new"))
SUN = Meter(device="pv", carrier=POWER, flow=Flow.GENERATION)
PLANT = Plant(
    site="s", name={"en": "S"}, zone=ZONE, region="CN-Chongqing",
    tree=Node(
        id="plant", name={"en": "Plant"}, meters=(NEW,),
        children=(Node(id="hall", name={"en": "Hall"}, meters=(SUN,), children=()),),
    ),
)  # fmt: skip
STOOD = Membership(
    spans={
        ("plant", POWER): (
            MeterSpan(meter=OLD, start=date(2026, 1, 1), end=MOVED),
            MeterSpan(meter=NEW, start=MOVED, end=date(2027, 1, 1)),
        )
    }
)


@cache
def rules() -> Rules:
    return setup().rules["jiangjin-1"]


def unpriced() -> Rules:
    return replace(rules(), terms=replace(rules().terms, tariff=None))


def record(meter: Meter, kwh: int) -> MeterRecord:
    """So much in every quarter of an hour of the month."""

    def bucket(grain: Grain, start: int, end: int) -> Bucket:
        amount = Decimal(kwh) * ((end - start) // QUARTER_NS)
        return Bucket(grain=grain, interval=Interval(start=start, end=end, amount=amount, known_ns=end - start))

    days = [day_bounds(day, ZONE) for day in MONTH.days()]
    start, end = MONTH.bounds(ZONE)
    counter = SeriesKey("s", meter.device, CARRIERS[POWER].counters[0])
    return MeterRecord(
        points=MeterPoints(meter=meter, counter=counter),
        days=tuple(bucket(Grain.DAY, *bounds) for bounds in days),
        quarters=tuple(bucket(Grain.QUARTER, at, at + QUARTER_NS) for at in range(start, end, QUARTER_NS)),
        count=UNKNOWN,
    )


def records() -> Records:
    found: dict[Place, MeterRecord] = {
        place_of(meter): record(meter, kwh) for meter, kwh in ((OLD, 50), (NEW, 80), (SUN, 20))
    }
    return found


def made(*, membership: Membership = STOOD, given: Rules | None = None, told: Told | None = None) -> Statement:
    return statement(
        PLANT, MONTH, records(), given or rules(), DATES, software="0", membership=membership, told=told or Told()
    )
