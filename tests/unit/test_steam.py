"""A steam meter counts kilograms; its heat by IAPWS-IF97 reaches quantities, tce, scope 2, balance and trace."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from centre.accounting.registers import RegisterRule, Sample, deltas
from centre.accounting.zones import day_bounds
from centre.carriers import Carrier, Flow
from centre.entities import Entity, EntityKind, EntityMeter, MeterEpoch, entities_of
from centre.entities_file import load_entities, to_yaml
from centre.ledger import Ledger
from centre.period import Period
from centre.plant import Node, Plant
from centre.points import Directory, MeterPoints
from centre.readings_check import ReadingsCheck
from centre.readings_list import listed
from centre.settings import Setup
from centre.statement import Statement
from centre.statements import Statements
from centre.steam import Steam
from centre.store.base import GatewayKey, SeriesKey
from centre.store.sqlite import SqliteStore
from centre.trace import Rule, Trace, check
from centre.why import why
from metering.parcel import ParcelId, Received
from metering.quantities import Kind
from metering.status import State, Status
from metering.sweep import DeviceInfo, PointInfo, Sweep
from support.books_plant import CLOCK, DAYS, EVERY_S, FIRST, ZONE, setup, statements
from wattline.clock import NS
from wattline.errors import ConfigError

D = Decimal
SITE = "jiangjin-1"
MONTH = Period(year=2026, month=11)
START, _ = day_bounds(FIRST, ZONE)
CHANGED = START + 86_520 * NS  # in the middle of a quarter of an hour
SATURATED = Steam(pressure_mpa=D("0.8"), temperature_c=None, feed_c=D(20))
HOTTER = Steam(pressure_mpa=D(1), temperature_c=D(250), feed_c=D(104), since=CHANGED)
SWEPT = D("41.25")  # kg each


def test_v13_a_hundred_tonnes_at_eight_bar_saturated_are_268_gigajoules() -> None:
    heat = 100_000 * SATURATED.kwh_per_kg
    assert (SATURATED.enthalpy, SATURATED.feed_enthalpy) == (D("2768.30"), D("83.92"))
    assert round(heat * D("0.0036"), 1) == D("268.4")


def test_a_register_is_worth_another_state_from_its_day_on_and_goes_on_counting() -> None:
    rule = RegisterRule(states=((0, D(2)), (10, D(3))))
    found = deltas([Sample(at, D(value)) for at, value in ((0, 0), (8, 8), (12, 12), (14, 14))], rule)
    assert [step.amount for step in found.steps] == [16, 8, 6]  # the step over the change by the state before it


def entities(steam: str, carrier: str = "heat", more: str = "") -> str:
    return (
        "sites:\n  works:\n    - id: plant\n      kind: plant\n      name: {en: Works, zh: 厂}\n      meters:\n"
        f"        - {{device: boiler, carrier: {carrier}, flow: import{more}, steam: {steam}}}\n"
    )


@pytest.mark.parametrize(
    ("steam", "more", "says"),
    [
        ("{pressure_mpa: 0.8, temperature_c: 165, feed_c: 20}", "", "is wet or water: steam is above 170.414 C"),
        ("{pressure_mpa: 23, temperature_c: 370, feed_c: 20}", "", "is wet or water: steam is above 373.946 C"),
        ("{pressure_mpa: 0.8, temperature_c: 900, feed_c: 20}", "", "0 to 800 C"),
        ("{pressure_mpa: 0.0001, feed_c: 20}", "", "no saturated steam"),
        ("{pressure_mpa: 0.8, feed_c: 400}", "", "no feed water"),
        ("{pressure_mpa: 100, temperature_c: 375, feed_c: 373}", "", "below that of feed water"),
        ("{pressure_mpa: 0.8, feed_c: 20}", ", point: volume", "does not count mass in kg"),
        ('{pressure_mpa: 0.8, feed_c: 20, since: "2026-01-01T00:00:00+08:00"}', "", "without `since`"),
        ("[{pressure_mpa: 0.8, feed_c: 20}, {pressure_mpa: 1, feed_c: 20}]", "", "only the first"),
    ],
)
def test_a_state_that_is_no_steam_is_refused_by_file_line_and_key(
    tmp_path: Path, steam: str, more: str, says: str
) -> None:
    path = tmp_path / "entities.yaml"
    path.write_text(entities(steam, more=more), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_entities(path)
    assert "entities.yaml:7: sites.works.0.meters.0." in str(refused.value)
    assert says in str(refused.value)


def test_steam_is_heat_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "entities.yaml"
    path.write_text(entities("{pressure_mpa: 0.8, feed_c: 20}", "natural_gas"), encoding="utf-8")
    with pytest.raises(ConfigError, match="`carrier: heat` only"):
        load_entities(path)


def test_the_states_of_a_meter_are_written_as_they_are_read(tmp_path: Path) -> None:
    meter = EntityMeter(device="boiler", carrier=Carrier.HEAT, flow=Flow.IMPORT, steam=(SATURATED, HOTTER),
                        epochs=(MeterEpoch(unit="t"),))  # fmt: skip
    plant = Entity(site="works", id="plant", kind=EntityKind.PLANT, name={"en": "Works", "zh": "厂"}, meters=(meter,))
    path = tmp_path / "entities.yaml"
    path.write_text(to_yaml(entities_of((plant,))), encoding="utf-8")
    assert load_entities(path).by_key["works/plant"] == plant
    assert meter.meter.replaced[0].factor == 1000  # a register in tonnes


# --- through the centre


def plant() -> Setup:
    """The demo's rules over a plant that buys steam, changed to another state after a day, and passes on a part."""
    found = setup()
    main, part = (
        EntityMeter(device=device, carrier=Carrier.HEAT, flow=Flow.IMPORT, steam=(SATURATED, HOTTER)).meter
        for device in ("steam-main", "steam-hall")
    )
    hall = Node(id="hall", name={"en": "Hall", "zh": "厂房"}, meters=(part,), children=())
    tree = Node(id="plant", name=found.plants[0].tree.name, meters=(main,), children=(hall,))
    return replace(found, plants=(replace(found.plants[0], tree=tree),))


