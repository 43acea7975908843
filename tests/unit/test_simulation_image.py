"""Registers of a simulated meter: what the profile decodes is what was meant, and reads are refused as the meter does."""

from decimal import Decimal
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus import catalogue
from drivers.modbus.decode import compile_block
from drivers.modbus.decode_rules import factor_key
from drivers.modbus.plan import plan
from drivers.modbus.profile import Family, Medium, Point, Profile, Table
from drivers.modbus.scaling import Factor
from drivers.simulation.image import Image, ReadRefused, encoder, multiplier, step
from drivers.simulation.meter import SimulatedMeter
from drivers.simulation.plant_file import Meter
from drivers.simulation.simulator import Simulator, load_simulator
from metering.faults import Fault
from metering.quantities import Kind
from wattline.clock import NS
from wattline.resources import config_dir

NOON = 1_780_286_400 * NS
RATIO = 160


@cache
def simulator() -> Simulator:
    return load_simulator(config_dir() / "demo" / "plant.yaml", NOON)


PLACES = {
    Medium.ELECTRICITY: "press-1",
    Medium.GAS: "boiler-gas",
    Medium.WATER: "water-cooling",
    Medium.HEAT: "heat-line-1",
}


@cache
def meter_of(profile_id: str) -> SimulatedMeter:
    """The demo plant's meter of this model, or one beside it."""
    for meter in simulator().meters.values():
        if meter.profile.id == profile_id:
            return meter
    profile = catalogue.load(profile_id)
    beside = Meter(
        name=profile_id,
        unit=1,
        profile=profile_id,
        measures=PLACES[profile.medium],
        start=5000,
        reversed="energy_active_export_total" in profile.points and "energy_active_import_total" not in profile.points,
    )
    return SimulatedMeter(beside, profile, simulator().plant, voltage=400, frequency=50)


def decoded(point: Point, data: bytes, factor: Decimal) -> object:
    key = factor_key(point)
    decode = compile_block(point.address, point.type.registers, [point], [] if key is None else [key])
    values: dict = {}
    faults: dict = {}
    decode(data, values, faults, [] if key is None else [Factor.of(factor)])
    return values.get(point.name, faults.get(point.name))


NUMERIC = [
    (name, point.name)
    for name in catalogue.names()
    for point in catalogue.load(name).points.values()
    if point.type.family is not Family.ASCII
]


