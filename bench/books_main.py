"""Measures what the ledger of the centre costs: closing an hour of very many counters, and one late day of a plant.

Store, ledger and their threads run on one core; the kernel tells the CPU time of the process. Filling the store is not
measured. Use an idle machine.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from centre.carriers import Carrier, Flow
from centre.ledger import Ledger
from centre.plant import Meter, Node, Plant
from centre.points import Directory
from centre.store.base import GatewayKey, Grain, SeriesKey
from centre.store.sqlite import SqliteStore
from metering.parcel import ParcelId, Received
from metering.quantities import Kind
from metering.status import State, Status
from metering.sweep import DeviceInfo, PointInfo, Sweep

HERE = Path(__file__).resolve().parent
NS = 1_000_000_000
HOUR = 3600 * NS
SITE, POINT = "bench", "energy_active_import_total"
T0 = 1_790_784_000 * NS  # 2026-09-30T16:00Z: a month begins in Shanghai
HOUR_GOAL_S, LATE_GOAL_S = 2.0, 1.0


class FixedClock:
    """Stands where it is put; its monotonic time runs on, so that nothing is taken from a cache."""

    def __init__(self, now: int) -> None:
        self.now, self._ticks = now, 0.0

    def now_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        self._ticks += 100.0
        return self._ticks

    async def sleep_until(self, due_ns: int) -> None:
        raise AssertionError(f"nothing waits here until {due_ns}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measurement: `cpu_s` of the process, `wall_s`, and what was done."""

    name: str
    readings: int
    intervals: int
    cpu_s: float
    wall_s: float
    goal_s: float


