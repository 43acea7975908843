"""Energy baselines and budgets as a plant sets them: fitted to its months, held against every later one, told whole."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from centre.accounting.factor_choice import ReportDates
from centre.accounting.terms import Input
from centre.baseline_study import Seen, Study, month_seen, study
from centre.budgets import PlantBudget
from centre.carriers import Carrier
from centre.energy_baselines import Driver, EnergyBaseline
from centre.manual_forms import Entry
from centre.period import Period
from centre.report.baselines import baselines
from centre.report.budgets import budgets, outturns
from centre.report.document import Document, Word
from centre.settings import load_setup
from centre.statement import Statement, statement
from centre.statement_told import Told
from centre.statements import Basis
from support.books_plant import setup
from support.centre_year import PLANT, records
from support.plant_settings import settings_with
from wattline.errors import ConfigError

D = Decimal
YEAR = Period(year=2026)
BASELINES = """
    baselines:
      - id: furnace
        node: furnace
        carrier: electricity
        drivers: [{product: ingot}]
        versions:
          - {first: 2024-01, last: 2024-12, valid_from: 2025-01-01, reason: the first whole year}
          - {first: 2025-01, last: 2025-12, valid_from: 2026-04-01, reason: a new lining}
"""
BUDGETS = """
    budgets:
      - id: power
        node: plant
        carrier: electricity
        year: 2026
        plan: [100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100]
        quota: 1300
        trades: [{id: t1, amount: -50, document: contract 7}, {id: t2, amount: 20, document: contract 9}]
