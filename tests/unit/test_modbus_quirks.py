"""Quirks no shipped profile needs, but a profile of one's own may: split and carrying registers, offsets, turned signs."""

from decimal import Decimal

import pytest

from drivers.modbus.plan import plan
from drivers.modbus.profile import Profile
from drivers.modbus.profile_file import build_profile
from drivers.modbus.sweep_decoder import SweepDecoder
from metering.sweep import Value
from wattline.errors import ConfigError
from wattline.strict_yaml import load_text

HEAD = "id: x\nmanufacturer: M\nmodel: X\nmedium: electricity\nmanual: {title: m}\n"


def profile(text: str) -> Profile:
    return build_profile(load_text(HEAD + text, "x.yaml"))


def read(made: Profile, registers: dict[int, int]) -> dict[str, Value]:
    wanted = made.select(None)
    names = [point.name for point in wanted]
    blocks = plan(made.registers_of(names), made.limits)
    replies = [
        b"".join(registers[block.address + n].to_bytes(2, "big") for n in range(block.count)) for block in blocks
    ]
    values, faults, _ = SweepDecoder(blocks, names, tuple(made.computed.values())).decode(replies)
    assert not faults
    return values


def test_registers_that_count_to_9999_and_carry_over_are_one_counter() -> None:
    made = profile(
        "computed:\n"
        "  energy_active_import_total: {plus: [energy_active_import_1, energy_active_import_2], rollover: 1e8}\n"
        "points:\n"
        "  energy_active_import_1: {address: 0, type: u16, unit: kWh, on_request: true}\n"
        "  energy_active_import_2: {address: 1, type: u16, unit: kWh, scale: 10000, on_request: true}\n"
    )
    assert read(made, {0: 9876, 1: 1234}) == {"energy_active_import_total": 12349876}
    assert made.computed["energy_active_import_total"].info.modulus == Decimal(10**8)


def test_a_whole_part_and_a_fraction_are_one_exact_value() -> None:
    made = profile(
        "computed:\n"
        "  energy_active_import_total: {plus: [energy_active_import_1, energy_active_import_2]}\n"
        "points:\n"
        "  energy_active_import_1: {address: 0, type: u32, unit: kWh, on_request: true}\n"
        "  energy_active_import_2: {address: 2, type: u16, unit: kWh, scale: 0.001, on_request: true}\n"
    )
    assert read(made, {0: 1, 1: 2, 2: 7}) == {"energy_active_import_total": 65538.007}


def test_a_turned_sign_is_a_negative_scale_and_its_bounds_stay_in_the_unit() -> None:
    made = profile(
        "points:\n  power_active_total: {address: 0, type: i16, unit: W, scale: -10, min: -400000, max: 300000}\n"
    )
    assert read(made, {0: 25}) == {"power_active_total": -250}
    assert read(made, {0: 0x10000 - 25}) == {"power_active_total": 250}


@pytest.mark.parametrize(("offset", "at"), [(0, 9), (32768, 32777), (-4, 5)])
def test_a_map_that_a_gateway_puts_elsewhere_needs_one_number(offset: int, at: int) -> None:
    made = profile(
        f"modbus: {{address_base: 40001, address_offset: {offset}}}\n"
        "limits: {forbidden: [40100..40101]}\n"
        "points:\n  voltage_l1_n: {address: 40010, type: u16, unit: V}\n"
    )
    assert made.points["voltage_l1_n"].address == at
    assert made.limits.forbidden == ((99 + offset, 100 + offset),)
    assert read(made, {at: 230}) == {"voltage_l1_n": 230}


def test_only_a_counter_has_a_rollover() -> None:
    with pytest.raises(ConfigError, match="rollover: is the value at which a counter starts again; this is a gauge"):
        profile(
            "computed:\n  power_active_total: {plus: [power_active_l1], rollover: 5}\n"
            "points:\n  power_active_l1: {address: 0, type: u16, unit: W}\n"
        )
