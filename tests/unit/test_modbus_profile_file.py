"""Profiles at the door: what a technician writes, and the message for each thing that can be wrong with it."""

from decimal import Decimal
from pathlib import Path

import pytest

from drivers.modbus import catalogue
from drivers.modbus.profile import Family, Form, Limits, Profile, Sentinel, Table, ValueType, WordOrder
from drivers.modbus.profile_file import build_profile, load_profile
from drivers.modbus.unit_advice import conversion
from metering.quantities import Kind
from metering.sweep import PointInfo
from wattline.errors import ConfigError
from wattline.strict_yaml import load_text

HEAD = """\
id: test-meter
manufacturer: Test
model: Meter
medium: electricity
manual: {title: Manual, pages: 3-4}
"""

FULL = """\
modbus:
  default_unit: 2
  serial: 9600 8E1
  table: input
  word_order: little
  address_base: 30001
  sentinels: {u32: "0xFFFFFFFF"}
limits:
  {max_registers: 60, max_gap: 4, even_addresses: true, forbidden: [30011..30012], min_pause: 100ms, timeout: 2s}
points:
  voltage_l1_n: {address: 30001, type: f32, unit: V, min: 0, max: 500}
  ct_ratio: {address: 40003, type: u16, scale: 0.1, table: holding, on_request: true}
  energy_active_import_total: {address: 30005, type: u32, unit: kWh, scale: 0.01, multiply_by: [ct_ratio], verified: false}
  energy_active_export_total: {address: 30007, type: i64, unit: kWh, rollover: 1e8, word_order: big, sentinel: ["0x7FFFxxxxxxxxxxxx", "0x8000000000000000"]}
  power_factor_total: {address: "0x753D", type: f32, form: four_quadrant_pf, note: hexadecimal}
"""


def load(text: str) -> Profile:
    return build_profile(load_text(HEAD + text, "test-meter.yaml"))


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text)
    return str(caught.value).splitlines()


def point(keys: str, name: str = "voltage_l1_n", more: str = "") -> list[str]:
    return mistakes(f"{more}points:\n  {name}: {{{keys}}}\n")


def test_all_that_a_profile_can_say() -> None:
    profile = load(FULL)
    assert (profile.manual, profile.default_unit, profile.serial) == ("Manual, p. 3-4", 2, "9600 8E1")
    assert profile.limits == Limits(
        max_registers=60, max_gap=4, even_addresses=True, forbidden=((10, 11),), min_pause_s=0.1, timeout_s=2.0
    )
    voltage = profile.points["voltage_l1_n"]
    assert (voltage.table, voltage.address, voltage.type) == (Table.INPUT, 0, ValueType(Family.FLOAT, 2))
    assert (voltage.word_order, voltage.minimum, voltage.maximum) == (WordOrder.LITTLE, 0, 500)
    ratio = profile.points["ct_ratio"]
    assert (ratio.table, ratio.address, ratio.scale, ratio.on_request) == (Table.HOLDING, 10002, Decimal("0.1"), True)
    energy = profile.points["energy_active_import_total"]
    assert energy.sentinels == (Sentinel(0xFFFFFFFF, 0xFFFFFFFF),)
    assert (energy.multiply_by, energy.verified) == (("ct_ratio",), False)
    export = profile.points["energy_active_export_total"]
    assert export.sentinels == (Sentinel(0x7FFF << 48, 0xFFFF << 48), Sentinel(1 << 63, 2**64 - 1))
    assert export.info == PointInfo(name=export.name, unit="kWh", kind=Kind.COUNTER, modulus=Decimal(10**8))
    assert profile.points["power_factor_total"].form is Form.FOUR_QUADRANT_PF
    assert profile.points["power_factor_total"].address == 0x753D - 30001
    assert [p.name for p in profile.standard_points] == [name for name in profile.points if name != "ct_ratio"]


def test_every_mistake_is_told_at_once_with_file_line_and_key() -> None:
    told = mistakes(
        "points:\n"
        "  voltage_l1_n: {address: 0, type: f32, unit: kV}\n"
        "  power_activ_total: {address: 2, type: f32, unit: W}\n"
        "  frequency: {address: 4, type: f32}\n"
    )
    assert told == [
        "test-meter.yaml:7: points.voltage_l1_n.unit: this point is measured in V: write unit: V and scale: 1000",
        (
            "test-meter.yaml:8: points.power_activ_total: is not a point name: <quantity>[_<direction>]"
            "[_<phase or tariff>]; quantities near it: power_active, power_reactive, power_factor"
        ),
        "test-meter.yaml:9: points.frequency.unit: is missing; this point is measured in Hz",
    ]


