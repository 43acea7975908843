"""The footprint of a product: shares that add up to one, scrap carried by good output, and every input in the record."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from centre.accounting.allocation import ALL_NOTHING, NO_BASIS, Basis, Keys, Shares, allocate, shares
from centre.accounting.product import NOT_TWELVE_MONTHS, CutOff, Flow, Kind, Study, footprint
from centre.json_views import to_json
from support.books_factors import TABLE, book, given

D = Decimal
BOOK = book("product-footprint")
SUPPLIER = replace(
    TABLE[0], id="supplier/steel/2025", carrier="steel", metric="footprint", value=D(2), value_unit="kgCO2e/kg",
    factor_set="supplier", source="declaration 17", confirmed=True,
)  # fmt: skip
NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True)
SOME = st.integers(0, 10**9).map(lambda number: Decimal(number) / 1000)


def keys(basis: Basis, unit: str, **of: int | None) -> Keys:
    return Keys(basis=basis, of={name: given(value, unit, f"{basis}/{name}") for name, value in of.items()})


def test_shares_are_taken_from_sub_meters_then_from_mass_then_from_value() -> None:
    metered, mass, worth = (
        keys(Basis.SUB_METER, "kWh", door=30, hood=None),
        keys(Basis.PHYSICAL, "kg", door=2, hood=1),
        keys(Basis.ECONOMIC, "CNY", door=1, hood=9),
    )
    found = shares(["door", "hood"], [worth, mass, metered])
    assert found.of == {"door": D("0.666666667"), "hood": D("0.333333333")}
    assert found.keys is mass
    assert found.passed_over == ((Basis.SUB_METER, "sub_meter/hood: no_quantity"),)
    best = shares(["door"], [worth, metered])
    assert (best.of, best.keys) == ({"door": D(1)}, metered)


def test_products_without_any_basis_get_no_shares_but_reasons() -> None:
    nothing = shares(
        ["door", "hood"], [keys(Basis.PHYSICAL, "kg", door=0, hood=0), keys(Basis.ECONOMIC, "CNY", door=-1)]
    )
    assert (dict(nothing.of), nothing.reason) == ({}, NO_BASIS)
    assert nothing.passed_over == ((Basis.PHYSICAL, ALL_NOTHING), (Basis.ECONOMIC, "economic/door: negative_key"))
    assert shares(["door"], [keys(Basis.PHYSICAL, "kg", hood=1)]).passed_over == ((Basis.PHYSICAL, "door: no_key"),)


@hypothesis_given(names=NAMES, weights=st.lists(st.integers(0, 10**6), min_size=8, max_size=8), amount=SOME)
def test_shares_are_exactly_one_and_parts_exactly_the_amount(
    names: list[str], weights: list[int], amount: Decimal
) -> None:
    given_keys = keys(Basis.PHYSICAL, "kg", **dict(zip(names, weights, strict=False)))
    found = shares(names, [given_keys])
    if not any(weights[: len(names)]):
        assert found.reason == NO_BASIS
        return
    assert sum(found.of.values()) == 1
    assert sum(allocate(amount, found).values()) == amount
    assert shares(names[::-1], [given_keys]).of == found.of


SPLIT = shares(["door", "hood"], [keys(Basis.PHYSICAL, "kg", door=3, hood=1)])


def study(*, good: str = "100", split: Shares | None = SPLIT) -> Study:
    return Study(
        product="door",
        begin=date(2025, 4, 1),
        end=date(2026, 3, 31),
        boundary="cradle to gate",
        output=given(good, "t", "mes/good"),
        scrap=given(20, "t", "mes/scrap"),
        flows=[
            Flow(label="steel", kind=Kind.MATERIAL, carrier="steel", amount=given(120, "t", "erp/steel"), row=SUPPLIER),
            Flow(
                label="power",
                kind=Kind.ENERGY,
                carrier="electricity",
                amount=given(400, "MWh", "incomer"),
                shares=split,
            ),
            Flow(label="oven", kind=Kind.FUEL, carrier="natural_gas", amount=given(10_000, "m3", "gas"), shares=split),
        ],
        cut_offs=[CutOff(label="grease", why="below 1 % of mass")],
    )


def test_the_footprint_uses_the_life_cycle_factor_of_electricity_and_good_output_carries_scrap() -> None:
    found = footprint(study(), BOOK)
    power = found.total.terms[1]
    assert [choice.row.metric for choice in power.choices if choice.row is not None] == ["electricity_footprint_factor"]
    assert power.value == D(300_000) * D("0.5777")
    assert found.total.value == D(240_000) + D("173310") + D("16237.613997")
    assert (found.per_unit.value, found.per_unit.unit) == (D("4295.476139970"), "kgCO2e/t")
    assert found.per_unit.denominator.id == "mes/good"
    assert found.primary == D("0.5587")
    assert found.notes == ()


def test_the_record_lists_every_input_row_key_and_cut_off_and_is_the_same_each_time() -> None:
    record = to_json(footprint(study(), BOOK))
    assert record == to_json(footprint(study(), BOOK))
    for text in (
        "erp/steel",
        "incomer",
        "gas",
        "mes/good",
        "mes/scrap",
        "physical/hood",
        "declaration 17",
        "below 1 %",
    ):
        assert text.encode() in record


def test_a_footprint_without_output_or_allocation_has_a_reason() -> None:
    assert footprint(study(good="0"), BOOK).per_unit.reason == "nothing_to_divide_by"
    lost = footprint(study(split=shares(["door", "hood"], [])), BOOK)
    assert (lost.total.value, lost.total.missing) == (None, ("power", "oven"))
    assert lost.total.terms[1].reason == NO_BASIS
    assert lost.per_unit.reason == "door/total: power, oven"
    assert lost.primary is None


def test_a_study_of_less_than_twelve_months_says_so() -> None:
    assert footprint(replace(study(), begin=date(2025, 5, 1)), BOOK).notes == (NOT_TWELVE_MONTHS,)
    assert footprint(replace(study(), begin=date(2025, 4, 2)), BOOK).notes == (NOT_TWELVE_MONTHS,)


@hypothesis_given(good=st.integers(1, 10**6), more=st.integers(1, 10**6))
def test_more_good_output_of_the_same_flows_never_raises_the_footprint(good: int, more: int) -> None:
    few, many = (footprint(study(good=str(count)), BOOK).per_unit.value for count in (good, good + more))
    assert few is not None
    assert many is not None
    assert many <= few
