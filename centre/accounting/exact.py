"""Exact arithmetic for money and shares: what is rounded, where, and nothing else."""

from decimal import Decimal
from fractions import Fraction
from math import isqrt
from typing import Final

CENT: Final = 2


def rounded(value: Fraction, places: int = CENT) -> Decimal:
    """`value` to `places` decimals, halves away from zero, as bills are rounded."""
    scaled = abs(value) * 10**places
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(f"{'-' if value < 0 and whole else ''}{whole}E-{places}")


def root(value: Fraction, places: int = 12) -> Decimal:
    """The square root to `places` decimals, rounded down; `value` is not negative."""
    scaled = value * 100**places
    return Decimal(f"{isqrt(scaled.numerator // scaled.denominator)}E-{places}")
