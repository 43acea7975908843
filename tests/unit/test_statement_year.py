"""A year is the exact sum of its months, each with the factor rows that count for that month."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.factor_choice import Knowledge, ReportDates
from centre.accounting.factor_policies import NamedPolicy
from centre.accounting.factors import FactorRow
from centre.carriers import Carrier
from centre.period import Period
from centre.records import Records, Rules
from centre.report.document import Word
from centre.report.inventory import inventory
from centre.report.monthly import monthly
from centre.statement import Statement, statement
from centre.statement_year import in_month, spans
from support.books_plant import setup
from support.centre_year import METERS, PLANT, ZONE, Amounts, records

LATER = date(2026, 3, 1)
DATES = ReportDates(made_on=LATER, run_on=LATER)


@cache
def rules() -> Rules:
    """The demo's, without a tariff: here nothing is billed."""
    shipped = setup().rules["jiangjin-1"]
    return replace(shipped, terms=replace(shipped.terms, tariff=None))


def of(period: Period, found: Records, made: Rules | None = None, dates: ReportDates = DATES) -> Statement:
    return statement(PLANT, period, found, made or rules(), dates, software="0")


def totals(made: Statement) -> list[Decimal | None]:
    plant = made.nodes[0]
    of_node = (plant.energy.calorific, plant.energy.equal_value, plant.scope1, plant.scope2.location,
               plant.scope2.market)  # fmt: skip
    lines = [line.net.value for line in plant.lines]
    return [*(total.value for total in of_node), plant.water.fresh.value, *lines]


def grid(value: str, begins: date, published: date) -> FactorRow:
    rows = rules().factors
    shipped = next(row for row in rows if row.metric == "grid_co2_factor_average" and row.region == PLANT.region)
    return replace(
        shipped, id=f"grid/{begins}", value=Decimal(value), valid_from=begins, valid_to=None, published_on=published
    )


def with_row(row: FactorRow, knowledge: Knowledge = Knowledge.AS_KNOWN) -> Rules:
    carbon = rules().terms.carbon
    named: NamedPolicy = replace(carbon, policy=replace(carbon.policy, knowledge=knowledge))
    return replace(rules(), factors=[*rules().factors, row], terms=replace(rules().terms, carbon=named))


def location(made: Statement) -> dict[str, Decimal | None]:
    return {month.period.label: month.scope2.location.value for month in made.nodes[0].months}


months = st.lists(st.integers(0, 10**9), min_size=12, max_size=12)


@settings(max_examples=6, deadline=None)
@given(st.fixed_dictionaries({meter.carrier: months for meter in METERS}), st.sampled_from([1, 26]), st.data())
def test_a_year_is_the_exact_sum_of_its_months(amounts: Amounts, metering_day: int, data: st.DataObject) -> None:
    year = Period(year=2025, metering_day=metering_day)
    found = records(year, amounts)
    begins = data.draw(st.dates(date(2025, 1, 1), date(2025, 12, 31)))
    known = data.draw(st.sampled_from(list(Knowledge)))
    made = with_row(grid("0.4321", begins, data.draw(st.dates(date(2025, 1, 1), date(2025, 12, 31)))), known)
    parts = [of(month, in_month(found, month, ZONE), made) for month in year.months()]
    whole = of(year, found, made)
    sums = [sum((part or Decimal(0) for part in each), Decimal(0)) for each in zip(*map(totals, parts), strict=True)]
    assert totals(whole) == sums
    alone = [(one.nodes[0].energy, one.nodes[0].scope1, one.nodes[0].scope2) for one in parts]
    assert [(month.energy, month.scope1, month.scope2) for month in whole.nodes[0].months] == alone


