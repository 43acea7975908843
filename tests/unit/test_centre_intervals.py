"""Rule F2: intervals sum up to the register, whatever the grid; days of the plant's own clock."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from centre.accounting.intervals import QUARTER_NS, Interval, cut, merge
from centre.accounting.registers import Flag, RegisterRule, Sample, deltas
from centre.accounting.zones import day_bounds, hour_bounds, local_day

D = Decimal
SECOND = 1_000_000_000
HOUR = 3600 * SECOND


def intervals_of(readings: list[Sample], end: int, max_gap_ns: int = 20 * SECOND) -> list[Interval]:
    return cut(deltas(readings, RegisterRule()), readings, start=0, end=end, max_gap_ns=max_gap_ns)


registers = st.lists(
    st.tuples(
        st.integers(min_value=1, max_value=3 * 3600 * SECOND),
        st.decimals(min_value=0, max_value=1000, places=4),
    ),
    min_size=1,
    max_size=40,
)


def readings_of(steps: list[tuple[int, Decimal]], begin: int) -> list[Sample]:
    at, value, readings = begin, D("0.1"), [Sample(begin, D("0.1"))]
    for gap, amount in steps:
        at, value = at + gap, value + amount
        readings.append(Sample(at, value))
    return readings


@given(registers, st.integers(min_value=0, max_value=QUARTER_NS))
def test_the_intervals_sum_up_to_the_register_exactly(steps: list[tuple[int, Decimal]], begin: int) -> None:
    readings = readings_of(steps, begin)
    end = (readings[-1].at // QUARTER_NS + 1) * QUARTER_NS
    found = intervals_of(readings, end)
    assert sum(interval.amount or 0 for interval in found) == readings[-1].value - readings[0].value
    assert sum(interval.known_ns for interval in found) == readings[-1].at - readings[0].at
    assert sum(interval.readings for interval in found) == len(readings)


@given(registers, st.integers(min_value=0, max_value=QUARTER_NS), st.data())
def test_it_does_not_matter_where_the_work_is_cut(
    steps: list[tuple[int, Decimal]], begin: int, data: st.DataObject
) -> None:
    readings = readings_of(steps, begin)
    end = (readings[-1].at // QUARTER_NS + 1) * QUARTER_NS
    middle = data.draw(st.integers(min_value=0, max_value=end // QUARTER_NS)) * QUARTER_NS
    register = deltas(readings, RegisterRule())
    parts = [
        *cut(register, readings, start=0, end=middle, max_gap_ns=SECOND),
        *cut(register, readings, start=middle, end=end, max_gap_ns=SECOND),
    ]
    assert parts == intervals_of(readings, end, SECOND)


@given(registers)
def test_hours_are_the_sum_of_their_quarters(steps: list[tuple[int, Decimal]]) -> None:
    readings = readings_of(steps, 0)
    end = (readings[-1].at // HOUR + 1) * HOUR
    quarters = intervals_of(readings, end)
    merged = merge(quarters, start=0, end=end)
    assert merged.amount == readings[-1].value - readings[0].value
    assert merged.readings == len(readings)
    assert merged.open


def test_a_boundary_between_two_polls_is_interpolated_and_measured() -> None:
    readings = [Sample(QUARTER_NS - 5 * SECOND, D(100)), Sample(QUARTER_NS + 5 * SECOND, D(101))]
    first, second = intervals_of(readings, 2 * QUARTER_NS)
    assert (first.amount, first.flag, first.open) == (D("0.5"), Flag.MEASURED, False)
    assert (second.amount, second.flag, second.open) == (D("0.5"), Flag.MEASURED, True)


def test_a_gap_inside_one_interval_leaves_it_measured() -> None:
    readings = [Sample(0, D(0)), Sample(600 * SECOND, D(10)), Sample(QUARTER_NS, D(15))]
    (interval,) = intervals_of(readings, QUARTER_NS, 400 * SECOND)
    assert (interval.amount, interval.flag) == (D(15), Flag.MEASURED)


def test_what_lies_before_the_first_reading_is_missing_and_not_zero() -> None:
    readings = [Sample(QUARTER_NS, D(0)), Sample(QUARTER_NS + 10 * SECOND, D(1))]
    first, second = intervals_of(readings, 2 * QUARTER_NS)
    assert (first.amount, first.flag) == (None, Flag.MISSING)
    assert second.amount == 1


def test_without_readings_nothing_is_known() -> None:
    (interval,) = cut(deltas([], RegisterRule()), [], start=0, end=QUARTER_NS, max_gap_ns=1)
    assert (interval.amount, interval.open) == (None, True)


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def test_a_day_in_china_begins_at_16_utc() -> None:
    assert day_bounds(date(2026, 3, 1), ZoneInfo("Asia/Shanghai")) == (
        ns("2026-02-28T16:00"),
        ns("2026-03-01T16:00"),
    )


def test_the_days_of_a_clock_change_have_23_and_25_hours_and_every_hour_once() -> None:
    zone = ZoneInfo("Europe/Berlin")
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25)):
        start, end = day_bounds(day, zone)
        assert end - start == hours * HOUR
        found = {hour_bounds(at, zone) for at in range(start, end, QUARTER_NS)}
        assert len(found) == hours
        assert min(found)[0] == start
        assert max(found)[1] == end
        assert {local_day(at, zone) for at in range(start, end, QUARTER_NS)} == {day}


def test_hours_of_a_zone_with_a_half_hour_begin_on_its_own_clock() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    assert hour_bounds(ns("2026-01-01T10:10"), zone) == (ns("2026-01-01T09:30"), ns("2026-01-01T10:30"))
