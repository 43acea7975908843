"""Alarms: hysteresis, delay, acknowledgement, owner, re-opening, and a line of history a change."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting import alarm_sources as sources
from centre.accounting.alarms import (
    Acknowledged,
    Alarm,
    AlarmRule,
    Assigned,
    Event,
    Measured,
    Side,
    State,
    What,
    run,
    step,
)
from centre.accounting.balance import BalanceMeter, Role, balance
from centre.accounting.budget import Budget, outturn
from centre.accounting.demand import forecast
from centre.accounting.leak import Night, assess
from centre.accounting.management_file import in_force, load_management, management_of
from centre.accounting.metered import Amount
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.strict_yaml import load_text

RULE = AlarmRule(
    id="demand",
    side=Side.ABOVE,
    limit=Decimal(100),
    clear=Decimal(90),
    delay_ns=2,
    clear_delay_ns=3,
    reopen_ns=10,
    owner="eva",
)


def values(*found: int | None, start: int = 0) -> list[Event]:
    return [Measured(at=start + n, value=None if v is None else Decimal(v)) for n, v in enumerate(found)]


def told(events: list[Event], rule: AlarmRule = RULE) -> list[tuple[int, What, State]]:
    return [(change.at, change.what, change.state) for change in run(rule, events)[1]]


def test_an_alarm_waits_for_its_delay_and_a_good_value_begins_it_anew() -> None:
    assert told(values(101, 101, 99, 101, 101)) == []
    assert told(values(101, 101, 101)) == [(2, What.RAISED, State.ACTIVE)]


def test_between_clear_and_limit_nothing_changes_either_way() -> None:
    after, history = run(RULE, values(101, 101, 101, 95, 95, 95, 95, 95, 95))
    assert (after.state, len(history)) == (State.ACTIVE, 1)


def test_it_is_over_after_the_clear_delay_and_stays_to_be_seen() -> None:
    events = values(101, 101, 101, 90, 90, 90, 90)
    assert told(events)[1:] == [(6, What.ENDED, State.GONE)]
    seen = [*events, Acknowledged(at=9, by="li")]
    assert told(seen)[2:] == [(9, What.ACKNOWLEDGED, State.NORMAL)]


def test_what_was_seen_ends_quietly_and_who_saw_it_stands_in_the_history() -> None:
    events = [
        *values(101, 101, 101),
        Acknowledged(at=3, by="li", note="press 2 started"),
        *values(90, 90, 90, 90, start=4),
    ]
    after, history = run(RULE, events)
    assert (after.state, after.owner) == (State.NORMAL, "eva")
    assert (history[1].by, history[1].detail) == ("li", "press 2 started")
    assert [change.what for change in history] == [What.RAISED, What.ACKNOWLEDGED, What.ENDED]


def test_an_alarm_that_comes_back_soon_is_the_same_one_opened_again() -> None:
    first = [*values(101, 101, 101), Assigned(at=3, by="eva", owner="li"), Acknowledged(at=3, by="li")]
    over = values(90, 90, 90, 90, start=4)
    soon, history = run(RULE, [*first, *over, *values(101, 101, 101, start=10)])
    assert (history[-1].what, soon.number, soon.owner, soon.state) == (What.REOPENED, 1, "li", State.ACTIVE)
    late, history = run(RULE, [*first, *over, *values(101, 101, 101, start=30)])
    assert (history[-1].what, late.number, late.owner) == (What.RAISED, 2, "eva")


def test_one_nobody_saw_is_opened_again_however_late() -> None:
    after, history = run(RULE, [*values(101, 101, 101, 90, 90, 90, 90), *values(101, 101, 101, start=500)])
    assert (history[-1].what, after.number) == (What.REOPENED, 1)


def test_a_value_that_is_not_known_neither_raises_nor_ends() -> None:
    assert told(values(None, None, None, None)) == []
    after, history = run(RULE, values(101, 101, 101, None, None, None, None, None))
    assert (after.state, len(history)) == (State.ACTIVE, 1)


def test_an_owner_is_assigned_once_and_acknowledging_without_one_makes_one() -> None:
    events = [*values(101, 101, 101), Assigned(at=3, by="eva", owner="li"), Assigned(at=4, by="eva", owner="li")]
    assert told(events)[1:] == [(3, What.ASSIGNED, State.ACTIVE)]
    after, _ = run(replace(RULE, owner=None), [*values(101, 101, 101), Acknowledged(at=3, by="li")])
    assert after.owner == "li"


def test_a_limit_from_below_is_the_mirror_image() -> None:
    rule = AlarmRule(id="pressure", side=Side.BELOW, limit=Decimal(5), clear=Decimal(6))
    assert told(values(5, 4, 5, 6), rule) == [(1, What.RAISED, State.ACTIVE), (3, What.ENDED, State.GONE)]


def test_a_rule_without_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="good side"):
        replace(RULE, clear=Decimal(101))
    with pytest.raises(ValueError, match="not below 0"):
        replace(RULE, delay_ns=-1)


readings = st.lists(st.none() | st.integers(80, 110), max_size=60)


@settings(max_examples=40, deadline=None)
@given(readings, st.sets(st.integers(0, 60)))
def test_history_tells_every_state_and_a_second_delivery_adds_no_line(found: list[int | None], seen: set[int]) -> None:
    now, history = Alarm(), 0
    for event in values(*found):
        before = now
        now, changes = step(RULE, now, event)
        assert step(RULE, now, event) == (now, ())
        assert bool(changes) == (before.state is not now.state)
        history += len(changes)
        if event.at in seen:
            now, changes = step(RULE, now, Acknowledged(at=event.at, by="li"))
            assert step(RULE, now, Acknowledged(at=event.at, by="li")) == (now, ())
            history += len(changes)
    assert now.number <= history


@settings(max_examples=40, deadline=None)
@given(readings)
def test_more_hysteresis_never_changes_state_more_often(found: list[int | None]) -> None:
    narrow = replace(RULE, clear=Decimal(100), delay_ns=0, clear_delay_ns=0)
    wide = replace(narrow, clear=Decimal(85))
    assert len(told(values(*found), wide)) <= len(told(values(*found), narrow))


def test_the_shipped_limits_load_and_a_mistake_names_file_line_and_key() -> None:
    found = load_management(config_dir() / "management.yaml")[-1]
    assert found.alarms["demand_forecast_percent"].delay_ns == 60 * 10**9
    assert (found.balance_limit_percent, found.leaks["fresh_water"].history, found.confirmed) == (Decimal(3), 28, False)
    text = (config_dir() / "management.yaml").read_text()
    for wrong, right, message in (
        (
            "clear: 95",
            "clear: 101",
            r"versions\.0\.alarms\.demand_forecast_percent: clear lies on the good side of limit",
        ),
        ("least: 14 ", "least: 29 ", r"versions\.0\.leak\.fresh_water\.least: must not be more than history"),
        ("r2: 0.75", "r3: 0.75", r"versions\.0\.baseline\.r3: is not a key that is known here"),
    ):
        with pytest.raises(ConfigError, match=rf"m\.yaml:\d+: {message}"):
            management_of(load_text(text.replace(wrong, right), "m.yaml"))


def test_a_result_of_the_rules_is_a_value_with_its_basis_and_an_absent_one_is_not_known() -> None:
    running = forecast(energy_kwh=Decimal(100), elapsed_s=600, powers_kw=[Decimal(600)], contract_kw=Decimal(500))
    assert sources.demand_forecast_percent(1, running) == Measured(at=1, value=Decimal(120), basis="600.000 of 500 kW")
    unknown = forecast(energy_kwh=None, elapsed_s=600, powers_kw=[], contract_kw=Decimal(500))
    assert sources.demand_forecast_percent(1, unknown) == Measured(at=1, value=None, basis="no_energy")
    parent = BalanceMeter(
        id="in", role=Role.SUPPLY, accuracy=Decimal("0.5"), intervals=[Amount(start=0, end=1, amount=Decimal(1000))]
    )
    child = replace(parent, id="out", role=Role.CHILD, intervals=[Amount(start=0, end=1, amount=Decimal(900))])
    lost = balance([parent, child], expected=1, limit_percent=Decimal(3))
    assert (sources.unmetered_percent(1, lost).value, sources.meter_fault(1, lost).value) == (Decimal(10), Decimal(0))
    wrong = balance(
        [replace(child, role=Role.SUPPLY), replace(parent, role=Role.CHILD)], expected=1, limit_percent=Decimal(3)
    )
    assert (sources.unmetered_percent(1, wrong).value, sources.meter_fault(1, wrong).value) == (Decimal(0), Decimal(1))
    none = balance([], expected=1, limit_percent=Decimal(3))
    assert (sources.unmetered_percent(1, none).value, sources.meter_fault(1, none).value) == (None, None)
    night = Night(day=date(2026, 1, 1), flow=None, start=None, reason="no_complete_hour_in_window")
    rule = load_management(config_dir() / "management.yaml")[-1].leaks["fresh_water"]
    assert sources.leak(1, assess([night], rule)).value is None
    year = Budget(id="power", unit="tce", plan=(Decimal(100),) * 12)
    assert sources.budget_percent(1, year, outturn(year, {1: Decimal(110)})).value == Decimal(110)
    assert sources.budget_percent(1, year, outturn(year, {})).value is None


def test_a_limit_that_is_changed_today_leaves_earlier_verdicts_as_they_were() -> None:
    text = (config_dir() / "management.yaml").read_text()
    version = text[text.index("  - valid_from") :]
    newer = version.replace("2020-01-01", "2026-11-15").replace("limit_percent: 3 ", "limit_percent: 9 ")
    found = management_of(load_text(text + newer, "m.yaml"))
    days = (date(2019, 1, 1), date(2026, 10, 31), date(2026, 11, 14), date(2026, 11, 15), date(2030, 1, 1))
    assert [in_force(found, day).balance_limit_percent for day in days] == [3, 3, 3, 9, 9]
    with pytest.raises(ConfigError, match=r"m\.yaml:\d+: versions\.1\.valid_from: must be later"):
        management_of(load_text(text + version, "m.yaml"))
