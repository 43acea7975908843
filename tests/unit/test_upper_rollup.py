"""The roll-up of firms, and statistics that tell no firm."""

from collections.abc import Container
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.terms import ZERO, Input
from centre.carriers import CARRIERS, Carrier, Flow
from centre.upper_rollup import (
    MORE_THAN_GIVEN,
    MORE_THAN_TAKEN,
    NOT_RECEIVED,
    Firm,
    PassedOn,
    firm_figures,
    rollup,
)
from centre.upper_statistics import (
    COMPLEMENT,
    DOMINATED,
    NOTHING_MADE,
    TOO_FEW,
    Disclosure,
    FirmUse,
    division,
    left_out,
    statistics,
)
from support.books_factors import DAY, book
from support.books_factors import given as told

BOOKS = {"energy": book("comprehensive-energy"), "carbon": book("monthly-statement")}
MOST = 10**7  # more than a firm can sell in these tests
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


MOVED = (Carrier.ELECTRICITY, Carrier.HEAT)


@dataclass(frozen=True)
class Truth:
    """What crosses the borders of firms: from outside all of them, to outside, and from one to another.

    `sells`: its export is metered and deducted; `made`: it feeds out what it made itself (metered, not deducted).
    """

    site: str
    gas: Decimal
    bought: dict[Carrier, Decimal]
    fed_out: dict[Carrier, Decimal]
    sells: frozenset[Carrier]
    made: bool

    def metered(self, carrier: Carrier) -> bool:
        return carrier in self.sells or (self.made and carrier is Carrier.ELECTRICITY)

    def deducted(self, carrier: Carrier) -> bool:
        return carrier in self.sells and not (self.made and carrier is Carrier.ELECTRICITY)


@dataclass(frozen=True)
class Region:
    """A tree of parks, districts and cities over firms."""

    firms: tuple[Truth, ...]
    moves: tuple[tuple[str, str, Carrier, Decimal], ...]
    parts: tuple[frozenset[str], ...]

    def came(self, carrier: Carrier, inside: Container[str]) -> Decimal:
        """What firms inside took from all that is not inside."""
        own = (one.bought[carrier] for one in self.firms if one.site in inside)
        moved = (
            amount
            for giver, taker, of, amount in self.moves
            if of is carrier and taker in inside and giver not in inside
        )
        return sum(own, ZERO) + sum(moved, ZERO)

    def went(self, carrier: Carrier, inside: Container[str], givers: Container[str]) -> Decimal:
        """What those `givers` that are inside passed to all that is not inside."""
        own = (one.fed_out[carrier] for one in self.firms if one.site in inside and one.site in givers)
        moved = (
            amount
            for giver, taker, of, amount in self.moves
            if of is carrier and giver in inside and giver in givers and taker not in inside
        )
        return sum(own, ZERO) + sum(moved, ZERO)

    def as_metered(self, one: Truth) -> Firm:
        flows: dict[str, Decimal] = {"natural_gas_import": one.gas}
        for carrier in MOVED:
            into = sum(
                (amount for _, taker, moved, amount in self.moves if (taker, moved) == (one.site, carrier)), ZERO
            )
            out = sum((amount for giver, _, moved, amount in self.moves if (giver, moved) == (one.site, carrier)), ZERO)
            flows[f"{carrier}_import"] = one.bought[carrier] + into
            if one.metered(carrier):
                flows[f"{carrier}_export"] = one.fed_out[carrier] + out
        if one.made:
            flows["electricity_generation"] = flows["electricity_export"] + 5
        return firm(one.site, **flows)


