"""Leaks by the minimum night flow (rule F11): of water, and of compressed air in any hours without production.

A night's flow is compared with the nights before it by median and MAD, which one odd night does not move.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from centre.accounting.exact import rounded
from centre.accounting.metered import Metered

_HOUR_NS: Final = 3600 * 10**9
_NORMAL: Final = Fraction(14826, 10000)  # MAD of a normal distribution to its standard deviation
_PLACES: Final = 6

NO_QUIET_HOUR: Final = "no_complete_hour_in_window"
TOO_FEW_NIGHTS: Final = "too_few_nights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """The lowest 60-min mean flow (m3/h) of a night's window, from `start` on; None when no hour was complete.

    `leaking`: it was judged a leak, and is no measure of later nights.
    """

    day: date
    flow: Decimal | None
    start: int | None
    estimated: bool = False
    leaking: bool = False
    reason: str | None = None


def night_flow(day: date, intervals: Iterable[Metered], *, start: int, end: int) -> Night:
    """F11's MNF of [start, end): 02-04 h by the local clock, or any window without production."""
    inside = sorted(
        (found for found in intervals if found.amount is not None and start <= found.start and found.end <= end),
        key=lambda found: found.start,
    )
    best: tuple[Fraction, int, bool] | None = None
    for first in range(len(inside)):
        volume, estimated, reached = Fraction(0), False, inside[first].start
        for found in inside[first:]:
            if found.start != reached or found.end - inside[first].start > _HOUR_NS:
                break
            volume += Fraction(found.amount or 0)
            estimated = estimated or bool(found.estimated)
            reached = found.end
        if reached - inside[first].start == _HOUR_NS and (best is None or volume < best[0]):
            best = (volume, inside[first].start, estimated)
    if best is None:
        return Night(day=day, flow=None, start=None, reason=NO_QUIET_HOUR)
    return Night(day=day, flow=rounded(best[0], _PLACES), start=best[1], estimated=best[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakRule:
    """When a night is too high. `legitimate`: flow that is meant at night (m3/h); `resolution`: the least spread.

    The night is [`start_ns`, `end_ns`) of the local day: 02-04 h, or any hours without production.

    Above median + `spreads` x 1.4826 MAD on `confirm` nights running it is a leak; above median + `step_spreads` on
    the last night alone, a burst. `history` nights before them are compared with, `least` of them must be known.
    `pressure`: by day and by night, where they differ.
    """

    legitimate: Decimal
    resolution: Decimal
    spreads: Decimal
    confirm: int
    step_spreads: Decimal
    history: int
    least: int
    start_ns: int
    end_ns: int
    pressure: "Pressure | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """Of a network by day and by night (same unit, absolute); `exponent` N1: how a leak goes with it."""

    day: Decimal
    night: Decimal
    exponent: Decimal


class LeakState(StrEnum):
    """NONE: as ever. RAISED: high, not yet for long enough. LEAK and STEP are alarms."""

    NONE = "none"
    RAISED = "raised"
    LEAK = "leak"
    STEP = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """The judgement of the last night: `flow` is its MNF less the legitimate flow, `nights` those compared with.

    `per_day`: the m3 that as much takes in a day.
    """

    day: date
    flow: Decimal | None
    median: Decimal | None
    spread: Decimal | None
    threshold: Decimal | None
    nights: tuple[date, ...]
    state: LeakState | None
    reason: str | None
    per_day: Decimal | None = None


def assess(nights: Sequence[Night], rule: LeakRule) -> Leak:
    """The state of the last of `nights` (one a day, in order); nights without a flow are passed over, but the last."""
    last = nights[-1]
    if last.flow is None:
        return _unknown(last, last.reason or NO_QUIET_HOUR)
    known = [night for night in nights if night.flow is not None]
    before = [night for night in known[: -rule.confirm] if not night.leaking][-rule.history :]
    if len(before) < rule.least:
        return _unknown(last, TOO_FEW_NIGHTS)
    flows = [_excess(night, rule) for night in before]
    middle = median(flows)
    mad = _NORMAL * median([abs(flow - middle) for flow in flows])
    spread = max(mad, Fraction(rule.resolution))
    threshold = middle + Fraction(rule.spreads) * spread
    high = [_excess(night, rule) > threshold for night in known[-rule.confirm :]]
    if _excess(last, rule) > middle + Fraction(rule.step_spreads) * spread:
        state = LeakState.STEP
    elif all(high):
        state = LeakState.LEAK
    else:
        state = LeakState.RAISED if high[-1] else LeakState.NONE
    return Leak(
        day=last.day,
        flow=last.flow - rule.legitimate,
        median=rounded(middle, _PLACES),
        spread=rounded(spread, _PLACES),
        threshold=rounded(threshold, _PLACES),
        nights=tuple(night.day for night in before),
        state=state,
        reason=None,
        per_day=_per_day(max(last.flow - rule.legitimate, Decimal(0)), rule.pressure),
    )


def _per_day(flow: Decimal, pressure: Pressure | None) -> Decimal:
    if pressure is None:
        return rounded(Fraction(flow) * 24, _PLACES)
    return leak_per_day(
        flow, day_pressure=pressure.day, night_pressure=pressure.night, exponent=pressure.exponent
    )  # fmt: skip


def _excess(night: Night, rule: LeakRule) -> Fraction:
    assert night.flow is not None
    return Fraction(night.flow) - Fraction(rule.legitimate)


def _unknown(night: Night, reason: str) -> Leak:
    return Leak(
        day=night.day, flow=None, median=None, spread=None, threshold=None, nights=(), state=None, reason=reason
    )


def median(values: Sequence[Fraction]) -> Fraction:
    """The middle one, or the mean of the two in the middle."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def leak_per_day(
    night_flow_m3h: Decimal, *, day_pressure: Decimal, night_pressure: Decimal, exponent: Decimal
) -> Decimal:
    """m3 a day of a leak of so much at night: less by day, when the pressure (same unit) is lower.

    `exponent` N1 is 0.5 (rigid pipe, fixed hole) to 1.5 (plastic pipe, split that opens); ValueError beyond.
    """
    if not Decimal("0.5") <= exponent <= Decimal("1.5"):
        raise ValueError("the leakage exponent lies between 0.5 and 1.5")
    if day_pressure <= 0 or night_pressure <= 0:
        raise ValueError("a pressure is above 0")
    return rounded(Fraction(night_flow_m3h * 24 * (day_pressure / night_pressure) ** exponent), _PLACES)
