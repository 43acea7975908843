"""Rule F18: what a gap is filled with, in order of what is known; every part of it says that it is no measurement.

The register stands at both ends: its total is kept to the last digit. Its shape is that of a check meter where there is
one that knows all of it; else over two intervals at most a straight line, over more that of the last four same
weekdays. No register: what a check meter counted, else missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.intervals import QUARTER_NS, Interval
from centre.accounting.registers import Flag, Register, Step
from centre.accounting.terms import rounded
from centre.accounting.zones import NS, local_time

WEEKS: Final = 4
LONGEST_NS: Final = 6 * 86_400 * NS
"""So that the same weekdays before lie a day before the gap at least, and stand when it is filled."""
_LINEAR: Final = 2

Profile = Callable[[int], Fraction | None]
"""Start of an interval of the grid -> what usually flows in it; None when that is not known."""


def same_weekdays(start: int, zone: tzinfo) -> tuple[int, ...]:
    """The starts of the intervals at the same local clock on the four same weekdays before, newest first."""
    local = local_time(start, zone).replace(tzinfo=None)
    return tuple(
        int((local - timedelta(weeks=week)).replace(tzinfo=zone).timestamp()) * NS for week in range(1, WEEKS + 1)
    )


def weekday_profile(history: Mapping[int, Interval], zone: tzinfo) -> Profile:
    """The mean of those of the last four same weekdays that were measured throughout; `history` by start."""

    def usual(start: int) -> Fraction | None:
        found = [history[at] for at in same_weekdays(start, zone) if at in history]
        amounts = [part.amount for part in found if part.amount is not None and _measured(part)]
        return sum((Fraction(amount) for amount in amounts), Fraction(0)) / len(amounts) if amounts else None

    return usual


def _measured(part: Interval) -> bool:
    return part.flag is Flag.MEASURED and part.known_ns == part.end - part.start


def needs_profile(step: Step, max_gap_ns: int) -> bool:
    """Whether the shape of `step` is that of other days, where these are known."""
    return (
        step.amount is not None
        and step.amount != 0
        and max_gap_ns < step.end - step.start <= LONGEST_NS
        and len(_grid(step)) > _LINEAR
    )


def may_be_checked(step: Step, max_gap_ns: int) -> bool:
    """Whether a check meter says more of `step` than its own register does: of a pause, and of where nothing is known.

    What a register shows that began again is less than what flowed, and no total.
    """
    return step.end - step.start > max_gap_ns and not step.lost and len(_grid(step)) > 1


def checked(step: Step, check: Mapping[int, Interval]) -> tuple[Step, ...]:
    """`step` as a check meter has it, whose intervals are `check` by start: its shape, where no total is known all.

    It is returned as it is when the check meter does not know enough.
    """
    if step.amount is None:
        return substituted(step, [check[at] for at in sorted(check)])

    def counted(start: int) -> Fraction | None:
        part = check.get(start)
        return None if part is None or part.amount is None or not _measured(part) else Fraction(part.amount)

    return shaped(step, counted, Flag.SUBSTITUTED)


def shaped(step: Step, profile: Profile, flag: Flag = Flag.ESTIMATED) -> tuple[Step, ...]:
    """`step` as one step for each interval it reaches into, under `flag`, whose amounts sum up to its own exactly.

    It is returned as it is, a straight line, when the profile does not know all of the gap or knows no flow in it.
    """
    assert step.amount is not None
    grid = _grid(step)
    weights: list[Fraction] = []
    for start, a, b in grid:
        usual = profile(start)
        if usual is None or usual < 0:
            return (step,)
        weights.append(usual * (b - a) / QUARTER_NS)
    whole = sum(weights, Fraction(0))
    if not whole:
        return (step,)
    parts: list[Step] = []
    reached, counted = Fraction(0), Decimal(0)
    for (_, a, b), weight in zip(grid, weights, strict=True):
        reached += weight
        until = step.amount if b == step.end else rounded(Fraction(step.amount) * reached / whole)
        parts.append(Step(a, b, until - counted, flag, step.lost))
        counted = until
    return tuple(parts)


def substituted(step: Step, check: Sequence[Interval]) -> tuple[Step, ...]:
    """A step of no known amount by what a check meter counted in the whole intervals inside it; the rest is missing."""
    parts: list[Step] = []
    reached = step.start
    for part in check:
        if part.amount is None or part.start < reached or part.end > step.end or _gap_in(part):
            continue
        if part.start > reached:
            parts.append(Step(reached, part.start, None, Flag.MISSING))
        parts.append(Step(part.start, part.end, part.amount, Flag.SUBSTITUTED))
        reached = part.end
    if not parts:
        return (step,)
    return (*parts, Step(reached, step.end, None, Flag.MISSING)) if reached < step.end else tuple(parts)


def _gap_in(part: Interval) -> bool:
    return part.known_ns != part.end - part.start or part.flag is not Flag.MEASURED


def fill(register: Register, fillers: Mapping[Step, Sequence[Step]]) -> Register:
    """`register` with some of its steps replaced by what they were filled with."""
    steps = tuple(part for step in register.steps for part in fillers.get(step, (step,)))
    return replace(register, steps=steps)


def _grid(step: Step) -> list[tuple[int, int, int]]:
    """(start of the interval, from, to) of every interval that `step` reaches into."""
    first = step.start - step.start % QUARTER_NS
    return [
        (start, max(start, step.start), min(start + QUARTER_NS, step.end))
        for start in range(first, step.end, QUARTER_NS)
    ]
