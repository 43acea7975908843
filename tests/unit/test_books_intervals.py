"""Vectors V1 to V5 and the properties of rules F1, F2, F3 and F18: conserved, in any order, and flagged for what it is."""

import random
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.calendar import Month, first_day, month_bounds, month_of, month_of_day, months
from centre.accounting.gap_filling import fill, needs_profile, same_weekdays, shaped, substituted, weekday_profile
from centre.accounting.intervals import QUARTER_NS, Interval, cut, merge
from centre.accounting.power_integral import integrate
from centre.accounting.quality import amounts_by_flag, completeness, flag_shares
from centre.accounting.registers import HOUR_NS, Flag, Register, RegisterRule, Replacement, Sample, Step, deltas
from centre.accounting.zones import NS, day_bounds, local_day

few = settings(deadline=None, max_examples=50)
D = Decimal
MINUTE = 60 * NS
DAY_NS = 24 * HOUR_NS
ZONE = ZoneInfo("Asia/Shanghai")


def sum_of(intervals: list[Interval]) -> Decimal:
    return sum((interval.amount for interval in intervals if interval.amount is not None), D(0))


def test_v1_a_rollover_counts_520_kwh_measured_in_its_intervals() -> None:
    readings = [Sample(0, D(999500)), Sample(HOUR_NS, D(20))]
    register = deltas(readings, RegisterRule(modulus=D(10**6), limit=D(600)))
    (hour,) = cut(register, readings, start=0, end=HOUR_NS, max_gap_ns=HOUR_NS, step_ns=HOUR_NS)
    assert (hour.amount, hour.flag, amounts_by_flag(hour)) == (D(520), Flag.MEASURED, {Flag.MEASURED: D(520)})


def test_v2_an_impossible_step_is_0_kwh_with_the_middle_reading_suspect() -> None:
    readings = [Sample(0, D(17990)), Sample(5 * MINUTE, D(18990)), Sample(10 * MINUTE, D(17990))]
    register = deltas(readings, RegisterRule(limit=D(600)))
    (interval,) = cut(register, readings, start=0, end=QUARTER_NS, max_gap_ns=6 * MINUTE)
    assert (interval.amount, interval.flag, register.suspects) == (0, Flag.SUSPECT, (5 * MINUTE,))


