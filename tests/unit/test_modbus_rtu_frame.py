"""RTU framing, debts and line times as pure functions."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.pdu import read_request
from drivers.modbus.rtu_debts import FORGOTTEN_S, Debts
from drivers.modbus.rtu_frame import crc16, explain, find_reply, is_sealed, sealed
from drivers.modbus.serial_line import SerialLine


def request(unit: int, function: int, address: int, count: int) -> bytes:
    return sealed(bytes((unit,)) + read_request(function, address, count))


def reply(unit: int, function: int, data: bytes) -> bytes:
    return sealed(bytes((unit, function, len(data))) + data)


def test_the_crc_is_that_of_the_standard() -> None:
    # MODBUS over Serial Line V1.02, appendix B: 02 07 gives 41 12 on the wire
    assert crc16(b"\x02\x07") == 0x1241
    assert sealed(b"\x02\x07") == b"\x02\x07\x41\x12"
    assert is_sealed(b"\x02\x07\x41\x12")
    assert not is_sealed(b"\x02\x07\x41\x13")


@given(
    st.integers(1, 247),
    st.sampled_from((3, 4)),
    st.binary(min_size=2, max_size=250),
    st.binary(max_size=20),
    st.binary(max_size=5),
)
def test_a_reply_is_found_behind_garbage_that_holds_none(
    unit: int, function: int, data: bytes, before: bytes, after: bytes
) -> None:
    data = data[: len(data) // 2 * 2]
    asked = request(unit, function, 0, len(data) // 2)
    whole = reply(unit, function, data)
    if find_reply(before + whole[:-1], asked, len(data) // 2) is not None:
        return
    found = find_reply(before + whole + after, asked, len(data) // 2)
    assert found is not None
    assert found[0] == bytes((function, len(data))) + data


@given(st.binary(max_size=300))
def test_whatever_is_no_reply_has_a_reason(data: bytes) -> None:
    asked = request(1, 3, 0, 2)
    if find_reply(data, asked, 2) is None:
        assert explain(data, asked, 2).fault.startswith("reply_")


def test_a_unit_that_owes_a_reply_is_probed_with_a_shape_it_does_not_owe() -> None:
    debts = Debts()
    assert not debts.owes(1, 0.0)
    debts.missed(1, 3, 2, 0.0)
    assert debts.owes(1, 1.0)
    assert not debts.owes(2, 1.0)
    assert debts.probes(1, 3) == ((3, 1), (4, 1))
    assert debts.owes_to(1, 3)
    assert not debts.owes_to(1, 4)
    debts.missed(1, 3, 1, 1.0)
    debts.missed(1, 4, 1, 1.0)
    assert debts.probes(1, 3) == ((3, 3), (4, 2))
    assert debts.owes_to(1, 4)
    debts.answered(1)
    assert not debts.owes(1, 2.0)


def test_a_debt_is_forgotten_when_nothing_can_come_any_more() -> None:
    debts = Debts()
    debts.missed(1, 3, 2, 5.0)
    debts.missed(1, 3, 1, 7.0)
    assert debts.owes(1, 5.0 + FORGOTTEN_S)
    assert debts.probes(1, 3)[0] == (3, 2)
    assert not debts.owes(1, 7.0 + FORGOTTEN_S)


def test_the_echo_of_a_request_is_never_its_reply_even_where_a_part_of_it_has_a_right_checksum() -> None:
    """Seven bytes of the request are a whole reply with one register, checksum and all."""
    found = 0
    for unit, function, low in itertools.product(range(1, 248), (3, 4), range(256)):
        asked = request(unit, function, 0x200 + low, 1)
        if is_sealed(asked[:7]):
            found += 1
            assert find_reply(asked[:7], asked, 1) is None
            assert find_reply(asked, asked, 1) is None
            right = reply(unit, function, b"\x12\x34")
            assert find_reply(asked + right, asked, 1) == (right[1:-2], len(asked) + len(right))
    assert found > 0


@pytest.mark.parametrize(
    ("text", "character_us", "silence_us"),
    [
        ("9600 8N1", 1041.67, 3645.83),
        ("19200 8E1", 572.92, 2005.21),
        ("9600 8N2", 1145.83, 4010.42),
        ("115200 8N1", 86.81, 1750),
    ],
)
def test_a_line_knows_its_times(text: str, character_us: float, silence_us: float) -> None:
    line = SerialLine.parse(text)
    assert str(line) == text
    assert line.character_s * 1e6 == pytest.approx(character_us, abs=0.01)
    assert line.silence_s * 1e6 == pytest.approx(silence_us, abs=0.01)


def test_the_time_of_a_read_is_that_of_the_wire() -> None:
    assert SerialLine.parse("9600 8N1").read_s(60) == pytest.approx(0.1459, abs=1e-4)
    assert SerialLine.parse("115200 8N1").read_s(2) == pytest.approx(0.0050, abs=1e-4)


@pytest.mark.parametrize("text", ["9600", "9600 8n1", "9601 8N1", "9600 8N3", "9600 9N1", ""])
def test_what_is_no_line_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no serial line: write baud rate"):
        SerialLine.parse(text)
