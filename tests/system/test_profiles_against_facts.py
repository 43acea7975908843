"""Every profile read from a real server whose registers were built from the fact table, not from the profile."""

import asyncio
import csv
import re
from dataclasses import replace
from decimal import Decimal

import pytest

from drivers.modbus import catalogue
from drivers.modbus.bus import ModbusTcpBus
from drivers.modbus.profile import Profile
from metering.lineprotocol import encode_sweep, parse_line
from metering.sweep import Sweep, Value
from support.modbus_server import modbus_server
from support.register_image import FACTS, Fact, RegisterImage, facts, register_image
from wattline.clock import SystemClock

TABLES = {
    "abb-b23": "abb_b21_b23_b24",
    "acrel-adl400": "acrel_adl400",
    "acrel-adw300": "acrel_adw300",
    "acrel-djsf1352-rn": "acrel_djsf1352_rn",
    "acrel-djsf1352-rn6": "acrel_djsf1352_rn6",
    "algodue-upm209": "algodue_upm209",
    "bgetech-drt428m": "bgetech_drt428m",
    "camille-bauer-aplus": "camillebauer_aplus",
    "carlo-gavazzi-em112": "carlogavazzi_em112",
    "carlo-gavazzi-em24": "carlogavazzi_em24",
    "carlo-gavazzi-em24-e1": "carlogavazzi_em24_e1",
    "carlo-gavazzi-em340": "carlogavazzi_em340",
    "carlo-gavazzi-em540": "carlogavazzi_em540",
    "chint-dtsu666": "chint_dtsu666",
    "chint-dtsu666-v4": "chint_dtsu666",
    "eastron-sdm120": "eastron_sdm120",
    "eastron-sdm230": "eastron_sdm230",
    "eastron-sdm630": "eastron_sdm630",
    "eastron-sdm72d": "eastron_sdm72d",
    "eastron-sdm72d-v2": "eastron_sdm72d_v2",
    "eltako-dsz15": "eltako_dsz15",
    "finder-7m24": "finder_7m24",
    "finder-7m38": "finder_7m38",
    "fuxin-gas-corrector": "fuxin_gas_corrector",
    "inepro-pro380": "inepro_pro380",
    "integra-calec-st": "integra_calec_st",
    "janitza-umg604": "janitza_umg604",
    "janitza-umg96rm": "janitza_umg96rm",
    "kamstrup-multical-602": "kamstrup_multical_602",
    "kamstrup-multical-603": "kamstrup_multical_603",
    "phoenix-contact-eem-ma370": "phoenixcontact_eem_ma370",
    "rockwell-1758-flo": "rockwell_1758_flo",
    "schneider-iem3000": "schneider_iem3000",
    "schneider-ion6200": "schneider_ion6200",
    "schneider-ion6200-mw": "schneider_ion6200",
    "schneider-pm3200": "schneider_pm3200",
    "schneider-pm5100": "schneider_pm5100",
    "schneider-pm710": "schneider_pm710",
    "siemens-mag6000": "siemens_mag6000",
    "siemens-pac1020": "siemens_pac1020",
    "siemens-pac1600": "siemens_pac1600_7kt1665",
    "siemens-pac2200": "siemens_pac2200",
    "siemens-pac3200": "siemens_pac3200",
    "siemens-pac4200": "siemens_pac4200",
    "socomec-countis-e24": "socomec_countis_e24",
    "socomec-countis-e34": "socomec_countis_e34_e44",
    "socomec-diris-a10": "socomec_diris_a10",
    "socomec-diris-b30": "socomec_diris_b30",
    "sontex-supercal531": "sontex_supercal531",
    "sunspec-common": "sunspec_1_common",
    "sunspec-inverter": "sunspec_101_103_inverter_int",
    "sunspec-inverter-float": "sunspec_111_113_inverter_float",
    "sunspec-meter": "sunspec_201_204_meter_int",
    "sunspec-meter-float": "sunspec_211_214_meter_float",
    "suto-s430": "suto_s430_gasflow",
    "tq-em300": "tq_em300",
    "wago-879-30xx": "wago_879_30xx",
}

