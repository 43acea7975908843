"""A year against the base years of its plant: restated with a reason, at constant prices, month by month (rows 18-20)."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from centre.accounting.factor_choice import ReportDates
from centre.books.file import Books
from centre.errors import BadQuestion
from centre.manual_forms import Entry
from centre.period import Period
from centre.progress import Standing, standings
from centre.report.reports import reports
from centre.report.writers import WRITERS, load_words
from centre.settings import load_setup
from centre.statement import statement
from centre.statement_books import StatementBooks
from centre.statement_told import Told
from support.books_plant import CLOCK, filled, setup, statements
from support.centre_year import PLANT, records
from support.plant_settings import settings_with
from wattline.errors import ConfigError

D = Decimal
YEAR = Period(year=2026)
BASE_YEARS = """
    base_years:
      - id: energy-per-value-added
        node: plant
        of: energy
        per: value_added
        year: 2020
        prices: 2020
        price_index: [{year: 2026, index: 1.25, source: the statistics bureau}]
        target: -0.16
        by: 2026
        base: {numerator: 1000, denominator: 2000, source: the statement of 2020, boundary: without hall 3}
        restated: [{numerator: 1200, denominator: 2000, source: an audit, reason: hall 3 was taken over}]
      - {id: water-per-gearbox, node: plant, of: water, per: gearbox, unit: t, year: 2020,
         base: {numerator: 500, denominator: 100, source: the statement of 2020}}
