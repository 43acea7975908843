"""The simulated plant: its books balance, energy is the integral of power, and a wrong file is refused with its line."""

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulation.agent_yaml import agent_yaml
from drivers.simulation.plant import Plant
from drivers.simulation.simulator import Simulator, load_simulator
from wattline.clock import NS
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.strict_yaml import load_file

MONDAY = int(datetime.fromisoformat("2026-06-01T00:00:00+08:00").timestamp()) * NS
DEMO = config_dir() / "demo"
_SECONDS = st.integers(-30 * 86_400 * 1000, 30 * 86_400 * 1000).map(lambda ms: MONDAY + ms * 1_000_000)


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return load_simulator(DEMO / "plant.yaml", MONDAY)


@pytest.fixture(scope="module")
def plant(simulator: Simulator) -> Plant:
    return simulator.plant


@pytest.mark.parametrize(
    "name", ["incomer", "pv-roof", "workshop-1", "line-1", "press-2", "boiler-gas", "heat-station"]
)
@pytest.mark.parametrize("hour", [0.0, 6.9, 12.0, 23.99, 24 * 6 + 23.99])
def test_energy_is_the_integral_of_power(plant: Plant, name: str, hour: float) -> None:
    start = MONDAY + round(hour * 3600) * NS
    steps = 12_000
    width = 600 * NS // steps
    numeric = sum(plant.rate(name, start + i * width + width // 2) for i in range(steps)) * width / NS / 3600
    assert plant.amount(name, start, start + 600 * NS) == pytest.approx(numeric, rel=1e-5)


@given(at=_SECONDS)
@settings(max_examples=200)
def test_the_books_balance_at_every_instant(plant: Plant, at: int) -> None:
    def rate(name: str) -> float:
        return plant.rate(name, at)

    lines = rate("line-1") + rate("line-2") + rate("line-3") + rate("lighting-1")
    assert rate("workshop-1") == pytest.approx(lines * 1.006)
    feeders = sum(map(rate, ("workshop-1", "workshop-2", "compressor", "chiller", "office")))
    assert rate("incomer") + rate("pv-roof") == pytest.approx(feeders * 1.009 + 5.5)


@given(at=_SECONDS, span=st.integers(0, 20 * 86_400))
@settings(max_examples=200)
def test_the_books_balance_over_every_span(plant: Plant, at: int, span: int) -> None:
    def amount(name: str) -> float:
        return plant.amount(name, at, at + span * NS)

    feeders = sum(map(amount, ("workshop-1", "workshop-2", "compressor", "chiller", "office")))
    assert amount("incomer") + amount("pv-roof") == pytest.approx(feeders * 1.009 + 5.5 * span / 3600, abs=1e-6)


@given(at=_SECONDS, a=st.integers(0, 10**15), b=st.integers(0, 10**15))
def test_amounts_add_up_and_never_fall(plant: Plant, at: int, a: int, b: int) -> None:
    for name in ("incomer", "pv-roof", "press-1", "water-main"):
        first, second = plant.amount(name, at, at + a), plant.amount(name, at + a, at + a + b)
        assert first >= -1e-9
        assert first + second == pytest.approx(plant.amount(name, at, at + a + b), rel=1e-9, abs=1e-7)


@given(at=_SECONDS)
@settings(max_examples=300)
def test_nothing_flows_backwards(plant: Plant, simulator: Simulator, at: int) -> None:
    for name in (*simulator.file.loads, *simulator.file.sources, *simulator.file.nodes):
        assert plant.rate(name, at) >= 0


def test_the_same_file_gives_the_same_plant(plant: Plant) -> None:
    again = load_simulator(DEMO / "plant.yaml", MONDAY).plant
    at = MONDAY + 12_345_678_901_234
    assert [again.rate(name, at) for name in ("incomer", "pv-roof")] == [
        plant.rate(name, at) for name in ("incomer", "pv-roof")
    ]


def test_the_night_shift_works_into_the_next_morning(plant: Plant) -> None:
    tuesday_five = MONDAY + (24 + 5) * 3600 * NS
    sunday_noon_of_idle_line = MONDAY + (6 * 24 + 12) * 3600 * NS
    assert plant.rate("lighting-1", tuesday_five) == pytest.approx(0.7 * 7, rel=0.05)
    assert plant.rate("lighting-2", sunday_noon_of_idle_line) == pytest.approx(0.2 * 5, rel=0.1)


def test_the_shipped_agent_settings_read_the_shipped_plant(simulator: Simulator) -> None:
    shipped = load_file(DEMO / "agent.yaml").data
    made = agent_yaml(simulator.file)
    assert (DEMO / "agent.yaml").read_text().splitlines()[1:] == made.splitlines()[1:]
    devices = [device["name"] for bus in shipped["buses"] for device in bus["devices"]]
    assert devices == [meter.name for meter in simulator.file.meters]


def test_every_meter_of_the_shipped_centre_is_in_the_shipped_plant(simulator: Simulator) -> None:
    entities = load_file(DEMO / "entities.yaml").data["sites"]["jiangjin-1"]
    devices = [meter["device"] for entity in entities for meter in entity.get("meters", [])]
    assert sorted(devices) == sorted(simulator.meters)


def test_all_eleven_profiles_are_in_the_shipped_plant(simulator: Simulator) -> None:
    assert len({meter.profile for meter in simulator.file.meters}) == 11


_SMALL = """\
site: here
zone: Asia/Shanghai
shifts:
  day: {idle: 0.2, ramp: 30min, work: [{days: mon-fri, start: "08:00", end: "17:00"}]}
loads:
  saw: {carrier: electricity, rated: 50, shift: day}
  tap: {carrier: fresh_water, rated: 5, shift: day}
sources:
  roof: {peak: 5, sunrise: "06:00", sunset: "18:00"}
nodes:
  grid: {feeds: [saw], sources: [roof]}
endpoints:
  - name: box
    listen: 127.0.0.1:15502
    meters:
      - {name: m1, unit: 1, profile: eastron-sdm630, measures: grid}
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("peak: 5,", "peak: 50,", ":11: nodes.grid.sources: could give"),
        ("shift: day}\n  tap", "shift: night}\n  tap", ":6: loads.saw.shift: night is not among the shifts"),
        ("feeds: [saw]", "feeds: [saw, tap]", ":11: nodes.grid.feeds: mixes"),
        ("feeds: [saw]", "feeds: [grid]", ":11: nodes.grid.feeds: feeds itself"),
        ("feeds: [saw]", "feeds: [axe]", ":11: nodes.grid.feeds.0: axe is neither"),
        ("measures: grid", "measures: grd", ":16: endpoints.0.meters.0.measures: grd is no load"),
        (
            "measures: grid",
            "measures: tap",
            ":16: endpoints.0.meters.0.profile: eastron-sdm630 measures electricity, but fresh_water",
        ),
        (
            "eastron-sdm630",
            "eastron-sdm631",
            ":16: endpoints.0.meters.0.profile: no profile 'eastron-sdm631': did you mean",
        ),
        ("Asia/Shanghai", "Asia/Shanghi", ":2: zone: Asia/Shanghi is no time zone"),
        ('start: "08:00"', 'start: "8 Uhr"', ":4: shifts.day.work.0.start: write a time of day as 07:30"),
        ("days: mon-fri", "days: mo-fri", ":4: shifts.day.work.0.days: 'mo-fri' is no day"),
        ("ramp: 30min", "ramp: 30", ":4: shifts.day.ramp: must be a duration"),
        (
            'end: "17:00"}',
            'end: "17:00"}, {days: wed, start: "16:00", end: "20:00"}',
            ":4: shifts.day.work: two blocks of work overlap",
        ),
        (
            "rated: 50,",
            "rated: 50, cycle: {period: 11s, depth: 0.5},",
            ":6: loads.saw.cycle.period: must divide a week",
        ),
        ("rated: 50,", "ratet: 50,", ":6: loads.saw.ratet: is not a key"),
    ],
)
def test_a_wrong_plant_file_is_refused_with_its_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text(_SMALL)
    load_simulator(path, MONDAY)
    assert old in _SMALL
    path.write_text(_SMALL.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_simulator(path, MONDAY)
    assert f"{path}{told}" in str(caught.value)
