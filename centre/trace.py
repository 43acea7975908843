"""Why a number is what it is: every step from a figure down to factor rows and register readings, and its check.

A trace is a graph: steps by id, each with its parts, so that what several figures rest on stands there once. The check
computes every step again from its parts, in fractions, with arithmetic of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final, NamedTuple

from centre.accounting.exact import root as square_root
from centre.accounting.exact import rounded as half_up
from centre.accounting.factors import FactorRow
from centre.accounting.terms import RATIO, UnitError, exactly

_SHARE: Final = Decimal("1e-9")
_ROOT_PLACES: Final = 6


class Rule(StrEnum):
    """How a step's value comes from its parts."""

    SUM = "sum"  # each part with its sign, in the step's unit
    PRODUCT = "product"  # the first part times all further ones, times `ratio`
    QUOTIENT = "quotient"  # the first part over the second, in the step's unit
    FRACTION = "fraction"  # its parts multiplied, over those of sign -1, times `ratio`; the step tells its unit
    INTERPOLATED = "interpolated"  # a register between two readings at a given time, times `ratio`
    ROOT_OF_SQUARES = "root_of_squares"
    POWER_FACTOR = "power_factor"  # the first part over the root of the sum of both squares, half up to 0.01
    READING = "reading"  # what a register said
    FACTOR = "factor"  # a row of the factor table, a price, a percentage
    GIVEN = "given"  # stated by the settings, or not known


class Rounding(StrEnum):
    """What is done to the exact result."""

    EXACT = "exact"
    NINE = "9 places, half to even"
    NINE_UP = "9 places, half up"
    SIX = "6 places, half up"
    CENT = "0.01, half up"


