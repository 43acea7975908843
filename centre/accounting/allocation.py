"""Shares of products in what they have in common: by sub-meter, else physically, else by value (rule F16).

Shares add up to 1 and allocated parts to what was allocated, exactly: the remainder of rounding goes to the largest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from centre.accounting.terms import NO_QUANTITY, ZERO, Input, convert, rounded

NO_KEY: Final = "no_key"
NEGATIVE_KEY: Final = "negative_key"
ALL_NOTHING: Final = "all_keys_are_nothing"
NO_BASIS: Final = "no_basis"


class Basis(StrEnum):
    """What shares are made of, best first."""

    SUB_METER = "sub_meter"
    PHYSICAL = "physical"
    ECONOMIC = "economic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """One figure for each product: energy of its sub-meter, or kg, machine hours, heat, or its value."""

    basis: Basis
    of: Mapping[str, Input]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """`of` each product at nine places, together 1; empty with a reason. `passed_over`: better bases, and why not."""

    of: Mapping[str, Decimal]
    keys: Keys | None
    passed_over: tuple[tuple[Basis, str], ...]
    reason: str | None = None


def shares(products: Sequence[str], candidates: Sequence[Keys]) -> Shares:
    """By the first basis, in the order of the rule, that has a key for every product."""
    passed_over: list[tuple[Basis, str]] = []
    order = list(Basis)
    for keys in sorted(candidates, key=lambda keys: order.index(keys.basis)):
        weights = _weights(products, keys)
        if not isinstance(weights, str):
            return Shares(of=_spread(Decimal(1), weights), keys=keys, passed_over=tuple(passed_over))
        passed_over.append((keys.basis, weights))
    return Shares(of={}, keys=None, passed_over=tuple(passed_over), reason=NO_BASIS)


def allocate(amount: Decimal, found: Shares) -> dict[str, Decimal]:
    """The parts of an amount; together they are the amount."""
    return _spread(amount, {product: Fraction(share) for product, share in found.of.items()})


def _weights(products: Sequence[str], keys: Keys) -> dict[str, Fraction] | str:
    weights: dict[str, Fraction] = {}
    unit = next((item.unit for item in keys.of.values()), "")
    for product in products:
        item = keys.of.get(product)
        if item is None:
            return f"{product}: {NO_KEY}"
        if item.value is None:
            return f"{item.id}: {item.reason or NO_QUANTITY}"
        if item.value < 0:
            return f"{item.id}: {NEGATIVE_KEY}"
        weights[product] = Fraction(convert(item.value, item.unit, unit))
    return weights if any(weights.values()) else ALL_NOTHING


def _spread(amount: Decimal, weights: Mapping[str, Fraction]) -> dict[str, Decimal]:
    whole = sum(weights.values(), Fraction(0))
    parts = {name: rounded(Fraction(amount) * weight / whole) for name, weight in sorted(weights.items())}
    largest = max(parts, key=lambda name: weights[name], default=None)
    if largest is not None:
        parts[largest] += amount - sum(parts.values(), ZERO)
    return parts
