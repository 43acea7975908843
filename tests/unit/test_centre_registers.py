"""Rule F1 by the hand-checked vectors, and by properties."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre.accounting.intervals import cut
from centre.accounting.quality import flag_shares
from centre.accounting.registers import HOUR_NS, Flag, RegisterRule, Replacement, Sample, deltas

MINUTE = 60_000_000_000
D = Decimal


def samples(*pairs: tuple[float, str | int]) -> list[Sample]:
    """(minutes, value) pairs."""
    return [Sample(int(minutes * MINUTE), D(value)) for minutes, value in pairs]


def total(steps: object) -> Decimal:
    return sum((step.amount for step in steps if step.amount is not None), D(0))  # type: ignore[attr-defined]


def test_v1_a_rollover_is_counted_across_the_end_of_the_register() -> None:
    found = deltas(samples((0, 999500), (60, 20)), RegisterRule(modulus=D(10**6), limit=D(600)))
    assert [(step.amount, step.flag) for step in found.steps] == [(D(520), Flag.MEASURED)]


def test_v2_an_impossible_step_is_no_energy_and_its_reading_is_suspect() -> None:
    readings = samples((0, 17990), (5, 18990), (10, 17990))
    found = deltas(readings, RegisterRule(limit=D(600)))
    assert total(found.steps) == 0
    assert found.suspects == (readings[1].at,)
    (interval,) = cut(found, readings, start=0, end=15 * MINUTE, max_gap_ns=11 * MINUTE)
    assert interval.flag is Flag.SUSPECT
    assert interval.amount == 0


def test_v3_a_replaced_meter_counts_old_and_new_with_their_factors() -> None:
    change = Replacement(at=30 * MINUTE, final=D(50240), initial=D(3), factor=D(2))
    found = deltas(samples((0, 50230), (60, 8), (120, 9)), RegisterRule(replacements=(change,)))
    assert [step.amount for step in found.steps] == [D(20), D(2)]


def test_v4_an_outage_keeps_its_energy_and_marks_the_hours_as_estimated() -> None:
    hour = 60 * MINUTE
    before = [(minute, str(D(500) * minute / 60)) for minute in range(0, 61, 5)]
    after = [(minute, str(D(500) * minute / 60)) for minute in range(7 * 60, 8 * 60 + 1, 5)]
    readings = samples(*before, *after)
    found = deltas(readings, RegisterRule(limit=D(600)))
    hours = cut(found, readings, start=0, end=8 * hour, max_gap_ns=10 * MINUTE, step_ns=hour)
    assert [interval.flag for interval in hours] == [Flag.MEASURED, *[Flag.ESTIMATED] * 6, Flag.MEASURED]
    assert sum(interval.amount or 0 for interval in hours[1:7]) == 3000
    assert sum(interval.amount or 0 for interval in hours) == 4000


def test_a_reset_counts_what_the_register_shows_since_and_says_that_it_is_an_estimate() -> None:
    found = deltas(samples((0, 5000), (1, "0.5"), (2, "1.0")), RegisterRule(limit=D(600)))
    assert [(step.amount, step.flag) for step in found.steps] == [
        (D("0.5"), Flag.ESTIMATED),
        (D("0.5"), Flag.MEASURED),
    ]


def test_a_reset_to_a_value_the_connection_cannot_have_carried_is_not_counted() -> None:
    found = deltas(samples((0, 4995), (1, 5000), (2, 3000), (3, 3001)), RegisterRule(limit=D(600)))
    assert [step.amount for step in found.steps] == [D(5), None, D(1)]
    assert found.steps[1].flag is Flag.SUSPECT


@pytest.mark.parametrize("wrong", ["1000000000", "0", "99999"])
@pytest.mark.parametrize("limit", [D(600), None])
def test_a_wrong_first_reading_is_dropped_and_costs_nothing(wrong: str, limit: Decimal | None) -> None:
    if limit is None and wrong == "0":
        return  # without a limit a step up is a step up
    readings = samples((0, wrong), (1, 5000), (2, 5008), (3, 5016))
    found = deltas(readings, RegisterRule(limit=limit))
    assert [(step.amount, step.flag) for step in found.steps] == [(D(8), Flag.MEASURED)] * 2
    assert found.suspects == (0,)


def test_a_first_reading_before_a_register_that_began_again_is_believed() -> None:
    found = deltas(samples((0, 5000), (1, "0.5"), (2, "1.0")), RegisterRule())
    assert [step.flag for step in found.steps] == [Flag.ESTIMATED, Flag.MEASURED]
    assert found.suspects == ()


def test_what_a_reset_lost_shows_in_the_shares_of_its_interval() -> None:
    readings = samples(*((minute, 5000 + minute) for minute in range(8)), *((minute, minute) for minute in (8, 9)))
    readings = [*readings[:8], *samples(*((minute, (minute - 8) * 2) for minute in range(8, 17)))]
    found = deltas(readings, RegisterRule(limit=D(600)))
    (interval,) = cut(found, readings, start=0, end=15 * MINUTE, max_gap_ns=2 * MINUTE)
    assert interval.amount == 7 + 14
    assert dict(flag_shares([interval])) == {"M": D("0.9333"), "X": D("0.0667")}


def test_each_meter_has_its_own_factor_and_width() -> None:
    wide = Replacement(at=0, final=D(0), initial=D(0), factor=D(40), modulus=D(10**4))
    swapped = Replacement(at=150 * MINUTE, final=D(30), initial=D(99_990), factor=D(60), modulus=D(10**5))
    rule = RegisterRule(modulus=D(10**6), limit=D(6000), replacements=(wide, swapped))
    readings = samples((0, 9990), (60, 10), (120, 20), (180, 99_995), (240, 3), (300, 4))
    found = deltas(readings, rule)
    assert [step.amount for step in found.steps] == [20 * 40, 10 * 40, 10 * 40 + 5 * 60, 8 * 60, 60]
    assert {step.flag for step in found.steps} == {Flag.MEASURED}


def test_a_reset_behind_a_transformer_counts_what_flowed_through_it() -> None:
    rule = RegisterRule(limit=D(6000), replacements=(Replacement(at=0, final=D(0), initial=D(0), factor=D(40)),))
    found = deltas(samples((1, 4999), (2, 5000), (3, 1), (4, 2)), rule)
    assert [step.amount for step in found.steps] == [40, 40, 40]


def test_one_low_reading_is_dropped() -> None:
    readings = samples((0, 100), (1, 0), (2, 101))
    found = deltas(readings, RegisterRule())
    assert total(found.steps) == 1
    assert found.suspects == (readings[1].at,)


def test_one_high_reading_is_dropped_even_where_no_limit_is_known() -> None:
    readings = samples((0, 100), (1, 999999), (2, 101), (3, 102))
    found = deltas(readings, RegisterRule())
    assert total(found.steps) == 2
    assert found.suspects == (readings[1].at,)


def test_a_step_that_only_the_next_reading_can_explain_waits() -> None:
    found = deltas(samples((0, 100), (1, 50)), RegisterRule())
    assert found.steps == ()
    assert found.pending == MINUTE


def test_a_coarse_register_polled_often_is_not_taken_for_an_impossible_step() -> None:
    second = D(1) / 60
    readings = samples((0, 1000), (float(second), 1001), (float(2 * second), 1001))
    found = deltas(readings, RegisterRule(limit=D(60)))
    assert total(found.steps) == 1


def test_a_float32_register_may_jump_by_its_own_rounding() -> None:
    readings = samples((0, "1000000"), (1 / 60, "1000000.06"), (2 / 60, "1000000.12"))
    assert total(deltas(readings, RegisterRule(limit=D(50))).steps) == D("0.12")


def test_a_rollover_without_a_known_limit_needs_both_ends_to_fit() -> None:
    rule = RegisterRule(modulus=D(10**6))
    assert total(deltas(samples((0, 999990), (1, 10), (2, 11)), rule).steps) == 21
    reset = deltas(samples((0, 500000), (1, 10), (2, 11)), rule)
    assert [step.flag for step in reset.steps] == [Flag.ESTIMATED, Flag.MEASURED]


amounts = st.lists(st.decimals(min_value=0, max_value=100, places=3), min_size=1, max_size=60)


@given(amounts)
def test_a_healthy_register_is_counted_to_the_last_digit(steps: list[Decimal]) -> None:
    value, readings = D("123.456"), []
    for minute, step in enumerate([D(0), *steps]):
        value += step
        readings.append(Sample(minute * MINUTE, value))
    found = deltas(readings, RegisterRule())
    assert total(found.steps) == sum(steps)
    assert found.suspects == ()


@given(amounts, st.integers(min_value=0, max_value=999_999))
def test_a_register_that_rolls_over_counts_like_one_that_does_not(steps: list[Decimal], begin: int) -> None:
    modulus = D(1_000_000)
    value, readings = D(begin), []
    for minute, step in enumerate([D(0), *steps]):
        value += step
        readings.append(Sample(minute * MINUTE, value % modulus))
    found = deltas(readings, RegisterRule(modulus=modulus, limit=D(6000)))
    assert total(found.steps) == sum(steps)


@given(amounts, st.data())
def test_a_single_wrong_reading_never_changes_the_total(steps: list[Decimal], data: st.DataObject) -> None:
    value, readings = D(1000), []
    for minute, step in enumerate([D(0), *steps, D(1), D(1)]):
        value += step
        readings.append(Sample(minute * MINUTE, value))
    place = data.draw(st.integers(min_value=1, max_value=len(readings) - 3))
    wrong = data.draw(st.decimals(min_value=0, max_value=10**6, places=0))
    spoiled = [*readings]
    spoiled[place] = Sample(readings[place].at, wrong)
    found = deltas(spoiled, RegisterRule(limit=D(6000)))
    assert total(found.steps) == readings[-1].value - readings[0].value


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_readings_count_nothing(count: int) -> None:
    assert deltas(samples((0, 1))[:count], RegisterRule()).steps == ()


def test_the_limit_is_per_hour() -> None:
    assert HOUR_NS == 60 * MINUTE
