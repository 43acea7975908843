"""Float32 as text: many at once say the same as one by one, and that is the shortest."""

import struct
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from metering.float32 import shortest_float32, with_digits

singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
usual = st.integers(1, 999_999_999).map(lambda n: struct.unpack("<f", struct.pack("<f", n / 1e4))[0])


def _alone(values: list[float]) -> list[Decimal]:
    return [Decimal(shortest_float32(value)) for value in values]


def _texts(values: list[float]) -> list[str]:
    return (("%.*g " * len(values)) % tuple(with_digits(values))).split()


@given(st.lists(st.one_of(singles, usual, usual.map(lambda value: -value)), max_size=40))
def test_many_at_once_are_written_as_each_alone(values: list[float]) -> None:
    assert [Decimal(text) for text in _texts(values)] == _alone(values)


def test_around_every_power_of_two_and_of_ten_the_shortest_is_found() -> None:
    centres = [2.0**exponent for exponent in range(-40, 60)] + [10.0**exponent for exponent in range(-12, 18)]
    values: list[float] = []
    for centre in centres:
        (bits,) = struct.unpack("<I", struct.pack("<f", centre))
        values += struct.unpack("<41f", struct.pack("<41I", *range(bits - 20, bits + 21)))
    assert [Decimal(text) for text in _texts(values)] == _alone(values)


def test_a_decimal_that_a_person_would_write_comes_back_as_it_was() -> None:
    for text in ("230.1", "0.97", "50", "-12.5", "1234567", "0.001", "99999.9", "16777216", "0"):
        assert _texts([float(text)]) == [text]