@st.composite
def regions(draw: st.DrawFn) -> Region:
    sites = [f"firm-{place}" for place in range(draw(st.integers(1, 6)))]
    firms = tuple(
        Truth(
            site=site,
            gas=draw(amounts),
            bought={carrier: draw(amounts) + MOST for carrier in MOVED},
            fed_out={carrier: draw(amounts) for carrier in MOVED},
            sells=draw(st.frozensets(st.sampled_from(MOVED))),
            made=draw(st.booleans()),
        )
        for site in sites
    )
    pairs = st.permutations(sites).map(lambda found: (found[0], found[-1]))
    moves = tuple(
        (*draw(pairs), draw(st.sampled_from(MOVED)), draw(amounts))
        for _ in range(draw(st.integers(0, 6)) if len(sites) > 1 else 0)
    )
    parts, waiting = list[frozenset[str]](), [frozenset(sites)]
    while waiting:
        parts.append(part := waiting.pop())
        some = draw(st.frozensets(st.sampled_from(sorted(part)))) if len(part) > 1 else part
        waiting += [part - some, some] if some and part - some else []
    return Region(firms, moves, tuple(parts))


@settings(max_examples=60, deadline=None)
@given(regions())
def test_every_node_of_a_random_tree_is_what_crosses_its_border(region: Region) -> None:
    metered = [region.as_metered(one) for one in region.firms]
    moves = [passed(*one) for one in region.moves]
    for part in region.parts:
        inside = [one for one in region.firms if one.site in part]
        found = rollup([one for one in metered if one.site in part], moves)
        came_in = {"natural_gas_import": sum((one.gas for one in inside), ZERO)}
        stayed = dict(came_in)
        for totals in found.carriers:
            carrier = totals.carrier
            if carrier in MOVED:
                came = region.came(carrier, part)
                assert totals.taken.total == came
                metering = {one.site for one in inside if one.metered(carrier)}
                assert totals.given.total == region.went(carrier, part, metering)
                deducted = {one.site for one in inside if one.deducted(carrier)}
                came_in[f"{carrier}_import"] = came
                stayed[f"{carrier}_import"] = came - region.went(carrier, part, deducted)
        came_in["electricity_import"] = stayed["electricity_import"]  # scope 2 is of what was bought and not sold on
        energy, carbon = firm_figures(firm("whole", **stayed)), firm_figures(firm("whole", **came_in))
        for level, expected in (
            (found.calorific, energy.calorific),
            (found.equal_value, energy.equal_value),
            (found.carbon, carbon.carbon),
        ):
            assert level.total.value is not None
            assert level.of_firms.value is not None
            assert level.internal.value is not None
            assert level.total.value == level.of_firms.value - level.internal.value
            assert abs(level.total.value - (expected.value or 0)) < Decimal("1e-7")  # terms have nine places
        assert rollup([one for one in metered if one.site in part][::-1], moves[::-1]).carbon.total.value == (
            found.carbon.total.value
        )


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


def test_a_firm_emits_nothing_by_electricity_that_it_sold_on() -> None:
    seller, user, other = (firm_figures(firm(site, electricity_import=amount, **sold)) for site, amount, sold in (
        ("seller", 100, {"electricity_export": 30}), ("user", 70, {}), ("sun", 70, {"electricity_generation": 30}),
    ))  # fmt: skip
    assert seller.carbon.value == user.carbon.value == other.carbon.value


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
    for wrong, reason in (([11], MORE_THAN_TAKEN), ([6, 5], MORE_THAN_TAKEN), ([None], None)):
        found = rollup(firms, [passed("a", "b", Carrier.ELECTRICITY, one) for one in wrong])
        assert found.carbon.total.value is None
        assert found.carriers[0].taken.total is None
        assert found.carriers[0].taken.transfers[0].amount.reason == reason


def test_a_transfer_that_is_not_in_what_the_giver_gave_out_is_no_figure() -> None:
    firms = [firm("a", electricity_import=100, electricity_export=5), firm("b", electricity_import=30)]
    found = rollup(firms, [passed("a", "b", Carrier.ELECTRICITY, 30)])
    assert found.carriers[0].taken.transfers[0].amount.reason == MORE_THAN_GIVEN
    assert (found.carbon.total.value, found.carriers[0].taken.total, found.carriers[0].given.total) == (None,) * 3


# --- statistics

RULE = Disclosure(smallest=5, largest=2, percent=Decimal(85))
parts = st.integers(0, 4) | st.integers(0, 1000) | st.integers(-50, 10**5)


def use(site: str, industry: str | None, used: int | None = 10, made: int | None = 5) -> FirmUse:
    return FirmUse(site=site, industry=industry, used=told(used, "tce"), made=told(made, "CNY"))