async def fill(store: SqliteStore, of: Plant) -> None:
    point = PointInfo(name="mass_total", unit="kg", kind=Kind.COUNTER)
    heat = PointInfo(name="power_thermal", unit="W", kind=Kind.GAUGE)
    devices = tuple(
        DeviceInfo(name=meter.device, bus="b", profile="p", interval_s=D(EVERY_S), asset=None, points=(point, heat))
        for meter in of.meters()
    )
    status = Status(state=State.ONLINE, software="0", epoch=1, at=START, counters={}, devices=devices)
    await store.write_status(GatewayKey(SITE, "gw"), status, received_at=START)
    for seq, device in enumerate(devices, 1):
        each = SWEPT if seq == 1 else SWEPT / 2
        sweeps = tuple(
            Sweep(device=device.name, taken_at=at, values={"mass_total": 5000 + each * place}, faults={})
            for place, at in enumerate(range(START + 7 * NS, START + DAYS * 86_400 * NS, EVERY_S * NS))
        )
        parcel = Received(
            site=SITE, gateway="gw", id=ParcelId(epoch=1, seq=seq), dropped=0, sweeps=sweeps, readings=len(sweeps)
        )
        await store.write([parcel], received_at=START)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Statement, dict[str, Trace]]:
    async def make() -> tuple[Statement, dict[str, Trace]]:
        found = plant()
        async with SqliteStore(tmp_path_factory.mktemp("steam") / "centre.db") as store:
            await fill(store, found.plants[0])
            await Ledger(store=store, clock=CLOCK, plants=found.plants, directory=Directory(store, CLOCK)).cycle()
            service = statements(store, found)
            figures = ("quantity/heat", "scope2/location", "tce/calorific", "balance/heat")
            traces = {figure: await why(service, SITE, MONTH, figure) for figure in figures}
            await listed_alike(service, store)
            return await service.statement(SITE, MONTH), traces

    return asyncio.run(make())