# The fact tables abbreviate and have variants; the profile's name on the left, the row's on the right.
NAMES = {
    "cfg_measurement_mode": "measurement_mode",
    "cfg_measuring_system": "measuring_system",
    "cfg_medium": "medium",
    "cfg_options": "options",
    "cfg_production_year": "production_year",
    "cfg_rated_primary_current": "rated_primary_current",
    "cold_energy_total": "cooling_energy_total",
    "current_4": "current_l4",
    "current_unbalance_max": "current_unbalance_worst",
    "error_time_total": "error_hours",
    "heat_energy_3": "heat_energy_e3",
    "operating_time_export": "run_hours_export",
    "operating_time_export_partial": "run_hours_export_partial",
    "operating_time_lifetime": "run_hours_lifetime",
    "operating_time_partial": "run_hours_partial",
    "operating_time_total": "run_hours",
    "pulse_count_total": "pulses_total",
    "sf_energy": "energy_exponent",
    "status_events_1": "events_1",
    "status_events_2": "events_2",
    "status_operating": "operating_state",
    "status_operating_vendor": "operating_state_vendor",
    "status_phase_sequence": "phase_sequence",
    "status_switch": "switch_position",
    "velocity_forward": "velocity",
    "voltage_unbalance_n_max": "voltage_unbalance_worst_n",
    "volume_cold_total": "volume_cooling_total",
}
NAMES_OF = {
    ("fuxin-gas-corrector", "volume_actual_total"): "volume_actual_total_bcd",
    ("fuxin-gas-corrector", "volume_base_total"): "volume_base_total_bcd",
    ("integra-calec-st", "model_code"): "device_type",
    ("janitza-umg604", "energy_active_export_total"): "energy_active_export_total",
    ("janitza-umg604", "energy_active_import_total"): "energy_active_import_total",
    ("socomec-countis-e34", "manufacturer"): "vendor_code",
}
COPIES = {"janitza-umg604": "_b19000", "chint-dtsu666-v4": "_v4"}
UNITS = {"kW": 1000, "l/h": Decimal("0.001"), "t": 1000, "bar": 100}
OVERLAPPED = {("carlo-gavazzi-em340", "model_code"), ("carlo-gavazzi-em540", "model_code")}


def row_of(profile_id: str, point: str) -> str:
    if special := NAMES_OF.get((profile_id, point)):
        return special
    name = NAMES.get(point, point.replace("demand_power_", "demand_"))
    copy = name + COPIES.get(profile_id, "")
    return copy if copy in ROWS[TABLES[profile_id]] else name


ROWS = {table: {fact.point for fact in facts(table)} for table in TABLES.values()}


def expected(profile_id: str, fact: Fact, image: RegisterImage) -> Decimal | str:
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
    if by := re.search(r"10\^\((\w+)", fact.notes):
        power = _raw(image, by[1])
        value *= Decimal(10) ** int(3 - power if fact.notes.split("10^")[0].endswith("divide by ") else power)
    if profile_id == "schneider-ion6200-mw" and "megawatt variant" in fact.notes:
        value *= 1000
    return value * UNITS.get(fact.unit, 1)


def _raw(image: RegisterImage, point: str) -> Decimal:
    raw = image.raw[point]
    assert isinstance(raw, Decimal)
    return raw


def on_the_wire(sweep: Sweep) -> dict[str, Value]:
    lines = [parse_line(line) for line in encode_sweep(sweep, ",site=s,gateway=g")]
    return {name: value for line in lines if line.measurement == "meter" for name, value in line.fields.items()}


async def read_all(profile: Profile, image: RegisterImage) -> Sweep:
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
    profile = catalogue.load(profile_id)
    sweep = asyncio.run(read_all(profile, image))
    told = on_the_wire(sweep)
    compared = 0
    for point in profile.points:
        row = row_of(profile_id, point)
        fact = image.facts.get(row)
        if fact is None:
            # only what stands over registers of another row may be without a value to compare
            assert (profile_id, point) in OVERLAPPED, f"{point}: no row {row}"
            continue
        value = expected(profile_id, fact, image)
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


@pytest.mark.parametrize("profile_id", sorted(TABLES))
def test_where_sources_contradict_each_other_the_point_says_in_what(profile_id: str) -> None:
    with (FACTS / f"{TABLES[profile_id]}.csv").open(newline="") as file:
        contradicted = {row["point"] for row in csv.DictReader(file) if row["agree"] == "no"}
    points = catalogue.load(profile_id).points.values()
    silent = [point.name for point in points if row_of(profile_id, point.name) in contradicted and not point.note]
    assert not silent


def test_a_wrong_scale_in_a_profile_does_not_pass() -> None:
    """The comparison itself is tested: what it compares must be able to differ."""
    image = register_image(TABLES["abb-b23"])
    profile = catalogue.load("abb-b23")
    point = profile.points["power_active_total"]
    broken = replace(profile, points={**profile.points, point.name: replace(point, scale=point.scale * 10)})
    told = on_the_wire(asyncio.run(read_all(broken, image)))
    wrong = [
        name
        for name in broken.points
        if (fact := image.facts.get(row_of("abb-b23", name))) is not None
        and not isinstance(value := expected("abb-b23", fact, image), str)
        and Decimal(str(told[name])) != value
    ]
    assert wrong == ["power_active_total"]


def test_every_shipped_profile_has_a_fact_table_here() -> None:
    assert set(catalogue.names()) == set(TABLES)
    assert {path.stem for path in FACTS.glob("*.csv")} == set(TABLES.values())
