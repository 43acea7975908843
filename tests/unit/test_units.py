"""Durations and sizes as people write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from wattline.units import Duration, Size, duration_text, parse_duration, parse_rate, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", "0.25"), ("30s", "30"), ("1.5s", "1.5"), ("15min", "900"), ("1 h", "3600"), ("7d", "604800")],
)
def test_a_duration_is_exact_seconds(text: str, seconds: str) -> None:
    assert parse_duration(text) == Decimal(seconds)


@pytest.mark.parametrize(
    ("text", "size"), [("512 MiB", 512 * 1024**2), ("64kB", 64000), ("1.5 GiB", 1610612736), ("7 B", 7)]
)
def test_a_size_is_whole_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "value", ["30", 30, 30.0, "", "s", "-1s", "1e3s", "1s 2s", "30 seconds", "30S", "１s", None, True, []]
)
def test_what_has_no_unit_or_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(value)


@pytest.mark.parametrize("value", ["512", 512, "1 mib", "0.5 B", "1 TB", None, "9" * 400 + " B"])
def test_a_size_without_its_unit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(value)


@given(st.integers(1, 10**9).map(lambda ms: Decimal(ms) / 1000))
def test_the_text_of_a_duration_reads_back(seconds: Decimal) -> None:
    assert parse_duration(duration_text(seconds)) == seconds


def test_the_text_of_a_duration_is_the_one_people_write() -> None:
    assert [duration_text(Decimal(s)) for s in ("0.25", "1", "90", "900", "3600", "86400")] == [
        "250ms", "1s", "90s", "15min", "1h", "1d",
    ]  # fmt: skip


def test_both_are_types_of_a_model() -> None:
    class Model(BaseModel):
        wait: Duration
        room: Size

    assert Model.model_validate({"wait": "1s", "room": "1 KiB"}) == Model.model_construct(wait=Decimal(1), room=1024)
    with pytest.raises(ValidationError):
        Model.model_validate({"wait": 1, "room": 1024})


def test_a_rate_is_bytes_a_second() -> None:
    assert parse_rate("64 kbit/s") == 8000
    assert parse_rate("1.5Mbit/s") == 187_500


@pytest.mark.parametrize("value", ["64", "64 kbit", "8 kB/s", "-1 kbit/s", 64, None])
def test_a_rate_needs_its_unit(value: object) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate(value)