async def listed_alike(service: Statements, store: SqliteStore) -> None:
    """Every reading, with what it counted, adds up to what is accounted; the change of state is told once."""
    for record in (await service.records(service.plants[SITE], MONTH)).values():
        seen = ReadingsCheck(meter=record.points.meter.device)
        told: list[str] = []
        async for line in listed(store, record.points, [bucket.interval for bucket in record.quarters]):
            seen.take(line)
            told += [line.what] if "steam" in line.what else []
        assert seen.mistakes == []
        assert seen.total == record.amount
        assert told == ["the steam has another state from then on: this step counts by the one before"]


def counted() -> Decimal:
    """kWh: the steps up to the one that begins before the change by the first state, the others by the second."""
    readings = DAYS * 86_400 // EVERY_S
    before = 289  # readings from 7 s after midnight up to the change
    return SWEPT * (before * SATURATED.kwh_per_kg + (readings - 1 - before) * HOTTER.kwh_per_kg)


def test_steam_counts_as_heat_in_quantity_tce_and_scope_2(made: tuple[Statement, dict[str, Trace]]) -> None:
    node = made[0].nodes[0]
    line = node.line(Carrier.HEAT)
    assert line is not None
    assert (line.net.value, line.unit) == (round(counted(), 9), "kWh")
    assert node.scope2.location.value is not None
    assert round(node.scope2.location.value, 6) == round(counted() * D("0.0036") * D("0.11"), 6)
    assert node.energy.calorific.value is not None
    assert node.energy.calorific.value > 0
    balance = node.balances[Carrier.HEAT]
    assert balance.unmetered is not None
    assert balance.share_percent is not None
    assert round(balance.share_percent) == 50


def test_every_figure_of_steam_adds_up_from_mass_and_enthalpies(made: tuple[Statement, dict[str, Trace]]) -> None:
    for trace in made[1].values():
        assert trace.steps[trace.root].value is not None
        assert check(trace) == ()
    steps = made[1]["scope2/location"].steps.values()
    by_kind = {kind: [step for step in steps if step.id.startswith(f"{kind}:")] for kind in (
        "steam", "enthalpy", "feed_enthalpy", "pressure", "temperature", "feed", "mass")}  # fmt: skip
    told = {kind: [(step.value, step.unit) for step in found] for kind, found in by_kind.items()}
    assert told["steam"] == [(SATURATED.kwh_per_kg, "kWh/kg"), (HOTTER.kwh_per_kg, "kWh/kg")]
    assert told["enthalpy"] == [(D("2768.30"), "kJ/kg"), (HOTTER.enthalpy, "kJ/kg")]
    assert told["feed_enthalpy"] == [(D("83.92"), "kJ/kg"), (HOTTER.feed_enthalpy, "kJ/kg")]
    assert told["pressure"] == [(D("0.8"), "MPa"), (D(1), "MPa")]
    assert told["temperature"] == [(D(250), "degC")]
    assert told["feed"] == [(D(20), "degC"), (D(104), "degC")]
    assert all("`steam` of steam-main since" in (step.why or "") for step in by_kind["pressure"])
    masses = [step.value for step in by_kind["mass"] if step.value is not None]
    assert sum(masses) == SWEPT * (DAYS * 86_400 // EVERY_S - 1)
    assert {step.unit for step in steps if step.rule is Rule.READING} == {"kg"}


def test_another_state_counts_the_register_again_and_a_plain_meter_is_left_alone() -> None:
    of = plant().plants[0]
    meter = of.tree.meters[0]
    series = SeriesKey(SITE, meter.device, "mass_total")
    points = MeterPoints(meter=meter, counter=series, interval_s=D(5))
    other = replace(points, meter=replace(meter, steam=(SATURATED,)))
    assert points.fingerprint(of) != other.fingerprint(of)
    plain = replace(points, meter=replace(meter, steam=()))
    assert plain.fingerprint(of) == (
        "Asia/Shanghai 1|3|register|RegisterRule(modulus=None, limit=None, replacements=(), epochs=())|5|None"
    )