def tells_of_few(values: list[Decimal], rule: Disclosure) -> bool:
    """Whether `rule.largest` of those in a sum make as much as that of all sizes: every choice of them is tried."""
    sizes = [abs(value) for value in values]
    whole = sum(sizes)
    return any(sum(some) * 100 >= whole * rule.percent for some in combinations(sizes, rule.largest))


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.text("0123456789", min_size=2, max_size=2),
        st.lists(st.tuples(parts, parts), min_size=1, max_size=9),
        max_size=6,
    ),
    st.builds(
        Disclosure, smallest=st.integers(3, 6), largest=st.integers(1, 2), percent=st.integers(40, 99).map(Decimal)
    ),
)
def test_no_sum_or_difference_of_what_is_told_is_of_few_firms_or_made_by_few(
    groups: dict[str, list[tuple[int, int]]], rule: Disclosure
) -> None:
    uses = [
        use(f"{code}-{n}", f"C{code}1", *values) for code, found in groups.items() for n, values in enumerate(found)
    ]
    found = statistics(uses, rule)
    shown = {group.industry for group in found.groups if group.value is not None}
    assert {group.industry for group in found.groups} == set(groups)
    assert all((group.value is None) == (group.firms is None) == (group.reason is not None) for group in found.groups)
    # what can be had: any union of groups told, and, with the total, of all the others and any union of groups told
    hidden = {group.industry for group in found.groups} - shown
    assert {group.industry for group in found.groups if group.reason in {TOO_FEW, DOMINATED, COMPLEMENT}} <= hidden
    hidden -= {group.industry for group in found.groups if group.reason == NOTHING_MADE}
    unions = [set(some) for count in range(1, len(shown) + 1) for some in combinations(sorted(shown), count)]
    if found.total.reason in {None, NOTHING_MADE} and hidden:
        unions += [hidden | one for one in [set[str](), *unions]]
    for union in unions:
        members = [firm for firm in uses if division(firm.industry) in union]
        assert len(members) >= rule.smallest
        for values in ([firm.used.value for firm in members], [firm.made.value for firm in members]):
            assert not tells_of_few([value for value in values if value is not None], rule)


def test_small_groups_are_left_out_with_their_reason() -> None:
    uses = [use(f"a{n}", "C3011") for n in range(6)] + [use(f"b{n}", "24", 30) for n in range(5)] + [use("c", "13")]
    found = statistics([*uses, use("d", "13", None)], RULE)
    told_of = {group.industry: (group.value, group.reason) for group in found.groups}
    assert told_of == {"13": (None, TOO_FEW), "24": (None, COMPLEMENT), "30": (Decimal(2), None)}
    assert (found.total.firms, found.incomplete, found.total.unit) == (12, 1, "tce/CNY")
    assert statistics(uses[:4], RULE).total.reason == TOO_FEW
    assert left_out({}, RULE) == {}
    assert [division(code) for code in ("C3011", "C", "30", None)] == ["30", "C", "30", "none"]


def test_a_group_that_one_firm_makes_is_left_out_and_another_with_it() -> None:
    uses = [use(f"{industry}{n}", industry) for industry in ("10", "20", "30") for n in range(5 + (industry == "30"))]
    whole = {group.industry: group.reason for group in statistics(uses, RULE).groups}
    assert whole == {"10": None, "20": None, "30": None}
    for more in ({"used": 1000}, {"made": 1000}):
        giant = [use("100", "10", **more), *uses[1:]]
        found = {group.industry: group.reason for group in statistics(giant, RULE).groups}
        assert found == {"10": DOMINATED, "20": COMPLEMENT, "30": COMPLEMENT}  # all of them: it dominates two, too
        assert statistics(giant, RULE).total.reason == DOMINATED
    large = [use("100", "10", 200), *uses[1:]]
    assert {group.reason for group in statistics(large, RULE).groups} == {DOMINATED, COMPLEMENT, None}
    nothing = [use(f"{n}", "10", made=0) for n in range(6)]
    assert statistics(nothing, RULE).total.reason == DOMINATED