"""
RULE = setup().rules["jiangjin-1"].managements[0].baseline


def furnace(folder: Path) -> EnergyBaseline:
    return load_setup(settings_with(folder, BASELINES)).rules["jiangjin-1"].terms.baselines[0]


def seen(year: int, month: int, made: int | None, more: str = "0") -> Seen:
    """100 kWh and 2 kWh for each t, and what is more; a swing of 0.1 kWh makes the residuals chance."""
    swing = D("0.1") * (1 if month * 7 % 5 % 2 else -1)
    energy = None if made is None else D(100) + 2 * made + D(more) + swing
    return Seen(
        month=Period(year=year, month=month),
        energy=Input(id="furnace/electricity", value=energy or D(300), unit="kWh"),
        drivers={"ingot": Input(id="ingot", value=None if made is None else D(made), unit="t")},
    )


def found(folder: Path, this_year: Sequence[Seen]) -> Study:
    before = [seen(year, month, 10 * month + year - 2024) for year in (2024, 2025) for month in range(1, 13)]
    return study(furnace(folder), [*before, *this_year], YEAR, [RULE, RULE])


def test_a_year_is_held_against_the_version_of_each_month_and_the_sum_begins_anew(tmp_path: Path) -> None:
    made = found(tmp_path, [seen(2026, 1, 50, "8"), seen(2026, 2, None), seen(2026, 4, 60, "-5"), seen(2026, 5, 900)])
    assert [version.baseline is not None and version.baseline.model.valid for version in made.versions] == [True, True]
    january, february, april, may = (done for _, done, _ in made.months)
    assert january is not None
    assert february is None
    assert april is not None
    assert may is not None
    assert (january.baseline, april.baseline) == ("furnace/1", "furnace/2")
    assert abs((january.saving or D(0)) + 8) < D("0.3")
    # the running sum of version 1 has the months since 2025-01 in it; that of version 2 begins in April
    assert abs((january.cusum or D(0)) - 8) < D(2)
    assert april.saving is not None
    assert april.cusum == -april.saving
    assert (april.beyond, may.beyond) == ((), ("ingot",))
    assert [reason for _, _, reason in made.months] == [None, "ingot: no_quantity", None, None]


def test_a_version_that_cannot_be_fitted_leaves_its_months_without_an_expectation(tmp_path: Path) -> None:
    few = [seen(2025, month, 10 * month) for month in range(1, 12)]
    made = study(furnace(tmp_path), [*few, seen(2026, 3, 50), seen(2026, 4, 50)], YEAR, [RULE, RULE])
    assert [version.reason for version in made.versions] == ["too_few_observations", "too_few_observations"]
    assert [(done, reason) for _, done, reason in made.months] == [(None, "too_few_observations")] * 2


def test_a_month_counts_when_its_meters_know_enough_of_it(tmp_path: Path) -> None:
    amounts: list[int | None] = [1000, None, *[1000] * 10]
    basis = Basis(plant=PLANT, period=YEAR, records=records(YEAR, {m.carrier: amounts for m in PLANT.meters()}))
    values = {"node": "plant", "product": "ingot", "produced": "7", "unit": "t"}
    row = Entry(form="production", site="s", period="2026-01", key=("plant",), values=values, place=2)
    of = replace(furnace(tmp_path), node="plant")
    heat = Driver(name="plant/heat", node="plant", product=None, carrier=Carrier.HEAT)
    of = replace(of, drivers=(*(replace(driver, node="plant") for driver in of.drivers), heat))
    months = {
        month: month_seen(basis, Told(entries={"production": [row]}), of, Period(year=2026, month=month), D("0.95"))
        for month in (1, 2, 3)
    }
    assert months[1].reason is None
    assert (months[1].energy.value, months[1].drivers["ingot"].value) == (31 + sum(range(1, 32)), 7)
    assert months[1].drivers["plant/heat"].value == months[1].energy.value  # all meters of this plant count the same
    assert months[2].reason == "plant/electricity: too_little_known"
    assert months[3].reason == "ingot: no_quantity"


def rows(document: Document, key: str) -> list[dict[str, object]]:
    [table] = [table for table in document.tables if table.key == key]
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def a_statement() -> Statement:
    shipped = setup().rules["jiangjin-1"]
    rules = replace(shipped, terms=replace(shipped.terms, tariff=None))
    dates = ReportDates(made_on=date(2026, 6, 1), run_on=date(2026, 6, 1))
    return statement(
        PLANT, YEAR, records(YEAR, {m.carrier: [1] * 12 for m in PLANT.meters()}), rules, dates, software="0"
    )


def test_the_report_tells_what_the_model_is_worth_and_the_running_sum(tmp_path: Path) -> None:
    told = baselines(a_statement(), [found(tmp_path, [seen(2026, 1, 50, "8")])])
    first, second = rows(told, "models")
    assert (first["version"], first["made_because"], first["periods"]) == ("1", "the first whole year", "12")
    assert second["valid_from"] == "2026-04-01"
    load, slope = rows(told, "coefficients")[:2]
    assert (slope["driver"], slope["range_low"], slope["range_high"]) == ("ingot", 10, 120)
    assert abs(D(str(slope["coefficient"])) - 2) < D("0.01")
    assert abs(D(str(load["coefficient"])) - 100) < 1
    [january] = rows(told, "performance")
    assert (january["period"], january["drivers"], january["unit"]) == ("2026-01", "ingot = 50 t", "kWh")
    assert D(str(january["expected"])) - D(str(january["actual"])) == january["saving"]


def test_a_budget_shows_its_forecast_against_the_quota_with_trades(tmp_path: Path) -> None:
    [budget] = load_setup(settings_with(tmp_path, BUDGETS)).rules["jiangjin-1"].terms.budgets
    used: Mapping[int, D] = {1: D(110), 2: D(110)}
    [row] = rows(budgets(a_statement(), outturns([(budget, dict(used))])), "budget_rows")
    assert (row["quota"], row["traded"], row["quota_after"]) == (1300, -30, 1270)
    assert (row["used_so_far"], row["planned"], row["left"], row["year_end"]) == (220, 200, 980, 1320)
    assert row["months"] == "1, 2"
    assert row["budget_state"] == Word("budget_quota")
    assert isinstance(budget, PlantBudget)


@pytest.mark.parametrize(
    ("text", "line", "wrong", "message"),
    [
        (BASELINES, "node: furnace", "node: oven", "plants.0.baselines.0.node: oven is no node of the tree"),
        (BASELINES, "product: ingot", "product: ingot, carrier: heat", "a driver is a product or a carrier"),
        (BASELINES, "last: 2024-12", "last: 2023-12", "baselines.0.versions.0.last: must not be before `first`"),
        (BASELINES, "2026-04-01", "2025-01-01", "baselines.0.versions.1.valid_from: must be later"),
        (BASELINES, "first: 2024-01", "first: 2024-13", "must be a month such as 2026-10"),
        (BUDGETS, "id: t2", "id: t1", "a trade is entered twice"),
        (BUDGETS, "-50", "-1400", "more was sold than the quota holds"),
        (BUDGETS, "        quota: 1300\n", "", "trades change a quota, and there is none"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_settings_names_file_line_and_key(
    tmp_path: Path, text: str, line: str, wrong: str, message: str
) -> None:
    assert line in text
    with pytest.raises(ConfigError, match=r"centre\.yaml:\d+: plants\.0\.b") as raised:
        load_setup(settings_with(tmp_path, text.replace(line, wrong, 1)))
    assert message in str(raised.value)
