"""The figures of a plant and their JSON, from readings in a real store to the answer of the API."""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from centre import api
from centre.accounting.zones import day_bounds, local_day
from centre.ledger import Ledger
from centre.store.base import StoreError
from centre.store.sqlite import SqliteStore
from metering.faults import ALL_POINTS, Fault
from metering.sweep import Sweep
from support.centre_plant import PLANT, centre_of, inventory
from support.store_contract import PRESS, parcel, status, sweep
from support.virtual_time import VirtualClock
from support.virtual_time import run as run_virtually

MINUTE = 60 * 10**9
NOON = 1_772_424_000 * 10**9  # 2026-03-02T04:00Z, noon in Shanghai
DAY = "2026-03-02"
START, END = day_bounds(local_day(NOON, PLANT.zone), PLANT.zone)


class Client:
    """Asks the API of a plant on a store."""

    def __init__(self, store: SqliteStore, ledger: Ledger, clock: VirtualClock, http: httpx.AsyncClient) -> None:
        self.store, self.ledger, self.clock, self.http = store, ledger, clock, http
        self._seq = 0

    async def add(self, *sweeps: Sweep) -> None:
        self._seq += 1
        await self.store.write([parcel(self._seq, *sweeps)], received_at=self.clock.now_ns())
        await self.ledger.cycle()

    async def get(self, path: str, status: int = 200) -> Any:
        answer = await self.http.get(path)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/json"
        return answer.json()


def ask(check: Callable[[Client], Awaitable[None]], *, known: bool = True, now: int = NOON) -> None:
    async def main(clock: VirtualClock) -> None:
        async with SqliteStore(Path(folder) / "centre.db", inline=True) as store:
            if known:
                await store.write_status(PRESS, status(devices=inventory()), received_at=now)
            figures, ledger = centre_of(store, clock)
            site = Starlette(routes=api.routes(figures, lambda: {"broker": "connected", "refused_messages": 0}))
            transport = httpx.ASGITransport(app=site)
            async with httpx.AsyncClient(transport=transport, base_url="http://centre") as http:
                await check(Client(store, ledger, clock, http))

    with tempfile.TemporaryDirectory() as folder:
        run_virtually(main, now)


def morning(device: str, point: str, per_hour: str, gauge: tuple[str, float] | None = None) -> list[Sweep]:
    """Readings each minute from midnight to noon of a counter that grows evenly."""
    sweeps: list[Sweep] = []
    for minute in range(12 * 60 + 1):
        values: dict[str, Any] = {point: float(Decimal(per_hour) * minute / 60 + 7)}
        if gauge is not None:
            values[gauge[0]] = gauge[1]
        sweeps.append(Sweep(device=device, taken_at=START + minute * MINUTE, values=values, faults={}))
    return sweeps


IMPORT, EXPORT = "energy_active_import_total", "energy_active_export_total"


async def run_morning(client: Client, *, without: str = "") -> None:
    sweeps = [
        *morning("incomer", IMPORT, "100", ("power_active_total", 100_000.0)),
        *morning("pv", EXPORT, "20", ("power_active_total", -20_000.0)),
        *morning("line-1", IMPORT, "60", ("power_active_total", 60_000.0)),
        *morning("line-2", IMPORT, "50", ("power_active_total", 50_000.0)),
        *morning("gas", "volume_base_total", "5", ("flow_volume_base", 5.0)),
        *morning("water", "volume_total", "2"),
    ]
    await client.add(*[sweep for sweep in sweeps if sweep.device != without])


