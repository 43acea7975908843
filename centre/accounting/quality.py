"""Shares of the quality flags, by energy, of any set of intervals: a quarter of an hour, a month, many meters."""

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from centre.accounting.intervals import ZERO, Interval
from centre.accounting.registers import Flag

_PLACES: Final = Decimal("0.0001")


def amounts_by_flag(interval: Interval) -> dict[Flag, Decimal]:
    """The amount of an interval taken apart by flag; its parts sum up to it exactly."""
    if interval.amount is None:
        return {}
    found = dict(interval.marked)
    if interval.estimated:
        found[Flag.ESTIMATED] = interval.estimated
    found[Flag.MEASURED] = interval.amount - sum(found.values(), ZERO)
    return {flag: amount for flag, amount in sorted(found.items()) if amount}


def flag_shares(intervals: Iterable[Interval], *, missing: bool = True) -> tuple[tuple[str, Decimal], ...]:
    """Flag -> share, which sum up to 1; by time where nothing flowed, empty when nothing is known or over yet.

    What is missing has no energy: X has its share of the time, and the others share the rest by energy. Intervals that
    are still open miss nothing yet; without `missing` none does.
    """
    parts: dict[Flag, Decimal] = {}
    length = known = estimated = 0
    for interval in intervals:
        for flag, amount in amounts_by_flag(interval).items():
            parts[flag] = parts.get(flag, ZERO) + abs(amount)
        known += interval.known_ns
        estimated += interval.estimated_ns
        length += interval.known_ns if interval.open or not missing else interval.end - interval.start
    if not sum(parts.values(), ZERO):
        parts = {Flag.ESTIMATED: Decimal(estimated), Flag.MEASURED: Decimal(known - estimated)}
    if not length:
        return ()
    whole = sum(parts.values(), ZERO) or Decimal(1)
    valid = Decimal(known) / length
    shares = {flag: (part / whole * valid).quantize(_PLACES, ROUND_HALF_EVEN) for flag, part in parts.items()}
    shares[Flag.MISSING] = (1 - valid).quantize(_PLACES, ROUND_HALF_EVEN)
    return _to_one({flag: share for flag, share in shares.items() if share})


def _to_one(shares: dict[Flag, Decimal]) -> tuple[tuple[str, Decimal], ...]:
    """What rounding left over falls to the largest share."""
    if shares:
        largest = max(sorted(shares), key=lambda flag: shares[flag])
        shares[largest] += 1 - sum(shares.values(), ZERO)
    return tuple((flag.value, share) for flag, share in sorted(shares.items()))


def completeness(intervals: Iterable[Interval], *, start: int, end: int) -> Decimal:
    """Valid time over the time of [start, end): measured, computed, substituted or given by hand; rounded down.

    What was estimated, or stands beside readings that could not be explained, is not valid.
    """
    valid = 0
    for interval in intervals:
        valid += interval.known_ns - interval.estimated_ns
    return (Decimal(min(valid, end - start)) / (end - start)).quantize(_PLACES, "ROUND_DOWN")