@given(st.sampled_from(NUMERIC), st.floats(0, 1), st.booleans())
@settings(max_examples=1500)
def test_what_is_decoded_is_what_was_encoded_within_one_step(
    which: tuple[str, str], size: float, negative: bool
) -> None:
    point = catalogue.load(which[0]).points[which[1]]
    exact = point.scale * (RATIO if "ct_ratio" in point.multiply_by else 1)
    factor = float(exact)
    bits = 16 * point.type.registers
    reach = {
        Family.UNSIGNED: 2.0**bits - 3,
        Family.SIGNED: 2.0 ** (bits - 1) - 3,
        Family.BCD: 10.0 ** (bits // 4) - 2,
        Family.FLOAT: 3e7,
    }[point.type.family]
    value = 0.9 * size * min(reach, 1e14) * abs(factor)  # the top of the range is "no data" in some meters
    signed = point.type.family in {Family.SIGNED, Family.FLOAT} and point.quantity.kind is Kind.GAUGE
    if negative and signed:
        value = -value
    if point.form is not None:
        value = size
    if point.rollover is not None:
        value = min(value, float(point.rollover) * 0.999)
    lowest = float(point.minimum) if point.minimum is not None else value
    highest = float(point.maximum) if point.maximum is not None else value
    value = min(max(value, lowest), highest)
    got = decoded(point, encoder(point, factor)(value), exact)
    if signed or not isinstance(got, str):
        assert isinstance(got, int | float | Decimal), got
        assert abs(float(got) - value) <= step(point, factor, value) * 1.001 + 1e-9 * abs(value) + 1e-30


@pytest.mark.parametrize("profile_id", catalogue.names())
def test_every_planned_read_is_answered_and_decodes_to_the_plants_values(profile_id: str) -> None:
    meter = meter_of(profile_id)
    image, profile = Image(meter), meter.profile
    at = NOON + 3 * 3600 * NS
    moment = meter.moment(at)
    for block in plan(profile.standard_points, profile.limits, profile.points.values()):
        data = image.read(block.table, block.address, block.count, lambda: at)
        assert len(data) == 2 * block.count
        for point in block.points:
            meant = meter.value(point.name, moment)
            if meant is None or point.type.family is Family.ASCII:
                continue
            factor = multiplier(meter, point, moment)
            start = 2 * (point.address - block.address)
            got = decoded(point, data[start : start + 2 * point.type.registers], Decimal(repr(factor)))
            if got is Fault.SENTINEL and meant == 0 and point.sentinels[0].bits == 0:
                continue  # SunSpec: a counter at 0 is one the meter does not have
            assert isinstance(got, int | float | Decimal), f"{point.name}: {got} for {meant}"
            assert abs(float(got) - meant) <= step(point, factor, meant) * 1.001 + 1e-9 * abs(meant), point.name


COUNTS_NOTHING = {"kamstrup-multical-602", "kamstrup-multical-603", "sunspec-common"}  # no register of the main energy


@pytest.mark.parametrize("profile_id", sorted(set(catalogue.names()) - COUNTS_NOTHING))
def test_a_meter_counts_what_flowed_where_it_stands(profile_id: str) -> None:
    meter = meter_of(profile_id)
    before, after = meter.moment(NOON), meter.moment(NOON + 3600 * NS)
    first, last = meter.value(meter.main_point, before), meter.value(meter.main_point, after)
    assert first is not None
    assert last is not None
    assert last - first == pytest.approx(simulator().plant.amount(meter.meter.measures, NOON, NOON + 3600 * NS))


@pytest.mark.parametrize("profile_id", [name for name in catalogue.names() if catalogue.load(name).settings])
def test_a_simulated_meter_is_set_as_its_profile_needs_it(profile_id: str) -> None:
    meter = meter_of(profile_id)
    for setting in meter.profile.settings:
        assert meter.value(setting.name, meter.moment(NOON)) == setting.value


def test_the_phases_sum_up_and_agree_with_power_and_voltage() -> None:
    meter = meter_of("siemens-pac3200")
    moment = meter.moment(NOON + 12_345 * NS)

    def of(point: str) -> float:
        value = meter.value(point, moment)
        assert value is not None
        return value

    phases = ("l1", "l2", "l3")
    assert sum(of(f"power_active_{n}") for n in phases) == pytest.approx(of("power_active_total"))
    assert sum(of(f"power_reactive_{n}") for n in phases) == pytest.approx(of("power_reactive_total"))
    assert of("power_apparent_total") ** 2 == pytest.approx(
        of("power_active_total") ** 2 + of("power_reactive_total") ** 2
    )
    for n in phases:
        assert of(f"voltage_{n}_n") * of(f"current_{n}") == pytest.approx(of(f"power_apparent_{n}"))
        assert of(f"power_factor_{n}") == pytest.approx(of(f"power_active_{n}") / of(f"power_apparent_{n}"))
    assert of("voltage_l1_l2") == pytest.approx(of("voltage_l1_n") * 3**0.5, rel=0.01)


def refused(profile: Profile, table: Table, address: int, count: int) -> int:
    with pytest.raises(ReadRefused) as caught:
        Image(meter_of(profile.id)).read(table, address, count, lambda: NOON)
    return caught.value.code


def test_an_unknown_address_is_exception_2() -> None:
    assert refused(catalogue.load("fuxin-gas-corrector"), Table.HOLDING, 4000, 2) == 2
    assert refused(catalogue.load("fuxin-gas-corrector"), Table.INPUT, 10, 2) == 2
    assert refused(catalogue.load("fuxin-gas-corrector"), Table.HOLDING, 28, 3) == 2


def test_a_longer_read_than_the_meter_takes_is_exception_3() -> None:
    profile = catalogue.load("eastron-sdm630")
    assert refused(profile, Table.INPUT, 0, profile.limits.max_registers + 2) == 3


def test_an_odd_address_is_refused_by_a_meter_that_wants_even_ones() -> None:
    assert catalogue.load("eastron-sdm630").limits.even_addresses
    assert refused(catalogue.load("eastron-sdm630"), Table.INPUT, 1, 2) == 2


def test_a_read_may_begin_and_end_inside_a_value() -> None:
    image = Image(meter_of("schneider-pm5100"))
    whole = image.read(Table.HOLDING, 3203, 4, lambda: NOON)
    assert image.read(Table.HOLDING, 3204, 2, lambda: NOON) == whole[2:6]


def test_a_reversed_meter_counts_export_and_shows_negative_power() -> None:
    plain = meter_of("siemens-pac3200")
    turned = SimulatedMeter(
        plain.meter.model_copy(update={"reversed": True}), plain.profile, simulator().plant, voltage=400, frequency=50
    )
    moment, same = turned.moment(NOON), plain.moment(NOON)
    assert turned.main_point == "energy_active_export_total"
    assert turned.value("energy_active_export_total", moment) == plain.value("energy_active_import_total", same)
    assert turned.value("energy_active_import_total", moment) == 0
    assert turned.value("power_active_total", moment) == -plain.value("power_active_total", same)  # type: ignore[operator]
