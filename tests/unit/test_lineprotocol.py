"""Line protocol: what is written is exact, and what is read back is what was written."""

import math
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.faults import ALL_POINTS, Fault
from metering.float32 import shortest_float32
from metering.lineprotocol import LineError, check_name, decode_sweeps, encode_sweep, number_text, parse_line
from metering.sweep import Sweep

TAGS = ",site=s-1,gateway=g.1"


def _single(value: float) -> float:
    widened: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return widened


names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True).filter(lambda name: name != ALL_POINTS)
floats = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**20), max_value=10**20)
texts = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Zs", "Cf", "Cn", "Co")), max_size=20)
values = st.one_of(floats, st.integers(-(2**63), 2**64), decimals, texts)


@st.composite
def sweeps(draw: st.DrawFn) -> Sweep:
    points = draw(st.lists(names, min_size=1, max_size=8, unique=True))
    split = draw(st.integers(0, len(points)))
    return Sweep(
        device=draw(st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,10}", fullmatch=True)),
        taken_at=draw(st.integers(0, 2**62)),
        values={point: draw(values) for point in points[:split]},
        faults={point: draw(st.sampled_from(Fault)) for point in points[split:]},
    )


def _exact(sweep: Sweep) -> tuple[object, ...]:
    """A sweep with its numbers as the decimals their texts say: 0.1 and Decimal("0.1") are one value on the wire."""
    numbers = {p: v if isinstance(v, str) else Decimal(number_text(v)) for p, v in sweep.values.items()}
    return sweep.device, sweep.taken_at, numbers, sweep.faults


@given(sweeps())
def test_a_sweep_reads_back_as_it_was_written(sweep: Sweep) -> None:
    lines = encode_sweep(sweep, TAGS)
    assert [_exact(read) for read in decode_sweeps(parse_line(line) for line in lines)] == [_exact(sweep)]


@given(st.lists(sweeps(), max_size=6, unique_by=lambda sweep: (sweep.device, sweep.taken_at)))
def test_many_sweeps_keep_their_order_and_their_faults(many: list[Sweep]) -> None:
    lines = [line for sweep in many for line in encode_sweep(sweep, TAGS)]
    assert [_exact(read) for read in decode_sweeps(parse_line(line) for line in lines)] == [
        _exact(sweep) for sweep in many
    ]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_is_written_with_at_most_nine_digits_and_reads_back_as_itself(value: float) -> None:
    text = shortest_float32(value)
    assert _single(float(text)) == value
    digits = len(Decimal(text).normalize().as_tuple().digits)
    assert digits <= 9
    # a denormal has so few bits that fewer than six digits may do: it gets six all the same
    assert digits <= 6 or _single(float(f"{value:.{digits - 1}g}")) != value, "one digit less would do"


def test_a_float32_is_never_written_as_a_widened_double() -> None:
    widened = _single(230.1)
    sweep = Sweep(
        device="m", taken_at=1, values={"voltage_l1_n": widened}, faults={}, float32={"voltage_l1_n": Decimal(1)}
    )
    assert encode_sweep(sweep, TAGS) == ["meter,site=s-1,gateway=g.1,device=m voltage_l1_n=230.1 1"]
    assert repr(widened) == "230.10000610351562"


@given(
    st.floats(width=32, min_value=-1e9, max_value=1e9), st.sampled_from(["1000", "0.001", "0.1", "3600", "40", "1.5"])
)
def test_a_scaled_float32_is_the_register_times_its_factor_in_decimal(register: float, factor: str) -> None:
    exact = Decimal(shortest_float32(register)) * Decimal(factor)
    value = register * float(factor)
    sweep = Sweep(device="m", taken_at=1, values={"v": value}, faults={}, float32={"v": Decimal(factor)})
    text = encode_sweep(sweep, "")[0].split()[1].removeprefix("v=")
    assert Decimal(text) == exact


@pytest.mark.parametrize(
    ("value", "text"),
    [(5, "5"), (5.0, "5"), (1234.56, "1234.56"), (2**64 - 1, "18446744073709551615"), (Decimal("184467440737095516.15"), "184467440737095516.15"), (-0.5, "-0.5")],
)  # fmt: skip
def test_numbers_are_written_exactly(value: float | Decimal, text: str) -> None:
    assert number_text(value) == text


def test_a_number_beyond_a_double_comes_back_as_decimal() -> None:
    line = parse_line("meter,device=m energy=184467440737095516.15,small=1234.56 1")
    assert line.fields == {"energy": Decimal("184467440737095516.15"), "small": 1234.56}
    assert isinstance(line.fields["small"], float)


def test_a_silent_device_travels_as_one_fault_for_all_points() -> None:
    sweep = Sweep(device="m", taken_at=7, values={}, faults={ALL_POINTS: Fault.TIMEOUT})
    assert encode_sweep(sweep, TAGS) == ['meter_fault,site=s-1,gateway=g.1,device=m all_points="timeout" 7']


@pytest.mark.parametrize(
    "line",
    [
        "",
        "meter",
        "meter,device=m",
        "meter,device=m v=1",
        "meter,device=m v=nan 1",
        "meter,device=m v=inf 1",
        "meter,device=m v=1e999 1",
        "meter,device=m v=12x 1",
        'meter,device=m v="open 1',
        "meter,device=m v=1 not-a-time",
        "meter,device v=1 1",
        r"meter,device=a\ b v=1 1",
        ",device=m v=1 1",
        "meter,device=m v= 1",
    ],
)
def test_a_line_that_is_not_ours_is_refused_with_a_reason(line: str) -> None:
    with pytest.raises(LineError, match=r"\w"):
        list(decode_sweeps(iter([parse_line(line)])))


@pytest.mark.parametrize("line", ["meter v=1 1", "other,device=m v=1 1", 'meter_fault,device=m v="tired" 1'])
def test_a_well_formed_line_with_another_meaning_is_refused(line: str) -> None:
    with pytest.raises(LineError):
        list(decode_sweeps(iter([parse_line(line)])))


@given(st.text(max_size=80))
def test_any_text_is_parsed_or_refused_but_never_a_crash(text: str) -> None:
    try:
        line = parse_line(text)
    except LineError:
        return
    assert all(not isinstance(value, float) or math.isfinite(value) for value in line.fields.values())


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a=b", "-a", "x" * 65, "厂", 'a"b'])
def test_a_name_that_would_need_escaping_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        check_name(name)
