"""Completeness: readings that arrived against those the poll interval promises, and why others are missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final

NS: Final = 1_000_000_000
_PLACES: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """`expected` None: the poll interval is not known yet. `unexplained`: missing without a fault that says why."""

    expected: int | None
    received: int
    unexplained: int | None
    completeness: Decimal | None


def count(
    *, start: int, end: int, since: int | None, now: int, interval_s: Decimal | None, received: int,
    faults: Mapping[str, int],
) -> Count:  # fmt: skip
    """Of [start, end) as far as it lies between the first reading ever (`since`) and `now`; all UTC ns.

    The poll under way is not expected yet. Completeness is rounded down: 1 means that nothing is missing.
    """
    if interval_s is None or since is None:
        return Count(expected=None, received=received, unexplained=None, completeness=None)
    length = min(end, now) - max(start, since)
    expected = max(int(Decimal(length) / NS / interval_s), received and 1)
    if expected <= 0:
        return Count(expected=0, received=received, unexplained=0, completeness=None)
    missing = max(expected - received, 0)
    return Count(
        expected=expected,
        received=received,
        unexplained=max(missing - sum(faults.values()), 0),
        completeness=(Decimal(min(received, expected)) / expected).quantize(_PLACES, ROUND_DOWN),
    )
