"""The generated decoder: exact values, and for each way a register can lack a value its fault."""

import math
import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivers.modbus.decode import compile_block
from drivers.modbus.plan import Block
from drivers.modbus.profile import Computed, Form, Point, Table, WordOrder
from drivers.modbus.scaling import Factor
from drivers.modbus.sweep_decoder import SweepDecoder
from metering.faults import Fault
from metering.lineprotocol import encode_sweep, number_text, parse_line
from metering.sweep import Sweep, Value
from support.points import make_point

Result = tuple[dict[str, Value], dict[str, Fault]]
PACK = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}


def decode(data: bytes, *points: Point) -> Result:
    values: dict[str, Value] = {}
    faults: dict[str, Fault] = {}
    compile_block(0, len(data) // 2, points)(data, values, faults)
    return values, faults


def registers(kind: str, number: float, order: WordOrder = WordOrder.BIG) -> bytes:
    data = struct.pack(">" + PACK[kind], number)
    words = [data[at : at + 2] for at in range(0, len(data), 2)]
    return b"".join(words if order is WordOrder.BIG else words[::-1])


def one(kind: str, raw: bytes, **more: Any) -> Value | Fault:
    values, faults = decode(raw, make_point("cfg_x", 0, kind, **more))
    return values["cfg_x"] if values else faults["cfg_x"]


@st.composite
def integers(draw: st.DrawFn) -> tuple[str, int]:
    kind = draw(st.sampled_from(["u16", "i16", "u32", "i32", "u64", "i64"]))
    bits = int(kind[1:])
    low, high = (0, 2**bits - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return kind, draw(st.integers(low, high))


@given(integers(), st.sampled_from(WordOrder), st.sampled_from(["1", "10", "0.1", "0.001", "-0.01", "0.5", "2.5"]))
def test_an_integer_becomes_exactly_register_times_scale(number: tuple[str, int], order: WordOrder, scale: str) -> None:
    kind, raw = number
    value = one(kind, registers(kind, raw, order), scale=scale, word_order=order)
    assert isinstance(value, int | float | Decimal)
    assert Decimal(number_text(value)) == raw * Decimal(scale)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(WordOrder))
def test_a_float32_keeps_its_own_digits_on_the_wire(number: float, order: WordOrder) -> None:
    point = make_point("voltage_l1_n", 0, "f32", word_order=order)
    block = Block(table=Table.HOLDING, address=0, count=2, points=(point,))
    values, faults, float32 = SweepDecoder([block], {point.name}).decode([registers("f32", number, order)])
    assert not faults
    sweep = Sweep(device="d", taken_at=1, values=values, faults={}, float32=float32)
    (line,) = encode_sweep(sweep, ",site=s,gateway=g")
    text = line.split("=")[-1].split()[0]
    assert struct.unpack(">f", struct.pack(">f", float(text))) == (number,)
    assert len(text.replace("-", "").replace(".", "").split("e")[0].strip("0")) <= 9


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(WordOrder))
def test_a_float64_is_read_in_either_word_order(number: float, order: WordOrder) -> None:
    assert one("f64", registers("f64", number, order), word_order=order) == number


def test_a_float64_counter_in_wh_becomes_its_decimal_in_kwh() -> None:
    assert one("f64", registers("f64", 123456789012.0), scale="0.001") == 123456789.012


@pytest.mark.parametrize("bits", ["7fc00000", "7f800000", "ff800000", "ffffffff"])
@pytest.mark.parametrize("order", WordOrder)
def test_nan_and_infinity_are_faults_and_spare_their_neighbours(bits: str, order: WordOrder) -> None:
    raw = bytes.fromhex(bits)
    raw = raw if order is WordOrder.BIG else raw[2:] + raw[:2]
    good = registers("f32", 230.5, order)
    a = make_point("voltage_l1_n", 0, "f32", word_order=order)
    b = make_point("voltage_l2_n", 2, "f32", word_order=order)
    assert decode(raw + good, a, b) == ({"voltage_l2_n": 230.5}, {"voltage_l1_n": Fault.NOT_FINITE})


