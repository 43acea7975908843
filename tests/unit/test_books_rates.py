"""The power-factor table and the surcharges, as data of config/."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.power_factor import adjustment, power_factor
from centre.accounting.rate_tables_file import (
    load_power_factors,
    load_surcharges,
    power_factors_of,
    surcharges_of,
)
from centre.accounting.surcharge import differential, row_on, step
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.strict_yaml import load_text

TABLES = load_power_factors(config_dir() / "power-factor.yaml")
SURCHARGES = {row.id: row for row in load_surcharges(config_dir() / "surcharges.yaml")}


def test_v9_power_factor_adjustment() -> None:
    found = adjustment(
        TABLES[Decimal("0.9")],
        active_kwh=Decimal(100_000),
        reactive_kvarh=Decimal(60_000),
        charges=Decimal(80_000) + Decimal(65_000),
        funds=Decimal(2_700),
    )
    assert (str(found.cosphi), found.percent, str(found.amount)) == ("0.86", Decimal("2.0"), "2846.00")
    assert (found.base, found.confirmed, found.reason) == (Decimal(142_300), True, None)


@pytest.mark.parametrize(
    ("standard", "cosphi", "percent"),
    [
        ("0.90", 90, "0"), ("0.90", 91, "-0.15"), ("0.90", 95, "-0.75"), ("0.90", 100, "-0.75"), ("0.90", 89, "0.5"),
        ("0.90", 70, "10"), ("0.90", 69, "11"), ("0.90", 65, "15"), ("0.90", 64, "17"), ("0.90", 60, "25"),
        ("0.85", 85, "0"), ("0.85", 86, "-0.1"), ("0.85", 90, "-0.5"), ("0.85", 91, "-0.65"), ("0.85", 92, "-0.8"),
        ("0.85", 93, "-0.95"), ("0.85", 94, "-1.1"), ("0.85", 84, "0.5"), ("0.85", 65, "10"), ("0.85", 64, "11"),
        ("0.85", 60, "15"), ("0.85", 59, "17"), ("0.80", 81, "-0.1"), ("0.80", 90, "-1"), ("0.80", 91, "-1.15"),
        ("0.80", 92, "-1.3"), ("0.80", 79, "0.5"), ("0.80", 60, "10"), ("0.80", 59, "11"), ("0.80", 55, "15"), ("0.80", 54, "17"),
    ],
)  # fmt: skip
def test_v9_the_table_of_each_standard(standard: str, cosphi: int, percent: str) -> None:
    assert TABLES[Decimal(standard)].percent[cosphi] == Decimal(percent)


def test_a_line_two_texts_disagree_about_is_marked() -> None:
    assert set(TABLES[Decimal("0.85")].conflicts) == set(range(94, 101))
    assert not TABLES[Decimal("0.90")].conflicts


@pytest.mark.parametrize("standard", sorted(TABLES))
def test_a_better_power_factor_never_costs_more(standard: Decimal) -> None:
    percents = [TABLES[standard].percent[n] for n in range(101)]
    assert percents == sorted(percents, reverse=True)


@settings(max_examples=40, deadline=None)
@given(st.decimals(0, 10**9, places=3), st.decimals(0, 10**9, places=3))
def test_a_power_factor_is_rounded_half_up_exactly(active: Decimal, reactive: Decimal) -> None:
    found = power_factor(active, reactive)
    if found is None:
        assert active == reactive == 0
        return
    square, apparent = active * active, active * active + reactive * reactive
    low, high = found - Decimal("0.005"), found + Decimal("0.005")
    assert max(low, Decimal(0)) ** 2 * apparent <= square < high**2 * apparent or (active == 0 and found == 0)
    assert power_factor(active * 7, reactive * 7) == found


def test_without_energy_there_is_no_adjustment_but_a_reason() -> None:
    found = adjustment(
        TABLES[Decimal("0.9")], active_kwh=Decimal(0), reactive_kvarh=Decimal(0), charges=Decimal(5), funds=Decimal(0)
    )
    assert (found.cosphi, found.amount, found.reason) == (None, None, "no_energy")


def test_a_differential_price_goes_by_class() -> None:
    row = SURCHARGES["eight-industries-2010"]
    assert differential(row, energy_kwh=Decimal(1000), kind="eliminated").amount == Decimal("300.00")
    assert differential(row, energy_kwh=Decimal(1000), kind="permitted").amount == Decimal(0)
    unknown = differential(row, energy_kwh=Decimal(1000), kind="other")
    assert (unknown.amount, unknown.reason) == (None, "no_class")


@pytest.mark.parametrize(("kwh_per_t", "steps"), [("13300", 0), ("13300.001", 1), ("13320", 1), ("13321", 2), ("1", 0)])
def test_a_step_counts_as_soon_as_it_is_begun(kwh_per_t: str, steps: int) -> None:
    row = SURCHARGES["electrolytic-aluminium-2025"]
    energy = Decimal(kwh_per_t) * 100
    found = step(row, energy_kwh=energy, output_t=Decimal(100))
    assert (found.steps, found.price) == (steps, Decimal("0.01") * steps)
    assert found.amount == (energy * Decimal("0.01") * steps).quantize(Decimal("0.01"))
    assert step(row, energy_kwh=energy, output_t=Decimal(0)).reason == "no_output"


@settings(max_examples=40, deadline=None)
@given(st.decimals(0, 10**8, places=2), st.decimals(0, 10**8, places=2), st.decimals(1, 10**5, places=2))
def test_more_energy_for_the_same_output_never_costs_less(a: Decimal, b: Decimal, output: Decimal) -> None:
    row = SURCHARGES["electrolytic-aluminium-2025"]
    low, high = (step(row, energy_kwh=energy, output_t=output).amount for energy in sorted((a, b)))
    assert low is not None
    assert high is not None
    assert low <= high


def test_of_the_rows_of_a_surcharge_the_latest_begun_counts() -> None:
    rows = [row for key, row in SURCHARGES.items() if key.startswith("electrolytic")]
    assert row_on(rows, date(2021, 12, 31)) is None
    found = row_on(rows, date(2024, 6, 1))
    assert found is not None
    assert found.id == "electrolytic-aluminium-2023"


def test_a_mistake_in_a_table_names_file_line_and_key() -> None:
    head = "source: x\nconfirmed: true\nstandards:\n  - standard: 0.9\n    runs:\n"
    whole = "      - {from: 0, to: 1, percent: 0, step: 0}\n"
    with pytest.raises(ConfigError, match=r"t.yaml:7: standards.0.runs.1: 0.01 x 50 stands here a second time"):
        power_factors_of(load_text(f"{head}{whole}      - {{from: 0.5, to: 0.5, percent: 0, step: 0}}\n", "t.yaml"))
    with pytest.raises(ConfigError, match=r"t.yaml:5: standards.0.runs: has no line for 0.01 x 0"):
        power_factors_of(load_text(head + whole.replace("from: 0", "from: 0.01"), "t.yaml"))
    with pytest.raises(ConfigError, match=r"t.yaml:6: standards.0.runs.0: from and to must have two decimals"):
        power_factors_of(load_text(head + whole.replace("from: 0", "from: 0.001"), "t.yaml"))
    row = "surcharges:\n  one:\n    name: {en: a, zh: b}\n    valid_from: 2020-01-01\n    source: x\n    confirmed: false\n"
    with pytest.raises(ConfigError, match=r"t.yaml:2: surcharges.one: must have either differential or step"):
        surcharges_of(load_text(row, "t.yaml"))
