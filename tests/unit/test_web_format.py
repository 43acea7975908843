"""Numbers, ages and times as the page writes them."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre.web_format import ABSENT, digits, parts_of_age, percent, plain, show, when
from wattline.clock import NS

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "W", "0 kW"),
        (850, "W", "0.85 kW"),
        (4123, "W", "4.12 kW"),
        (41_234, "W", "41.2 kW"),
        (412_345.6, "W", "412 kW"),
        (-4_123_456, "W", "−4,123 kW"),
        (9_999_000, "W", "9,999 kW"),
        (10_000_000, "W", "10.0 MW"),
        (Decimal("14263.42"), "kWh", "14.3 MWh"),
        (Decimal("7287.66"), "kg", "7,288 kg"),
        (Decimal(12000), "kg", "12.0 t"),
        (12.4, "m3/h", "12.4 m³/h"),
        (None, "W", ABSENT),
    ],
)
def test_a_value_is_shown_in_the_unit_that_suits_its_size(value: Decimal | None, unit: str, text: str) -> None:
    assert str(show(value, unit)).replace("\u202f", " ") == text


@given(st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, places=4))
def test_digits_never_change_a_value_by_more_than_half_a_percent_and_half_a_hundredth(value: Decimal) -> None:
    back = Decimal(digits(value).replace(",", "").replace("−", "-"))
    assert abs(back - value) <= abs(value) / 200 + Decimal("0.005")


@given(st.decimals(min_value=0, max_value=1, allow_nan=False, places=6))
def test_a_share_is_100_or_0_percent_only_when_it_is_exactly_that(share: Decimal) -> None:
    text = percent(share).replace("\u202f", " ")
    assert (text == "100 %") == (share == 1)
    assert (text == "0 %") == (share == 0)


def test_more_than_the_whole_is_told_as_such() -> None:
    assert [percent(Decimal(share)) for share in ("1.6797", "1.0001")] == ["168.0\u202f%", ">100\u202f%"]


def test_an_absent_share_is_a_dash() -> None:
    assert percent(None) == ABSENT


@pytest.mark.parametrize(("value", "text"), [("0.5581", "0.5581"), ("0.1100", "0.11"), ("1E+2", "100"), ("-3.0", "−3")])
def test_a_factor_is_shown_with_all_its_digits(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


@pytest.mark.parametrize(
    ("seconds", "parts"),
    [
        (-3, ((0, "s"),)),
        (59.9, ((59, "s"),)),
        (60, ((1, "min"),)),
        (7500, ((2, "h"), (5, "min"))),
        (86400, ((1, "d"),)),
        (86400 * 3 + 61, ((3, "d"),)),
    ],
)
def test_an_age_has_its_two_largest_parts(seconds: float, parts: tuple[tuple[int, str], ...]) -> None:
    assert parts_of_age(seconds) == parts


def test_a_time_is_that_of_the_site_and_names_the_day_when_it_is_another() -> None:
    now = 1795154850 * NS  # 2026-11-20 14:07:30 in Shanghai
    assert when(now - 60 * NS, now, SHANGHAI) == "14:06:30"
    assert when(now - 15 * 3600 * NS, now, SHANGHAI) == "11-19 23:07"
    assert when(now - 400 * 86400 * NS, now, SHANGHAI) == "2025-10-16 14:07"
