"""Water and solid waste: what came in goes out, is used again, or is missing by name."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from centre.accounting import waste, water
from centre.accounting.ratios import NOTHING_TO_DIVIDE_BY
from centre.accounting.terms import Input
from support.books_factors import given

D = Decimal
SOME = st.integers(0, 1_000_000).map(lambda number: Decimal(number) / 100)


def year(fresh: str | Decimal, reused: str | Decimal, discharged: str | Decimal) -> water.WaterYear:
    return water.WaterYear(
        fresh=[given(fresh, "m3", "main")], reused=[given(reused, "m3", "tower")],
        discharged=[given(discharged, "m3", "sewer")],
    )  # fmt: skip


def test_reused_water_is_a_share_of_all_water_used() -> None:
    found = water.balance(year("100", "300", "60"))
    assert (found.reuse.value, found.consumed.value) == (D("0.75"), D(40))
    assert found.consumed.id == "fresh: main - discharged: sewer"


def test_the_water_footprint_is_what_is_consumed_per_good_output() -> None:
    consumed = water.balance(year("100", "0", "60")).consumed
    found = water.footprint("press", consumed, D("0.5"), given(8, "t"))
    assert (found.value, found.unit) == (D("2.5"), "m3/t")


def test_water_nobody_metered_leaves_no_balance_but_a_name() -> None:
    lost = replace(year("100", "300", "60"), fresh=[Input(id="well", value=None, unit="m3", reason="no_meter")])
    found = water.balance(lost)
    assert (found.reuse.value, found.consumed.value) == (None, None)
    assert found.consumed.reason == "well: no_meter"
    assert water.footprint("p", found.consumed, D(1), given(1, "t")).value is None
    assert water.balance(year("1", "0", "2")).consumed.reason == water.MORE_OUT_THAN_IN
    assert water.balance(year("0", "0", "0")).reuse.reason == NOTHING_TO_DIVIDE_BY


@hypothesis_given(fresh=SOME, reused=SOME, more=SOME)
def test_the_reuse_rate_rises_with_reuse_and_stays_below_one(fresh: Decimal, reused: Decimal, more: Decimal) -> None:
    before, after = (water.balance(year(fresh, amount, "0")).reuse.value for amount in (reused, reused + more))
    if before is not None and after is not None:
        assert 0 <= before <= after <= 1


def slag(begin: object, made: object, used: object, old: object, disposed: object, end: object) -> waste.Waste:
    amounts = dict(
        zip(("begin", "made", "used", "old", "disposed", "end"), (begin, made, used, old, disposed, end), strict=True)
    )
    parts = {name: given(None if value is None else D(str(value)), "t", name) for name, value in amounts.items()}
    return waste.Waste(
        kind="slag", stock_begin=parts["begin"], generated=parts["made"], used=parts["used"],
        old_stock_used=parts["old"], disposed=parts["disposed"], stock_end=parts["end"],
    )  # fmt: skip


def test_the_rate_of_use_counts_old_stock_below_the_line() -> None:
    found = waste.balance(slag(50, 100, 88, 10, 20, 40))
    assert (found.rest, found.use.value) == (D(2), D("0.8"))


def test_a_waste_balance_that_cannot_be_made_says_why() -> None:
    unknown = waste.balance(slag(50, 100, 88, 10, None, 40))
    assert (unknown.rest, unknown.reason, unknown.use.value) == (None, "disposed: no_quantity", D("0.8"))
    assert waste.balance(slag(50, 100, 8, 10, 0, 0)).use.reason == f"made + old: {waste.MORE_OLD_STOCK_THAN_USED}"
    assert waste.balance(slag(5, 100, 80, 10, 0, 0)).use.reason == f"made + old: {waste.MORE_OLD_STOCK_THAN_STOCK}"
    assert waste.balance(slag(5, None, 80, 1, 0, 0)).use.value is None


@hypothesis_given(begin=SOME, made=SOME, used=SOME, disposed=SOME, end=SOME)
def test_mass_is_conserved_with_its_unexplained_rest(
    begin: Decimal, made: Decimal, used: Decimal, disposed: Decimal, end: Decimal
) -> None:
    rest = waste.balance(slag(begin, made, used, 0, disposed, end)).rest
    assert rest is not None
    assert begin + made == used + disposed + end + rest
