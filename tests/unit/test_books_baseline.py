"""Energy baselines: the fit, what it is worth, savings and their running sum, versions with a reason."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.baseline import (
    Baseline,
    FitRule,
    Model,
    Observation,
    begin,
    fit_model,
    performance,
    revise,
    version_on,
)
from centre.accounting.management_file import load_management
from centre.accounting.regression import NoFit, least_squares
from wattline.resources import config_dir

FIRST = date(2025, 1, 1)
RULE = load_management(config_dir() / "management.yaml")[-1].baseline


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def seen(n: int, energy: str, tonnes: str) -> Observation:
    return Observation(day=day(n), energy=Decimal(energy), drivers={"tonnes": Decimal(tonnes)})


# a line 100 + 5 t with a residual of +-3, +-4 in turn
YEAR = [seen(n, str(100 + 5 * (10 + n) + (3, 4, -4, -3)[n % 4]), str(10 + n)) for n in range(12)]


def model(rule: FitRule | None = None) -> Model:
    return fit_model(YEAR, ["tonnes"], rule or RULE)


def test_the_fit_of_a_textbook_line() -> None:
    # Anscombe's first set, 1973: y = 3.00 + 0.500 x, r2 = 0.667, standard error of the slope 0.1179 (t = 4.24)
    x = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
    y = ["8.04", "6.95", "7.58", "8.81", "8.33", "9.96", "7.24", "4.26", "10.84", "4.82", "5.68"]
    fit = least_squares([[Decimal(value)] for value in x], [Decimal(value) for value in y])
    assert fit.n == 11
    assert [round(Decimal(b.numerator) / b.denominator, 4) for b in fit.coefficients] == [
        Decimal("3.0001"),
        Decimal("0.5001"),
    ]
    assert fit.r2 is not None
    assert fit.cv_rmse is not None
    assert fit.t_values is not None
    assert fit.durbin_watson is not None
    assert round(fit.r2, 4) == Decimal("0.6665")
    assert [round(t, 3) for t in fit.t_values] == [Decimal("2.667"), Decimal("4.241")]
    assert round(fit.cv_rmse, 4) == Decimal("0.1649")


def test_a_perfect_fit_finds_the_coefficients_exactly() -> None:
    rows = [[Decimal(n), Decimal(n * n)] for n in range(6)]
    fit = least_squares(rows, [Decimal("1.5") + 2 * a - b / 4 for a, b in rows])
    assert fit.coefficients == (Fraction(3, 2), Fraction(2), Fraction(-1, 4))
    assert (fit.r2, fit.cv_rmse, fit.t_values, fit.durbin_watson) == (Decimal(1), Decimal(0), None, None)


def test_a_model_knows_its_period_its_range_and_that_it_is_valid() -> None:
    found = model()
    assert (found.first, found.last, found.fit.n) == (day(0), day(11), 12)
    assert found.ranges == {"tonnes": (Decimal(10), Decimal(21))}
    assert found.valid


@pytest.mark.parametrize(
    ("rule", "weakness"),
    [
        (replace(RULE, r2=Decimal("0.999")), "r2"),
        (replace(RULE, cv_rmse=Decimal("0.001")), "cv_rmse"),
        (replace(RULE, t_value=Decimal(100)), "t:tonnes"),
        (replace(RULE, durbin_watson=(Decimal(0), Decimal(1))), "residuals"),
    ],
)
def test_what_a_model_does_not_reach_is_named(rule: FitRule, weakness: str) -> None:
    assert model(rule).weaknesses == (weakness,)


def test_no_model_of_too_few_periods_missing_or_dependent_drivers() -> None:
    with pytest.raises(NoFit, match="too_few_observations"):
        fit_model(YEAR[:11], ["tonnes"], RULE)
    with pytest.raises(NoFit, match="driver_missing"):
        fit_model(YEAR, ["degree_days"], RULE)
    with pytest.raises(NoFit, match="drivers_depend_on_each_other"):
        least_squares([[Decimal(n), Decimal(2 * n)] for n in range(9)], [Decimal(n) for n in range(9)])
    with pytest.raises(NoFit, match="too_few_observations"):
        least_squares([], [])


def versions() -> tuple[Baseline, ...]:
    first = begin("kiln", model(), reason="first year of metering", valid_from=day(0))
    return revise(first, model(), indicator="kiln", reason="new burner", valid_from=day(100))


def test_a_change_is_a_new_version_with_a_reason_and_changes_none_before() -> None:
    found = versions()
    assert [(one.id, one.reason) for one in found] == [("kiln/1", "first year of metering"), ("kiln/2", "new burner")]
    assert version_on(found, day(-1)) is None
    assert version_on(found, day(99)) == found[0]
    assert version_on(found, day(100)) == found[1]
    with pytest.raises(ValueError, match="needs a reason"):
        revise(found, model(), indicator="kiln", reason=" ", valid_from=day(200))
    with pytest.raises(ValueError, match="later than"):
        revise(found, model(), indicator="kiln", reason="x", valid_from=day(100))


def test_a_saving_is_expected_less_actual_and_the_running_sum_its_opposite() -> None:
    found = performance(versions(), [seen(20, "150", "12"), seen(21, "170", "12"), seen(120, "160", "12")])
    assert found[0].expected is not None
    assert found[0].saving == found[0].expected - 150
    assert found[1].cusum is not None
    assert abs(found[1].cusum - (150 + 170 - 2 * found[0].expected)) <= Decimal("0.000002")  # each rounded to 6 places
    assert (found[2].baseline, found[2].cusum) == ("kiln/2", 160 - found[0].expected)


def test_outside_the_range_of_its_drivers_a_model_extrapolates_and_says_so() -> None:
    found = performance(versions(), [seen(20, "150", "21"), seen(21, "150", "21.1"), seen(22, "150", "9")])
    assert [one.beyond for one in found] == [(), ("tonnes",), ("tonnes",)]


def test_without_a_baseline_or_a_driver_nothing_is_expected() -> None:
    bare = Observation(day=day(5), energy=Decimal(1), drivers={})
    found = performance(versions(), [seen(-5, "150", "12"), bare])
    assert [(one.expected, one.cusum, one.reason) for one in found] == [
        (None, None, "no_baseline"), (None, None, "driver_missing"),
    ]  # fmt: skip


points = st.lists(
    st.tuples(st.decimals(0, 1000, places=1), st.decimals(0, 10_000, places=2)), min_size=4, max_size=20
).filter(lambda rows: len({x for x, _ in rows}) > 1)


@settings(max_examples=40, deadline=None)
@given(points, st.randoms())
def test_residuals_of_the_own_period_sum_to_0_exactly_in_any_order(
    rows: list[tuple[Decimal, Decimal]], random: Random
) -> None:
    periods = [Observation(day=day(n), energy=y, drivers={"x": x}) for n, (x, y) in enumerate(rows)]
    rule = replace(RULE, least=1)
    found = fit_model(periods, ["x"], rule)
    shuffled = list(periods)
    random.shuffle(shuffled)
    assert fit_model(shuffled, ["x"], rule) == found
    base = begin("x", found, reason="first", valid_from=day(0))
    lines = performance(base, periods)
    assert lines[-1].cusum == 0
    assert all(not line.beyond for line in lines)
    assert found.fit.r2 is None or 0 <= found.fit.r2 <= 1
    assert performance(base, shuffled) == lines
