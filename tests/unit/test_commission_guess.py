"""Help with an unknown meter: what looks like physics is found, with the right type, order, scale and address."""

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.commission.guess import LIKELY, Guess, guess
from drivers.commission.interpret import NUMBERS, number_at, text_at
from drivers.modbus.profile import WordOrder
from drivers.modbus.profile_file import build_profile
from wattline.strict_yaml import load_text


def registers(data: bytes, start: int = 0) -> dict[int, bytes]:
    return {start + n: data[2 * n : 2 * n + 2] for n in range(len(data) // 2)}


def floats(*values: float, little: bool = False) -> bytes:
    parts = [struct.pack(">f", value) for value in values]
    return b"".join(part[2:] + part[:2] if little else part for part in parts)


def by_point(guesses: tuple[Guess, ...]) -> dict[str, Guess]:
    return {guess.points[0]: guess for guess in reversed(guesses) if guess.score >= LIKELY}


@pytest.mark.parametrize("little", [False, True])
@pytest.mark.parametrize("start", [0, 3027])
def test_a_meter_of_floats_is_understood_in_either_word_order(little: bool, start: int) -> None:
    data = floats(231.3, 229.8, 230.4, 12.3, 11.7, 13.1, 400.1, 399.2, 401.5, 0.0, 50.02, 0.93, little=little)
    found = by_point(guess(registers(data, start)))
    assert found["voltage_l1_n"].address == start
    assert found["voltage_l1_l2"].address == start + 12
    assert found["frequency"].address == start + 20
    order = WordOrder.LITTLE if little else WordOrder.BIG
    assert {one.word_order for one in found.values()} == {order}
    assert found["voltage_l1_n"].values == ("231.3", "229.8", "230.4")


def test_voltages_between_phases_before_those_to_neutral_do_not_shift_the_reading() -> None:
    data = floats(404.2, 404.1, 403.9, 404.07, 233.36, 233.37, 233.12, 0.0, 233.29, 0.0, 0.068, 443.0, 440.4, 459.2)
    found = by_point(guess(registers(data, 3019)))
    assert (found["voltage_l1_n"].address, found["voltage_l1_n"].word_order) == (3027, WordOrder.BIG)
    assert found["voltage_l1_l2"].address == 3019


def test_whole_numbers_with_a_scale_are_understood() -> None:
    data = struct.pack(">3I3iH", 2313, 2298, 2304, -12345, 1170, 1300, 5002)
    found = by_point(guess(registers(data)))
    assert found["voltage_l1_n"].profile_lines == (
        "voltage_l1_n: {address: 0, type: u32, unit: V, scale: 0.1}",
        "voltage_l2_n: {address: 2, type: u32, unit: V, scale: 0.1}",
        "voltage_l3_n: {address: 4, type: u32, unit: V, scale: 0.1}",
    )
    short = by_point(guess(registers(struct.pack(">4H", 2313, 2298, 2304, 17))))
    assert (str(short["voltage_l1_n"].type), short["voltage_l1_n"].scale) == ("u16", Decimal("0.1"))


def test_what_grew_between_two_reads_is_a_counter() -> None:
    first = struct.pack(">HIIH", 7, 84_123_109, 55, 3)
    later = struct.pack(">HIIH", 7, 84_123_121, 55, 3)
    found = by_point(guess(registers(first), registers(later)))
    counter = found["energy_active_import_total"]
    assert (counter.address, str(counter.type), counter.word_order) == (1, "u32", WordOrder.BIG)
    assert "grew by 12" in counter.why
    assert "energy_active_import_total" not in by_point(guess(registers(first), registers(first)))


def test_text_is_found() -> None:
    (found,) = guess(registers(b"\x00\x07" + b"PM5110 7\0\0" + b"\x00\x01"))
    assert (found.address, str(found.type), found.values) == (1, "ascii5", ("PM5110 7",))


def test_the_lines_can_be_put_into_a_profile() -> None:
    data = floats(231.3, 229.8, 230.4, 50.02, little=True)
    lines = [line for one in guess(registers(data)) for line in one.profile_lines]
    head = "id: found\nmanufacturer: A\nmodel: B\nmedium: electricity\nmanual: {title: none}\npoints:\n"
    profile = build_profile(load_text(head + "".join(f"  {line}\n" for line in lines), "found.yaml"))
    assert {"voltage_l1_n", "voltage_l3_n", "frequency"} <= set(profile.points)


def test_nothing_is_guessed_from_nothing() -> None:
    assert guess({}) == ()
    assert guess(registers(bytes(80))) == ()


@given(st.binary(max_size=160), st.integers(0, 65000), st.binary(max_size=160))
def test_no_registers_make_it_fail_and_no_register_is_explained_twice(data: bytes, start: int, later: bytes) -> None:
    words = registers(data, start)
    explained = [at for one in guess(words, registers(later, start)) for at in range(one.address, one.end)]
    assert len(explained) == len(set(explained))
    assert set(explained) <= set(words)
    for at in words:
        text_at(words, at)
        assert all(number_at(words, at, *number) is None or at in words for number in NUMBERS)