def test_huge_float64_values_whose_sum_overflows_are_still_values() -> None:
    a, b = make_point("cfg_a", 0, "f64"), make_point("cfg_b", 4, "f64")
    raw = registers("f64", 1.7e308)
    assert decode(raw + raw, a, b) == ({"cfg_a": 1.7e308, "cfg_b": 1.7e308}, {})


@pytest.mark.parametrize(
    ("kind", "raw", "sentinel"),
    [
        ("u16", "ffff", "0xFFFF"),
        ("i16", "7fff", "0x7FFF"),
        ("i16", "8000", "0x8000"),
        ("u32", "ffffffff", "0xFFFFFFFF"),
        ("i32", "7fff1234", "0x7FFFxxxx"),
        ("i32", "80000000", "0x80000000"),
        ("u64", "ff" * 8, "0xFFFFFFFFFFFFFFFF"),
        ("i64", "7fffffffffffffff", "0x7FFFFFFFFFFFFFFF"),
        ("f32", "c61c4000", "0xC61C4000"),
    ],
)
def test_the_meters_no_data_is_no_value(kind: str, raw: str, sentinel: str) -> None:
    assert one(kind, bytes.fromhex(raw), sentinel=sentinel) is Fault.SENTINEL
    other = bytes.fromhex(raw)[:-1] + b"\x01" if "x" not in sentinel[2:] else bytes.fromhex("7ffe1234")
    assert not isinstance(one(kind, other, sentinel=sentinel), Fault)


@pytest.mark.parametrize("kind", ["u16", "i32", "f32", "f64", "bcd4"])
def test_the_bounds_of_a_range_are_inside_it(kind: str) -> None:
    def value(raw: int) -> Value | Fault:
        data = bytes.fromhex(f"{raw:04d}") if kind == "bcd4" else registers(kind, raw)
        return one(kind, data, scale="0.1", minimum="4.0", maximum="6.0")

    assert [value(raw) for raw in (39, 40, 60, 61)] == [Fault.OUT_OF_RANGE, 4.0, 6.0, Fault.OUT_OF_RANGE]


def test_a_range_holds_for_a_negative_scale() -> None:
    assert one("i16", registers("i16", 50), scale="-0.1", minimum="-6", maximum="-4") == -5.0
    assert one("i16", registers("i16", 70), scale="-0.1", minimum="-6", maximum="-4") is Fault.OUT_OF_RANGE


@given(st.integers(0, 10**12 - 1), st.sampled_from(WordOrder))
def test_bcd_digits_are_a_number(number: int, order: WordOrder) -> None:
    data = bytes.fromhex(f"{number:012d}")
    data = data if order is WordOrder.BIG else data[4:] + data[2:4] + data[:2]
    value = one("bcd12", data, scale="0.0001", word_order=order)
    assert Decimal(str(value)) == Decimal(number) / 10000


def test_digits_that_are_none_are_a_fault() -> None:
    assert one("bcd8", bytes.fromhex("1234567a")) is Fault.BAD_DIGITS


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"B23 1.07\0\0", "B23 1.07"),
        (b"AB        ", "AB"),
        (b"\0" * 10, Fault.SENTINEL),
        (b"\xff" * 10, Fault.SENTINEL),
        (b"A\x07BCDEFGHI", Fault.BAD_DIGITS),
        (b"A\xe9BCDEFGHI", Fault.BAD_DIGITS),
    ],
)
def test_text_is_trimmed_and_must_be_printable(data: bytes, value: Value | Fault) -> None:
    assert one("ascii5", data) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [(0.95, 0.95), (-0.5, -0.5), (1.05, 0.95), (-1.25, -0.75), (2.0, 0.0), (2.5, Fault.OUT_OF_RANGE)],
)
def test_the_four_quadrant_power_factor_of_schneider(raw: float, value: float | Fault) -> None:
    got = one("f32", registers("f32", raw), form=Form.FOUR_QUADRANT_PF)
    assert got == (pytest.approx(value, abs=1e-7) if isinstance(value, float) else value)


