"""The roll-up of firms, and statistics that tell no firm."""

from decimal import Decimal
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.terms import Input
from centre.carriers import CARRIERS, Carrier, Flow
from centre.upper_rollup import MORE_THAN_TAKEN, NOT_RECEIVED, Firm, PassedOn, rollup
from centre.upper_statistics import COMPLEMENT, TOO_FEW, FirmUse, division, left_out, statistics
from support.books_factors import DAY, book
from support.books_factors import given as told

BOOKS = {"energy": book("comprehensive-energy"), "carbon": book("monthly-statement")}
amounts = st.decimals(min_value=0, max_value=10**6, places=3, allow_nan=False, allow_infinity=False)


def firm(site: str, **flows: Decimal | int | None) -> Firm:
    """`electricity_import=100`."""
    found: dict[tuple[Carrier, Flow], Input] = {}
    for name, value in flows.items():
        carrier, _, flow = name.rpartition("_")
        found[Carrier(carrier), Flow(flow)] = told(value, CARRIERS[Carrier(carrier)].unit, f"{site}/{name}")
    return Firm(site=site, flows=found, day=DAY, **BOOKS)


def passed(giver: str, taker: str, carrier: Carrier, value: Decimal | int | None) -> PassedOn:
    amount = told(value, CARRIERS[carrier].unit, f"{giver}>{taker}")
    return PassedOn(giver=giver, taker=taker, carrier=carrier, amount=amount)