def main() -> int:
    """Measure and print; 1 when energy was lost on the way."""
    args = _parser().parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    build = HERE.parent / "build"
    build.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-books-", dir=build))
    try:
        found = [
            asyncio.run(_hour(folder / "hour.db", args.points, args.history)),
            asyncio.run(_late_day(folder / "day.db", args.meters)),
        ]
    finally:
        shutil.rmtree(folder)
    if args.json:
        print(json.dumps([{name: getattr(one, name) for name in Figure.__slots__} for one in found], indent=1))
    else:
        print(_table(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/books", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=1000, metavar="N", help="counters read each second (1000)")
    parser.add_argument("--history", type=int, default=9, metavar="H", help="accounted hours before that hour (9)")
    parser.add_argument("--meters", type=int, default=20, metavar="N", help="meters with a late day, each minute (20)")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    return parser


def _table(found: list[Figure]) -> str:
    lines = [
        "| figure | readings | intervals | CPU s | wall s | goal CPU s | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for one in found:
        verdict = "met" if one.cpu_s <= one.goal_s else "MISSED"
        lines.append(
            f"| {one.name} | {one.readings} | {one.intervals} | {one.cpu_s:.2f} | {one.wall_s:.2f} | {one.goal_s:g} |"
            f" {verdict} |"
        )
    return "\n".join(lines)


async def _hour(path: Path, points: int, history: int) -> Figure:
    """An hour after `history` hours, which hold a reading each half-hour, and its last 1000 s each second."""
    start = T0 + history * HOUR
    async with SqliteStore(path) as store:
        ledger, load = await _plant(store, points, every_s=1, now=start + HOUR)
        await load.write([*range(T0, start - 1000 * NS, HOUR // 2), *range(start - 1000 * NS, start, NS)], at_once=100)
        await _settle(ledger)
        await load.write([start + at * NS for at in range(3600)], at_once=50)
        figure = await _measured(f"an hour of counters at 1 s, after {history} h", ledger, points * 3600, HOUR_GOAL_S)
        await load.check(store)
    return figure


async def _late_day(path: Path, meters: int) -> Figure:
    """A month of readings each minute; one day in its middle comes last."""
    async with SqliteStore(path) as store:
        ledger, load = await _plant(store, meters, every_s=60, now=T0 + 31 * 24 * HOUR)
        day = T0 + 14 * 24 * HOUR
        minutes = [T0 + at * 60 * NS for at in range(31 * 24 * 60)]
        await load.write([at for at in minutes if not day <= at < day + 24 * HOUR], at_once=1)
        await _settle(ledger)
        await load.write([at for at in minutes if day <= at < day + 24 * HOUR], at_once=1)
        figure = await _measured("one late day of meters at 1 min", ledger, meters * 1440, LATE_GOAL_S)
        await load.check(store)
    return figure


async def _settle(ledger: Ledger) -> int:
    """Cycle until nothing is outdated."""
    changed = await ledger.cycle()
    while await ledger.store.dirty(1):
        changed += await ledger.cycle()
    return changed


async def _measured(name: str, ledger: Ledger, readings: int, goal_s: float) -> Figure:
    cpu, wall = time.process_time(), time.perf_counter()
    intervals = await _settle(ledger)
    return Figure(
        name=name, readings=readings, intervals=intervals, cpu_s=time.process_time() - cpu,
        wall_s=time.perf_counter() - wall, goal_s=goal_s,
    )  # fmt: skip


class Load:
    """Registers under constant load, each its own."""

    def __init__(self, store: SqliteStore, devices: list[str]) -> None:
        self._store, self._devices, self._seq = store, devices, 0

    @staticmethod
    def value(device: int, at: int) -> float:
        return round(1000 + device + (at - T0) / HOUR * (20 + device % 50), 3)

    async def write(self, times: list[int], *, at_once: int) -> None:
        """All devices at all times, `at_once` devices in a write."""
        for place in range(0, len(self._devices), at_once):
            self._seq += 1
            sweeps = tuple(
                Sweep(device=self._devices[device], taken_at=at, values={POINT: self.value(device, at)}, faults={})
                for device in range(place, min(place + at_once, len(self._devices)))
                for at in times
            )
            parcel = Received(
                site=SITE, gateway="g", id=ParcelId(epoch=1, seq=self._seq), dropped=0, readings=len(sweeps),
                sweeps=sweeps,
            )  # fmt: skip
            await self._store.write([parcel], received_at=times[-1])

    async def check(self, store: SqliteStore) -> None:
        """The intervals sum up to the registers exactly."""
        for device in (0, len(self._devices) - 1):
            series = SeriesKey(SITE, self._devices[device], POINT)
            span = await store.span(series, 0, 2**62)
            assert span is not None
            want = Decimal(repr(span.last.value)) - Decimal(repr(span.first.value))
            for grain in Grain:
                found = [bucket.interval for bucket in await store.read_rollup(series, grain, 0, 2**62)]
                if sum((part.amount or Decimal(0) for part in found), Decimal(0)) != want:
                    raise SystemExit(f"{grain} of {series.device} does not sum up to its register")


async def _plant(store: SqliteStore, meters: int, *, every_s: int, now: int) -> tuple[Ledger, Load]:
    devices = [f"meter-{number:04}" for number in range(meters)]
    told = tuple(
        DeviceInfo(
            name=name, bus="b", profile="bench", interval_s=Decimal(every_s), asset=None,
            points=(PointInfo(name=POINT, unit="kWh", kind=Kind.COUNTER, modulus=Decimal(10**9)),),
        )
        for name in devices
    )  # fmt: skip
    status = Status(state=State.ONLINE, software="0", epoch=1, at=T0, counters={}, devices=told)
    await store.write_status(GatewayKey(SITE, "g"), status, received_at=T0)
    tree = Node(
        id="plant", name={"en": "plant", "zh": "厂"}, children=(),
        meters=tuple(
            Meter(device=name, carrier=Carrier.ELECTRICITY, flow=Flow.IMPORT, limit=Decimal(600)) for name in devices
        ),
    )  # fmt: skip
    plant = Plant(site=SITE, name=tree.name, zone=ZoneInfo("Asia/Shanghai"), region="CN", tree=tree)
    clock = FixedClock(now)
    directory = Directory(store, clock)
    return Ledger(store=store, clock=clock, plants=[plant], directory=directory), Load(store, devices)


if __name__ == "__main__":
    sys.exit(main())
