"""Which factor row counts: two axes of time, named sets, and a report that is the same when it is run again."""

import random
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre.accounting.factor_choice import (
    LATEST_KNOWN,
    LATEST_PUBLISHED,
    NOT_IN_SETS,
    NOT_IN_TABLE,
    NOT_PUBLISHED,
    NOT_VALID,
    OWN_SETS,
    SAME_YEAR,
    Choice,
    FactorBook,
    FactorPolicy,
    Knowledge,
    ReportDates,
    choose,
)
from centre.accounting.factor_policies import load_policies
from centre.accounting.factors import FactorTableError, load_factors
from centre.json_views import to_json
from wattline.errors import ConfigError
from wattline.resources import config_dir

D = Decimal
TABLE = load_factors(config_dir() / "factors.csv")
POLICIES = load_policies(config_dir() / "factor_policies.yaml", TABLE)
AVERAGE = "grid_co2_factor_average"
JUNE = date(2024, 6, 15)
MADE = date(2024, 7, 5)
LATER = date(2026, 3, 1)
DAYS = st.dates(date(2015, 1, 1), date(2030, 12, 31))


def grid(knowledge: Knowledge, run_on: date, *, day: date = JUNE, made_on: date = MADE) -> Choice:
    policy = FactorPolicy(name="p", knowledge=knowledge)
    dates = ReportDates(made_on=made_on, run_on=run_on)
    return choose(TABLE, policy, carrier="electricity", metric=AVERAGE, region="CN-Chongqing", day=day, dates=dates)


def test_v16_a_report_run_again_is_unchanged_unless_its_policy_is_to_restate() -> None:
    first = grid(Knowledge.AS_KNOWN, MADE)
    again = grid(Knowledge.AS_KNOWN, LATER)
    restated = grid(Knowledge.RESTATE, LATER)
    assert first.row is not None
    assert restated.row is not None
    assert to_json(again) == to_json(first)
    assert (first.row.value, first.reason) == (D("0.4743"), LATEST_KNOWN)
    assert (restated.row.value, restated.reason, restated.known_on) == (D("0.5581"), LATEST_KNOWN, LATER)


def test_a_restated_report_takes_the_data_year_of_the_activity_once_it_is_out() -> None:
    found = grid(Knowledge.RESTATE, LATER, day=date(2022, 6, 1), made_on=date(2022, 7, 1))
    assert found.row is not None
    assert (found.row.value, found.reason) == (D("0.5227"), SAME_YEAR)


def test_a_daily_figure_knows_what_was_published_by_its_day() -> None:
    found = grid(Knowledge.LATEST_PUBLISHED, LATER)
    assert found.row is not None
    assert (found.row.value, found.reason, found.known_on) == (D("0.4743"), LATEST_PUBLISHED, JUNE)


def test_the_tables_of_one_announcement_share_its_day_of_publication() -> None:
    days = {(row.valid_from, row.published_on) for row in TABLE if row.factor_set == "grid"}
    assert len(days) == 3


def test_no_row_is_an_answer_with_a_reason() -> None:
    policy = FactorPolicy(name="p", knowledge=Knowledge.RESTATE, sets=("g2",))
    dates = ReportDates(made_on=LATER, run_on=LATER)

    def reason(carrier: str, metric: str, day: date = LATER, policy: FactorPolicy = policy) -> str:
        return choose(TABLE, policy, carrier=carrier, metric=metric, region="CN", day=day, dates=dates).reason

    assert reason("unobtainium", "m") == NOT_IN_TABLE
    assert reason("electricity", AVERAGE) == NOT_IN_SETS
    assert reason("diesel", "co2_factor_combustion", date(2019, 1, 1)) == NOT_VALID
    assert grid(Knowledge.AS_KNOWN, LATER, made_on=date(2024, 1, 1)).reason == NOT_PUBLISHED


def test_a_pinned_set_gives_its_own_number_and_the_order_of_sets_decides() -> None:
    def diesel(*sets: str) -> Decimal | None:
        policy = FactorPolicy(name="p", knowledge=Knowledge.RESTATE, sets=sets)
        dates = ReportDates(made_on=LATER, run_on=LATER)
        found = choose(
            TABLE,
            policy,
            carrier="diesel",
            metric="co2_factor_combustion",
            region="CN-Chongqing",
            day=LATER,
            dates=dates,
        )
        return None if found.row is None else found.row.value

    assert (diesel("g1"), diesel("g2"), diesel("g1", "g2"), diesel("g2", "g1")) == (
        D("3.1451"), D("3.0959"), D("3.1451"), D("3.0959"),
    )  # fmt: skip


def test_a_plants_measured_value_goes_before_the_table() -> None:
    policy = POLICIES["carbon-inventory"].policy
    default = next(row for row in TABLE if row.carrier == "diesel" and row.factor_set == "g2")
    own = replace(default, id="measured/diesel", factor_set="measured", value=D("42.1"), valid_from=date(2026, 1, 1))
    dates = ReportDates(made_on=LATER, run_on=LATER)
    found = choose(
        [*TABLE, own], policy, carrier="diesel", metric=default.metric, region="CN-Chongqing", day=LATER, dates=dates
    )
    assert found.row == own


