"""Scope 1, scope 2 by location and by market, own renewables, and both totals of a restated report."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from centre.accounting.emissions import (
    CERTIFIED,
    NOT_PURCHASED,
    Activity,
    Contract,
    Purchases,
    Source,
    combustion,
    scope1,
    scope2,
)
from centre.accounting.restatement import compare
from centre.accounting.terms import Input
from centre.json_views import to_json
from support.books_factors import DAY, TABLE, book, given

D = Decimal
BOOK = book("carbon-inventory")
DIESEL = next(row for row in TABLE if row.carrier == "diesel" and row.metric == "co2_factor_combustion")
MEGA = st.integers(0, 100_000).map(Decimal)


def bought(mwh: str | Decimal, *, resold: str = "0") -> Purchases:
    return Purchases(electricity=given(mwh, "MWh", "incomer/2026-03"), resold=given(resold, "MWh", "tenant/2026-03"))


def test_v11_scope_2_by_location_and_by_market() -> None:
    found = scope2(replace(bought("1000"), retired=given(400, "GEC")), BOOK, DAY)
    assert found.location.value == D("558.1")
    assert found.market.value == D("365.76")
    assert [part.reason for part in found.market.terms] == [CERTIFIED, None]
    assert found.unmatched_kwh == 0


def test_v12_ten_tonnes_of_diesel_of_the_newer_guideline() -> None:
    found = combustion("fleet", "diesel", given(10, "t"), BOOK, DAY)
    assert found.value is not None
    assert round(found.value, 3) == D("30.959")
    assert [choice.row.factor_set for choice in found.choices if choice.row is not None] == ["g2", "g2", "g2"]


def test_v13_purchased_heat_is_in_scope_2_at_its_default() -> None:
    found = scope2(replace(bought("0"), heat=[given("268.41", "GJ")]), BOOK, DAY)
    assert found.location.value == found.market.value == D("29.5251")


def test_v16_a_report_keeps_its_total_and_shows_the_restated_one_beside_it() -> None:
    june, made, run = date(2024, 6, 30), date(2024, 7, 5), date(2026, 3, 1)
    first = scope2(bought("1000"), book("carbon-inventory", made_on=made, run_on=made), june).location
    again = scope2(bought("1000"), book("carbon-inventory", made_on=made, run_on=run), june).location
    restated = scope2(bought("1000"), book("carbon-inventory-restated", made_on=made, run_on=run), june).location
    assert to_json(first) == to_json(again)
    found = compare(again, restated)
    assert (found.original.value, found.restated.value, found.difference) == (D("474.3"), D("558.1"), D("83.8"))
    assert [row.published_on for change in found.changed for row in change.after] == [date(2025, 12, 31)]


def test_totals_of_other_activities_are_not_compared() -> None:
    one, two = (scope2(replace(bought("1"), heat=heat), BOOK, DAY).location for heat in ((), [given(1, "GJ")]))
    with pytest.raises(ValueError, match="same lines"):
        compare(one, two)
    with pytest.raises(ValueError, match="tCO2e"):
        compare(one, replace(one, unit="tCO2e"))


def test_scope_1_adds_burning_process_and_losses_by_their_warming() -> None:
    lime = replace(
        DIESEL, id="own/lime", carrier="limestone", value=D("0.44"), value_unit="tCO2/t", factor_set="measured"
    )
    activities = [
        Activity(label="boiler", source=Source.COMBUSTION, carrier="natural_gas", amount=given(10_000, "m3")),
        Activity(label="kiln", source=Source.PROCESS, carrier="limestone", amount=given(100, "t"), row=lime),
        Activity(label="chiller", source=Source.FUGITIVE, carrier="HFC-134a", amount=given(2, "kg")),
    ]
    found = scope1(activities, BOOK, DAY)
    assert [part.value for part in found.terms] == [D("21.650151996"), D(44), D("2.6")]
    assert found.value == D("68.250151996")
    assert scope1(activities[::-1], BOOK, DAY).value == found.value


def test_a_fuel_or_process_without_a_row_has_a_reason_and_no_figure() -> None:
    wood = Activity(label="stove", source=Source.COMBUSTION, carrier="wood", amount=given(1, "t"))
    works = Activity(label="works", source=Source.PROCESS, carrier="wood", amount=given(1, "t"))
    found = scope1([wood, works], BOOK, DAY)
    assert (found.value, found.missing) == (None, ("stove", "works"))
    assert {part.reason for part in found.terms} == {"no_factor: not_in_table"}


def test_the_rows_of_a_fuel_are_of_one_set_but_for_the_plants_own() -> None:
    own = next(row for row in TABLE if row.carrier == "diesel" and row.metric == "net_calorific_value_ghg")
    measured = replace(own, id="own", factor_set="measured", value=D(43), valid_from=date(2026, 1, 1))
    found = combustion("fleet", "diesel", given(1, "t"), replace(BOOK, rows=[*TABLE, measured]), DAY)
    assert [choice.row.factor_set for choice in found.choices if choice.row is not None] == ["measured", "g2", "g2"]
    torn = [
        row
        for row in TABLE
        if not (row.carrier == "diesel" and row.metric == "oxidation_rate" and row.factor_set == "g2")
    ]
    found = combustion("fleet", "diesel", given(1, "t"), replace(BOOK, rows=torn), DAY)
    assert found.value == D("3.0959")


def test_an_international_report_takes_the_ipcc_way() -> None:
    found = combustion("fleet", "diesel", given(10, "t"), book("energy-audit-international"), DAY)
    assert found.value == D("31.863")


def test_own_renewables_count_nothing_unless_their_certificates_are_sold() -> None:
    base = replace(bought("1000"), own_use=given(200, "MWh"))
    kept = scope2(base, BOOK, DAY)
    assert (kept.location.value, kept.market.value) == (D("558.1"), D("609.6"))
    assert [part.reason for part in kept.location.terms] == [None, NOT_PURCHASED]
    sold = scope2(replace(base, claimed_elsewhere=given(150, "GEC")), BOOK, DAY)
    assert (sold.location.value, sold.market.value) == (D("558.1"), D("609.6") + D("91.44"))
    more = scope2(replace(base, claimed_elsewhere=given(900, "GEC")), BOOK, DAY)
    assert more.market.value == D("609.6") + D("121.92")


def test_a_contract_counts_by_its_own_factor_and_never_beyond_the_consumption() -> None:
    row = replace(
        DIESEL, id="contract/7", carrier="electricity", value=D("0.1"), value_unit="kgCO2/kWh", factor_set="supplier"
    )
    contract = Contract(amount=given(900, "MWh", "contract/7"), row=row)
    found = scope2(replace(bought("1000"), retired=given(400, "GEC"), contracts=[contract]), BOOK, DAY)
    assert found.market.value == D(60)
    assert found.unmatched_kwh == 300_000


def test_what_is_passed_on_to_a_tenant_is_not_ours_and_an_unknown_part_leaves_no_total() -> None:
    assert scope2(bought("1000", resold="200"), BOOK, DAY).location.value == D("446.48")
    lost = scope2(replace(bought("1"), electricity=given(None, "MWh", "incomer")), BOOK, DAY)
    assert (lost.location.value, lost.market.value) == (None, None)
    assert lost.location.terms[0].reason == "incomer: no_quantity"
    turned = scope2(bought("1", resold="2"), BOOK, DAY)
    assert turned.location.terms[0].reason == "more_resold_than_bought"
    unknown = scope2(replace(bought("1"), retired=given(None, "GEC")), BOOK, DAY)
    assert (unknown.market.value, unknown.location.value) == (None, D("0.5581"))


@hypothesis_given(used=MEGA, retired=MEGA, more=MEGA)
def test_certificates_only_lower_the_market_figure_and_never_below_nothing(
    used: Decimal, retired: Decimal, more: Decimal
) -> None:
    base = bought(used)
    few, many = (scope2(replace(base, retired=given(count, "GEC")), BOOK, DAY) for count in (retired, retired + more))
    assert few.market.value is not None
    assert many.market.value is not None
    assert 0 <= many.market.value <= few.market.value
    assert few.location.value == many.location.value
    assert few.unmatched_kwh == max(retired - used, D(0)) * 1000


def test_certificates_for_what_nobody_knows_tell_why_they_cover_nothing() -> None:
    unknown = Input(id="incomer/2026-03", value=None, unit="kWh", reason="no_data")
    found = scope2(replace(bought("1"), electricity=unknown, retired=given(400, "GEC")), BOOK, DAY).market
    assert [(term.label, term.reason) for term in found.terms if term.value is None] == [
        ("covered", "incomer/2026-03: no_data"), ("electricity", "incomer/2026-03: no_data"),
    ]  # fmt: skip