def test_registers_of_both_word_orders_and_overlapping_points_share_a_block() -> None:
    data = registers("i32", -70_000, WordOrder.LITTLE) + registers("u32", 70_000) + registers("u16", 7)
    values, faults = decode(
        data,
        make_point("cfg_a", 0, "i32", word_order=WordOrder.LITTLE),
        make_point("cfg_b", 2, "u32"),
        make_point("cfg_c", 3, "u16"),
        make_point("cfg_d", 4, "u16", word_order=WordOrder.LITTLE),
    )
    assert values == {"cfg_a": -70_000, "cfg_b": 70_000, "cfg_c": 70_000 & 0xFFFF, "cfg_d": 7}
    assert not faults


@given(st.binary(min_size=48, max_size=48))
def test_any_bytes_give_each_point_a_value_or_a_fault(data: bytes) -> None:
    kinds = ["u16", "i32", "f32", "f64", "u64", "bcd8", "ascii2"]
    points, at = [], 0
    for n, kind in enumerate(kinds):
        point = make_point(
            f"cfg_{n}", at, kind, word_order=list(WordOrder)[n % 2], **({"maximum": "5000"} if n < 4 else {})
        )
        points.append(point)
        at = point.end
    values, faults = decode(data, *points)
    assert set(values) | set(faults) == {point.name for point in points}
    assert not set(values) & set(faults)
    assert all(math.isfinite(value) for value in values.values() if isinstance(value, float))


# Multipliers

CT = make_point("ct_ratio", 6, "i16")
PT = make_point("pt_ratio", 7, "i16", "0.1")
POWER = make_point("power_active_total", 100, "f32", "0.1", multiply_by=("ct_ratio", "pt_ratio"))
ENERGY = make_point("energy_active_import_total", 102, "u32", "0.01", multiply_by=("ct_ratio", "pt_ratio"))
PLAIN = make_point("frequency", 104, "u16", "0.01")
RATIOS = Block(table=Table.HOLDING, address=6, count=2, points=(CT, PT))
MEASURED = Block(table=Table.HOLDING, address=100, count=5, points=(POWER, ENERGY, PLAIN))
DATA = registers("f32", 12.5) + registers("u32", 123_456) + registers("u16", 5001)


def transformed(ratios: bytes | Fault, measured: bytes | Fault = DATA) -> Sweep:
    values, faults, float32 = SweepDecoder(
        [RATIOS, MEASURED], {"power_active_total", "energy_active_import_total", "frequency"}
    ).decode([ratios, measured])
    return Sweep(device="d", taken_at=1, values=values, faults=faults, float32=float32)


def test_values_are_multiplied_with_what_other_registers_say() -> None:
    sweep = transformed(struct.pack(">hh", 40, 15))
    assert sweep.values == {"power_active_total": 75.0, "energy_active_import_total": 74073.6, "frequency": 50.01}
    assert sweep.float32 == {"power_active_total": Decimal("6.00")}
    line = parse_line(encode_sweep(sweep, ",site=s,gateway=g")[0])
    assert line.fields["power_active_total"] == 75


@pytest.mark.parametrize("ratios", [Fault.EXCEPTION_2, struct.pack(">hh", 0, 10), struct.pack(">hh", 40, -1)])
def test_without_a_sensible_multiplier_there_is_no_value(ratios: bytes | Fault) -> None:
    sweep = transformed(ratios)
    assert sweep.values == {"frequency": 50.01}
    assert sweep.faults == {
        "power_active_total": Fault.NO_MULTIPLIER,
        "energy_active_import_total": Fault.NO_MULTIPLIER,
    }


