"""Formulas of virtual meters: what can be read, what goes together, and what comes out of gaps and doubts."""

from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre.accounting.intervals import QUARTER_NS, Interval
from centre.accounting.registers import Flag
from centre.carriers import Carrier, Flow
from centre.entities import VirtualMeter
from centre.expression import ExpressionError, Undefined, parse, references, unit_of, value_of
from centre.virtual_meters import Computed, Formula, compute, formula_of, in_order

UNITS = {"a": "kWh", "b": "kWh", "w": "m3"}
VALUES = {"a": Fraction(7), "b": Fraction("2.5"), "w": Fraction(4)}
NAMES = {name: name for name in UNITS}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("[a]", 7),
        ("[a] - [b] - 1", Fraction("3.5")),
        ("[a] - ([b] - 1)", Fraction("5.5")),
        ("1 + 2 * 3 / 4", Fraction("2.5")),
        ("-[a] * -2", 14),
        ("max(0, [b] - [a])", 0),
        ("min([a], [b], 3)", Fraction("2.5")),
        ("abs([b]-[a])", Fraction("4.5")),
        ("0.1 + 0.2", Fraction("0.3")),
        ("[a] / 3 * 3", 7),
        (" - - 1 ", 1),
    ],
)
def test_a_formula_is_computed_exactly(text: str, result: Fraction) -> None:
    assert value_of(parse(text), VALUES) == result


@pytest.mark.parametrize(
    "text",
    [
        "", "1 +", "(1", "1)", "[a", "[]", "a", "a + 1", "2 3", "max()", "max 1", "abs(1, 2)", "eval(1)", "1 ** 2", "[a].b",
        "__import__('os')", "1e5", "[a] if 1 else 2", "1;2", "+1", "0x10", "\x00", "1" * 20, "(" * 60 + "1" + ")" * 60,
        "-" * 60 + "1", "+".join("1" * 200), "1 " * 600, "[a b]", "[[a]]",
    ],
)  # fmt: skip
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


@given(st.text(alphabet="[]ab019.+-*/(),max eimn", max_size=60))
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    try:
        expression = parse(text)
    except ExpressionError:
        return
    with suppress(Undefined):
        value_of(expression, dict.fromkeys(references(expression), Fraction(3)))


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("[a] + [b]", (("kWh", 1),)),
        ("max(0, [a] - [b])", (("kWh", 1),)),
        ("[a] * 0.95", (("kWh", 1),)),
        ("[a] / [b]", ()),
        ("[a] / [w]", (("kWh", 1), ("m3", -1))),
        ("[a] / [b] * [w]", (("m3", 1),)),
    ],
)
def test_units_follow_the_formula(text: str, unit: object) -> None:
    assert unit_of(parse(text), UNITS) == unit


@pytest.mark.parametrize(
    "text", ["[a] + [w]", "[a] + 1", "max([a], [w])", "[a] - [b] / [a]", "[a] + [c]", "[a]*[b]+[a]"]
)
def test_units_that_do_not_go_together_are_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        unit_of(parse(text), UNITS)


def virtual(text: str, id_: str = "v", carrier: Carrier = Carrier.ELECTRICITY) -> VirtualMeter:
    return VirtualMeter(id=id_, carrier=carrier, flow=Flow.IMPORT, expression=text)


def formula(text: str, id_: str = "v") -> Formula:
    names = NAMES | {name: name for name in ("v", "x", "y")}
    return formula_of(virtual(text, id_), names, UNITS | {"v": "kWh", "x": "kWh", "y": "kWh"})


@pytest.mark.parametrize(
    ("text", "says"), [("[w]", "gives m3"), ("[c]", "no meter"), ("1", "no meter"), ("[a]/[b]", "plain")]
)
def test_a_virtual_meter_gives_what_its_carrier_is_counted_in(text: str, says: str) -> None:
    with pytest.raises(ExpressionError, match=says):
        formula(text)


def test_virtual_meters_stand_in_order_and_circles_are_refused() -> None:
    ordered = in_order([formula("[x] + [a]", "v"), formula("[y]", "x"), formula("[a]", "y")])
    assert [found.meter.id for found in ordered] == ["y", "x", "v"]
    with pytest.raises(ExpressionError, match="refers to itself: "):
        in_order([formula("[x]", "v"), formula("[v]", "x")])
    with pytest.raises(ExpressionError, match="refers to itself: v -> v"):
        in_order([formula("[v] + [a]", "v")])


def part(amount: str | None, **more: object) -> Interval:
    known = {} if amount is None else {"amount": Decimal(amount), "known_ns": QUARTER_NS}
    return Interval(start=0, end=QUARTER_NS, **(known | more))  # type: ignore[arg-type]


def result(text: str, **parts: Interval) -> Computed:
    (found,) = compute(formula(text), {name: {0: one} for name, one in parts.items()}, [0], QUARTER_NS)
    return found


def test_what_was_measured_is_computed_from_measured() -> None:
    found = result("[a] - [b]", a=part("7"), b=part("2.5")).interval
    assert (found.amount, found.flag, found.marked) == (
        Decimal("4.5"),
        Flag.COMPUTED,
        ((Flag.COMPUTED, Decimal("4.5")),),
    )
    assert (found.known_ns, found.open) == (QUARTER_NS, False)


def test_a_missing_part_makes_the_whole_missing_and_is_named() -> None:
    for parts in ({"a": part("7"), "b": part(None)}, {"a": part("7")}):
        found = result("[a] - [b]", **parts)
        assert (found.interval.amount, found.reason, found.missing) == (None, "no_data", ("b",))


def test_parts_that_cover_different_times_give_nothing() -> None:
    found = result("[a] - [b]", a=part("7"), b=part("2", known_ns=QUARTER_NS // 2))
    assert (found.interval.amount, found.reason, found.missing) == (None, "incomplete", ("b",))


def test_a_division_by_zero_is_a_reason_not_a_number() -> None:
    found = result("[a] * [a] / [b]", a=part("7"), b=part("0"))
    assert (found.interval.amount, found.reason) == (None, "division_by_zero")


def test_estimated_shares_are_carried_by_energy() -> None:
    found = result(
        "[a] + [b]", a=part("6", estimated=Decimal(2), estimated_ns=QUARTER_NS), b=part("2", suspects=1)
    ).interval
    assert (found.amount, found.estimated, found.estimated_ns, found.suspects) == (8, 2, QUARTER_NS, 1)
    assert (found.marked, found.flag) == (((Flag.COMPUTED, Decimal(6)),), Flag.SUSPECT)


AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=4)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=8), AMOUNTS)
def test_a_linear_formula_of_sums_is_the_sum_of_its_intervals(
    pairs: list[tuple[Decimal, Decimal]], factor: Decimal
) -> None:
    whole = f"{factor} * [a] - [b]"
    sums = [part(str(sum(column))) for column in zip(*pairs, strict=True)]
    parts = [result(whole, a=part(str(a)), b=part(str(b))).interval.amount or 0 for a, b in pairs]
    assert result(whole, a=sums[0], b=sums[1]).interval.amount == sum(parts)


@given(AMOUNTS, AMOUNTS, st.decimals(min_value=0, max_value=1, places=3))
def test_the_amounts_under_the_flags_sum_up_to_the_amount(a: Decimal, b: Decimal, share: Decimal) -> None:
    found = result("[a] / 3 - [b]", a=part(str(a), estimated=a * share, estimated_ns=1), b=part(str(b))).interval
    assert found.amount == found.estimated + sum(amount for _, amount in found.marked)
