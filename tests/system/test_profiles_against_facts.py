"""Every profile read from a real server whose registers were built from the fact table, not from the profile."""

import asyncio
import csv
from dataclasses import replace
from decimal import Decimal

import pytest

from drivers.modbus import catalogue
from drivers.modbus.bus import ModbusTcpBus
from metering.lineprotocol import encode_sweep, parse_line
from metering.sweep import Sweep, Value
from support.modbus_server import modbus_server
from support.register_image import FACTS, Fact, RegisterImage, register_image
from wattline.clock import SystemClock

TABLES = {
    "abb-b23": "abb_b21_b23_b24",
    "acrel-adl400": "acrel_adl400",
    "carlo-gavazzi-em340": "carlogavazzi_em340",
    "chint-dtsu666": "chint_dtsu666",
    "eastron-sdm120": "eastron_sdm120",
    "eastron-sdm630": "eastron_sdm630",
    "fuxin-gas-corrector": "fuxin_gas_corrector",
    "schneider-pm5100": "schneider_pm5100",
    "siemens-mag6000": "siemens_mag6000",
    "siemens-pac3200": "siemens_pac3200",
    "sontex-supercal531": "sontex_supercal531",
}

# The fact tables abbreviate and have variants; the profile's name on the left, the row's on the right.
NAMES = {
    ("schneider-pm5100", "current_unbalance_max"): "current_unbalance_worst",
    ("schneider-pm5100", "voltage_unbalance_n_max"): "voltage_unbalance_worst_n",
    ("carlo-gavazzi-em340", "operating_time_total"): "run_hours",
    ("carlo-gavazzi-em340", "status_phase_sequence"): "phase_sequence",
    ("carlo-gavazzi-em340", "cfg_measuring_system"): "measuring_system",
    ("carlo-gavazzi-em340", "cfg_measurement_mode"): "measurement_mode",
    ("fuxin-gas-corrector", "volume_actual_total"): "volume_actual_total_bcd",
    ("fuxin-gas-corrector", "volume_base_total"): "volume_base_total_bcd",
}


def row_of(profile_id: str, point: str) -> str:
    abbreviated = point.replace("demand_power_", "demand_")
    return NAMES.get((profile_id, point), abbreviated)


def expected(fact: Fact, image: RegisterImage) -> Decimal | str:
    """The value by the words of the fact table alone."""
    raw = image.raw[fact.point]
    if isinstance(raw, str):
        return raw
    if "4Q_FP_PF" in fact.notes:
        raw = 2 - raw if raw > 1 else -2 - raw if raw < -1 else raw
    value = raw * fact.scale
    if "IrAt(6)" in fact.notes or "by IrAt and" in fact.notes or fact.notes == "reserved in some manuals":
        value *= _raw(image, "ct_ratio")
    if "UrAt(7)*0.1" in fact.notes or "UrAt*0.1" in fact.notes or fact.notes == "reserved in some manuals":
        value *= _raw(image, "pt_ratio") * Decimal("0.1")
    return value * 1000 if fact.unit == "kW" else value


def _raw(image: RegisterImage, point: str) -> Decimal:
    raw = image.raw[point]
    assert isinstance(raw, Decimal)
    return raw


def on_the_wire(sweep: Sweep) -> dict[str, Value]:
    lines = [parse_line(line) for line in encode_sweep(sweep, ",site=s,gateway=g")]
    return {name: value for line in lines if line.measurement == "meter" for name, value in line.fields.items()}


async def read_all(profile_id: str, image: RegisterImage) -> Sweep:
    profile = catalogue.load(profile_id)
    profile = replace(profile, limits=replace(profile.limits, min_pause_s=0))
    async with modbus_server(unit=profile.default_unit, holding=image.holding, input=image.input) as port:
        bus = ModbusTcpBus("test", "127.0.0.1", port, clock=SystemClock())
        device = bus.add_device("meter", profile.default_unit, profile, list(profile.points))
        async with bus.connection():
            return await device.reader([point.name for point in device.points]).read()


@pytest.mark.parametrize("profile_id", sorted(TABLES))
@pytest.mark.parametrize("seed", [1, 2])
def test_a_profile_reads_what_its_fact_table_says(profile_id: str, seed: int) -> None:
    image = register_image(TABLES[profile_id], seed)
    sweep = asyncio.run(read_all(profile_id, image))
    told = on_the_wire(sweep)
    profile = catalogue.load(profile_id)
    compared = 0
    for point in profile.points:
        row = row_of(profile_id, point)
        fact = image.facts.get(row)
        if fact is None:
            # only what stands over registers of another row may be without a value to compare
            assert (profile_id, point) == ("carlo-gavazzi-em340", "model_code"), f"{point}: no row {row}"
            continue
        value = expected(fact, image)
        got = told.get(point)
        assert got is not None, f"{point}: {sweep.faults.get(point)}"
        assert (got if isinstance(got, str) else Decimal(str(got))) == value, point
        compared += 1
    assert compared >= len(profile.points) - 1


@pytest.mark.parametrize("profile_id", sorted(TABLES))
def test_points_with_one_source_or_a_conflict_are_marked_unverified(profile_id: str) -> None:
    with (FACTS / f"{TABLES[profile_id]}.csv").open(newline="") as file:
        agreed = {row["point"]: row["agree"] == "yes" for row in csv.DictReader(file)}
    for point in catalogue.load(profile_id).points.values():
        assert point.verified is agreed[row_of(profile_id, point.name)], point.name


def test_every_shipped_profile_has_a_fact_table_here() -> None:
    assert set(catalogue.names()) == set(TABLES)