@settings(max_examples=4, deadline=None)
@given(st.dates(date(2025, 1, 2), date(2025, 12, 31)), st.dates(date(2025, 1, 2), date(2025, 12, 31)))
def test_a_row_published_in_mid_year_changes_only_the_months_it_is_valid_for(begins: date, published: date) -> None:
    year = Period(year=2025)
    found = records(year, {meter.carrier: [1000] * 12 for meter in METERS})
    for knowledge in (Knowledge.AS_KNOWN, Knowledge.LATEST_PUBLISHED):
        made = with_row(grid("9", begins, published), knowledge)
        plain = replace(made, factors=rules().factors)
        before, after = location(of(year, found, plain)), location(of(year, found, made))
        since = begins if knowledge is Knowledge.AS_KNOWN else max(begins, published)
        for month in year.months():
            assert (before[month.label] != after[month.label]) == (month.last >= since), month.label


def test_a_report_of_a_year_names_the_months_of_each_row() -> None:
    found = records(Period(year=2025), {meter.carrier: [1000] * 12 for meter in METERS})
    made = of(Period(year=2025), found, with_row(grid("0.5", date(2025, 7, 1), date(2025, 7, 20))))
    for document in (monthly(made), inventory(made)):
        factors = next(table for table in document.tables if table.key == "factors")
        place = factors.columns.index("months")
        rows = {row[0]: row[place] for row in factors.rows if row[2] == "grid_co2_factor_average"}
        assert list(rows.values()) == ["2025-01..2025-06", "2025-07..2025-12"]
        assert "grid/2025-07-01" in rows
    table = next(table for table in inventory(made).tables if table.key == "sources")
    lines = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    bought = [
        line
        for line in lines
        if line["category"] == Word("category_2_location") and "electricity" in str(line["input"])
    ]
    assert [line["months"] for line in bought] == ["2025-01..2025-06", "2025-07..2025-12"]
    for line, value in zip(bought, ("0.5581", "0.5"), strict=True):
        assert isinstance(line["activity"], Decimal)
        assert isinstance(line["emission"], Decimal)
        assert abs(line["activity"] * Decimal(value) / 1000 - line["emission"]) < Decimal("1e-8")


def test_months_before_the_first_reading_and_to_come_are_no_part_of_the_year() -> None:
    year = Period(year=2026)
    amounts = {meter.carrier: [None, None, 5, 5, *[None] * 8] for meter in METERS}
    amounts[Carrier.NATURAL_GAS] = [None, None, None, 7, *[None] * 8]
    today = date(2026, 4, 20)
    made = of(year, records(year, amounts), dates=ReportDates(made_on=today, run_on=today))
    assert [month.period.month for month in made.nodes[0].months] == [3, 4]
    assert [month.line(Carrier.NATURAL_GAS) is None for month in made.nodes[0].months] == [True, False]
    assert all(value is not None for value in totals(made))


def test_a_month_that_is_missing_in_between_leaves_the_year_without_a_figure() -> None:
    year = Period(year=2025)
    amounts: dict[Carrier, list[int | None]] = {meter.carrier: [5] * 12 for meter in METERS}
    amounts[Carrier.ELECTRICITY] = [5, 5, None, 5, None, None, *[5] * 6]
    plant = of(year, records(year, amounts)).nodes[0]
    assert plant.scope2.location.value is None
    reason = plant.scope2.location.terms[0].reason or ""
    assert reason.startswith("2025-03, 2025-05..2025-06: ")
    assert reason.endswith("incomer: no_data")
    assert plant.scope2.location.known > 0
    line = plant.line(Carrier.ELECTRICITY)
    assert line is not None
    assert line.net.value is None
    assert plant.scope1.value is not None


def test_without_any_reading_a_year_has_a_reason() -> None:
    made = of(Period(year=2025), records(Period(year=2025), {meter.carrier: [None] * 12 for meter in METERS}))
    assert made.nodes[0].scope1.value is None
    assert made.nodes[0].scope1.terms[0].reason == "2025-01..2025-12: boiler: no_data"


@pytest.mark.parametrize(
    ("numbers", "told"),
    [([1], "2025-01"), ([3, 1, 2, 2], "2025-01..2025-03"), ([1, 3, 4], "2025-01, 2025-03..2025-04")],
)
def test_months_are_told_as_runs(numbers: list[int], told: str) -> None:
    assert spans([Period(year=2025, month=number) for number in numbers]) == told
