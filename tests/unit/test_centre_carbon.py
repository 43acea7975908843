"""Factors by date and policy, and the emissions computed with them."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from centre.accounting.carbon import GRID_METRIC, emission, factor_for
from centre.accounting.factors import FactorTableError, load_factors, regions
from centre.accounting.terms import NO_FACTOR
from centre.carriers import CARRIERS, Carrier
from wattline.resources import config_dir

D = Decimal
TABLE = load_factors(config_dir() / "factors.csv")
TODAY = date(2026, 6, 1)


def kg(carrier: Carrier, amount: str, day: date = TODAY, region: str = "CN-Chongqing") -> Decimal | None:
    return emission(carrier, D(amount), CARRIERS[carrier].unit, factor_for(carrier, region, day, TABLE)).kg


def test_every_row_of_the_shipped_table_loads_as_exact_decimal() -> None:
    assert len(TABLE) == 334
    assert sum(row.confirmed for row in TABLE) == 236


def test_v11_a_thousand_megawatt_hours_in_chongqing() -> None:
    assert kg(Carrier.ELECTRICITY, "1000000") == D("558100.000")


def test_gas_heat_and_water_are_counted_in_their_own_units() -> None:
    assert kg(Carrier.NATURAL_GAS, "10000") == D("21650.200")
    assert kg(Carrier.HEAT, "1000") == D("396.000")  # 3.6 GJ at 0.11 t/GJ
    assert kg(Carrier.FRESH_WATER, "10") == D("1.680")


def test_v16_a_report_of_a_past_month_keeps_the_factor_it_had() -> None:
    choose = {
        day: row.value
        for day in (date(2024, 6, 1), date(2025, 6, 1), date(2025, 12, 30), date(2025, 12, 31))
        if (row := factor_for(Carrier.ELECTRICITY, "CN-Chongqing", day, TABLE)) is not None
    }
    assert list(choose.values()) == [D("0.4743"), D("0.5227"), D("0.5227"), D("0.5581")]


def test_before_the_first_publication_there_is_no_factor_and_no_figure() -> None:
    row = factor_for(Carrier.ELECTRICITY, "CN-Chongqing", date(2024, 1, 1), TABLE)
    found = emission(Carrier.ELECTRICITY, D(1), "kWh", row)
    assert (found.kg, found.reason) == (None, NO_FACTOR)


def test_a_factor_says_where_it_comes_from_and_why_it_was_chosen() -> None:
    row = factor_for(Carrier.ELECTRICITY, "CN-Chongqing", TODAY, TABLE)
    assert row is not None
    assert row.published_on == date(2025, 12, 31)
    assert row.confirmed
    assert "latest data year" in row.policy
    assert row.id == "electricity/grid_co2_factor_average/CN-Chongqing/grid/2023-01-01@2025-12-31"


def test_gas_before_the_newer_guideline_uses_the_older_row() -> None:
    assert kg(Carrier.NATURAL_GAS, "10000", date(2021, 6, 1)) == D("21621.900")


def test_a_province_without_its_own_heat_factor_uses_the_national_one() -> None:
    row = factor_for(Carrier.HEAT, "CN-Shanghai", TODAY, TABLE)
    assert row is not None
    assert row.region == "CN"


def test_every_region_with_a_grid_factor_has_one_today() -> None:
    for region in regions(TABLE, GRID_METRIC):
        assert factor_for(Carrier.ELECTRICITY, region, TODAY, TABLE) is not None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("electricity,kWh,m,abc,kg,CN,,,,g,s,yes", ":2:"),
        ("electricity,kWh,m,NaN,kg,CN,,,,g,s,yes", ":2:"),
        ("electricity,kWh,m,1,kg,CN,2021-13-01,,,g,s,yes", ":2:"),
        ("electricity,kWh,m,1,kg,CN,,,,g,s,maybe", ":2:"),
        ("electricity,kWh", ":2:"),
    ],
)
def test_a_wrong_row_is_refused_with_its_line(tmp_path: Path, line: str, says: str) -> None:
    table = tmp_path / "factors.csv"
    table.write_text(
        f"carrier,unit,metric,value,value_unit,region,valid_from,valid_to,published_on,factor_set,source,confirmed\n{line}\n"
    )
    with pytest.raises(FactorTableError, match=says):
        load_factors(table)


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "factors.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(FactorTableError, match=":1: the columns must be"):
        load_factors(table)