def test_energy_and_carbon_of_the_plant_and_its_parts() -> None:
    async def check(client: Client) -> None:
        await run_morning(client)
        energy = await client.get(f"/api/v1/plants/works/energy?day={DAY}")
        plant = {figure["carrier"]: figure for figure in energy["nodes"]["plant"]["carriers"]}
        electricity = plant["electricity"]
        assert Decimal(electricity["import"]) == 1200
        assert Decimal(electricity["generation"]) == 240
        assert electricity["export"] is None
        assert Decimal(electricity["quantity"]) == 1440
        assert Decimal(electricity["co2_kg"]) == Decimal("669.72")
        assert electricity["factor"]["value"] == "0.5581"
        assert electricity["factor"]["confirmed"] is True
        assert electricity["scope"] == 2
        assert electricity["completeness"] == "1.0000"
        assert Decimal(plant["natural_gas"]["co2_kg"]) == Decimal("129.9012")
        assert plant["natural_gas"]["unit"] == "m3"
        assert plant["fresh_water"]["scope"] == 3
        assert "heat" not in plant
        (hall,) = energy["nodes"]["hall-1"]["carriers"]
        assert (Decimal(hall["quantity"]), hall["derived_from"]) == (1320, "children")
        assert energy["nodes"]["office"]["carriers"] == []
        assert energy["until_ns"] == NOON
        assert {meter["device"] for meter in energy["meters"]} == {"incomer", "pv", "gas", "water", "line-1", "line-2"}

    ask(check)


def test_a_meter_without_a_reading_leaves_a_reason_and_never_a_zero() -> None:
    async def check(client: Client) -> None:
        await run_morning(client, without="line-2")
        energy = await client.get("/api/v1/plants/works/energy")
        (hall,) = energy["nodes"]["hall-1"]["carriers"]
        assert (hall["quantity"], hall["co2_kg"], hall["reason"], hall["missing"]) == (
            None,
            None,
            "no_data",
            ["line-2"],
        )
        assert hall["co2_reason"] == "no_quantity"
        (line,) = [meter for meter in energy["meters"] if meter["device"] == "line-2"]
        assert (line["quantity"], line["reason"]) == (None, "no_data")
        yesterday = await client.get("/api/v1/plants/works/energy?day=2026-03-01")
        assert yesterday["until_ns"] is None
        assert yesterday["nodes"]["plant"]["carriers"][0]["quantity"] is None

    ask(check)


def test_before_any_gateway_named_its_devices_every_figure_says_so() -> None:
    async def check(client: Client) -> None:
        energy = await client.get("/api/v1/plants/works/energy")
        assert {meter["reason"] for meter in energy["meters"]} == {"no_meter"}
        live = await client.get("/api/v1/plants/works/live")
        assert {meter["state"] for meter in live["meters"]} == {"never"}
        assert live["nodes"]["plant"]["power_w"] is None
        tree = await client.get("/api/v1/plants/works/tree")
        assert tree["tree"]["meters"][0]["point"] is None
        await client.get("/api/v1/plants/works/completeness")
        await client.get("/api/v1/plants/works/load")

    ask(check, known=False)


def test_the_load_curve_runs_to_now_and_adds_generation() -> None:
    async def check(client: Client) -> None:
        await run_morning(client)
        load = await client.get("/api/v1/plants/works/load")
        points = load["nodes"]["plant"]
        assert len(points) == 48
        assert {(Decimal(point["kw"]), point["quality"]) for point in points} == {(Decimal(120), "M")}
        assert {Decimal(point["kw"]) for point in load["nodes"]["hall-1"]} == {Decimal(110)}
        tomorrow = await client.get("/api/v1/plants/works/load?day=2026-03-03")
        assert tomorrow["nodes"]["plant"] == []

    ask(check)