@pytest.mark.parametrize(
    ("keys", "key", "says"),
    [
        ("address: 0, type: f32, unit: V, scael: 2", ".scael", "is not a key that is known here"),
        ("type: f32, unit: V", ".address", "is missing"),
        ("address: -1, type: f32, unit: V", ".address", "must be an address"),
        ("address: '0xZZ', type: f32, unit: V", ".address", "must be an address"),
        ("address: 65535, type: f32, unit: V", ".address", "is no address with address_base 0"),
        ("address: 0, type: float, unit: V", ".type", "'float' is not a type: u16 i16"),
        ("address: 0, type: bcd6, unit: V", ".type", "has not 4, 8, 12 or 16 digits"),
        ("address: 0, type: ascii40, unit: V", ".type", "has not 1 to 32 registers"),
        ("address: 0, type: ascii4, unit: V", ".type", "text cannot be a gauge"),
        ("address: 0, type: u16, unit: V, scale: 0", ".scale", "must not be 0"),
        ("address: 0, type: u16, unit: V, scale: '0.1'", ".scale", "must be a number"),
        ("address: 0, type: u16, unit: kW", ".unit", "kW cannot be converted into it; is the point's name right?"),
        ("address: 0, type: u16, unit: mV, scale: 10", ".unit", "write unit: V and scale: 0.01"),
        ("address: 0, type: u16, unit: V, sentinel: '0xFF'", ".sentinel", "the 4 digits of u16"),
        ("address: 0, type: f32, unit: V, sentinel: '0x7FC00000'", ".sentinel", "that is a fault anyway"),
        ("address: 0, type: bcd4, unit: V, sentinel: '0xFFFF'", ".sentinel", "a bcd4 has none"),
        ("address: 0, type: u16, unit: V, min: 5, max: 4", ".min", "is above max 4"),
        ("address: 0, type: u16, unit: V, rollover: 100", ".rollover", "this is a gauge"),
        ("address: 0, type: u16, unit: V, form: four_quadrant_pf", ".form", "is of a float register"),
        ("address: 0, type: u16, unit: V, multiply_by: [ct]", ".multiply_by.0", "ct is no point of this file"),
        ("address: 0, type: u16, unit: V, word_order: middle", ".word_order", "'big' or 'little'"),
    ],
)
def test_a_mistake_in_a_point_is_named(keys: str, key: str, says: str) -> None:
    (told,) = point(keys)
    assert told.startswith(f"test-meter.yaml:7: points.voltage_l1_n{key}: ")
    assert says in told


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("modbus: {serial: 9600 7E1}\n", ":6: modbus.serial: "),
        ("modbus: {address_base: 2}\n", ":6: modbus.address_base: "),
        ("limits: {max_registers: 126}\n", ":6: limits.max_registers: "),
        ("limits: {min_pause: 100}\n", ":6: limits.min_pause: must be a duration"),
        ("limits: {timeout: 2d}\n", ":6: limits.timeout: is more than 30s: all other meters of the bus would wait"),
        ("limits: {blocks: [29..10]}\n", ":6: limits.blocks.0: 29..10 ends before it starts"),
        (
            "limits: {forbidden: [0..3]}\n",
            ":7: points.voltage_l1_n: no read within the limits brings voltage_l1_n (f32",
        ),
        ("limits: {blocks: [0..200]}\n", ":7: points.voltage_l1_n: its block holding 0+201 is more than one read"),
        ("limits: {max_registers: 1}\n", ":7: points.voltage_l1_n: no read within the limits brings voltage_l1_n (f32"),
        ("medium: steam\n", ":6: medium: stands here a second time"),
    ],
)
def test_a_mistake_above_the_points_is_named(more: str, says: str) -> None:
    told = mistakes(f"{more}points: {{voltage_l1_n: {{address: 0, type: f32, unit: V}}}}\n")
    assert says in "\n".join(told)


def test_a_counter_of_energy_needs_its_direction() -> None:
    (told,) = point("address: 0, type: u32, unit: kWh", name="energy_active_total")
    assert "needs its direction: energy_active_import_total" in told


def test_a_counter_with_multipliers_has_no_rollover() -> None:
    (told,) = mistakes(
        "points:\n  ct_ratio: {address: 1, type: u16}\n"
        "  energy_active_import_total: {address: 2, type: u32, unit: kWh, rollover: 100, multiply_by: [ct_ratio]}\n"
    )
    assert ".rollover: cannot be told in advance" in told


