"""Modbus ASCII as bytes: the standard's form, whatever the pieces it comes in, and nothing wrong is ever sealed."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.ascii import FromAscii, ascii_time, lrc, to_ascii
from drivers.modbus.rtu_frame import is_sealed, sealed
from drivers.modbus.serial_line import SerialLine

BODY = st.binary(min_size=1, max_size=250)


def test_a_request_is_written_as_the_standard_says() -> None:
    """Unit 17, read holding 107+3: the bytes add up to 0x82, so the LRC is 0x7E."""
    request = sealed(bytes.fromhex("1103006B0003"))
    assert to_ascii(request) == b":1103006B00037E\r\n"


@given(BODY, st.lists(st.integers(0, 520), max_size=8))
def test_a_frame_comes_back_in_whatever_pieces(body: bytes, cuts: list[int]) -> None:
    text = to_ascii(sealed(body))
    places = sorted({0, *cuts, len(text)})
    heard = FromAscii()
    out = b"".join(heard.feed(text[a:b]) for a, b in pairwise(places))
    assert out == sealed(body)


@given(BODY, BODY)
def test_noise_before_and_between_is_dropped(first: bytes, second: bytes) -> None:
    text = b"\0\xff:12" + to_ascii(sealed(first)) + b"noise\r\n" + to_ascii(sealed(second))
    assert FromAscii().feed(text).endswith(sealed(first) + sealed(second))


@given(BODY, st.data())
def test_one_wrong_character_is_never_sealed(body: bytes, data: st.DataObject) -> None:
    text = bytearray(to_ascii(sealed(body)))
    at = data.draw(st.integers(1, len(text) - 3))
    text[at] = data.draw(st.integers(0, 255).filter(lambda character: character not in {text[at], ord(":")}))
    out = FromAscii().feed(bytes(text))
    assert not is_sealed(out)


@pytest.mark.parametrize("text", [b":\r\n", b":1\r\n", b":11\r\n", b":1103\n", b":110300\r\r\n", b":" + b"00" * 400])
def test_what_is_no_frame_is_not_sealed(text: bytes) -> None:
    assert not is_sealed(FromAscii().feed(text))


def test_a_frame_without_end_is_bounded() -> None:
    assert len(FromAscii().feed(b":" + b"00" * 100_000)) < 300


def test_the_check_byte_makes_the_sum_zero() -> None:
    assert (sum(b"\x11\x03\x00") + lrc(b"\x11\x03\x00")) & 0xFF == 0


def test_a_byte_takes_two_characters() -> None:
    line = SerialLine.parse("9600 7E1")
    assert ascii_time(line).character_s == 2 * line.character_s
