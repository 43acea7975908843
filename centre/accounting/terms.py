"""Terms: inputs with unit, origin and reason when absent, what factors make of them, and sums that can be traced."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from centre.accounting.factor_choice import Choice
from centre.accounting.factors import FactorRow

ZERO: Final = Decimal(0)
NO_QUANTITY: Final = "no_quantity"
NO_FACTOR: Final = "no_factor"

RATIO: Final = "ratio"
PLACES: Final = 9

_ONE: Final = Fraction(1)
_NOTHING: Final = Fraction(0)
_WIDE: Final = Context(prec=200)

# unit -> (what it measures, how many of the base unit one of it is); bases: MJ, kg, m3, 1
_UNITS: Final[Mapping[str, tuple[str, Decimal]]] = MappingProxyType(
    {
        "MJ": ("energy", Decimal(1)),
        "GJ": ("energy", Decimal(1000)),
        "TJ": ("energy", Decimal(1_000_000)),
        "kWh": ("energy", Decimal("3.6")),
        "MWh": ("energy", Decimal(3600)),
        "kg": ("mass", Decimal(1)),
        "t": ("mass", Decimal(1000)),
        "Gg": ("mass", Decimal(1_000_000)),
        "kgce": ("coal", Decimal(1)),
        "tce": ("coal", Decimal(1000)),
        "m3": ("volume", Decimal(1)),
        "1e4m3": ("volume", Decimal(10_000)),
        "kgCO2": ("carbon", Decimal(1)),
        "kgCO2e": ("carbon", Decimal(1)),
        "tCO2": ("carbon", Decimal(1000)),
        "tCO2e": ("carbon", Decimal(1000)),
        "tC": ("carbon_element", Decimal(1000)),
        "GEC": ("certificate", Decimal(1)),
        "t.km": ("transport", Decimal(1)),
    }
)


class UnitError(ValueError):
    """Two units that do not measure the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A quantity that enters a calculation.

    `id` names it so that it can be looked up (a node and period, a form row, a certificate); `value` is None with a
    `reason` when it is not known. `shares`: quality flag -> share of the energy.
    """

    id: str
    value: Decimal | None
    unit: str
    shares: tuple[tuple[str, Decimal], ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One line of a result: inputs, the rows they were multiplied by, what came out in `unit` or why nothing did."""

    label: str
    value: Decimal | None
    unit: str
    inputs: tuple[Input, ...] = ()
    choices: tuple[Choice, ...] = ()
    reason: str | None = None

    @property
    def unverified(self) -> bool:
        """True when one of the rows was not seen in a second text."""
        return any(choice.unverified for choice in self.choices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The sum of terms; None as long as a term is missing, and then `known` is the sum of the others."""

    value: Decimal | None
    known: Decimal
    unit: str
    missing: tuple[str, ...]
    unverified: tuple[str, ...]
    terms: tuple[Term, ...]


def convert(value: Decimal, unit: str, to: str) -> Decimal:
    """The same quantity in another unit of its kind, at nine places; raises UnitError."""
    return value if unit == to else rounded(exactly(Fraction(value), unit, to))


def exactly(value: Fraction, unit: str, to: str) -> Fraction:
    """The same quantity in another unit of its kind, not rounded; raises UnitError."""
    if unit == to:
        return value
    try:
        (kind, size), (wanted, into) = _UNITS[unit], _UNITS[to]
    except KeyError as err:
        raise UnitError(f"{err.args[0]} is no unit that can be converted") from None
    if kind != wanted:
        raise UnitError(f"{unit} measures {kind}, {to} measures {wanted}")
    return value * Fraction(size) / Fraction(into)


def term(label: str, amount: Input, choices: Sequence[Choice], *, unit: str, ratio: Fraction = _ONE) -> Term:
    """Amount times the chosen factors times `ratio`, in `unit`; without value where one of them is missing.

    The first factor takes the amount's unit, each further one the unit the one before gives. Raises UnitError if they
    do not meet.
    """
    chosen = tuple(choices)
    lost = next((choice for choice in chosen if choice.row is None), None)
    if lost is not None or amount.value is None:
        reason = f"{NO_FACTOR}: {lost.reason}" if lost is not None else amount.reason or NO_QUANTITY
        return Term(label=label, value=None, unit=unit, inputs=(amount,), choices=chosen, reason=reason)
    value, into = Fraction(amount.value), amount.unit
    for row in [choice.row for choice in chosen if choice.row is not None]:
        value, into = _through(value, into, row)
    value = exactly(value, into, unit) * ratio
    return Term(label=label, value=rounded(value), unit=unit, inputs=(amount,), choices=chosen)


def _through(value: Fraction, unit: str, row: FactorRow) -> tuple[Fraction, str]:
    """`value` in the factor's denominator times the factor, and the unit of that; a ratio keeps the unit."""
    if row.value_unit == RATIO:
        return value * Fraction(row.value), unit
    numerator, _, denominator = row.value_unit.partition("/")
    return exactly(value, unit, denominator) * Fraction(row.value), numerator


def times(value: Decimal, unit: str, row: FactorRow, to: str) -> Decimal:
    """One amount times one factor, in unit `to`, at nine places."""
    product, into = _through(Fraction(value), unit, row)
    return rounded(exactly(product, into, to))


def total(terms: Sequence[Term], unit: str) -> Total:
    """The sum over all terms in `unit`, independent of their order."""
    exact = sum((exactly(Fraction(part.value), part.unit, unit) for part in terms if part.value is not None), _NOTHING)
    known = rounded(exact)
    missing = tuple(part.label for part in terms if part.value is None)
    return Total(
        value=None if missing else known,
        known=known,
        unit=unit,
        missing=missing,
        unverified=tuple(part.label for part in terms if part.unverified),
        terms=tuple(terms),
    )


def rounded(value: Fraction, places: int = PLACES) -> Decimal:
    """Half to even at nine places: far below what any meter sees, and it bounds the digits of what is stored."""
    return Decimal(round(value * 10**places)).scaleb(-places, _WIDE)


def weighted_shares(inputs: Iterable[Input]) -> dict[str, Decimal]:
    """Quality shares of a sum, weighted by quantity; inputs without shares do not take part."""
    weights: dict[str, Fraction] = {}
    for item in inputs:
        for flag, share in item.shares:
            weights[flag] = weights.get(flag, Fraction(0)) + Fraction(share) * abs(Fraction(item.value or 0))
    whole = sum(weights.values(), Fraction(0))
    return {flag: rounded(weight / whole, 4) for flag, weight in sorted(weights.items()) if weight}
