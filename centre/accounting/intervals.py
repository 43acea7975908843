"""From steps of a counter to intervals of the clock, whose sum is exactly what the register says.

Rule F2: the value at a boundary is interpolated between the readings around it. Where these are two polls apart at most
the interval is measured; where they are further apart the total is kept, its shape is a straight line, and every
interval the gap reaches into is marked as estimated.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from centre.accounting.registers import Flag, Register, Sample, Step

QUARTER_NS: Final = 900_000_000_000
_PLACES: Final = Decimal("1e-9")
ZERO: Final = Decimal(0)
_TELLING: Final = (Flag.SUSPECT, Flag.SUBSTITUTED, Flag.MANUAL, Flag.COMPUTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What one counter counted in [start, end) (UTC ns).

    `amount` is None when nothing is known; otherwise it covers `known_ns`, of which `estimated_ns` lie in gaps, with
    `estimated` of the amount (more where a register was reset: what it lost is unknown, and so is that time);
    `marked` are the amounts under other flags than M and E. `readings` arrived in it,
    `suspects` of them were dropped, `breaks` steps could not be counted. `open`: later readings will still add to it.
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
    marked: tuple[tuple[Flag, Decimal], ...] = ()

    @property
    def flag(self) -> Flag:
        """The one letter that says the most: missing, suspect, estimated, what else it is made of, or measured."""
        if self.amount is None:
            return Flag.SUSPECT if self.breaks else Flag.MISSING
        if self.suspects or self.breaks:
            return Flag.SUSPECT
        if self.estimated_ns or self.estimated:
            return Flag.ESTIMATED
        return next((flag for flag in _TELLING if any(flag is mark for mark, _ in self.marked)), Flag.MEASURED)


@dataclass(slots=True)
class _Sum:
    amount: Decimal | None = None
    estimated: Decimal = ZERO
    known_ns: int = 0
    estimated_ns: int = 0
    readings: int = 0
    suspects: int = 0
    breaks: int = 0
    marked: dict[Flag, Decimal] = field(default_factory=dict[Flag, Decimal])

    def add(self, amount: Decimal, length_ns: int, flag: Flag, *, lost: bool) -> None:
        self.amount = amount if self.amount is None else self.amount + amount
        if not lost:
            self.known_ns += length_ns
        if flag is Flag.ESTIMATED:
            self.estimated += amount
            self.estimated_ns += 0 if lost else length_ns
        elif flag is not Flag.MEASURED:
            self.mark(flag, amount)

    def mark(self, flag: Flag, amount: Decimal) -> None:
        self.marked[flag] = self.marked.get(flag, ZERO) + amount

    def interval(self, start: int, end: int, *, still_open: bool) -> Interval:
        return Interval(
            start=start,
            end=end,
            amount=self.amount,
            estimated=self.estimated,
            known_ns=self.known_ns,
            estimated_ns=self.estimated_ns,
            readings=self.readings,
            suspects=self.suspects,
            breaks=self.breaks,
            open=still_open,
            marked=tuple(sorted(self.marked.items())),
        )


def cut(
    register: Register,
    samples: Sequence[Sample],
    *,
    start: int,
    end: int,
    max_gap_ns: int,
    step_ns: int = QUARTER_NS,
    times: Sequence[int] | None = None,
    readings: Mapping[int, int] | None = None,
) -> list[Interval]:
    """The intervals of `step_ns` from `start` to `end` (both on the grid); `samples` are those the register came from.

    Only what lies in [start, end) is used; the samples must reach beyond it on both sides where there are any. `times`
    are those of all readings, where `samples` leave out some that change nothing; or `readings` says how many arrived
    in the intervals, by their start.
    """
    sums = [_Sum() for _ in range((end - start) // step_ns)]
    for step in register.steps:
        if step.end > start and step.start < end:
            _spread(step, sums, start, step_ns, flag=_flag(step, register.suspects), gap=max_gap_ns)
    arrived = [sample.at for sample in samples] if times is None else times
    for place, found in enumerate(sums):
        first, last = start + place * step_ns, start + (place + 1) * step_ns
        counted = None if readings is None else readings.get(first, 0)
        found.readings = bisect_left(arrived, last) - bisect_left(arrived, first) if counted is None else counted
        found.suspects = bisect_left(register.suspects, last) - bisect_left(register.suspects, first)
    horizon = arrived[-1] if arrived else start
    return [
        found.interval(
            start + place * step_ns, start + (place + 1) * step_ns, still_open=start + (place + 1) * step_ns > horizon
        )
        for place, found in enumerate(sums)
    ]


def _flag(step: Step, suspects: Sequence[int]) -> Flag:
    """A measured step over a reading that was not believed is suspect."""
    if step.flag is Flag.MEASURED and bisect_right(suspects, step.start) < bisect_left(suspects, step.end):
        return Flag.SUSPECT
    return step.flag


def _spread(step: Step, sums: list[_Sum], start: int, step_ns: int, *, flag: Flag, gap: int) -> None:
    """Add `step` to the intervals it reaches into; a step inside one interval keeps its amount to the last digit.

    The shape of a step over more than `gap` is an estimate.
    """
    first = (step.start - start) // step_ns
    last = (step.end - 1 - start) // step_ns
    if first != last and step.end - step.start > gap:
        flag = Flag.ESTIMATED
    for place in range(max(first, 0), min(last, len(sums) - 1) + 1):
        found = sums[place]
        if step.amount is None:
            found.breaks += step.flag is not Flag.MISSING
            continue
        a = max(step.start, start + place * step_ns)
        b = min(step.end, start + (place + 1) * step_ns)
        share = step.amount if first == last else _until(step, b) - _until(step, a)
        found.add(share, b - a, flag, lost=step.lost)


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
        for flag, amount in part.marked:
            total.mark(flag, amount)
        still_open = still_open or part.open
        reached = max(reached, part.end)
    return total.interval(start, end, still_open=still_open or reached < end)
