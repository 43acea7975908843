"""Three days of the demo plant as readings in a real store: a rollover, a reset, a gap, a reading that is not believed."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from centre.accounting.zones import day_bounds
from centre.carriers import Carrier
from centre.ledger import Ledger
from centre.plant import Plant
from centre.points import Directory
from centre.settings import Setup, load_setup
from centre.statements import Statements
from centre.store.base import GatewayKey
from centre.store.sqlite import SqliteStore
from metering.parcel import ParcelId, Received
from metering.quantities import Kind
from metering.status import State, Status
from metering.sweep import DeviceInfo, PointInfo, Sweep, Value
from support.page_figures import DAY, ZONE
from wattline.clock import NS
from wattline.resources import config_dir

EVERY_S = 300
FIRST = DAY.replace(day=1)
DAYS = 3
MODULUS = Decimal(1_000_000)
ROLLS, RESETS, SILENT, SPIKES = "workshop-1", "press-1", "furnace", "workshop-2"
REACTIVE = "energy_reactive_import_total"

_KW = {
    "incomer": 820, "workshop-1": 310, "line-1": 120, "line-2": 95, "line-3": 70, "lighting-1": 6, "workshop-2": 390,
    "press-1": 90, "press-2": 85, "furnace": 190, "lighting-2": 5, "compressor": 60, "chiller": 45, "office": 8,
    "boiler-gas": 40, "water-main": 6, "water-cooling": 3, "heat-station": 300, "heat-building": 110,
}  # fmt: skip


class StoppedClock:
    """A wall clock that stands at noon of the day after the last."""

    def __init__(self, at: int) -> None:
        self._at = at

    def now_ns(self) -> int:
        return self._at

    def monotonic(self) -> float:
        return 0.0

    async def sleep_until(self, due_ns: int) -> None:
        raise AssertionError("nothing waits in these tests")


CLOCK = StoppedClock(day_bounds(FIRST, ZONE)[1] + (DAYS * 24 + 12) * 3600 * NS)


def setup() -> Setup:
    """The demo's settings as they are shipped."""
    return load_setup(config_dir() / "demo" / "centre.yaml")


def counter_of(carrier: Carrier) -> str:
    return {
        Carrier.ELECTRICITY: "energy_active_import_total",
        Carrier.NATURAL_GAS: "volume_base_total",
        Carrier.FRESH_WATER: "volume_total",
        Carrier.HEAT: "heat_energy_total",
    }[carrier]


def kw(device: str, at: int) -> float:
    """kW or m3/h: two shifts and the sun."""
    hour = at / NS / 3600 % 24
    if device == "pv-roof":
        return 120 * max(0.0, math.sin(math.pi * (hour + 8 - 6) / 12)) if hour > 22 or hour < 10 else 0.0
    return _KW[device] * (1.0 + 0.3 * math.sin(hour / 4 + len(device)))


def _sweeps(plant: Plant, device: str, carrier: Carrier) -> Iterator[Sweep]:
    start, end = day_bounds(FIRST, plant.zone)
    count, idle = Decimal(999_000 if device == ROLLS else 5_000), Decimal(700)
    # the sweeps miss the quarters by 7 s, so that every boundary is interpolated
    for place, at in enumerate(range(start - 3600 * NS + 7 * NS, end + DAYS * 86_400 * NS, EVERY_S * NS)):
        count += Decimal(str(round(kw(device, at) * EVERY_S / 3600, 3)))
        if device == ROLLS and count >= MODULUS:
            count -= MODULUS
        if device == RESETS and place == 400:
            count = Decimal("1.5")
        if device == SILENT and 300 <= place < 330:
            continue
        values: dict[str, Value] = {counter_of(carrier): count}
        if device == SPIKES and place == 500:
            values = {counter_of(carrier): count + 900_000}
        if device == "incomer":
            idle += Decimal("20.5")
            values[REACTIVE] = idle
        yield Sweep(device=device, taken_at=at, values=values, faults={})


def _info(device: str, carrier: Carrier) -> DeviceInfo:
    unit = "m3" if carrier in {Carrier.NATURAL_GAS, Carrier.FRESH_WATER} else "kWh"
    modulus = MODULUS if device == ROLLS else None
    points = [PointInfo(name=counter_of(carrier), unit=unit, kind=Kind.COUNTER, modulus=modulus)]
    if device == "incomer":
        points.append(PointInfo(name=REACTIVE, unit="kvarh", kind=Kind.COUNTER))
    return DeviceInfo(name=device, bus="b", profile="p", interval_s=Decimal(EVERY_S), asset=None, points=tuple(points))


async def fill(store: SqliteStore, plant: Plant) -> None:
    """Write the days as parcels, and the gateway's inventory."""
    meters = list(plant.meters())
    start, _ = day_bounds(FIRST, plant.zone)
    status = Status(
        state=State.ONLINE, software="0", epoch=1, at=start, counters={},
        devices=tuple(_info(meter.device, meter.carrier) for meter in meters),
    )  # fmt: skip
    await store.write_status(GatewayKey(plant.site, "gw"), status, received_at=start)
    parcels: list[Received] = []
    for seq, meter in enumerate(meters, 1):
        sweeps = tuple(_sweeps(plant, meter.device, meter.carrier))
        parcels.append(
            Received(
                site=plant.site, gateway="gw", id=ParcelId(epoch=1, seq=seq), dropped=0, sweeps=sweeps,
                readings=sum(len(sweep.values) for sweep in sweeps),
            )
        )  # fmt: skip
    await store.write(parcels, received_at=start)


_FILLED: dict[str, Path] = {}


async def filled(factory: pytest.TempPathFactory) -> SqliteStore:
    """A store that holds the days, accounted; filled once for all tests that only read."""
    return SqliteStore(await filled_file(factory))


async def filled_file(factory: pytest.TempPathFactory) -> Path:
    """The file of that store."""
    path = _FILLED.get("path")
    if path is None:
        path = factory.mktemp("books-plant") / "centre.db"
        found = setup()
        async with SqliteStore(path) as store:
            await fill(store, found.plants[0])
            await Ledger(store=store, clock=CLOCK, plants=found.plants, directory=Directory(store, CLOCK)).cycle()
        _FILLED["path"] = path
    return path


async def filled_copy(factory: pytest.TempPathFactory) -> SqliteStore:
    """The same days in a store of one's own, to write to."""
    async with await filled(factory):
        copy = factory.mktemp("books-copy") / "centre.db"
        with closing(sqlite3.connect(_FILLED["path"])) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
    return SqliteStore(copy)


def statements(store: SqliteStore, found: Setup) -> Statements:
    """The statements of the demo plant over a filled store."""
    plant = found.plants[0]
    return Statements(
        store=store, clock=CLOCK, plants={plant.site: plant}, rules=found.rules, directory=Directory(store, CLOCK)
    )
