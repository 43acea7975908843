"""What is known of an hour of a gauge by its readings: sums and weights, exact, before any limit is looked at.

A reading holds until the next, for no longer than the rule allows. What is measured in water counts by what flowed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from typing import Final, NamedTuple

from centre.accounting.intervals import ZERO

HOUR_NS: Final = 3600 * 10**9

_EXACT: Final = Context(prec=200, traps=[Inexact])  # as fractions, and many times as fast


class Reading(NamedTuple):
    """A value at `at` (UTC ns); None where the gateway read none, or did not believe it."""

    at: int
    value: Decimal | None


class Piece(NamedTuple):
    """A value that holds in [start, end)."""

    start: int
    end: int
    value: Decimal


class Sums(NamedTuple):
    """Of an hour `known_ns` are known. `total` sums value x weight up, a weight is a time in ns, or flow x time."""

    known_ns: int
    weight: Decimal
    total: Decimal

    @property
    def mean(self) -> Fraction | None:
        """None where nothing is known, or nothing flowed."""
        return Fraction(self.total) / Fraction(self.weight) if self.weight else None


UNKNOWN: Final = Sums(0, ZERO, ZERO)


def pieces(readings: Sequence[Reading], start: int, end: int, hold_ns: int) -> list[Piece]:
    """What holds in [start, end) by readings in order of time; one before `start` reaches into it."""
    first = max(bisect_right(readings, start, key=_at) - 1, 0)
    inside = readings[first : bisect_left(readings, end, key=_at)]
    found: list[Piece] = []
    following = [*(one.at for one in inside[1:]), end][: len(inside)]
    for one, then in zip(inside, following, strict=True):
        since, until = max(one.at, start), min(then, one.at + hold_ns, end)
        if one.value is not None and since < until:
            found.append(Piece(since, until, one.value))
    return found


def by_time(found: Iterable[Piece]) -> Sums:
    """Each value counts for as long as it held."""
    known, total = 0, ZERO
    for piece in found:
        known += piece.end - piece.start
        total = _EXACT.fma(piece.value, piece.end - piece.start, total)
    return Sums(known, Decimal(known), total)


def by_flow(found: Sequence[Piece], flow: Sequence[Piece]) -> Sums:
    """Each value counts by what flowed while it held; known is where both are."""
    known, weight, total = 0, ZERO, ZERO
    for start, end, value, through in common(found, flow):
        known += end - start
        weight = _EXACT.fma(through, end - start, weight)
        total = _EXACT.fma(_EXACT.multiply(value, through), end - start, total)
    return Sums(known, weight, total)


def common(one: Sequence[Piece], other: Sequence[Piece]) -> Iterator[tuple[int, int, Decimal, Decimal]]:
    """Where both are known: start, end, and either value. Both in order of time."""
    a = b = 0
    while a < len(one) and b < len(other):
        start, end = max(one[a].start, other[b].start), min(one[a].end, other[b].end)
        if start < end:
            yield start, end, one[a].value, other[b].value
        if one[a].end <= other[b].end:
            a += 1
        else:
            b += 1


def _at(reading: Reading) -> int:
    return reading.at