def test_live_shows_values_states_and_what_is_missing() -> None:
    async def check(client: Client) -> None:
        await run_morning(client)
        await client.clock.sleep_until(NOON + 100 * 10**9)
        live = await client.get("/api/v1/plants/works/live")
        meters = {meter["device"]: meter for meter in live["meters"]}
        assert (meters["pv"]["value"], meters["pv"]["state"]) == (20_000.0, "ok")
        assert meters["incomer"]["silent_for_s"] == 100.0
        assert (meters["water"]["state"], meters["water"]["value"]) == ("ok", None), "it is read for its counter only"
        assert live["nodes"]["plant"] == {"power_w": 120_000.0, "missing": [], "derived_from": "meters"}
        assert live["nodes"]["hall-1"]["derived_from"] == "children"
        assert live["nodes"]["office"]["power_w"] is None

        await client.clock.sleep_until(NOON + 400 * 10**9)
        at = NOON + 399 * 10**9
        await client.add(Sweep(device="line-1", taken_at=at, values={}, faults={ALL_POINTS: Fault.TIMEOUT}))
        live = await client.get("/api/v1/plants/works/live")
        meters = {meter["device"]: meter for meter in live["meters"]}
        assert (meters["line-1"]["state"], meters["line-1"]["fault"]) == ("faulty", "timeout")
        assert (meters["line-2"]["state"], meters["line-2"]["value"]) == ("silent", None)
        assert live["nodes"]["hall-1"] == {"power_w": None, "missing": ["line-1", "line-2"], "derived_from": "children"}
        tree = await client.get("/api/v1/plants/works/tree")
        assert tree["tree"]["children"][0]["children"][0]["meters"][0]["state"] == "faulty"

    ask(check)


def test_completeness_counts_what_arrived_and_why_the_rest_did_not() -> None:
    async def check(client: Client) -> None:
        sweeps = morning("line-1", IMPORT, "60")
        faults = [
            Sweep(device="line-1", taken_at=one.taken_at, values={}, faults={ALL_POINTS: Fault.TIMEOUT})
            for one in sweeps[100:130]
        ]
        await client.add(*sweeps[:100], *faults, *sweeps[136:])
        found = await client.get("/api/v1/plants/works/completeness")
        (line,) = [meter for meter in found["meters"] if meter["device"] == "line-1"]
        assert (line["expected"], line["received"]) == (719, 685)
        assert line["faults"] == {"timeout": 30}
        assert line["unexplained"] == 4
        assert Decimal(line["completeness"]) == Decimal("0.9527")

    ask(check)


def test_the_ledger_by_device_and_hour_adds_up_and_says_what_the_gateway_has_sent() -> None:
    async def check(client: Client) -> None:
        await run_morning(client)
        found = await client.get(f"/api/v1/plants/works/completeness?from={START}&to={NOON}")
        devices = {line["device"]: line for line in found["devices"]}
        assert set(devices) == {"incomer", "pv", "gas", "water", "line-1", "line-2"}
        hours = devices["line-1"]["hours"]
        assert devices["line-1"]["gateway"] == "press-shop"
        assert len(hours) == 12
        for line in hours:
            there = line["received"] + sum(line["faulty"].values()) + sum(line["lost"].values()) + line["missing"]
            assert there >= line["expected"]
        assert found["missing"] == sum(line["missing"] for one in devices.values() for line in one["hours"])
        (gateway,) = (await client.get("/api/v1/plants/works/gateways"))["gateways"]
        assert (gateway["gaps"], gateway["dropped"]) == ([], 0)

    ask(check)


def test_registers_raw_series_gateways_and_totals() -> None:
    async def check(client: Client) -> None:
        await run_morning(client)
        registers = (await client.get(f"/api/v1/plants/works/registers?from={START}&to={NOON}"))["registers"]
        incomer = next(one for one in registers if one["device"] == "incomer")
        assert incomer == {
            "device": "incomer",
            "point": IMPORT,
            "unit": "kWh",
            "first": {"at_ns": START, "value": 7.0},
            "last": {"at_ns": NOON, "value": 1207.0},
            "readings": 721,
        }
        one = await client.get(f"/api/v1/plants/works/registers?from={START}&to={NOON}&device=gas")
        assert [found["point"] for found in one["registers"]] == ["volume_base_total"]
        raw = await client.get(f"/api/v1/series/works/incomer/{IMPORT}?from={START}&to={NOON}&limit=2")
        assert raw == {"points": [[START, 7.0], [START + MINUTE, raw["points"][1][1]]], "truncated": True}
        series = await client.get("/api/v1/series/works")
        assert series["devices"]["gas"] == ["flow_volume_base", "volume_base_total"]
        (gateway,) = (await client.get("/api/v1/gateways"))["gateways"]
        assert (gateway["gateway"], gateway["state"], gateway["dropped"]) == ("press-shop", "online", 0)
        assert gateway["epochs"] == {"7": {"watermark": 1, "ranges": [[1, 1]], "gaps": []}}
        totals = await client.get("/api/v1/totals")
        assert totals["readings"] == 11 * 721
        assert totals["by_device"]["works/water"] == 721
        assert totals["ledger_pending"] == 0
        assert (await client.get("/healthz"))["ok"] is True
        (plant,) = (await client.get("/api/v1/plants"))["plants"]
        assert (plant["site"], plant["devices"], plant["zone"]) == ("works", 6, "Asia/Shanghai")

    ask(check)


