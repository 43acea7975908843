"""Balance with uncertainty, and leaks by the minimum night flow."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.balance import BalanceMeter, Role, Verdict, balance
from centre.accounting.leak import LeakState, Night, Pressure, assess, leak_per_day, night_flow
from centre.accounting.management_file import load_management
from centre.accounting.metered import Amount
from wattline.resources import config_dir

QUARTER = 15 * 60 * 10**9
LIMIT = Decimal(3)
RULE = load_management(config_dir() / "management.yaml")[-1].leaks["fresh_water"]


def meter(name: str, role: Role, accuracy: str, *amounts: str | None) -> BalanceMeter:
    return BalanceMeter(
        id=name,
        role=role,
        accuracy=Decimal(accuracy),
        intervals=[
            Amount(start=n * QUARTER, end=(n + 1) * QUARTER, amount=None if a is None else Decimal(a))
            for n, a in enumerate(amounts)
        ],
    )


V14 = [
    meter("parent", Role.SUPPLY, "0.5", "100000"),
    meter("a", Role.CHILD, "1", "40000"),
    meter("b", Role.CHILD, "1", "35000"),
    meter("c", Role.CHILD, "2", "20000"),
]


def test_v14_balance_is_a_real_loss() -> None:
    found = balance(V14, expected=1, limit_percent=LIMIT)
    assert (found.unmetered, found.share_percent) == (Decimal(5000), Decimal("5.0000"))
    assert found.uncertainty is not None
    assert round(found.uncertainty) == 832
    assert (found.verdict, found.covered) == (Verdict.LOSS, Decimal(1))


def test_v14_a_loss_below_the_limit_is_no_alarm() -> None:
    assert balance(V14, expected=1, limit_percent=Decimal(6)).verdict is Verdict.WITHIN


def test_children_beyond_the_parent_are_a_fault_only_beyond_doubt() -> None:
    doubt = [V14[0], meter("a", Role.CHILD, "1", "101000")]
    assert balance(doubt, expected=1, limit_percent=LIMIT).verdict is Verdict.WITHIN
    beyond = [V14[0], meter("a", Role.CHILD, "1", "103000")]
    found = balance(beyond, expected=1, limit_percent=LIMIT)
    assert (found.verdict, found.unmetered) == (Verdict.FAULT, Decimal(-3000))


def test_only_intervals_that_all_meters_know_are_compared() -> None:
    found = balance(
        [meter("parent", Role.SUPPLY, "0.5", "10", "20", "30"), meter("a", Role.CHILD, "1", "9", None, "29")],
        expected=4,
        limit_percent=LIMIT,
    )
    assert (found.unmetered, found.available, found.common, found.covered) == (
        Decimal(2), Decimal(40), 2, Decimal("0.5000"),
    )  # fmt: skip


def test_without_common_intervals_or_a_supply_there_is_a_reason() -> None:
    apart = [meter("parent", Role.SUPPLY, "1", "1", None), meter("a", Role.CHILD, "1", None, "1")]
    assert balance(apart, expected=2, limit_percent=LIMIT).reason == "no_common_interval"
    assert balance(V14[1:], expected=1, limit_percent=LIMIT).reason == "no_parent"
    assert balance([], expected=1, limit_percent=LIMIT).verdict is None


amounts = st.lists(st.none() | st.decimals(0, 10**6, places=3).map(str), min_size=4, max_size=4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Role), amounts), min_size=1, max_size=6), st.randoms())
def test_what_comes_in_is_what_goes_out_and_what_is_unmetered_in_any_order(
    rows: list[tuple[Role, list[str | None]]], random: Random
) -> None:
    meters = [meter("in", Role.SUPPLY, "0.5", "5", "6", "7", "8")]
    meters += [meter(str(n), role, "1", *values) for n, (role, values) in enumerate(rows)]
    found = balance(meters, expected=4, limit_percent=LIMIT)
    shuffled = list(meters)
    random.shuffle(shuffled)
    again = balance(shuffled, expected=4, limit_percent=LIMIT)
    assert replace(again, terms=()) == replace(found, terms=())
    if found.unmetered is not None and found.available is not None:
        out = sum(t.amount for t in found.terms if t.role not in {Role.SUPPLY, Role.GENERATION})
        assert found.available == out + found.unmetered


def flows(*values: str | None) -> list[Night]:
    return [
        Night(day=date(2026, 1, 1) + timedelta(days=n), flow=None if v is None else Decimal(v), start=n)
        for n, v in enumerate(values)
    ]


NORMAL = ["1.0", "1.1", "0.9", "1.2", "0.8", "1.0", "1.1"] * 4  # median 1.0, MAD 0.1: threshold 1.4448


def test_the_night_flow_is_the_lowest_complete_hour() -> None:
    values = ["9", "1", "2", "1", "1", "0.5", None, "0", "0"]
    intervals = meter("x", Role.CHILD, "1", *values).intervals
    found = night_flow(date(2026, 1, 1), intervals, start=0, end=9 * QUARTER)
    assert (found.flow, found.start) == (Decimal("4.5"), 2 * QUARTER)
    gap = night_flow(date(2026, 1, 1), intervals, start=4 * QUARTER, end=9 * QUARTER)
    assert (gap.flow, gap.reason) == (None, "no_complete_hour_in_window")


def test_three_high_nights_are_a_leak_and_two_are_not() -> None:
    assert assess(flows(*NORMAL, "1.0", "1.5", "1.6"), RULE).state is LeakState.RAISED
    found = assess(flows(*NORMAL, "1.5", "1.5", "1.6"), RULE)
    assert (found.state, found.median, found.threshold) == (LeakState.LEAK, Decimal("1.0"), Decimal("1.44478"))
    assert len(found.nights) == 28
    assert assess(flows(*NORMAL, "1.6", "1.6", "1.0"), RULE).state is LeakState.NONE


def test_a_step_is_told_the_first_night_and_the_new_nights_do_not_move_the_median() -> None:
    assert assess(flows(*NORMAL, "1.0", "1.0", "5.0"), RULE).state is LeakState.STEP


def test_nights_that_leaked_are_no_measure_of_the_nights_to_come() -> None:
    leaking = [replace(night, leaking=True) for night in flows(*["2.0"] * 20)]
    nights = [*flows(*NORMAL), *leaking, *flows("2.0", "2.0", "2.0")]
    assert assess(nights, RULE).state is LeakState.LEAK


def test_a_flow_that_is_meant_does_not_hide_in_the_leak() -> None:
    rule = replace(RULE, legitimate=Decimal("0.6"))
    found = assess(flows(*NORMAL, "1.5", "1.5", "1.6"), rule)
    assert (found.state, found.flow, found.median) == (LeakState.LEAK, Decimal("1.0"), Decimal("0.4"))


def test_a_steady_flow_needs_more_than_the_resolution_to_alarm() -> None:
    assert assess(flows(*["1.0"] * 28, "1.1", "1.1", "1.1"), RULE).state is LeakState.NONE
    assert assess(flows(*["1.0"] * 28, "1.2", "1.2", "1.2"), RULE).state is LeakState.LEAK


def test_a_leak_is_told_in_m3_a_day_less_where_the_pressure_is_lower_by_day() -> None:
    flat = assess(flows(*NORMAL, "1.5", "1.5", "1.6"), RULE)
    assert flat.per_day == Decimal("38.4")
    pressure = Pressure(day=Decimal(4), night=Decimal(5), exponent=Decimal(1))
    assert assess(flows(*NORMAL, "1.5", "1.5", "1.6"), replace(RULE, pressure=pressure)).per_day == Decimal("30.72")


def test_too_few_nights_or_no_flow_are_a_reason() -> None:
    assert assess(flows(*["1.0"] * 16), RULE).reason == "too_few_nights"
    assert assess(flows(*NORMAL, None), RULE).reason == "no_complete_hour_in_window"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.decimals(0, 50, places=2), min_size=31, max_size=40), st.decimals(0, 20, places=2))
def test_a_higher_last_night_is_never_judged_milder(values: list[Decimal], more: Decimal) -> None:
    rank = list(LeakState)
    nights = flows(*map(str, values))
    higher = [*nights[:-1], replace(nights[-1], flow=values[-1] + more)]
    low, high = assess(nights, RULE).state, assess(higher, RULE).state
    assert low is not None
    assert high is not None
    assert rank.index(low) <= rank.index(high)


def test_a_leak_of_a_day_is_less_than_24_nights_where_the_pressure_falls_by_day() -> None:
    assert leak_per_day(Decimal(2), day_pressure=Decimal(4), night_pressure=Decimal(4), exponent=Decimal(1)) == 48
    by_day = leak_per_day(Decimal(2), day_pressure=Decimal(3), night_pressure=Decimal(4), exponent=Decimal("0.5"))
    assert by_day == Decimal("41.569219")
    with pytest.raises(ValueError, match=r"between 0\.5 and 1\.5"):
        leak_per_day(Decimal(2), day_pressure=Decimal(3), night_pressure=Decimal(4), exponent=Decimal(2))
    with pytest.raises(ValueError, match="above 0"):
        leak_per_day(Decimal(2), day_pressure=Decimal(3), night_pressure=Decimal(0), exponent=Decimal(1))
