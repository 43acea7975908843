"""The schedule: every boundary once, no drift, however late at most one run, earliest deadline first."""

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.schedule import MAX_MISSED, NS, Schedule, Turn, boundary_after, missed_groups, poll_groups
from metering.quantities import Kind
from metering.sweep import PointInfo

START = 1_767_225_600 * NS
QUARTER = 900 * NS

intervals = st.lists(
    st.lists(st.sampled_from([NS // 4, NS, 5 * NS, 60 * NS, QUARTER]), min_size=1, max_size=2, unique=True).map(sorted),
    min_size=1,
    max_size=5,
)


def take_all(schedule: Schedule, now: int) -> list[Turn]:
    turns: list[Turn] = []
    while (turn := schedule.take(now)) is not None:
        turns.append(turn)
    return turns


def test_a_device_of_15_minutes_is_due_at_the_quarters_of_an_hour() -> None:
    schedule = Schedule([[QUARTER]], START + 7 * NS)
    now = schedule.next_due(START + 7 * NS)
    assert now == START + QUARTER
    assert take_all(schedule, now) == [Turn(device=0, groups=(0,), due_ns=now)]
    assert schedule.next_due(now) == START + 2 * QUARTER


def test_a_start_on_a_boundary_is_due_at_once() -> None:
    assert Schedule([[NS]], START).next_due(START) == START


@given(intervals, st.integers(0, 3600 * NS))
def test_who_wakes_at_each_due_time_serves_every_boundary_once_without_drift(
    plan: list[list[int]], offset: int
) -> None:
    now = START + offset
    schedule = Schedule(plan, now)
    served: dict[tuple[int, int], list[int]] = {}
    for _ in range(60):
        now = schedule.next_due(now)
        for turn in take_all(schedule, now):
            assert turn.missed == ()
            for group in turn.groups:
                served.setdefault((turn.device, group), []).append(now)
    for (device, group), times in served.items():
        interval = plan[device][group]
        assert times[0] == boundary_after(START + offset - 1, interval)
        assert all(later - earlier == interval for earlier, later in pairwise(times))


@given(intervals, st.lists(st.integers(1, 2000 * NS), min_size=1, max_size=40))
def test_however_late_each_group_runs_once_and_every_boundary_is_served_or_missed(
    plan: list[list[int]], sleeps: list[int]
) -> None:
    now = START
    schedule = Schedule(plan, now)
    seen: dict[tuple[int, int], list[int]] = {}
    for sleep in sleeps:
        now += sleep
        turns = take_all(schedule, now)
        assert len({turn.device for turn in turns}) == len(turns), "one turn a device"
        for turn in turns:
            for due, group in turn.missed:
                seen.setdefault((turn.device, group), []).append(due)
            for group in turn.groups:
                interval = plan[turn.device][group]
                assert turn.due_ns is not None
                seen.setdefault((turn.device, group), []).append(now // interval * interval)
        assert schedule.next_due(now) > now
    for (device, group), dues in seen.items():
        interval = plan[device][group]
        assert dues == sorted(set(dues)), "no boundary twice"
        assert dues[-1] == now // interval * interval
        if all(sleep < MAX_MISSED * interval for sleep in sleeps):
            assert dues == list(range(START, now + 1, interval))


def test_both_groups_of_a_device_due_at_one_boundary_are_one_turn() -> None:
    schedule = Schedule([[NS, 60 * NS]], START)
    assert [turn.groups for turn in take_all(schedule, START)] == [(0, 1)]
    assert [turn.groups for turn in take_all(schedule, START + NS)] == [(0,)]


def test_the_device_with_the_earliest_deadline_goes_first() -> None:
    schedule = Schedule([[QUARTER], [NS], [5 * NS], [NS]], START)
    assert [turn.device for turn in take_all(schedule, START)] == [1, 3, 2, 0]


def test_a_fast_device_goes_before_slow_ones_that_still_wait() -> None:
    schedule = Schedule([[QUARTER], [QUARTER], [NS]], START)
    first, second = schedule.take(START), schedule.take(START)
    assert first is not None
    assert second is not None
    late = schedule.take(START + NS)
    assert (first.device, second.device) == (2, 0)
    assert late is not None
    assert late.device == 2, "it is due again while device 1 still waits"


def test_a_retry_comes_before_the_next_boundary_and_serves_none() -> None:
    schedule = Schedule([[QUARTER]], START)
    turn = take_all(schedule, START)[0]
    schedule.retry(turn, START + NS)
    assert schedule.next_due(START) == START + NS
    assert take_all(schedule, START + NS) == [Turn(device=0, groups=(0,), due_ns=None)]
    assert schedule.next_due(START + NS) == START + QUARTER


def test_a_retry_after_the_next_boundary_changes_nothing() -> None:
    schedule = Schedule([[NS]], START)
    turn = take_all(schedule, START)[0]
    schedule.retry(turn, START + 2 * NS)
    assert schedule.next_due(START) == START + NS


def test_a_retry_that_comes_too_late_serves_the_boundary_that_passed() -> None:
    schedule = Schedule([[QUARTER]], START)
    turn = take_all(schedule, START)[0]
    schedule.retry(turn, START + QUARTER - 1)
    assert take_all(schedule, START + QUARTER + NS) == [Turn(device=0, groups=(0,), due_ns=START + QUARTER)]


def test_a_clock_set_back_starts_all_anew() -> None:
    schedule = Schedule([[NS], [QUARTER]], START)
    take_all(schedule, START)
    back = START - 3600 * NS + 1
    assert schedule.next_due(back) == START - 3599 * NS
    assert take_all(schedule, back) == []


def test_a_clock_set_back_while_a_turn_is_ready_takes_it_back() -> None:
    schedule = Schedule([[NS], [NS]], START)
    assert schedule.take(START) is not None
    assert schedule.take(START - 3600 * NS) is None


def test_a_leap_of_the_clock_is_one_turn_with_bounded_misses() -> None:
    schedule = Schedule([[NS]], START)
    (turn,) = take_all(schedule, START + 40 * 86400 * NS)
    assert len(turn.missed) == MAX_MISSED


def test_missed_boundaries_are_told_once_for_all_groups_that_missed_them() -> None:
    assert missed_groups(((5, 0), (10, 0), (10, 1))) == {5: (0,), 10: (0, 1)}


def test_gauges_are_fast_counters_and_states_slow() -> None:
    points = [
        PointInfo(name="power_active_total", unit="W", kind=Kind.GAUGE),
        PointInfo(name="energy_active_import_total", unit="kWh", kind=Kind.COUNTER),
        PointInfo(name="status", unit="code", kind=Kind.STATE),
    ]
    fast, slow = poll_groups(points, gauges_s=Decimal("0.25"), counters_s=Decimal(60))
    assert (fast.interval_ns, fast.points) == (NS // 4, ("power_active_total",))
    assert (slow.interval_ns, slow.points) == (60 * NS, ("energy_active_import_total", "status"))
    assert len(poll_groups(points, gauges_s=Decimal(1), counters_s=Decimal(1))) == 1