def test_v2_what_flowed_beside_a_dropped_reading_is_suspect_by_energy() -> None:
    values = [0, 1, 99999, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    readings = [Sample(minute * MINUTE, D(value)) for minute, value in enumerate(values)]
    (interval,) = cut(
        deltas(readings, RegisterRule(limit=D(100))), readings, start=0, end=QUARTER_NS, max_gap_ns=3 * MINUTE
    )
    assert amounts_by_flag(interval) == {Flag.SUSPECT: D(2), Flag.MEASURED: D(13)}


def test_v3_a_replacement_between_two_factors_counts_20_kwh() -> None:
    change = Replacement(at=30 * MINUTE, final=D(50240), initial=D(3), factor=D(2))
    readings = [Sample(0, D(50230)), Sample(HOUR_NS, D(8))]
    register = deltas(readings, RegisterRule(replacements=(change,), limit=D(600)))
    (hour,) = cut(register, readings, start=0, end=HOUR_NS, max_gap_ns=HOUR_NS, step_ns=HOUR_NS)
    assert (hour.amount, hour.flag) == (D(20), Flag.MEASURED)


def outage(late: bool) -> list[Interval]:
    """V4: 500 kW for 8 hours, readings each 5 min, none from 1 h to 7 h unless they came late; as hours."""
    minutes = [minute for minute in range(0, 481, 5) if late or minute <= 60 or minute >= 420]
    readings = [Sample(minute * MINUTE, D(500) * minute / 60) for minute in minutes]
    register = deltas(readings, RegisterRule(limit=D(600)))
    return cut(register, readings, start=0, end=8 * HOUR_NS, max_gap_ns=11 * MINUTE, step_ns=HOUR_NS)


def test_v4_an_outage_keeps_3000_kwh_in_six_estimated_hours() -> None:
    hours = outage(late=False)
    assert [hour.flag for hour in hours] == [Flag.MEASURED, *[Flag.ESTIMATED] * 6, Flag.MEASURED]
    assert sum_of(hours[1:7]) == 3000
    assert flag_shares(hours) == (("E", D("0.75")), ("M", D("0.25")))


def test_v5_the_late_batch_makes_the_same_hours_measured() -> None:
    assert {hour.flag for hour in outage(late=True)} == {Flag.MEASURED}
    assert sum_of(outage(late=True)) == sum_of(outage(late=False)) == 4000


MODULUS = D(10_000)
lives = st.lists(
    st.tuples(
        st.sampled_from(["count", "count", "count", "outage", "replaced"]),
        st.integers(min_value=1, max_value=40 * 60),
        st.decimals(min_value=0, max_value=5, places=3),
    ),
    min_size=1,
    max_size=30,
)


@few
@given(lives, st.randoms(use_true_random=False), st.integers(min_value=0, max_value=9_999))
def test_f1_f2_the_intervals_sum_to_what_the_meters_counted_in_whatever_order_readings_arrive(
    life: list[tuple[str, int, Decimal]], dice: random.Random, begin: int
) -> None:
    at, register, truth = dice.randrange(QUARTER_NS), D(begin), D(0)
    readings, changes = [Sample(at, register)], []
    factor = D(1)
    for kind, seconds, amount in life:
        at += (seconds * 20 if kind == "outage" else seconds) * NS
        if kind == "replaced":
            changes.append(Replacement(at=at, final=register, initial=D(7), factor=factor + 1))
            register, factor = D(7), factor + 1
        register = (register + amount) % MODULUS
        truth += amount * factor
        readings.append(Sample(at, register))
    shuffled = dice.sample(readings, len(readings))
    rule = RegisterRule(modulus=MODULUS, limit=D(200_000), replacements=tuple(dice.sample(changes, len(changes))))
    end = at - at % QUARTER_NS + QUARTER_NS
    found = cut(deltas(sorted(shuffled), rule), sorted(shuffled), start=0, end=end, max_gap_ns=120 * NS)
    assert sum_of(found) == truth
    assert sum((sum(amounts_by_flag(part).values(), D(0)) for part in found), D(0)) == truth
    middle = dice.randrange(0, end // QUARTER_NS + 1) * QUARTER_NS
    halves = [
        merge([part for part in found if part.start < middle], start=0, end=middle),
        merge([part for part in found if part.start >= middle], start=middle, end=end),
    ]
    whole = merge(found, start=0, end=end)
    assert merge(halves, start=0, end=end) == whole
    assert whole.amount == truth


# --- F3


def test_f3_power_is_integrated_by_trapezoids_and_computed() -> None:
    readings = [Sample(0, D(100_000)), Sample(6 * MINUTE, D(200_000)), Sample(12 * MINUTE, D(200_000))]
    register = integrate(readings, limit_ns=10 * MINUTE, per_unit=1000)
    assert [(step.amount, step.flag) for step in register.steps] == [(D(15), Flag.COMPUTED), (D(20), Flag.COMPUTED)]
    (interval,) = cut(register, readings, start=0, end=QUARTER_NS, max_gap_ns=10 * MINUTE)
    assert (interval.amount, interval.flag, interval.known_ns) == (D(35), Flag.COMPUTED, 12 * MINUTE)
    assert flag_shares([interval]) == (("C", D(1)),)


def test_f3_between_readings_too_far_apart_nothing_is_known() -> None:
    readings = [Sample(0, D(1000)), Sample(60 * MINUTE, D(1000)), Sample(61 * MINUTE, D(1000))]
    register = integrate(readings, limit_ns=2 * MINUTE, per_unit=1000)
    first, *_ = hours = cut(register, readings, start=0, end=2 * HOUR_NS, max_gap_ns=2 * MINUTE, step_ns=HOUR_NS)
    assert (first.amount, first.flag, first.breaks) == (None, Flag.MISSING, 0)
    assert hours[1].known_ns == MINUTE


def test_f3_what_flows_the_other_way_is_another_amount() -> None:
    readings = [Sample(0, D(1000)), Sample(HOUR_NS, D(-1000))]
    bought, sold = (integrate(readings, limit_ns=HOUR_NS, per_unit=1000, sign=sign).steps[0] for sign in (1, -1))
    assert bought.amount == sold.amount == D("0.25")


powers = st.lists(st.integers(min_value=-(10**6), max_value=10**6), min_size=2, max_size=40)


@few
@given(powers, st.integers(min_value=1, max_value=30), st.data())
def test_f3_the_parts_sum_up_whatever_the_cut_and_both_ways_make_the_net(
    values: list[int], seconds: int, data: st.DataObject
) -> None:
    readings = [Sample(place * seconds * NS, D(value)) for place, value in enumerate(values)]
    both = [integrate(readings, limit_ns=60 * NS, per_unit=1000, sign=sign) for sign in (1, -1)]
    net = sum((Fraction(a + b) * seconds for a, b in pairwise(values)), Fraction(0)) / 7_200_000
    amounts = [sum((step.amount or D(0) for step in register.steps), D(0)) for register in both]
    assert abs(Fraction(amounts[0] - amounts[1]) - net) < Fraction(len(values), 10**11)
    assert min(amounts) >= 0
    place = data.draw(st.integers(min_value=0, max_value=len(readings) - 1))
    halves = [
        integrate(part, limit_ns=60 * NS, per_unit=1000).steps for part in (readings[: place + 1], readings[place:])
    ]
    assert (*halves[0], *halves[1]) == both[0].steps
    end = (readings[-1].at // QUARTER_NS + 1) * QUARTER_NS
    assert sum_of(cut(both[0], readings, start=0, end=end, max_gap_ns=60 * NS)) == amounts[0]


# --- F18


def quarter(start: int, amount: str | int) -> Interval:
    return Interval(start=start, end=start + QUARTER_NS, amount=D(amount), known_ns=QUARTER_NS)


def test_f18_up_to_two_intervals_a_gap_is_a_straight_line() -> None:
    assert not needs_profile(Step(0, 2 * QUARTER_NS, D(9), Flag.MEASURED), MINUTE)
    assert needs_profile(Step(0, 2 * QUARTER_NS + 1, D(9), Flag.MEASURED), MINUTE)
    assert not needs_profile(Step(0, 9 * QUARTER_NS, None, Flag.SUSPECT), MINUTE)


def test_f18_a_longer_gap_takes_the_shape_of_the_last_four_same_weekdays_and_keeps_its_total() -> None:
    start = day_bounds(date(2026, 3, 30), ZONE)[0]
    history = {
        at: quarter(at, amount * week)
        for place, amount in enumerate((1, 2, 3, 4))
        for week, at in enumerate(same_weekdays(start + place * QUARTER_NS, ZONE), 1)
    }
    step = Step(start, start + 4 * QUARTER_NS, D(100), Flag.MEASURED)
    parts = shaped(step, weekday_profile(history, ZONE))
    assert [(part.amount, part.flag) for part in parts] == [(D(amount), Flag.ESTIMATED) for amount in (10, 20, 30, 40)]


def test_f18_the_same_weekday_is_that_of_the_plants_own_clock() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = day_bounds(date(2026, 3, 30), berlin)[0]  # the clock went forward the day before
    assert [local_day(at, berlin) for at in same_weekdays(start, berlin)] == [
        date(2026, 3, 23), date(2026, 3, 16), date(2026, 3, 9), date(2026, 3, 2),
    ]  # fmt: skip
    assert start - same_weekdays(start, berlin)[0] == 7 * DAY_NS - HOUR_NS


@few
@given(
    st.integers(min_value=0, max_value=QUARTER_NS),
    st.integers(min_value=2 * QUARTER_NS, max_value=30 * QUARTER_NS),
    st.decimals(min_value=0, max_value=10**6, places=4),
    st.lists(st.decimals(min_value=0, max_value=1000, places=3), min_size=40, max_size=40),
)
def test_f18_a_filled_gap_conserves_its_total_and_stays_estimated(
    begin: int, length: int, amount: Decimal, usual: list[Decimal]
) -> None:
    step = Step(begin, begin + length, amount, Flag.MEASURED)
    register = deltas([Sample(begin, D(0)), Sample(begin + length, amount)], RegisterRule())
    parts = shaped(step, lambda start: Fraction(usual[start // QUARTER_NS]))
    filled = fill(register, {step: parts})
    found = cut(filled, [], start=0, end=40 * QUARTER_NS, max_gap_ns=MINUTE)
    assert sum_of(found) == amount
    assert sum((part.estimated for part in found), D(0)) == amount
    assert sum(part.known_ns for part in found) == length
    assert all(part.amount is None or part.amount >= 0 for part in found)


def test_f18_without_earlier_weekdays_or_without_flow_in_them_the_line_is_straight() -> None:
    step = Step(0, 4 * QUARTER_NS, D(100), Flag.MEASURED)
    assert shaped(step, weekday_profile({}, ZONE)) == (step,)
    assert shaped(step, lambda _start: Fraction(0)) == (step,)


def test_f18_without_register_a_check_meter_substitutes_and_the_rest_is_missing() -> None:
    lost = Step(QUARTER_NS // 2, 4 * QUARTER_NS, None, Flag.SUSPECT)
    parts = substituted(lost, [quarter(0, 1), quarter(QUARTER_NS, 2), quarter(3 * QUARTER_NS, 4)])
    register = fill(Register(steps=(lost,), suspects=(), pending=None), {lost: parts})
    found = cut(register, [], start=0, end=4 * QUARTER_NS, max_gap_ns=MINUTE)
    assert [(part.amount, part.flag) for part in found] == [
        (None, Flag.MISSING), (D(2), Flag.SUBSTITUTED), (None, Flag.MISSING), (D(4), Flag.SUBSTITUTED),
    ]  # fmt: skip
    assert substituted(lost, []) == (lost,)


# --- quality and calendar


def test_shares_go_by_energy_and_what_is_missing_by_time() -> None:
    parts = [
        Interval(start=0, end=100, amount=D(30), known_ns=100),
        Interval(start=100, end=200, amount=D(10), estimated=D(10), known_ns=100, estimated_ns=100),
        Interval(start=200, end=300, amount=D(20), known_ns=100, marked=((Flag.MANUAL, D(20)),)),
        Interval(start=300, end=400),
    ]
    expected = (("E", D("0.125")), ("M", D("0.375")), ("U", D("0.25")), ("X", D("0.25")))
    assert flag_shares(parts) == expected
    assert flag_shares([merge(parts, start=0, end=400)]) == expected
    assert completeness(parts, start=0, end=400) == D("0.5")


@few
@given(st.lists(st.tuples(st.sampled_from([*"MCSEUQ"]), st.decimals(0, 1000, places=2), st.booleans()), max_size=20))
def test_shares_sum_up_to_one_and_grow_with_their_flag(parts: list[tuple[str, Decimal, bool]]) -> None:
    intervals = [
        Interval(start=place, end=place + 2, amount=amount, known_ns=1 + whole, marked=((Flag(flag), amount),))
        for place, (flag, amount, whole) in enumerate(parts)
        if flag not in "ME"
    ]
    shares = dict(flag_shares(intervals))
    assert sum(shares.values(), D(0)) == (1 if intervals else 0)
    assert all(share >= 0 for share in shares.values())


@pytest.mark.parametrize(
    ("day", "metering_day", "month"),
    [
        (date(2026, 10, 1), 1, Month(2026, 10)),
        (date(2026, 10, 31), 1, Month(2026, 10)),
        (date(2026, 9, 25), 25, Month(2026, 10)),
        (date(2026, 9, 24), 25, Month(2026, 9)),
        (date(2026, 12, 25), 25, Month(2027, 1)),
        (date(2026, 1, 9), 10, Month(2026, 1)),
    ],
)
def test_a_day_belongs_to_one_month_of_the_billing_calendar(day: date, metering_day: int, month: Month) -> None:
    assert month_of_day(day, metering_day) == month
    start, end = month_bounds(month, ZONE, metering_day)
    assert start <= day_bounds(day, ZONE)[0] < end


@few
@given(
    st.integers(min_value=1, max_value=28),
    st.integers(min_value=0, max_value=60),
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata"]),
)
def test_months_follow_each_other_without_gap_or_overlap(metering_day: int, place: int, zone: str) -> None:
    here = ZoneInfo(zone)
    month = Month(2024, 1).plus(place)
    start, end = month_bounds(month, here, metering_day)
    assert month_bounds(month.plus(1), here, metering_day)[0] == end
    assert month_of(start, here, metering_day) == month_of(end - 1, here, metering_day) == month
    assert list(months(start, end, here, metering_day)) == [month]
    assert month_of_day(first_day(month, metering_day), metering_day) == month
    assert Month.of(str(month)) == month


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "26-10", "2026/10", "", "2026-00", "１２３４-10"])
def test_a_month_is_written_as_year_and_month(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2026-10"):
        Month.of(text)
