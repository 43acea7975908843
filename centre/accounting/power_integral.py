"""Rule F3: energy out of power where a meter has no register: trapezoids between readings that are close enough.

What lies between two readings further apart than the limit is not known; it is missing, and never zero.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from centre.accounting.registers import HOUR_NS, Flag, Register, Sample, Step
from centre.accounting.terms import rounded

_PLACES: Final = 12  # each step is rounded by itself, so that it does not matter where the work is cut
_HALF: Final = Fraction(1, 2)
_NOTHING: Final = Fraction(0)


def integrate(samples: Sequence[Sample], *, limit_ns: int, per_unit: int = 1, sign: int = 1) -> Register:
    """The steps between readings of a rate per hour (ascending in time): computed, or missing beyond `limit_ns`.

    `per_unit` rate units make one of the amount: 1000 for W and kWh, 1 for m3/h. Only what flows in the direction of
    `sign` is counted: import and export are two amounts, each of its own.
    """
    steps = [
        Step(old.at, new.at, None, Flag.MISSING)
        if new.at - old.at > limit_ns
        else Step(old.at, new.at, _amount(old, new, per_unit, sign), Flag.COMPUTED)
        for old, new in pairwise(samples)
    ]
    return Register(steps=tuple(steps), suspects=(), pending=None)


def _amount(old: Sample, new: Sample, per_unit: int, sign: int) -> Decimal:
    mean = _mean(Fraction(old.value) * sign, Fraction(new.value) * sign)
    return rounded(mean * (new.at - old.at) / (HOUR_NS * per_unit), _PLACES)


def _mean(p0: Fraction, p1: Fraction) -> Fraction:
    """The mean of what is above zero of the straight line from `p0` to `p1`."""
    low, high = min(p0, p1), max(p0, p1)
    if low >= 0:
        return (low + high) * _HALF
    return high * high / (high - low) * _HALF if high > 0 else _NOTHING