"""


def told(form: str, column: str, amounts: Mapping[str, str], unit: str) -> Sequence[Entry]:
    return [
        Entry(
            form=form, site="s", period=month, key=("plant", month), place=2,
            values={"node": "plant", "product": "gearbox", column: amount, "unit": unit},
        )
        for month, amount in amounts.items()
    ]  # fmt: skip


def of_year(folder: Path, money: Mapping[str, str], run_on: date, *, silent: int | None = None) -> list[Standing]:
    rules = load_setup(settings_with(folder, BASE_YEARS)).rules["jiangjin-1"]
    rules = replace(rules, terms=replace(rules.terms, tariff=None))
    amounts: list[int | None] = [None if month == silent else 1000 for month in range(1, 13)]
    dates = ReportDates(made_on=run_on, run_on=run_on)
    entries = Told(
        entries={
            "value_added": told("value_added", "value_added", money, "1e4CNY"),
            "production": told("production", "produced", {"2026-01": "30000", "2026-02": "2"}, "kg"),
        }
    )
    found = {meter.carrier: amounts for meter in PLANT.meters()}
    made = statement(PLANT, YEAR, records(YEAR, found), rules, dates, software="0", told=entries)
    return list(standings(made, PLANT.tree, entries, rules.terms.goals, D("0.95")))


def test_a_year_stands_against_every_version_of_its_base_year_at_constant_prices(tmp_path: Path) -> None:
    money = {f"2026-{month:02d}": "50" for month in range(1, 13)}
    energy = of_year(tmp_path, money, date(2027, 3, 1))[0]
    assert (energy.whole, len(energy.months), energy.missing) == (True, 12, ())
    original, restated = energy.progress
    assert (original.change, original.reason) == (None, "other_boundary")
    assert restated.base.why == "hall 3 was taken over"
    assert restated.current.denominator.value == D(12 * 50) / D("1.25")
    tce = restated.current.numerator.value or D(0)
    exact = tce / D(480) / (D(1200) / D(2000)) - 1
    assert abs((restated.change or D(0)) - exact) < D("1e-9")
    assert restated.reached is (exact <= D("-0.16"))


def test_a_month_counts_only_when_it_is_over_and_both_parts_are_known(tmp_path: Path) -> None:
    money = {"2026-01": "50", "2026-02": "50", "2026-04": "50", "2026-05": "50"}
    energy, water = of_year(tmp_path, money, date(2026, 5, 20), silent=2)
    assert [month.label for month in energy.months] == ["2026-01", "2026-04"]
    assert [text.partition(":")[0] for text in energy.missing] == ["2026-02", "2026-03"]
    assert not energy.whole
    assert energy.progress[0].current.denominator.value == D(100) / D("1.25")
    [against] = water.progress
    # 31 days of 1 m3 and the day's number each, on 30 t
    assert against.current.numerator.value == 31 + sum(range(1, 32))
    assert (against.current.denominator.value, against.current.unit) == (30, "m3/t")


def test_carbon_is_scopes_1_and_2_by_location(tmp_path: Path) -> None:
    text = BASE_YEARS.replace("of: energy", "of: carbon")
    [carbon, _] = load_setup(settings_with(tmp_path, text)).rules["jiangjin-1"].terms.goals
    [made] = standings_of(carbon)
    now = made.progress[-1].current
    assert (now.unit, len(made.months)) == ("tCO2e/1e4CNY", 1)
    shipped = setup().rules["jiangjin-1"]
    rules = replace(shipped, terms=replace(shipped.terms, tariff=None))
    found = records(YEAR, {meter.carrier: [1000] * 12 for meter in PLANT.meters()})
    dates = ReportDates(made_on=date(2026, 2, 2), run_on=date(2026, 2, 2))
    january = statement(PLANT, YEAR, found, rules, dates, software="0").nodes[0].months[0]
    assert january.scope1.value is not None
    assert january.scope2.location.value is not None
    assert now.numerator.value == january.scope1.value + january.scope2.location.value


def test_without_a_price_index_value_added_is_not_compared(tmp_path: Path) -> None:
    text = BASE_YEARS.replace("year: 2026, index", "year: 2025, index")
    found = load_setup(settings_with(tmp_path, text)).rules["jiangjin-1"].terms.goals[0]
    assert found.index == {2020: 1, 2025: D("1.25")}
    energy = replace(found, index={})
    [made] = standings_of(energy)
    assert (made.progress[-1].change, made.progress[-1].reason) == (
        None,
        "s/plant/value_added/2026-01: no_price_index: 2026",
    )


def standings_of(energy: Any) -> tuple[Standing, ...]:
    entries = Told(entries={"value_added": told("value_added", "value_added", {"2026-01": "5"}, "1e4CNY")})
    shipped = setup().rules["jiangjin-1"]
    rules = replace(shipped, terms=replace(shipped.terms, tariff=None))
    found = {meter.carrier: [1000] * 12 for meter in PLANT.meters()}
    dates = ReportDates(made_on=date(2026, 2, 2), run_on=date(2026, 2, 2))
    made = statement(PLANT, YEAR, records(YEAR, found), rules, dates, software="0", told=entries)
    return standings(made, PLANT.tree, entries, (energy,), D("0.95"))


@pytest.mark.parametrize(
    ("line", "wrong", "message"),
    [
        ("node: plant\n", "node: hall-9\n", "plants.0.base_years.0.node: hall-9 is no node of the tree"),
        (
            "        prices: 2020\n",
            "",
            "plants.0.base_years.0.prices: value added is compared at the prices of one year",
        ),
        ("        by: 2026\n", "", "plants.0.base_years.0.target: target and by"),
        (", unit: t,", ",", "plants.0.base_years.1.unit: gearbox needs the unit"),
        ("water-per-gearbox", "energy-per-value-added", "plants.0.base_years.1.id: energy-per-value-added stands here"),
        (", reason: hall 3 was taken over", "", "plants.0.base_years.0.restated.0.reason"),
    ],
)
def test_a_mistake_in_a_base_year_names_file_line_and_key(tmp_path: Path, line: str, wrong: str, message: str) -> None:
    assert line in BASE_YEARS
    with pytest.raises(ConfigError, match=r"centre\.yaml:\d+: ") as found:
        load_setup(settings_with(tmp_path, BASE_YEARS.replace(line, wrong, 1)))
    assert message in str(found.value)


def test_the_report_lists_both_sides_of_every_version(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def make() -> dict[str, Any]:
        found = load_setup(settings_with(tmp_path, BASE_YEARS))
        async with await filled(tmp_path_factory) as store, Books(tmp_path / "books.db", CLOCK, inline=True) as books:
            service = replace(statements(store, found), books=StatementBooks(books=books))
            maker = reports(service)
            with pytest.raises(BadQuestion, match="such as 2026"):
                await maker.document("progress", "jiangjin-1", Period(year=2026, month=11))
            document = await maker.document("progress", "jiangjin-1", YEAR)
            assert "强度指标与基准年对比" in WRITERS["csv"][1](document, load_words()["zh"]).decode()
            return dict(json.loads(WRITERS["json"][1](document, load_words()["en"])))

    tables = asyncio.run(make())["tables"]
    original, restated, water = tables["standings"]
    assert (original["restatement"], restated["restatement"], restated["restated_why"]) == (
        "0",
        "1",
        "hall 3 was taken over",
    )
    assert (restated["base_value"], restated["unit"], restated["change"]) == ("0.6", "tce/1e4CNY", None)
    assert "no_month_is_known" in restated["reason"]
    assert (water["per"], water["base_value"], water["unit"]) == ("gearbox", "5", "m3/t")
