"""Benchmarks, budgets and the equipment ledger."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.benchmark import BenchmarkRow, Level, benchmarks_of, load_benchmarks, row_on, standing
from centre.accounting.budget import Budget, BudgetState, Trade, outturn, quota_after
from centre.accounting.equipment import Equipment, operation, specific
from centre.accounting.metered import Amount
from wattline.errors import ConfigError
from wattline.resources import config_dir

QUARTER = 15 * 60 * 10**9
HEAD = "product,name_en,name_zh,unit,output_unit,kgce_per_unit,baseline,advanced,edition,valid_from,source,confirmed\n"
LINE = "aluminium,Aluminium,铝,kWh/t,t,0.1229,13350,13000,2021,2022-01-01,test,no\n"
(ROW,) = benchmarks_of([HEAD, LINE], "b.csv")
YEAR = Budget(id="power", unit="tce", plan=(Decimal(100),) * 12, reserve=Decimal(60), quota=Decimal(1300))
FAN = Equipment(id="fan", rated_kw=Decimal(100), efficiency_class="IE3", key=True)


def test_every_shipped_benchmark_says_its_edition_and_whether_it_was_confirmed() -> None:
    rows = load_benchmarks(config_dir() / "benchmarks.csv")
    assert rows
    assert all(row.edition and row.source for row in rows)


@pytest.mark.parametrize(
    ("kwh", "level"),
    [("1300000", Level.ADVANCED), ("1300001", Level.BETWEEN), ("1335000", Level.BETWEEN), ("1335001", Level.WORSE)],
)
def test_a_level_is_reached_at_its_very_value(kwh: str, level: Level) -> None:
    assert standing(ROW, consumption=Decimal(kwh), output=Decimal(100)).level is level


def test_the_gap_is_told_per_unit_in_tce_and_in_money() -> None:
    found = standing(ROW, consumption=Decimal(1_400_000), output=Decimal(100), price=Decimal("0.6"))
    assert found.to_baseline is not None
    assert found.to_advanced is not None
    assert (found.value, found.level) == (Decimal(14000), Level.WORSE)
    assert (found.to_baseline.per_unit, found.to_baseline.tce, found.to_baseline.cost) == (
        Decimal(650),
        Decimal("7.9885"),
        Decimal(39000),
    )
    assert (found.to_advanced.per_unit, found.to_advanced.tce, found.to_advanced.cost) == (
        Decimal(1000),
        Decimal("12.29"),
        Decimal(60000),
    )


def test_without_a_benchmark_or_output_there_is_a_reason() -> None:
    assert standing(None, consumption=Decimal(1), output=Decimal(1)).reason == "no_benchmark"
    assert standing(ROW, consumption=Decimal(1), output=Decimal(0)).reason == "no_output"


def test_the_edition_of_the_day_counts() -> None:
    newer = replace(ROW, edition="2023", valid_from=date(2024, 1, 1))
    assert row_on([ROW, newer], "aluminium", date(2021, 1, 1)) is None
    assert row_on([newer, ROW], "aluminium", date(2023, 12, 31)) == ROW
    assert row_on([ROW, newer], "aluminium", date(2024, 1, 1)) == newer


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (LINE.replace("13350", "12000"), "b.csv:2: advanced: must not be above"),
        (LINE.replace("13350", "x"), "b.csv:2: baseline: must be a plain number"),
        (LINE.replace("2022-01-01", "2022"), "b.csv:2: valid_from: must be a day"),
        (LINE.replace(",no", ",perhaps"), "b.csv:2: confirmed: must be yes or no"),
        (LINE.replace(",no", ""), "b.csv:2: must have 12 columns"),
        (LINE + LINE, "b.csv:3: product: aluminium stands a second time"),
    ],
)
def test_a_mistake_in_a_benchmark_table_names_file_line_and_column(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        benchmarks_of([HEAD, *line.splitlines(keepends=True)], "b.csv")
    assert message in str(caught.value)


def rank(row: BenchmarkRow, consumption: Decimal) -> int:
    level = standing(row, consumption=consumption, output=Decimal(100)).level
    assert level is not None
    return list(Level).index(level)


@settings(max_examples=40, deadline=None)
@given(st.decimals(0, 2 * 10**6, places=2), st.decimals(0, 2 * 10**6, places=2))
def test_more_consumption_never_reaches_a_better_level(a: Decimal, b: Decimal) -> None:
    assert rank(ROW, min(a, b)) <= rank(ROW, max(a, b))


@pytest.mark.parametrize(
    ("each", "state"),
    [("95", BudgetState.WITHIN), ("96", BudgetState.RESERVE), ("101", BudgetState.OVER), ("109", BudgetState.QUOTA)],
)
def test_the_year_ends_as_its_months_went(each: str, state: BudgetState) -> None:
    found = outturn(YEAR, {month: Decimal(each) for month in range(1, 5)})
    assert (found.year_end, found.state) == (12 * Decimal(each), state)
    assert (found.low, found.high, found.left) == (found.year_end, found.year_end, 1200 - 4 * Decimal(each))


def test_the_range_is_the_best_and_the_worst_month_and_a_missing_month_is_not_0() -> None:
    found = outturn(YEAR, {1: Decimal(80), 3: Decimal(120)})
    assert (found.used, found.planned, found.months) == (Decimal(200), Decimal(200), (1, 3))
    assert (found.low, found.year_end, found.high) == (Decimal(1000), Decimal(1200), Decimal(1400))


def test_without_a_closed_month_or_a_plan_for_it_there_is_no_forecast() -> None:
    assert outturn(YEAR, {}).reason == "no_closed_month"
    later = replace(YEAR, plan=(Decimal(0), *YEAR.plan[1:]))
    assert outturn(later, {1: Decimal(5)}).reason == "no_plan_so_far"
    with pytest.raises(ValueError, match="twelve months"):
        replace(YEAR, plan=(Decimal(1),))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.decimals(1, 1000, places=1), min_size=12, max_size=12),
    st.dictionaries(st.integers(1, 12), st.decimals(0, 2000, places=1), min_size=1),
)
def test_the_forecast_lies_in_its_range_and_a_full_year_is_what_was_used(
    plan: list[Decimal], actual: dict[int, Decimal]
) -> None:
    found = outturn(replace(YEAR, plan=tuple(plan)), actual)
    assert found.low is not None
    assert found.year_end is not None
    assert found.high is not None
    assert found.used <= found.low <= found.year_end <= found.high
    assert found.left + found.used == sum(plan)
    full = outturn(replace(YEAR, plan=tuple(plan)), {m: actual.get(m, Decimal(1)) for m in range(1, 13)})
    assert full.low == full.year_end == full.high == full.used


def test_a_quota_is_traded_once_and_never_below_0() -> None:
    bought = Trade(id="T1", amount=Decimal(50), document="contract 7")
    assert quota_after(Decimal(100), [bought, replace(bought, id="T2", amount=Decimal(-120))]) == 30
    with pytest.raises(ValueError, match="twice"):
        quota_after(Decimal(100), [bought, bought])
    with pytest.raises(ValueError, match="more was sold"):
        quota_after(Decimal(100), [replace(bought, amount=Decimal(-101))])


def quarters(*kw: str | None) -> list[Amount]:
    return [
        Amount(start=n * QUARTER, end=(n + 1) * QUARTER, amount=None if v is None else Decimal(v) / 4)
        for n, v in enumerate(kw)
    ]


def test_a_machine_runs_idles_is_off_or_unknown() -> None:
    found = operation(FAN, quarters("0", "80", "60", "10", "1", None, "70", "0"), start=0, end=8 * QUARTER)
    assert (found.running_h, found.idle_h, found.off_h, found.unknown_h) == (
        Decimal("0.75"), Decimal("0.25"), Decimal("0.75"), Decimal("0.25"),
    )  # fmt: skip
    assert (found.load_rate, found.idle_kwh, found.starts) == (Decimal("0.7"), Decimal("2.5"), 1)
    assert found.energy_kwh == Decimal("55.25")


def test_a_machine_that_never_ran_has_no_load_rate() -> None:
    assert operation(FAN, quarters("0"), start=0, end=QUARTER).reason == "never_ran"
    unknown = operation(FAN, quarters(None), start=0, end=QUARTER)
    assert (unknown.reason, unknown.energy_kwh, unknown.load_rate) == ("no_energy", None, None)
    with pytest.raises(ValueError, match="rating"):
        replace(FAN, rated_kw=Decimal(0))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.decimals(0, 150, places=1).map(str), min_size=1, max_size=30))
def test_the_hours_add_up_to_the_period_and_the_energy_to_the_intervals(kw: list[str | None]) -> None:
    found = operation(FAN, reversed(quarters(*kw)), start=0, end=len(kw) * QUARTER)
    assert found.running_h + found.idle_h + found.off_h + found.unknown_h == Decimal(len(kw)) / 4
    assert (found.energy_kwh or 0) == sum(Decimal(value) / 4 for value in kw if value is not None)


def test_specific_consumption_needs_energy_and_output() -> None:
    assert specific(Decimal(1080), Decimal(10_000), "kWh/m3").value == Decimal("0.108")
    assert specific(Decimal(1), Decimal(0), "kWh/m3").reason == "no_output"
    assert specific(None, Decimal(1), "kWh/m3").reason == "no_energy"