def test_a_changed_multiplier_counts_from_the_next_sweep_on() -> None:
    decoder = SweepDecoder([RATIOS, MEASURED], {"power_active_total"})
    factors = []
    for ct in (40, 40, 80):
        values, _, float32 = decoder.decode([struct.pack(">hh", ct, 10), DATA])
        factors.append((values["power_active_total"], float32["power_active_total"]))
    assert factors == [(50.0, 4), (50.0, 4), (100.0, 8)]


def test_a_float32_multiplier_counts_with_its_own_digits() -> None:
    ratio = make_point("ct_ratio", 0, "f32", "0.1")
    energy = make_point("energy_active_import_total", 2, "u32", multiply_by=("ct_ratio",))
    block = Block(table=Table.HOLDING, address=0, count=4, points=(ratio, energy))
    values, _, _ = SweepDecoder([block], {energy.name}).decode([registers("f32", 16.1) + registers("u32", 100)])
    assert values == {energy.name: 161}


def test_the_faults_of_a_block_are_those_of_its_wanted_points() -> None:
    sweep = transformed(struct.pack(">hh", 40, 10), Fault.EXCEPTION_4)
    assert sweep.values == {}
    assert set(sweep.faults) == {"power_active_total", "energy_active_import_total", "frequency"}


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6))
def test_a_factor_splits_into_whole_number_and_places(number: Decimal) -> None:
    assume(number != 0)
    factor = Factor.of(number)
    assert Decimal(factor.over).scaleb(-factor.places) == number


def test_no_registers_make_a_value_that_nobody_could_read() -> None:
    """One infinite value would spoil the whole parcel, with the readings of all other meters."""
    registers = struct.pack(">dddfffdH", 1e306, 1e307, 1.7e308, 3e38, 3e38, 3e38, 1e300, 65535)
    points = (
        make_point("cfg_scaled", 0, "f64", scale=Decimal(1000)),
        make_point("cfg_multiplied", 4, "f64", multiply_by=("ct_ratio",)),
        make_point("cfg_plain", 8, "f64"),
        make_point("cfg_single", 12, "f32", multiply_by=("ct_ratio", "pt_ratio")),
        make_point("ct_ratio", 14, "f32"),
        make_point("cfg_other", 16, "f32", multiply_by=("ct_ratio",)),
        make_point("pt_ratio", 18, "f64"),
        make_point("cfg_small", 22, "u16", multiply_by=("pt_ratio",)),
    )
    block = Block(table=Table.HOLDING, address=0, count=23, points=points)
    both = Computed(name="cfg_both", quantity=points[0].quantity, plus=("cfg_plain", "cfg_plain"))
    values, faults, _ = SweepDecoder((block,), [p.name for p in points] + ["cfg_both"], (both,)).decode([registers])
    assert set(values) == {"cfg_plain", "ct_ratio", "cfg_other", "pt_ratio"}
    assert faults == {
        "cfg_scaled": Fault.OUT_OF_RANGE, "cfg_multiplied": Fault.OUT_OF_RANGE, "cfg_single": Fault.NO_MULTIPLIER,
        "cfg_small": Fault.NO_MULTIPLIER, "cfg_both": Fault.OUT_OF_RANGE,
    }  # fmt: skip
    assert all(math.isfinite(value) for value in values.values() if isinstance(value, float))


def test_a_ratio_next_to_nothing_is_none() -> None:
    """The digits of a float32 are found by dividing by its factor, and nothing is divided by 1e-340."""
    registers = struct.pack(">ffd", 230.1, 1e-40, 1e-300)
    points = (
        make_point("cfg_single", 0, "f32", multiply_by=("ct_ratio", "pt_ratio")),
        make_point("ct_ratio", 2, "f32"),
        make_point("pt_ratio", 4, "f64"),
    )
    block = Block(table=Table.HOLDING, address=0, count=8, points=points)
    values, faults, float32 = SweepDecoder((block,), [point.name for point in points]).decode([registers])
    assert faults == {"cfg_single": Fault.NO_MULTIPLIER}
    assert encode_sweep(Sweep(device="a", taken_at=1, values=values, faults=faults, float32=float32), "")
