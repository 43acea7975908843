"""Comprehensive energy in tce, unit products and intensity against a base year."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from centre.accounting.coal_equivalent import (
    NOT_ADDED_AGAIN,
    EnergyLine,
    comprehensive_energy,
    from_calorific_value,
    net,
)
from centre.accounting.intensity import (
    NO_OUTPUT,
    OTHER_BOUNDARY,
    OTHER_PRICES,
    OTHER_UNIT,
    BaseYear,
    both,
    intensity,
    progress,
    restate,
)
from centre.accounting.terms import NO_QUANTITY, Input, UnitError, convert, total, weighted_shares
from support.books_factors import DAY, book, given

D = Decimal
BOOK = book("comprehensive-energy")
KILO = st.decimals(0, 10_000_000, places=3)


def line(
    carrier: str, unit: str, bought: str | Decimal, *, begin: str = "0", end: str = "0", sold: str = "0"
) -> EnergyLine:
    return EnergyLine(
        carrier=carrier, purchased=given(bought, unit), stock_begin=given(begin, unit), stock_end=given(end, unit),
        sold=given(sold, unit),
    )  # fmt: skip


V10 = (
    line("electricity", "kWh", "1000000"),
    line("natural_gas", "m3", "100000"),
    line("diesel", "t", "8", begin="5", end="3"),
)


def test_v10_electricity_gas_and_diesel_in_coal_equivalent() -> None:
    found = comprehensive_energy(V10, BOOK, DAY).calorific
    assert [part.value for part in found.terms] == [D("122.9"), D("133"), D("14.571")]
    assert found.value == D("270.471")
    assert found.unverified == ()


def test_equal_value_differs_only_in_electricity_and_says_that_its_factor_is_unverified() -> None:
    found = comprehensive_energy(V10, BOOK, DAY)
    assert found.equal_value.value == D("302.5") + D("133") + D("14.571")
    assert found.equal_value.unverified == ("electricity",)
    assert found.equal_value.terms[1:] == found.calorific.terms[1:]


def test_energy_sold_is_deducted_and_self_produced_energy_is_not_added_again() -> None:
    steam = replace(line("heat", "GJ", "0", sold="100"), self_produced=given("5000", "GJ", "boiler"))
    found = comprehensive_energy([*V10, steam], BOOK, DAY).calorific
    assert found.value == D("270.471") - D("3.412")
    assert found.terms[-1].reason == NOT_ADDED_AGAIN
    assert found.terms[-1].inputs[-1].id == "boiler"


def test_a_stock_nobody_counted_leaves_no_total_but_names_what_is_missing() -> None:
    unknown = replace(V10[2], stock_end=Input(id="form/7", value=None, unit="t"))
    found = comprehensive_energy([*V10[:2], unknown], BOOK, DAY).calorific
    assert (found.value, found.known, found.missing) == (None, D("255.9"), ("diesel",))
    assert found.terms[2].reason == f"form/7: {NO_QUANTITY}"


def test_an_energy_kind_without_a_row_is_missing_with_the_reason_of_the_choice() -> None:
    found = comprehensive_energy([line("peat", "t", "1")], BOOK, DAY).calorific
    assert (found.value, found.terms[0].reason) == (None, "no_factor: not_in_table")


def test_water_is_counted_by_the_cubic_metre_and_a_wrong_unit_is_refused() -> None:
    assert comprehensive_energy([line("fresh_water", "m3", "1000")], BOOK, DAY).calorific.value == D("0.2571")
    with pytest.raises(UnitError, match="m3 measures volume"):
        comprehensive_energy([line("diesel", "m3", "1")], BOOK, DAY)
    with pytest.raises(UnitError, match="furlong"):
        convert(D(1), "furlong", "m3")


def test_a_measured_calorific_value_goes_before_the_table() -> None:
    own = from_calorific_value(
        carrier="natural_gas", ncv_mj=D("35.588"), per="m3", valid_from=DAY, source="certificate 12", confirmed=True
    )
    found = comprehensive_energy([replace(V10[1], measured=own)], BOOK, DAY).calorific
    assert own.value == D("1.214292538")
    assert found.value == D("121.429253800")


@hypothesis_given(st.lists(KILO, min_size=1, max_size=6))
def test_the_total_is_the_sum_of_its_parts_in_any_order(amounts: list[Decimal]) -> None:
    lines = [line("diesel", "kg", amount) for amount in amounts]
    found = comprehensive_energy(lines, BOOK, DAY).calorific
    assert found.value == sum(((part.value or D(0)) for part in found.terms), D(0))
    assert comprehensive_energy(lines[::-1], BOOK, DAY).calorific.value == found.value


@hypothesis_given(bought=KILO, begin=KILO, end=KILO, sold=KILO)
def test_what_is_left_in_stock_is_counted_when_it_is_used(
    bought: Decimal, begin: Decimal, end: Decimal, sold: Decimal
) -> None:
    this = net(line("diesel", "kg", bought, begin=str(begin), end=str(end), sold=str(sold))).value
    later = net(line("diesel", "kg", D(0), begin=str(end))).value
    assert this is not None
    assert later is not None
    assert this + later == bought + begin - sold


def test_shares_of_quality_are_weighted_by_quantity() -> None:
    parts = [
        Input(id="a", value=D(300), unit="kWh", shares=(("M", D(1)),)),
        Input(id="b", value=D(100), unit="kWh", shares=(("E", D("0.5")), ("M", D("0.5")))),
    ]
    assert weighted_shares(parts) == {"E": D("0.1250"), "M": D("0.8750")}
    assert total([], "tce").value == 0


def per_value(year: int, tce: str, value_added: str, *, boundary: str = "district/1", prices: int = 2020) -> BaseYear:
    found = intensity(
        year=year,
        numerator=given(tce, "tce"),
        denominator=given(value_added, "10k CNY"),
        boundary=boundary,
        prices=prices,
    )
    return BaseYear(intensity=found)


def test_v15_progress_against_the_base_year() -> None:
    base, now = per_value(2020, "500", "1000"), per_value(2025, "462", "1100").intensity
    assert (base.intensity.value, now.value, now.unit) == (D("0.5"), D("0.42"), "tce/10k CNY")
    found = progress(base, now, D("-0.16"))
    assert (found.change, found.reached) == (D("-0.16"), True)


def test_a_restated_base_year_is_shown_beside_the_original() -> None:
    base, now = per_value(2020, "500", "1000"), per_value(2025, "462", "1100").intensity
    corrected = restate(base, per_value(2020, "480", "1000").intensity, "a meter of 2020 was counted twice")
    original, restated = both((corrected, base), now)
    assert (original.change, restated.change) == (D("-0.16"), D("-0.125"))
    assert (restated.base.revision, restated.base.why) == (1, "a meter of 2020 was counted twice")
    with pytest.raises(ValueError, match="reason"):
        restate(base, base.intensity, " ")
    with pytest.raises(ValueError, match="2020"):
        restate(base, now, "why")


def test_figures_of_other_prices_or_boundaries_are_not_compared() -> None:
    base = per_value(2020, "500", "1000")
    assert progress(base, per_value(2025, "1", "1", prices=2015).intensity).reason == OTHER_PRICES
    assert progress(base, per_value(2025, "1", "1", boundary="district/2").intensity).reason == OTHER_BOUNDARY
    product = intensity(year=2025, numerator=given(1, "tce"), denominator=given(1, "t"), boundary="district/1")
    assert progress(base, product).reason == OTHER_UNIT
    none = intensity(year=2025, numerator=given(1, "tce"), denominator=given(0, "t"), boundary="district/1")
    assert (none.value, none.reason) == (None, NO_OUTPUT)
    assert progress(base, none).reason == NO_OUTPUT
    lost = intensity(year=2025, numerator=given(None, "tce"), denominator=given(1, "t"), boundary="district/1")
    assert lost.reason == "form/1: no_quantity"
