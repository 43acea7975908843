"""From steps of a counter to intervals of the clock, whose sum is exactly what the register says.

Rule F2: the value at a boundary is interpolated between the readings around it. Where these are two polls apart at most
the interval is measured; where they are further apart the total is kept, its shape is a straight line, and every
interval the gap reaches into is marked as estimated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from centre.accounting.registers import Flag, Register, Sample, Step

QUARTER_NS: Final = 900_000_000_000
_PLACES: Final = Decimal("1e-9")
ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What one counter counted in [start, end) (UTC ns).

    `amount` is None when nothing is known; otherwise it covers `known_ns`, of which `estimated_ns` lie in gaps, with
    `estimated` of the amount. `readings` arrived in it, `suspects` of them were dropped, `breaks` steps could not be
    counted. `open`: later readings will still add to it.
    """

    start: int
    end: int
    amount: Decimal | None = None
    estimated: Decimal = ZERO
    known_ns: int = 0
    estimated_ns: int = 0
    readings: int = 0
    suspects: int = 0
    breaks: int = 0
    open: bool = False

    @property
    def flag(self) -> Flag:
        """The one letter that says the most: missing, suspect, estimated or measured."""
        if self.amount is None:
            return Flag.SUSPECT if self.breaks else Flag.MISSING
        if self.suspects or self.breaks:
            return Flag.SUSPECT
        return Flag.ESTIMATED if self.estimated_ns else Flag.MEASURED


@dataclass(slots=True)
class _Sum:
    amount: Decimal | None = None
    estimated: Decimal = ZERO
    known_ns: int = 0
    estimated_ns: int = 0
    readings: int = 0
    suspects: int = 0
    breaks: int = 0

    def add(self, amount: Decimal, length_ns: int, *, estimated: bool) -> None:
        self.amount = amount if self.amount is None else self.amount + amount
        self.known_ns += length_ns
        if estimated:
            self.estimated += amount
            self.estimated_ns += length_ns


def cut(
    register: Register, samples: Sequence[Sample], *, start: int, end: int, max_gap_ns: int, step_ns: int = QUARTER_NS
) -> list[Interval]:
    """The intervals of `step_ns` from `start` to `end` (both on the grid); `samples` are those the register came from.

    Only what lies in [start, end) is used; the samples must reach beyond it on both sides where there are any.
    """
    sums = [_Sum() for _ in range((end - start) // step_ns)]
    for step in register.steps:
        if step.end > start and step.start < end:
            _spread(step, sums, start, step_ns, estimated=step.end - step.start > max_gap_ns)
    for at, _ in samples:
        if start <= at < end:
            sums[(at - start) // step_ns].readings += 1
    for at in register.suspects:
        if start <= at < end:
            sums[(at - start) // step_ns].suspects += 1
    horizon = samples[-1].at if samples else start
    return [
        Interval(
            start=start + place * step_ns,
            end=start + (place + 1) * step_ns,
            amount=found.amount,
            estimated=found.estimated,
            known_ns=found.known_ns,
            estimated_ns=found.estimated_ns,
            readings=found.readings,
            suspects=found.suspects,
            breaks=found.breaks,
            open=start + (place + 1) * step_ns > horizon,
        )
        for place, found in enumerate(sums)
    ]


def _spread(step: Step, sums: list[_Sum], start: int, step_ns: int, *, estimated: bool) -> None:
    """Add `step` to the intervals it reaches into; a step inside one interval keeps its amount to the last digit."""
    first = (step.start - start) // step_ns
    last = (step.end - 1 - start) // step_ns
    for place in range(max(first, 0), min(last, len(sums) - 1) + 1):
        found = sums[place]
        if step.amount is None:
            found.breaks += 1
            continue
        a = max(step.start, start + place * step_ns)
        b = min(step.end, start + (place + 1) * step_ns)
        share = step.amount if first == last else _until(step, b) - _until(step, a)
        found.add(share, b - a, estimated=(estimated and first != last) or step.flag is Flag.ESTIMATED)


def _until(step: Step, at: int) -> Decimal:
    """What `step` had counted at `at`: rounded the same way from either side, so that parts sum up to the whole."""
    assert step.amount is not None
    if at <= step.start:
        return ZERO
    if at >= step.end:
        return step.amount
    part = step.amount * (at - step.start) / (step.end - step.start)
    return part.quantize(_PLACES, ROUND_HALF_EVEN)


def merge(parts: Iterable[Interval], *, start: int, end: int) -> Interval:
    """One interval [start, end) out of the parts that lie in it; what has no part is unknown."""
    total = _Sum()
    still_open = False
    reached = start
    for part in parts:
        if part.amount is not None:
            total.amount = part.amount if total.amount is None else total.amount + part.amount
        total.estimated += part.estimated
        total.known_ns += part.known_ns
        total.estimated_ns += part.estimated_ns
        total.readings += part.readings
        total.suspects += part.suspects
        total.breaks += part.breaks
        still_open = still_open or part.open
        reached = max(reached, part.end)
    return Interval(
        start=start,
        end=end,
        amount=total.amount,
        estimated=total.estimated,
        known_ns=total.known_ns,
        estimated_ns=total.estimated_ns,
        readings=total.readings,
        suspects=total.suspects,
        breaks=total.breaks,
        open=still_open or reached < end,
    )
