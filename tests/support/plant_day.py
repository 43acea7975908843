"""A working day of the hand-made plant, as readings in a real store: what the page shows can be worked out from here."""

import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from starlette.applications import Starlette

from centre import api, web
from centre.accounting.factors import load_factors
from centre.carriers import CARRIERS, Carrier
from centre.figures import Figures
from centre.ledger import Ledger
from centre.plant import Meter
from centre.points import Directory
from centre.store.base import GatewayKey
from centre.store.sqlite import SqliteStore
from metering.faults import ALL_POINTS, Fault
from metering.parcel import ParcelId, Received
from metering.quantities import QUANTITIES, quantity_of
from metering.status import State, Status
from metering.sweep import DeviceInfo, PointInfo, Sweep, Value
from support.page_figures import NOW, PLANT, START
from wattline.clock import NS
from wattline.resources import config_dir

EVERY_S = 60
MINUTE = 60 * NS
UNSEEN = "boiler-water"
SILENT, SILENT_FROM = "chiller", START + (10 * 60 + 41) * MINUTE
DAMAGED, DAMAGED_FROM = "oven-gas", START + (13 * 60 + 30) * MINUTE
LOST_OF, LOST = "incomer", (START + (9 * 60 + 20) * MINUTE, START + (10 * 60 + 25) * MINUTE)
_GATEWAY = "press-shop"

_BASE_W = {
    "ws1-feeder": 742_300, "line-1": 388_100, "line-2": 341_900, "ws2-feeder": 416_700, "oven-1": 268_400,
    "compressor": 151_200, "chiller": 96_400, "lighting": 8_460, "heat-station": 865_000,
}  # fmt: skip
_BASE_M3_H = {"boiler-gas": 184.2, "water-main": 12.4, "oven-gas": 41.7}
_FEEDERS = ("ws1-feeder", "ws2-feeder", "compressor", "chiller", "lighting")


class FixedClock:
    """A wall clock that stands at 14:07:30 of the day, so that every visit shows the same page."""

    def now_ns(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep_until(self, due_ns: int) -> None:
        raise AssertionError("nothing waits in these tests")


def rate(device: str, at: int) -> float:
    """W, or m3/h: two shifts, a lunch break, and a swell that differs from meter to meter."""
    hour = (at - START) / NS / 3600
    if device == "pv-roof":
        return 310_000 * max(0.0, math.sin(math.pi * (hour - 6.5) / 11.5)) if 6.5 < hour < 18 else 0.0
    if device == "incomer":
        return 1.012 * sum(rate(feeder, at) for feeder in _FEEDERS) - rate("pv-roof", at)
    works = 1.0 if 8 <= hour < 12 or 13 <= hour < 18 else 0.74 if 6 <= hour < 22 else 0.28
    swell = 0.06 * math.sin(hour * 2.6 + len(device)) + 0.03 * math.sin(hour * 11 + len(device) * 2)
    return (_BASE_W.get(device) or _BASE_M3_H[device]) * (works + swell)


def _points(meter: Meter) -> tuple[str, str]:
    """(counter, gauge) of a meter."""
    info = CARRIERS[meter.carrier]
    return info.counters[0], info.gauges[0]


def _info(meter: Meter) -> DeviceInfo:
    quantities = [(name, quantity_of(name)) for name in _points(meter)]
    return DeviceInfo(
        name=meter.device,
        bus="substation",
        profile="eastron-sdm630",
        interval_s=Decimal(EVERY_S),
        asset=None,
        points=tuple(
            PointInfo(name=name, unit=(found or QUANTITIES[name]).unit, kind=(found or QUANTITIES[name]).kind)
            for name, found in quantities
        ),
    )


def _sweeps(meter: Meter) -> Iterator[Sweep]:
    """One a minute since an hour before the day; the counter is the sum of what the gauge showed."""
    counter, gauge = _points(meter)
    count = Decimal(120_000)
    per_poll = EVERY_S / 3600 / (1 if meter.carrier in {Carrier.NATURAL_GAS, Carrier.FRESH_WATER} else 1000)
    for at in range(START - 60 * MINUTE, NOW + 1, EVERY_S * NS):
        now = rate(meter.device, at)
        count += Decimal(str(round(now * per_poll, 4)))
        fault = _fault(meter.device, at)
        if fault is not None:
            yield Sweep(device=meter.device, taken_at=at, values={}, faults={ALL_POINTS: fault})
        elif not (meter.device == LOST_OF and LOST[0] <= at < LOST[1]):
            values: dict[str, Value] = {counter: count, gauge: round(now, 1)}
            yield Sweep(device=meter.device, taken_at=at, values=values, faults={})


def _fault(device: str, at: int) -> Fault | None:
    if device == SILENT and at >= SILENT_FROM:
        return Fault.TIMEOUT
    return Fault.REPLY_CHECKSUM if device == DAMAGED and at >= DAMAGED_FROM else None


async def fill(store: SqliteStore) -> None:
    """Write the day as parcels, and the gateway's status."""
    meters = [meter for meter in PLANT.meters() if meter.device != UNSEEN]
    status = Status(
        state=State.ONLINE,
        software="0.1.0",
        epoch=1,
        at=START,
        counters={"parcels_pending": 2},
        devices=tuple(_info(meter) for meter in meters),
    )
    await store.write_status(GatewayKey(PLANT.site, _GATEWAY), status, received_at=START)
    for seq, meter in enumerate(meters, 1):
        sweeps = tuple(_sweeps(meter))
        parcel = Received(
            site=PLANT.site,
            gateway=_GATEWAY,
            id=ParcelId(epoch=1, seq=seq),
            readings=sum(len(sweep.values) for sweep in sweeps),
            dropped=0,
            sweeps=sweeps,
        )
        await store.write([parcel], received_at=NOW)


def centre(path: Path) -> Starlette:
    """The centre's page and API over a store at `path` that holds the day; needs its lifespan run."""
    clock = FixedClock()
    store = SqliteStore(path)
    directory = Directory(store, clock)
    factors = load_factors(config_dir() / "factors.csv")
    figures = Figures(store=store, clock=clock, plants={PLANT.site: PLANT}, factors=factors, directory=directory)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with store:
            await fill(store)
            await Ledger(store=store, clock=clock, plants=[PLANT], directory=directory).cycle()
            yield

    return Starlette(routes=[*api.routes(figures, dict), *web.routes(figures)], lifespan=lifespan)