def test_a_number_beyond_a_double_reaches_the_client_whole() -> None:
    async def check(client: Client) -> None:
        await client.add(sweep(0, {IMPORT: Decimal("123456789012.3456789")}))
        raw = await client.get(f"/api/v1/series/works/incomer/{IMPORT}?from=0&to={2**62}")
        assert raw["points"][0][1] == "123456789012.3456789"

    ask(check)


def test_questions_without_an_answer_get_a_clear_error() -> None:
    async def check(client: Client) -> None:
        await client.add(*morning("line-1", IMPORT, "60"))
        for path, code, number in (
            ("plants/nowhere/live", "unknown_site", 404),
            ("plants/nowhere/energy?day=2026-01-01", "unknown_site", 404),
            ("plants/works/energy?day=yesterday", "bad_parameter", 400),
            ("plants/works/load?day=1969-01-01", "bad_parameter", 400),
            ("plants/works/load?day=9999-12-31", "bad_parameter", 400),
            ("plants/works/registers?from=1", "bad_parameter", 400),
            ("plants/works/registers?from=2&to=1", "bad_parameter", 400),
            (f"plants/works/registers?from=0&to={2**62}", "bad_parameter", 400),
            ("plants/works/registers?from=1&to=2&device=ghost", "unknown_device", 404),
            ("series/works/ghost/frequency?from=0&to=1", "unknown_series", 404),
            (f"series/works/line-1/{IMPORT}?from=-1&to=1", "bad_parameter", 400),
            (f"series/works/line-1/{IMPORT}?from=0&to={10**40}", "bad_parameter", 400),
            (f"series/works/line-1/{IMPORT}?from=0&to=1&limit=0", "bad_parameter", 400),
            ("nothing/here", "unknown_route", 404),
        ):
            answer = await client.get(f"/api/v1/{path}", number)
            assert answer["error"]["code"] == code
            assert answer["error"]["message"]
        for method, path in (("POST", "plants"), ("DELETE", "plants/works/tree"), ("PUT", "nothing/here")):
            refused = await client.http.request(method, f"/api/v1/{path}")
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown_route")
            assert f"there is no {method} /api/v1/{path} here" in refused.json()["error"]["message"]

    ask(check)


def test_a_store_that_fails_is_told_as_503() -> None:
    async def check(client: Client) -> None:
        async def fail() -> Any:
            raise StoreError("disk is gone")

        client.store.totals = fail  # type: ignore[method-assign]
        answer = await client.get("/api/v1/totals", 503)
        assert answer["error"] == {"code": "store_failed", "message": "disk is gone"}

    ask(check)


def test_events_follow_the_plant_and_end_with_the_client() -> None:
    async def check(client: Client) -> None:
        figures, _ = centre_of(client.store, client.clock)
        door = api._Api(figures, dict)
        watch = door._watch("works")
        first = await anext(watch)
        assert first.startswith(b"event: live\ndata: {")
        assert json.loads(first.split(b"data: ")[1])["site"] == "works"
        assert door._watchers == 1
        before = asyncio.get_running_loop().time()
        await anext(watch)
        assert asyncio.get_running_loop().time() - before == 2.0
        await watch.aclose()  # type: ignore[attr-defined]
        assert door._watchers == 0

    ask(check)
