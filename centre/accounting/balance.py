"""The balance of a node (rule F10): what came in less what its sub-meters counted, with its uncertainty.

Only intervals that every meter knows are compared; what share of the period they cover is part of the answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from centre.accounting.exact import root, rounded
from centre.accounting.metered import Metered

_PLACES: Final = 6
NOTHING_COMMON: Final = "no_common_interval"
NO_PARENT: Final = "no_parent"


class Role(StrEnum):
    """How a meter counts in the balance; a store counts what it took in less what it gave (its change)."""

    SUPPLY = "supply"
    GENERATION = "generation"
    EXPORT = "export"
    STORED = "stored"
    CHILD = "child"


_SIGN: Final[Mapping[Role, int]] = {
    Role.SUPPLY: 1,
    Role.GENERATION: 1,
    Role.EXPORT: -1,
    Role.STORED: -1,
    Role.CHILD: -1,
}


def sign_of(role: Role) -> int:
    """Whether a meter adds to what is unmetered or takes from it."""
    return _SIGN[role]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceMeter:
    """A meter with its accuracy class in percent (0.5, 1, 2) and its intervals."""

    id: str
    role: Role
    accuracy: Decimal
    intervals: Sequence[Metered]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceTerm:
    """What one meter counted in the common intervals, and its share of the uncertainty (accuracy x amount)."""

    id: str
    role: Role
    amount: Decimal
    estimated: Decimal
    uncertainty: Decimal


class Verdict(StrEnum):
    """FAULT: children count more than came in, beyond doubt: wiring, CT ratio or epoch of a meter is wrong.
    LOSS: unmetered beyond doubt and above the limit. WITHIN: nothing to say."""

    WITHIN = "within"
    LOSS = "loss"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """`unmetered` with `uncertainty` (one standard deviation), of `available` (supply and generation).

    `common` of `expected` intervals were known to every meter; `share_percent` is None without anything available.
    """

    terms: tuple[BalanceTerm, ...]
    available: Decimal | None
    unmetered: Decimal | None
    uncertainty: Decimal | None
    share_percent: Decimal | None
    common: int
    expected: int
    verdict: Verdict | None
    reason: str | None

    @property
    def covered(self) -> Decimal:
        """The share of the expected intervals that was compared."""
        return rounded(Fraction(self.common, self.expected), 4) if self.expected else Decimal(0)


def balance(meters: Sequence[BalanceMeter], *, expected: int, limit_percent: Decimal) -> Balance:
    """The balance over the intervals all `meters` know, of `expected` in the period."""
    known = [_known(meter.intervals) for meter in meters]
    common = [at for at in known[0] if all(at in found for found in known)] if known else []
    supplied = any(meter.role in {Role.SUPPLY, Role.GENERATION} for meter in meters)
    if not common or not supplied:
        return Balance(
            terms=(),
            available=None,
            unmetered=None,
            uncertainty=None,
            share_percent=None,
            common=len(common),
            expected=expected,
            verdict=None,
            reason=NOTHING_COMMON if supplied else NO_PARENT,
        )
    terms = tuple(_term(meter, [found[at] for at in common]) for meter, found in zip(meters, known, strict=True))
    return _judged(terms, common=len(common), expected=expected, limit_percent=limit_percent)


def _known(intervals: Iterable[Metered]) -> dict[tuple[int, int], Metered]:
    return {(found.start, found.end): found for found in intervals if found.amount is not None}


def _term(meter: BalanceMeter, intervals: Iterable[Metered]) -> BalanceTerm:
    amount = estimated = Decimal(0)
    for found in intervals:
        amount += found.amount or 0
        estimated += found.estimated
    uncertainty = rounded(Fraction(abs(amount)) * Fraction(meter.accuracy) / 100, _PLACES)
    return BalanceTerm(id=meter.id, role=meter.role, amount=amount, estimated=estimated, uncertainty=uncertainty)


def _judged(terms: tuple[BalanceTerm, ...], *, common: int, expected: int, limit_percent: Decimal) -> Balance:
    unmetered = sum((sign_of(term.role) * term.amount for term in terms), Decimal(0))
    available = sum((t.amount for t in terms if t.role in {Role.SUPPLY, Role.GENERATION}), Decimal(0))
    uncertainty = root(sum((Fraction(term.uncertainty) ** 2 for term in terms), Fraction(0)), _PLACES)
    share = Fraction(unmetered) / Fraction(available) * 100 if available else None
    if unmetered < -2 * uncertainty:
        verdict = Verdict.FAULT
    elif unmetered > 2 * uncertainty and share is not None and share > Fraction(limit_percent):
        verdict = Verdict.LOSS
    else:
        verdict = Verdict.WITHIN
    return Balance(
        terms=terms,
        available=available,
        unmetered=unmetered,
        uncertainty=uncertainty,
        share_percent=None if share is None else rounded(share, 4),
        common=common,
        expected=expected,
        verdict=verdict,
        reason=None,
    )
