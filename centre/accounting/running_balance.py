"""The balance of a node before a whole quarter of an hour is known (rule F10), over the stretch all its meters share.

So short a stretch is held against what it cannot tell: besides the meters' classes, the steps their registers go in,
and that nobody knows how much of the step between two polls lies on which side of the stretch's ends. A loss within
this band gives no verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import gcd
from typing import Final

from centre.accounting.balance import NO_PARENT, NOTHING_COMMON, Role, Verdict, sign_of
from centre.accounting.exact import root, rounded
from centre.accounting.registers import Flag, Register, Step

CANNOT_TELL: Final = "cannot_tell_yet"
NOT_COUNTED: Final = "not_counted_whole"
NEVER_MOVED: Final = "resolution_unknown"
_PLACES: Final = 6
_AMOUNT_PLACES: Final = 9
_ENDS: Final = Fraction(
    2, 4
)  # half a step as deviation at each end: two of them cover the most that one register is off
_COUNTED: Final = (Flag.MEASURED, Flag.COMPUTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningMeter:
    """A meter with its class in percent, its latest steps, and the step its register goes in (None: not known)."""

    id: str
    role: Role
    accuracy: Decimal
    register: Register
    resolution: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTerm:
    """What one meter counted in the stretch, and its part of the uncertainty (one standard deviation)."""

    id: str
    role: Role
    amount: Decimal
    uncertainty: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningBalance:
    """As Balance, over [start, end) (UTC ns) and provisional. Without a verdict `reason` says why there is none."""

    start: int
    end: int
    terms: tuple[RunningTerm, ...] = ()
    available: Decimal | None = None
    unmetered: Decimal | None = None
    uncertainty: Decimal | None = None
    share_percent: Decimal | None = None
    verdict: Verdict | None = None
    reason: str | None = None

    @property
    def band(self) -> tuple[Decimal, Decimal] | None:
        """Where what is unmetered lies: two standard deviations to either side."""
        if self.unmetered is None or self.uncertainty is None:
            return None
        return self.unmetered - 2 * self.uncertainty, self.unmetered + 2 * self.uncertainty


def step_of(register: Register, shown: Decimal) -> Decimal | None:
    """No less than what one step of a register counts: the largest amount that every step it made is a multiple of.

    Of one at rest at `shown` it is ten of the last place that is not 0, so that steps of one digit are no larger; None
    for a register at 0, which tells nothing.
    """
    seen = [step.amount for step in register.steps if step.amount]
    if not seen:
        exponent = shown.normalize().as_tuple().exponent
        return Decimal(10).scaleb(exponent) if shown and isinstance(exponent, int) else None
    place = min(exponent for amount in seen if isinstance(exponent := amount.as_tuple().exponent, int))
    return Decimal(gcd(*(int(amount.scaleb(-place)) for amount in seen))).scaleb(place)


def running_balance(meters: Sequence[RunningMeter], *, since: int, limit_percent: Decimal) -> RunningBalance:
    """The balance of the longest stretch that all `meters` were read in, not before `since` (UTC ns)."""
    steps = [meter.register.steps for meter in meters]
    if not steps or not all(steps):
        return RunningBalance(start=since, end=since, reason=NOTHING_COMMON)
    start, end = max(since, *(found[0].start for found in steps)), min(found[-1].end for found in steps)
    start, end = _at_readings(max(steps, key=_per_poll), start, end)
    if start >= end:
        return RunningBalance(start=start, end=start, reason=NOTHING_COMMON)
    if not any(meter.role in {Role.SUPPLY, Role.GENERATION} for meter in meters):
        return RunningBalance(start=start, end=end, reason=NO_PARENT)
    terms: list[RunningTerm] = []
    for meter in meters:
        found = _term(meter, start, end)
        if isinstance(found, str):
            return RunningBalance(start=start, end=end, reason=found)
        terms.append(found)
    return _judged(tuple(terms), start, end, limit_percent)


def _per_poll(steps: Sequence[Step]) -> tuple[Fraction, int, int]:
    """What a meter counts between two polls; equal ones by their times, so that their order is nothing."""
    counted = sum((Fraction(step.amount) for step in steps if step.amount is not None), Fraction(0))
    return counted / len(steps), steps[0].start, steps[-1].end


def _at_readings(steps: Sequence[Step], start: int, end: int) -> tuple[int, int]:
    """The first and last reading of a meter in [start, end]: of the one whose step would leave most doubt if cut."""
    inside = [at for at in (steps[0].start, *(step.end for step in steps)) if start <= at <= end]
    return (inside[0], inside[-1]) if inside else (start, start)


def _term(meter: RunningMeter, start: int, end: int) -> RunningTerm | str:
    """What the register counted, or why that is not known; a step over an end counts by the share of its time."""
    if meter.resolution is None:
        return NEVER_MOVED
    whole, cut = Decimal(0), Fraction(0)
    variance = Fraction(meter.resolution) ** 2 * _ENDS
    for step in meter.register.steps:
        if step.end <= start or step.start >= end:
            continue
        if step.amount is None or step.flag not in _COUNTED:
            return NOT_COUNTED
        if start <= step.start and step.end <= end:
            whole += step.amount
            continue
        inside = Fraction(min(end, step.end) - max(start, step.start), step.end - step.start)
        cut += Fraction(step.amount) * inside
        # as if all of it had flowed at one moment between the two polls
        variance += Fraction(step.amount) ** 2 * inside * (1 - inside)
    amount = Fraction(whole) + cut
    variance += (amount * Fraction(meter.accuracy) / 100) ** 2
    return RunningTerm(
        id=meter.id,
        role=meter.role,
        amount=rounded(amount, _AMOUNT_PLACES),
        uncertainty=root(variance, _PLACES),
    )


def _judged(terms: tuple[RunningTerm, ...], start: int, end: int, limit_percent: Decimal) -> RunningBalance:
    unmetered = sum((sign_of(term.role) * term.amount for term in terms), Decimal(0))
    available = sum((term.amount for term in terms if term.role in {Role.SUPPLY, Role.GENERATION}), Decimal(0))
    uncertainty = root(sum((Fraction(term.uncertainty) ** 2 for term in terms), Fraction(0)), _PLACES)
    verdict = _verdict(Fraction(unmetered), 2 * Fraction(uncertainty), Fraction(available * limit_percent) / 100)
    return RunningBalance(
        start=start,
        end=end,
        terms=terms,
        available=available,
        unmetered=unmetered,
        uncertainty=uncertainty,
        share_percent=rounded(Fraction(unmetered) / Fraction(available) * 100, 4) if available else None,
        verdict=verdict,
        reason=CANNOT_TELL if verdict is None else None,
    )


def _verdict(unmetered: Fraction, band: Fraction, limit: Fraction) -> Verdict | None:
    """None while the band leaves more than one open."""
    if unmetered < -band:
        return Verdict.FAULT
    if unmetered > max(band, limit):
        return Verdict.LOSS
    return Verdict.WITHIN if unmetered + band <= limit else None