def test_a_multiplier_may_not_be_multiplied_itself() -> None:
    told = mistakes(
        "points:\n  ct_ratio: {address: 1, type: u16, multiply_by: [pt_ratio]}\n"
        "  pt_ratio: {address: 2, type: u16, multiply_by: [ct_ratio]}\n"
    )
    assert len(told) == 2
    assert "pt_ratio must be a plain number" in told[0]


def test_values_that_share_a_register_in_part_are_a_wrong_address() -> None:
    two = "points:\n  voltage_l1_n: {{address: 16, type: u32, unit: V}}\n  voltage_l2_n: {{address: {}, type: u32, unit: V{}}}\n"
    (told,) = mistakes(two.format(17, ""))
    assert ":8: points.voltage_l2_n.address: begins within voltage_l1_n (u32): the address or type" in told
    assert len(load(two.format(18, "")).points) == 2
    assert len(load(two.format(17, ", alone: true")).points) == 2


def test_the_name_of_the_file_is_the_id(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(HEAD + "points: {frequency: {address: 0, type: u16, unit: Hz}}\n")
    with pytest.raises(ConfigError, match=r"other.yaml:1: id: is 'test-meter', so .* test-meter.yaml"):
        load_profile(file)


@pytest.mark.parametrize(
    ("unit", "into", "factor"),
    [
        ("kW", "W", 1000), ("MWh", "kWh", 1000), ("Wh", "kWh", "0.001"), ("kvar", "var", 1000), ("mA", "A", "0.001"),
        ("l/s", "m3/h", "3.6"), ("m3/s", "m3/h", 3600), ("bar", "kPa", 100), ("Pa", "kPa", "0.001"), ("MPa", "kPa", 1000),
        ("V", "A", None), ("kWh", "W", None), ("m", "W", None),
    ],
)  # fmt: skip
def test_units_of_datasheets_are_converted(unit: str, into: str, factor: int | str | None) -> None:
    assert conversion(unit, into) == (None if factor is None else Decimal(factor))


@pytest.mark.parametrize("profile_id", catalogue.names())
def test_every_shipped_profile_loads_and_says_where_its_facts_come_from(profile_id: str) -> None:
    profile = catalogue.load(profile_id)
    assert profile.id == profile_id
    assert profile.sources
    assert profile.notes
    assert profile.manual
    assert profile.standard_points


def test_a_typo_in_a_profile_id_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"no profile 'schnieder-pm5100': did you mean schneider-pm5100"):
        catalogue.load("schnieder-pm5100")


def test_a_plants_own_profile_goes_before_a_shipped_one(tmp_path: Path) -> None:
    own = tmp_path / "abb-b23.yaml"
    own.write_text(HEAD.replace("test-meter", "abb-b23") + "points: {frequency: {address: 0, type: u16, unit: Hz}}\n")
    assert list(catalogue.load("abb-b23", tmp_path).points) == ["frequency"]
    assert catalogue.find("siemens-pac3200", tmp_path).parent == catalogue.SHIPPED
    assert len(catalogue.load("abb-b23").points) > 1


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"a": "extends: b\n", "b": "extends: a\n"},
            "a.yaml:2: extends: more than 4 profiles in a row, or in a circle",
        ),
        ({"a": "extends: a\n"}, "a.yaml:2: extends: is the profile itself"),
        ({"a": "model: A\nextends: abb-b32\n"}, "a.yaml:3: extends: no profile 'abb-b32': did you mean abb-b23?"),
        (
            {"a": "extends: b\n", "b": "extends: abb-b23\nlimits: {max_regs: 3}\n"},
            "b.yaml:3: limits.max_regs: is not a key that is known here; check its spelling",
        ),
    ],
)
def test_a_mistake_in_what_is_extended_names_the_file_it_stands_in(
    tmp_path: Path, files: dict[str, str], told: str
) -> None:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(f"id: {name}\n{text}")
    with pytest.raises(ConfigError) as caught:
        catalogue.load("a", tmp_path)
    assert str(caught.value) == f"{tmp_path}/{told}"


def test_points_are_chosen_by_name_and_by_quantity() -> None:
    profile = catalogue.load("eastron-sdm120")
    chosen = [point.name for point in profile.select(["energy_active", "frequency", "serial_number"])]
    assert chosen == [
        "frequency",
        "energy_active_import_total",
        "energy_active_export_total",
        "energy_active_sum_total",
        "serial_number",
    ]
    with pytest.raises(ValueError, match=r"has no point 'freqency'; near it: frequency"):
        profile.select(["freqency"])