def test_an_unverified_row_is_marked_in_the_choice() -> None:
    policy = POLICIES["comprehensive-energy"].policy
    dates = ReportDates(made_on=LATER, run_on=LATER)
    found = choose(
        TABLE, policy, carrier="electricity", metric="coal_equivalent_equal_value", region="CN-Chongqing", day=LATER,
        dates=dates,
    )  # fmt: skip
    assert found.unverified
    assert not grid(Knowledge.RESTATE, LATER).unverified


@given(day=DAYS, made_on=DAYS, run_on=DAYS, seed=st.integers(0, 9), knowledge=st.sampled_from(Knowledge))
def test_a_choice_is_independent_of_the_order_of_rows_and_never_knows_the_future(
    day: date, made_on: date, run_on: date, seed: int, knowledge: Knowledge
) -> None:
    policy = FactorPolicy(name="p", knowledge=knowledge)
    dates = ReportDates(made_on=made_on, run_on=run_on)
    shuffled = [row for row in TABLE if row.carrier == "electricity"]
    random.Random(seed).shuffle(shuffled)
    found, again = (
        choose(rows, policy, carrier="electricity", metric=AVERAGE, region="CN-Chongqing", day=day, dates=dates)
        for rows in (TABLE, shuffled)
    )
    assert found == again
    assert found.row is None or (found.row.known_from <= found.known_on and (found.row.valid_from or day) <= day)


@given(day=DAYS, made_on=DAYS, published=DAYS, run_on=DAYS)
def test_a_later_publication_changes_no_report_made_before_it(
    day: date, made_on: date, published: date, run_on: date
) -> None:
    base = next(row for row in TABLE if row.metric == AVERAGE and row.region == "CN")
    new = replace(base, id="new", value=D("0.1"), valid_from=date(2015, 1, 1), valid_to=None, published_on=published)
    dates = ReportDates(made_on=made_on, run_on=run_on)
    policy = FactorPolicy(name="p", knowledge=Knowledge.AS_KNOWN)
    before, after = (
        choose(rows, policy, carrier="electricity", metric=AVERAGE, region="CN", day=day, dates=dates)
        for rows in ([base], [base, new])
    )
    if published > made_on:
        assert after == before or before.row is None
        assert after.row != new


def test_every_named_policy_says_where_it_comes_from() -> None:
    assert {name for name, named in POLICIES.items() if not named.source} == set()
    assert {"monthly-statement", "carbon-inventory", "product-footprint"} <= set(POLICIES)
    assert not {row.factor_set for row in TABLE} & OWN_SETS


def test_a_fuel_without_a_coal_equivalent_says_why_and_a_plants_own_row_ends_that(tmp_path: Path) -> None:
    dates = ReportDates(made_on=date(2026, 3, 1), run_on=date(2026, 3, 1))
    policy = POLICIES["comprehensive-energy"].policy
    asked = ("bituminous_coal", "coal_equivalent", "coal_equivalent", date(2026, 2, 28))
    missing = FactorBook(rows=TABLE, policy=policy, dates=dates, region="CN-Chongqing").find(*asked)
    assert missing.row is None
    assert "GB/T 2589-2020" in missing.reason
    raw = next(row for row in TABLE if (row.carrier, row.metric) == ("raw_coal", "coal_equivalent"))
    own = replace(raw, carrier="bituminous_coal", factor_set="measured", value=Decimal("0.79"))
    book = FactorBook(rows=[*TABLE, own], policy=policy, dates=dates, region="CN-Chongqing")
    assert book.find(*asked).row == own
    path = tmp_path / "policies.yaml"
    path.write_text(
        "policies:\n  a: {knowledge: restate, absent: {raw_coal/coal_equivalent: none}, source: x, confirmed: no}\n"
    )
    with pytest.raises(ConfigError, match="the table has a row for it"):
        load_policies(path, TABLE)


def test_a_policy_with_an_unknown_set_or_metric_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "policies.yaml"
    head = "policies:\n  mine:\n    knowledge: restate\n    source: me\n    confirmed: false\n"
    file.write_text(f"{head}    sets: [g3]\n    metrics: {{electricity/location: wind}}\n")
    with pytest.raises(ConfigError, match=r"yaml:6: .*g3\n.*yaml:7: .*wind"):
        load_policies(file, TABLE)


def test_a_row_that_stands_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    columns = "carrier,unit,metric,value,value_unit,region,valid_from,valid_to,published_on,factor_set,source,confirmed"
    table = tmp_path / "factors.csv"
    table.write_text(f"{columns}\n" + "diesel,t,m,1,tCO2/t,CN,2020-01-01,,,g1,s,yes\n" * 2)
    with pytest.raises(FactorTableError, match=r":3: .*second time"):
        load_factors(table)
