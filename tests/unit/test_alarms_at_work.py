"""Alarms at work: raised out of a real store, kept over a restart, acknowledged, assigned, listed in both languages."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from centre.accounting.alarms import State, What
from centre.accounting.basic_charge import Contract, Method
from centre.accounting.demand import DemandKind
from centre.accounting.intervals import QUARTER_NS, Interval
from centre.accounting.management_file import load_management
from centre.accounting.zones import day_bounds
from centre.alarm_watch import AlarmWatch
from centre.api_alarms import routes
from centre.books import audit
from centre.books.file import Books
from centre.carriers import Carrier, Flow
from centre.errors import FigureError
from centre.ledger import Ledger
from centre.management import Management
from centre.plant import Meter
from centre.plant_terms import DatedContract
from centre.points import Directory
from centre.records import Rules
from centre.settings import load_setup
from centre.store.base import Bucket, GatewayKey, Grain, SeriesKey
from centre.store.sqlite import SqliteStore
from centre.web_i18n import load_words
from metering.parcel import ParcelId, Received
from metering.quantities import Kind
from metering.status import State as GatewayState
from metering.status import Status
from metering.sweep import DeviceInfo, PointInfo, Sweep, Value
from support.books_plant import StoppedClock
from support.centre_plant import PLANT, inventory
from support.virtual_time import VirtualClock, run
from wattline.clock import NS
from wattline.resources import config_dir

SETUP = load_setup(config_dir() / "demo" / "centre.yaml")
RULES = replace(
    SETUP.rules["jiangjin-1"],
    managements=load_management(config_dir() / "management.yaml"),
    terms=replace(
        SETUP.rules["jiangjin-1"].terms,
        contracts=(DatedContract(contract=Contract(method=Method.CONTRACT, contract_kw=Decimal(600))),),
    ),
)
HIGH = "demand_forecast_percent:works/plant"
GATEWAY = GatewayKey("works", "gw")


@dataclass(slots=True)
class Rig:
    """A centre in virtual time whose incomer draws `kw` whenever it is read."""

    clock: VirtualClock
    store: SqliteStore
    books: Books
    ledger: Ledger
    watch: AlarmWatch
    kw: int = 900
    counted: Decimal = Decimal(1000)
    seq: int = 0

    async def minutes(self, count: int) -> list[What]:
        """Readings every 10 s, accounted, and a look each minute."""
        seen: list[What] = []
        for _ in range(count):
            sweeps: list[Sweep] = []
            for _ in range(6):
                await self.clock.sleep_until(self.clock.now_ns() + 10 * NS)
                self.counted += Decimal(self.kw) / 360
                values: dict[str, Value] = {
                    "energy_active_import_total": self.counted.quantize(Decimal("0.001")),
                    "power_active_total": self.kw * 1000,
                }
                sweeps.append(Sweep(device="incomer", taken_at=self.clock.now_ns(), values=values, faults={}))
            self.seq += 1
            parcel = Received(
                site="works",
                gateway="gw",
                id=ParcelId(epoch=1, seq=self.seq),
                readings=12,
                dropped=0,
                sweeps=tuple(sweeps),
            )
            await self.store.write([parcel], received_at=self.clock.now_ns())
            await self.ledger.cycle()
            seen += [change.what for change in await self.watch.cycle()]
        return seen

    async def state(self) -> State | None:
        return next((view.state for view in await self.watch.alarms("works") if view.id == HIGH), None)


@asynccontextmanager
async def centre(folder: Path, clock: VirtualClock) -> AsyncGenerator[Rig]:
    async with Books(folder / "books.db", clock, inline=True) as books:
        store = SqliteStore(folder / "centre.db", inline=True)
        async with store:
            status = Status(
                state=GatewayState.ONLINE, software="0", epoch=1, at=clock.now_ns(), counters={}, devices=inventory(10)
            )
            await store.write_status(GATEWAY, status, received_at=clock.now_ns())
            directory = Directory(store, clock)
            rules: dict[str, Rules] = {"works": RULES}
            watch = AlarmWatch(
                management=Management(store=store, clock=clock, rules=rules, directory=directory),
                books=books,
                clock=clock,
                plants={"works": PLANT},
                rules=rules,
                words=load_words(),
            )
            ledger = Ledger(store=store, clock=clock, plants=[PLANT], directory=directory)
            yield Rig(clock=clock, store=store, books=books, ledger=ledger, watch=watch)


def test_a_demand_that_will_exceed_the_contract_is_an_alarm_within_two_minutes_and_ends_with_it(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with centre(tmp_path, clock) as rig:
            assert await rig.minutes(2) == [What.RAISED]
            [view] = await rig.watch.alarms("works")
            assert (view.id, view.state, view.limit) == (HIGH, State.ACTIVE, 100)
            assert view.value is not None
            assert 149 < view.value < 151
            assert view.text["en"] == "plant: 15 minutes will come to 150.0 % of the contract demand."
            assert "150.0" in view.text["zh"]
            assert view.title == {"en": "Demand above the contract", "zh": "需量将超合同"}
            rig.kw = 100
            assert await rig.minutes(30) == [What.ENDED]
            assert await rig.state() is State.GONE

    run(main)


def test_a_contract_of_any_15_minutes_is_warned_of_over_a_quarter_of_an_hour(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with centre(tmp_path, clock) as rig:
            contract = Contract(method=Method.CONTRACT, contract_kw=Decimal(600), demand=DemandKind.SLIDING)
            terms = replace(RULES.terms, contracts=(DatedContract(contract=contract),))
            rig.watch.management.rules = {"works": replace(RULES, terms=terms)}
            rig.kw = 300
            assert await rig.minutes(22) == []
            rig.kw = 900  # a third of the fixed quarter is over: it would end at 700 kW, any 15 minutes at 900
            assert What.RAISED in await rig.minutes(2)
            [view] = await rig.watch.alarms("works")
            assert view.text["en"] == "plant: 15 minutes will come to 150.0 % of the contract demand."

    run(main)


def test_an_alarm_outlives_a_restart_and_is_not_raised_twice(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with centre(tmp_path, clock) as rig:
            await rig.minutes(2)
            await rig.watch.acknowledge(HIGH, author="li", reason="the furnace is heating up")
            counted, seq = rig.counted, rig.seq
        async with centre(tmp_path, clock) as rig:
            rig.counted, rig.seq = counted, seq
            assert await rig.state() is State.ACKNOWLEDGED
            assert await rig.minutes(2) == []
            assert [change.what for change in await rig.watch.history(HIGH)] == [What.ACKNOWLEDGED, What.RAISED]

    run(main)


def test_what_people_do_to_an_alarm_is_audited_and_what_changes_nothing_refused(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with centre(tmp_path, clock) as rig:
            await rig.minutes(2)
            assert (await rig.watch.assign(HIGH, "wang", author="li", reason="on duty")).owner == "wang"
            assert (await rig.watch.acknowledge(HIGH, author="wang", reason="seen")).state is State.ACKNOWLEDGED
            rows = await rig.books.read(lambda of: audit.rows(of, subject=f"alarm:{HIGH}"))
            assert [(row.author, row.reason) for row in rows] == [("wang", "seen"), ("li", "on duty")]
            with pytest.raises(FigureError, match="that changes nothing") as caught:
                await rig.watch.acknowledge(HIGH, author="li", reason="seen too")
            assert caught.value.status == 409
            assert len(await rig.watch.history(HIGH)) == 3

    run(main)


def test_a_plant_without_readings_raises_nothing_and_says_why(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with centre(tmp_path, clock) as rig:
            for _ in range(3):
                assert await rig.watch.cycle() == ()
            signs = {sign.id: sign.measured for sign in await rig.watch.signs("works")}
            assert signs[HIGH].value is None
            assert signs[HIGH].basis == "no_reading_in_this_period"
            assert await rig.watch.alarms("works") == ()

    run(main)


def test_the_api_lists_acknowledges_and_assigns(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        async with centre(tmp_path, clock) as rig:
            await rig.minutes(2)
            transport = httpx.ASGITransport(app=Starlette(routes=routes(rig.watch)))
            async with httpx.AsyncClient(transport=transport, base_url="http://centre/api/v1") as api:

                async def post(path: str, **body: str) -> tuple[int, Any]:
                    answer = await api.post(path, json=body)
                    return answer.status_code, answer.json()

                [alarm] = (await api.get("/plants/works/alarms")).json()["alarms"]
                assert (alarm["id"], alarm["state"]) == (HIGH, "active")
                status, found = await post("/alarms/assign", alarm=HIGH, owner="wang", author="li", reason="on duty")
                assert (status, found["owner"]) == (200, "wang")
                status, found = await post("/alarms/acknowledge", alarm=HIGH, author="li", reason="seen")
                assert (status, found["state"]) == (200, "acknowledged")
                assert (await post("/alarms/acknowledge", alarm=HIGH, author="li", reason="again"))[0] == 409
                assert (await post("/alarms/acknowledge", alarm="moon", author="li", reason="seen"))[0] == 404
                assert (await post("/alarms/assign", alarm=HIGH, owner="", author="li", reason="x"))[0] == 400
                history = (await api.get(f"/alarms/history?alarm={HIGH}")).json()["history"]
                assert [line["what"] for line in history] == ["acknowledged", "assigned", "raised"]
                assert (await api.get("/plants/moon/alarms")).status_code == 404
                watched = (await api.get("/plants/works/indicators")).json()["indicators"]
                assert HIGH in {sign["id"] for sign in watched}

    run(main)


def test_every_shipped_alarm_has_its_words_in_both_languages() -> None:
    for words in load_words().values():
        assert {
            f"alarm.{name}.{part}" for name in RULES.managements[-1].alarms for part in ("title", "text")
        } <= words.known


def test_a_leak_of_compressed_air_is_seen_by_its_nights_and_one_within_them_is_not(tmp_path: Path) -> None:
    site, zone = "air-works", PLANT.zone
    meters = tuple(
        Meter(device=device, carrier=Carrier.COMPRESSED_AIR, flow=flow)
        for device, flow in (("air-main", Flow.GENERATION), ("hall-air", Flow.IMPORT))
    )
    plant = replace(PLANT, site=site, tree=replace(PLANT.tree, meters=meters, children=()))
    points = (PointInfo(name="volume_base_total", unit="m3", kind=Kind.COUNTER),)
    last = date(2026, 11, 20)

    def nights(usual: str, leaking: str) -> list[Bucket]:
        """Eight quarters from 02 h on each of 40 nights; the last three leak."""
        return [
            Bucket(
                grain=Grain.QUARTER,
                interval=Interval(
                    start=start, end=start + QUARTER_NS, amount=Decimal(leaking if back < 3 else usual) + back % 2,
                    known_ns=QUARTER_NS, estimated=Decimal(0), estimated_ns=0, readings=1,
                ),
            )
            for back in range(40)
            for at in [day_bounds(last - timedelta(days=back), zone)[0] + 2 * 3600 * NS]
            for start in range(at, at + 8 * QUARTER_NS, QUARTER_NS)
        ]  # fmt: skip

    async def main() -> None:
        async with SqliteStore(tmp_path / "centre.db", inline=True) as store:
            devices = tuple(
                DeviceInfo(name=meter.device, bus="b", profile="p", interval_s=Decimal(60), asset=None, points=points)
                for meter in meters
            )
            status = Status(state=GatewayState.ONLINE, software="0", epoch=1, at=1, counters={}, devices=devices)
            await store.write_status(GatewayKey(site, "gw"), status, received_at=1)
            await store.write_rollup(
                {
                    SeriesKey(site, "air-main", "volume_base_total"): nights("10", "30"),
                    SeriesKey(site, "hall-air", "volume_base_total"): nights("10", "10"),
                }
            )
            clock = StoppedClock(day_bounds(last, zone)[0] + 5 * 3600 * NS)
            watched = Management(store=store, clock=clock, rules={site: RULES}, directory=Directory(store, clock))
            signs = await watched.signs(plant)
            found = {sign.id: sign.measured.value for sign in signs}
            [basis] = [sign.measured.basis for sign in signs if sign.id == "leak:air-works/air-main"]
            assert basis.endswith(" 2880.0 m3 a day")  # 120 m3/h: 4 x 30 in the last night
            assert (found["leak:air-works/air-main"], found["leak:air-works/hall-air"]) == (1, 0)

    asyncio.run(main())