class Part(NamedTuple):
    """A step that another one is made of: added, deducted or divided by (sign -1), or beside and not counted (0)."""

    id: str
    sign: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One value, or None with a `reason`. `words` says the formula; `proof` are parts that sum up to it another way.

    `into` is the unit a product has before `ratio`, where that is not the step's own. `at_ns`: of a reading, or of what
    is interpolated. `factor`: the row with its source; `why` it was chosen.
    """

    id: str
    rule: Rule
    words: str
    value: Decimal | None
    unit: str
    parts: tuple[Part, ...] = ()
    proof: tuple[Part, ...] = ()
    rounding: Rounding = Rounding.EXACT
    ratio: str = "1"
    into: str | None = None
    at_ns: int | None = None
    factor: FactorRow | None = None
    why: str | None = None
    reason: str | None = None
    flags: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """All steps below `root`."""

    root: str
    steps: Mapping[str, Step]

    def walk(self) -> Iterator[tuple[int, int, Step]]:
        """(depth, sign, step) from the figure down; what was shown once is not entered again."""
        seen: set[str] = set()
        waiting = [(0, Part(self.root))]
        while waiting:
            depth, part = waiting.pop()
            step = self.steps[part.id]
            yield depth, part.sign, step
            if part.id not in seen:
                seen.add(part.id)
                waiting += [(depth + 1, below) for below in (*step.parts, *step.proof)[::-1]]


class Mistake(NamedTuple):
    """A step that does not follow from its parts."""

    id: str
    says: str
    computed: str


def check(trace: Trace) -> tuple[Mistake, ...]:
    """Every step that does not add up; none means that the figure is what its readings and factors make."""
    mistakes: list[Mistake] = []
    for step in trace.steps.values():
        try:
            mistakes += _check(step, trace.steps)
        except (KeyError, UnitError, IndexError, ZeroDivisionError) as err:
            mistakes.append(Mistake(step.id, str(step.value), f"cannot be computed: {err!r}"))
    return tuple(mistakes)


def _check(step: Step, steps: Mapping[str, Step]) -> Iterator[Mistake]:
    parts = [(part.sign, steps[part.id]) for part in step.parts if part.sign]
    if step.value is None:
        if step.reason is None:
            yield Mistake(step.id, "no value", "no reason")
        if parts and all(below.value is not None for _, below in parts):
            yield Mistake(step.id, "no value", "every part has one")
        return
    for _, below in parts:
        if below.value is None:
            yield Mistake(step.id, str(step.value), f"{below.id} has no value")
            return
    if step.rule in _COMPUTED:
        found = _rounded(_COMPUTED[step.rule](step, parts), step.rounding)
        if found != Fraction(step.value):
            yield Mistake(step.id, str(step.value), str(found))
    if step.proof:
        whole = sum((part.sign * Fraction(steps[part.id].value or 0) for part in step.proof), Fraction(0))
        if whole != Fraction(step.value):
            yield Mistake(step.id, str(step.value), f"{whole} by its register")


_Parts = list[tuple[int, Step]]


def _value(step: Step) -> Fraction:
    assert step.value is not None
    return Fraction(step.value)


def _sum(step: Step, parts: _Parts) -> Fraction:
    return sum((sign * exactly(_value(below), below.unit, step.unit) for sign, below in parts), Fraction(0))


def _product(step: Step, parts: _Parts) -> Fraction:
    value, unit = _value(parts[0][1]), parts[0][1].unit
    for _, factor in parts[1:]:
        if factor.unit != RATIO:
            above, _, below = factor.unit.partition("/")
            value, unit = exactly(value, unit, below), above
        value *= _value(factor)
    return exactly(value, unit, step.into or step.unit) * Fraction(step.ratio)


def _quotient(_step: Step, parts: _Parts) -> Fraction:
    (_, above), (_, below) = parts
    return _value(above) / _value(below)


def _fraction(step: Step, parts: _Parts) -> Fraction:
    value = Fraction(step.ratio)
    for sign, below in parts:
        value = value * _value(below) if sign > 0 else value / _value(below)
    return value


def _interpolated(step: Step, parts: _Parts) -> Fraction:
    """The earlier reading and the share of the difference up to the step's time, at nine places like intervals."""
    (_, old), (_, new) = parts
    assert step.at_ns is not None
    assert old.at_ns is not None
    assert new.at_ns is not None
    assert old.value is not None
    assert new.value is not None
    scale = Decimal(step.ratio)
    amount = (new.value - old.value) * scale
    if step.at_ns == new.at_ns:
        return Fraction(old.value * scale) + Fraction(amount)
    part = amount * (step.at_ns - old.at_ns) / (new.at_ns - old.at_ns)
    return Fraction(old.value * scale) + Fraction(part.quantize(_SHARE, ROUND_HALF_EVEN))


def _root(_step: Step, parts: _Parts) -> Fraction:
    return Fraction(square_root(sum((_value(below) ** 2 for _, below in parts), Fraction(0)), _ROOT_PLACES))


def _power_factor(_step: Step, parts: _Parts) -> Fraction:
    """The most hundredths that the exact one reaches with half of one: by squares, without a root."""
    active, reactive = (_value(below) ** 2 for _, below in parts)
    reached = [n for n in range(1, 101) if (2 * n - 1) ** 2 * (active + reactive) <= 40_000 * active]
    return Fraction(max(reached, default=0), 100)


_COMPUTED: Final = {
    Rule.SUM: _sum,
    Rule.PRODUCT: _product,
    Rule.QUOTIENT: _quotient,
    Rule.FRACTION: _fraction,
    Rule.INTERPOLATED: _interpolated,
    Rule.ROOT_OF_SQUARES: _root,
    Rule.POWER_FACTOR: _power_factor,
}


_PLACES: Final = {Rounding.SIX: 6, Rounding.NINE_UP: 9}


def _rounded(value: Fraction, how: Rounding) -> Fraction:
    if how is Rounding.NINE:
        return Fraction(round(value * 10**9), 10**9)
    if how in _PLACES:
        return Fraction(half_up(value, _PLACES[how]))
    return Fraction(half_up(value)) if how is Rounding.CENT else value
