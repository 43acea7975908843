"""What a year's report costs: the demo plant's 20 meters, a year of accounted days and quarters of an hour, one core.

Fills a store on disk with rollups, and with raw readings where asked for, then makes each report of the year from it,
as JSON and as XLSX; prints seconds of wall clock and of CPU. Goal: less than 5 s each, however many readings there are.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from centre.accounting.intervals import QUARTER_NS, Interval
from centre.accounting.zones import day_bounds
from centre.carriers import CARRIERS
from centre.period import Period
from centre.plant import Meter, Plant
from centre.points import Directory
from centre.production import Production, produced
from centre.report.reports import REPORTS, reports
from centre.settings import load_setup
from centre.statement_cost import billed_meters
from centre.statements import Statements
from centre.store.base import Bucket, GatewayKey, Grain, SeriesKey
from centre.store.sqlite import SqliteStore
from metering.parcel import ParcelId, Received
from metering.quantities import Kind
from metering.status import State, Status
from metering.sweep import DeviceInfo, PointInfo, Sweep
from wattline.clock import NS, SystemClock
from wattline.resources import config_dir

YEAR = Period(year=2025)
GOAL_S = 5.0


def _interval(start: int, end: int, amount: Decimal) -> Interval:
    return Interval(start=start, end=end, amount=amount, known_ns=end - start, readings=(end - start) // 10**9)


def _buckets(plant: Plant, meter: Meter) -> Iterator[Bucket]:
    quarters = meter in billed_meters(plant)
    for day in YEAR.days():
        first, last = day_bounds(day, plant.zone)
        each = Decimal("12.345678901") + day.day
        count = (last - first) // QUARTER_NS
        yield Bucket(grain=Grain.DAY, interval=_interval(first, last, each * count))
        for at in range(first, last, QUARTER_NS) if quarters else ():
            yield Bucket(grain=Grain.QUARTER, interval=_interval(at, at + QUARTER_NS, each))


async def fill(store: SqliteStore, plant: Plant) -> None:
    """The inventory and a year of rollups."""
    devices: list[DeviceInfo] = []
    for meter in plant.meters():
        point = CARRIERS[meter.carrier].counters[0]
        told = PointInfo(name=point, unit=CARRIERS[meter.carrier].unit, kind=Kind.COUNTER)
        devices.append(
            DeviceInfo(name=meter.device, bus="b", profile="p", interval_s=Decimal(1), asset=None, points=(told,))
        )
        await store.write_rollup({SeriesKey(plant.site, meter.device, point): list(_buckets(plant, meter))})
    status = Status(state=State.ONLINE, software="0", epoch=1, at=1, counters={}, devices=tuple(devices))
    await store.write_status(GatewayKey(plant.site, "gw"), status, received_at=1)


async def read_for(store: SqliteStore, plant: Plant, days: int, every_s: int) -> int:
    """Raw readings of all meters for the first `days` of the year, a parcel for each meter and day; how many."""
    count = seq = 0
    for day in list(YEAR.days())[:days]:
        first, last = day_bounds(day, plant.zone)
        parcels: list[Received] = []
        for meter in plant.meters():
            point = CARRIERS[meter.carrier].counters[0]
            sweeps = tuple(
                Sweep(device=meter.device, taken_at=at, values={point: at // NS / 100}, faults={})
                for at in range(first, last, every_s * NS)
            )
            seq, count = seq + 1, count + len(sweeps)
            parcels.append(
                Received(
                    site=plant.site, gateway="gw", id=ParcelId(epoch=1, seq=seq), readings=len(sweeps), dropped=0,
                    sweeps=sweeps,
                )
            )  # fmt: skip
        await store.write(parcels, received_at=last)
    return count


def _mib(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).iterdir()) >> 20


async def measure(days: int, every_s: int) -> None:
    """Fill, then print a line for each report."""
    setup = load_setup(config_dir() / "demo" / "centre.yaml")
    plant, clock = setup.plants[0], SystemClock()
    made = Production(
        product="casting", name={"en": "Casting", "zh": "铸件"}, node="workshop-2",
        rows=(produced("bench", output=Decimal(1000), scrap=Decimal(20), unit="t"),),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        async with SqliteStore(Path(folder) / "centre.db") as store:
            await fill(store, plant)
            readings = await read_for(store, plant, days, every_s)
            service = Statements(
                store=store, clock=clock, plants={plant.site: plant}, rules=setup.rules,
                directory=Directory(store, clock),
            )  # fmt: skip
            print(f"{len(list(plant.meters()))} meters, {YEAR.label}, {readings:,} raw readings, {_mib(folder)} MiB")
            for name in REPORTS:
                began, cpu = time.perf_counter(), time.process_time()
                maker = reports(service)
                found = await maker.document(name, plant.site, YEAR, production=[made])
                size = sum(len(maker.written(found, form, "en")[1]) for form in ("json", "xlsx"))
                wall, cpu = time.perf_counter() - began, time.process_time() - cpu
                verdict = "met" if wall < GOAL_S else "MISSED"
                print(f"{name:<13} {wall:6.2f} s wall  {cpu:6.2f} s CPU  {size:8d} bytes  {verdict}")


def main() -> None:
    """The door of the command."""
    parser = argparse.ArgumentParser(
        prog="bench/report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=0, metavar="N", help="days with raw readings (none)")
    parser.add_argument("--every", type=int, default=60, metavar="S", help="seconds between raw readings (60)")
    args = parser.parse_args()
    asyncio.run(measure(args.days, args.every))


if __name__ == "__main__":
    main()