@st.composite
def parks(draw: st.DrawFn) -> tuple[list[Firm], list[PassedOn]]:
    sites = [f"firm-{place}" for place in range(draw(st.integers(2, 4)))]
    firms: list[Firm] = []
    for site in sites:
        flows = {"electricity_import": draw(amounts) + 10**6, "heat_import": draw(amounts) + 10**6}
        if draw(st.booleans()):
            flows["electricity_export"] = draw(amounts)
        if draw(st.booleans()):
            flows["electricity_generation"] = draw(amounts)
        firms.append(firm(site, **flows, natural_gas_import=draw(amounts)))
    moves = [
        passed(
            *draw(st.permutations(sites))[:2], draw(st.sampled_from([Carrier.ELECTRICITY, Carrier.HEAT])), draw(amounts)
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    return firms, moves


@settings(max_examples=40, deadline=None)
@given(parks())
def test_a_park_is_the_sum_of_its_firms_less_what_they_passed_to_each_other(
    park: tuple[list[Firm], list[PassedOn]],
) -> None:
    firms, moves = park
    found = rollup(firms, moves)
    for level in (found.calorific, found.equal_value, found.carbon):
        assert level.total.value is not None
        assert level.of_firms.value is not None
        assert level.internal.value is not None
        assert level.total.value == level.of_firms.value - level.internal.value
    assert found.calorific.of_firms.value == sum(one.calorific.value or 0 for one in found.firms)
    assert found.carbon.of_firms.value == sum(one.carbon.value or 0 for one in found.firms)
    for totals in found.carriers:
        inside = sum(one.amount.value or 0 for one in moves if one.carrier is totals.carrier)
        bought = sum((one.taken(totals.carrier).value or Decimal(0) for one in firms), Decimal(0))
        assert totals.taken.total == bought - inside
    # the same whatever the order, and a firm alone has nothing to deduct
    assert rollup(firms[::-1], moves[::-1]).carbon.total.value == found.carbon.total.value
    assert rollup(firms[:1], moves).calorific.total.value == found.firms[0].calorific.value


@settings(max_examples=30, deadline=None)
@given(amounts, amounts)
def test_steam_made_of_gas_counts_as_that_gas_only(gas: Decimal, steam: Decimal) -> None:
    maker = firm("maker", natural_gas_import=gas)
    alone = rollup([maker], [])
    found = rollup([maker, firm("user", heat_import=steam)], [passed("maker", "user", Carrier.HEAT, steam)])
    assert found.calorific.total.value == alone.calorific.total.value
    assert found.carbon.total.value == alone.carbon.total.value


def test_electricity_that_is_sold_on_is_deducted_once() -> None:
    seller = firm("seller", electricity_import=100, electricity_export=30)
    user = firm("user", electricity_import=30)
    found = rollup([seller, user], [passed("seller", "user", Carrier.ELECTRICITY, 30)])
    park = rollup([firm("park", electricity_import=100)], [])
    assert found.calorific.total.value == park.calorific.total.value
    assert found.carbon.total.value == park.carbon.total.value
    electricity = found.carriers[0]
    assert (electricity.taken.total, electricity.given.total) == (100, 0)


def test_own_sun_is_told_and_never_added() -> None:
    with_sun = rollup([firm("a", electricity_import=100, electricity_generation=50)], [])
    without = rollup([firm("a", electricity_import=100)], [])
    assert with_sun.calorific.total.value == without.calorific.total.value
    assert with_sun.carbon.total.value == without.carbon.total.value
    assert with_sun.carriers[0].generated.total == 50


def test_what_is_missing_is_said_of_whom_and_is_never_nothing() -> None:
    found = rollup([firm("a", electricity_import=100), firm("silent"), firm("half", electricity_import=None)], [])
    assert found.carbon.total.value is None
    assert {name.partition(":")[0] for name in found.carbon.total.missing} == {"silent", "half"}
    assert found.carriers[0].taken.total is None
    assert found.carriers[0].taken.missing == ("received:silent", "half/electricity_import")
    assert found.carriers[0].taken.firms["silent"].reason == NOT_RECEIVED
    assert found.carbon.total.known == found.firms[0].carbon.value


def test_a_transfer_that_is_not_in_what_the_taker_took_in_is_no_figure() -> None:
    firms = [firm("a", electricity_import=100), firm("b", electricity_import=10)]
    for wrong, reason in ((11, MORE_THAN_TAKEN), (None, None)):
        found = rollup(firms, [passed("a", "b", Carrier.ELECTRICITY, wrong)])
        assert found.carbon.total.value is None
        assert found.carriers[0].taken.total is None
        assert found.carriers[0].taken.transfers[0].amount.reason == reason


# --- statistics


def use(site: str, industry: str | None, used: int | None = 10, made: int | None = 5) -> FirmUse:
    return FirmUse(site=site, industry=industry, used=told(used, "tce"), made=told(made, "CNY"))


@given(
    st.dictionaries(st.text("0123456789", min_size=2, max_size=2), st.integers(1, 12), max_size=8), st.integers(3, 7)
)
def test_no_difference_of_what_is_told_is_a_group_below_k(sizes: dict[str, int], smallest: int) -> None:
    uses = [use(f"{code}-{place}", f"C{code}1") for code, size in sizes.items() for place in range(size)]
    found = statistics(uses, smallest=smallest)
    shown = {group.industry: group.firms for group in found.groups if group.value is not None}
    assert all(firms is not None and firms >= smallest for firms in shown.values())
    assert {group.industry for group in found.groups if group.firms is None} == set(sizes) - set(shown)
    if found.total.firms is not None:
        for count in range(len(shown) + 1):
            for some in combinations(shown, count):
                rest = found.total.firms - sum(shown[code] or 0 for code in some)
                assert rest == 0 or rest >= smallest


def test_small_groups_are_left_out_with_their_reason() -> None:
    uses = [use(f"a{n}", "C3011") for n in range(6)] + [use(f"b{n}", "24", 30) for n in range(5)] + [use("c", "13")]
    found = statistics([*uses, use("d", "13", None)], smallest=5)
    told_of = {group.industry: (group.value, group.reason) for group in found.groups}
    assert told_of == {"13": (None, TOO_FEW), "24": (None, COMPLEMENT), "30": (Decimal(2), None)}
    assert (found.total.firms, found.incomplete, found.total.unit) == (12, 1, "tce/CNY")
    assert statistics(uses[:4], smallest=5).total.reason == TOO_FEW
    assert left_out({}, 5) == {}
    assert [division(code) for code in ("C3011", "C", "30", None)] == ["30", "C", "30", "none"]
