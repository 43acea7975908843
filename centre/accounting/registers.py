"""From readings of a counter to amounts between them: rollover, reset, dip, spike and meter replacement told apart.

Rule F1: a step up is accepted up to what the connection can carry; a step down is a rollover, a reset or an error of
one reading, and two consistent readings decide which. What cannot be explained is not counted, and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from centre.accounting.utilities import GasReference

HOUR_NS: Final = 3_600_000_000_000
_TOLERANCE: Final = Decimal("1.05")
_ONE: Final = Decimal(1)
_NEAR_END: Final = Decimal("0.9")
_NEAR_START: Final = Decimal("0.1")
_FLOAT32_STEP: Final = Decimal(2) ** -22  # a register kept as an IEEE single jumps by up to this share of its value


class Flag(StrEnum):
    """Quality of an amount; the letters of the rules for energy data."""

    MEASURED = "M"
    COMPUTED = "C"
    SUBSTITUTED = "S"
    ESTIMATED = "E"
    MANUAL = "U"
    SUSPECT = "Q"
    MISSING = "X"


class Sample(NamedTuple):
    """One reading of a counter: UTC nanoseconds and the exact register value."""

    at: int
    value: Decimal


class Step(NamedTuple):
    """What a counter counted between two readings; `amount` None when it cannot be known.

    `lost`: it counted more than `amount`, and nobody knows how much.
    """

    start: int
    end: int
    amount: Decimal | None
    flag: Flag
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """The meter was changed at `at`: last value of the old one, first of the new one; what holds from then on.

    `final`, `initial` None: nobody wrote down what this register showed, so what it counted in between is not known.
    `factor` makes the unit of the carrier of what the register shows, `modulus` is where it rolls over; None: as before
    anybody said so. `stated` are the conditions of a volume of gas that `factor` makes those of trade; it is for the
    trace, and stands in no fingerprint.
    """

    at: int
    final: Decimal | None
    initial: Decimal | None
    factor: Decimal = Decimal(1)
    modulus: Decimal | None = None
    stated: GasReference | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRule:
    """What is known of a counter: where it rolls over (`modulus`), its largest rate (`limit`, per hour), changes.

    `epochs` are the times of the first readings of meters that were changed without anybody writing down their last
    and first values: what was counted between the last reading of the old and the first of the new one is not known.
    `states` are times and what a unit of the register is worth from then on (steam of another state), in order of
    time: the register itself goes on. A step counts by the state at its beginning.
    """

    modulus: Decimal | None = None
    limit: Decimal | None = None
    replacements: tuple[Replacement, ...] = ()
    epochs: tuple[int, ...] = ()
    states: tuple[tuple[int, Decimal], ...] = field(default=(), repr=False)

    def factor_at(self, at: int) -> Decimal:
        """What the register that stands at `at` is multiplied by."""
        change = self._change(at)
        return self.scaled(at, _ONE if change is None else change.factor)

    def scaled(self, at: int, factor: Decimal) -> Decimal:
        """A factor of the register, times what a unit of it is worth at `at`."""
        passed = [worth for since, worth in self.states if since <= at]
        return factor * passed[-1] if passed else factor

    def stated_at(self, at: int) -> GasReference | None:
        """The conditions at which the register that stands at `at` states volumes of gas, where somebody said so."""
        change = self._change(at)
        return None if change is None else change.stated

    def modulus_at(self, at: int) -> Decimal | None:
        """Where the register that stands at `at` rolls over."""
        change = self._change(at)
        return self.modulus if change is None or change.modulus is None else change.modulus

    def _change(self, at: int) -> Replacement | None:
        passed = [change for change in self.replacements if change.at <= at]
        return max(passed, key=lambda change: change.at) if passed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Steps in order of time without overlap, the times of readings that were dropped, and of one still undecided."""

    steps: tuple[Step, ...]
    suspects: tuple[int, ...]
    pending: int | None


def deltas(samples: Sequence[Sample], rule: RegisterRule) -> Register:
    """The steps between `samples` (ascending in time, each time once)."""
    steps: list[Step] = []
    suspects: list[int] = []
    judge = _Judge(rule, resolution(samples))
    accepted = list(samples[:1])
    pending: int | None = None
    for place in range(1, len(samples)):
        last, now = accepted[-1], samples[place]
        step = judge.step(last, now)
        if step is None:
            if place + 1 == len(samples):
                pending = now.at
                break
            after = samples[place + 1]
            if judge.step(last, after) is not None or judge.step(now, after) is None:
                suspects.append(now.at)
                continue
            if len(accepted) > 1 and (around := judge.step(accepted[-2], now)) is not None:
                # not a fall but the end of a spike: the reading before was the wrong one
                suspects.append(accepted.pop().at)
                steps.pop()
                step = around
            elif len(accepted) == 1 and not judge.began(last, now, after):
                # nothing stands before the first reading: alone against two that agree, it was the wrong one
                suspects.append(accepted.pop().at)
                accepted.append(now)
                continue
            else:
                step = judge.break_(last, now)
        steps.append(step)
        accepted.append(now)
    return Register(steps=tuple(steps), suspects=tuple(sorted(suspects)), pending=pending)


class _Judge:
    """Decides whether one reading can follow another."""

    def __init__(self, rule: RegisterRule, resolution: Decimal) -> None:
        self._rule = rule
        self._limit = None if rule.limit is None else rule.limit * _TOLERANCE / HOUR_NS
        self._resolution = resolution
        self._epochs = rule.epochs
        self._replacements = sorted(rule.replacements, key=lambda change: change.at)

    def step(self, old: Sample, new: Sample) -> Step | None:
        """The measured step from `old` to `new`, or None when the register cannot have gone this way.

        Between two meters it is a step of no known amount.
        """
        factor = self._factor(old.at)
        if any(old.at < change.at <= new.at for change in self._replacements):
            return self._across(old, new, factor)
        if any(old.at < epoch <= new.at for epoch in self._epochs):
            return Step(old.at, new.at, None, Flag.SUSPECT)
        amount = new.value - old.value
        if amount < 0:
            modulus = self._rule.modulus_at(old.at)
            if modulus is None or old.value <= modulus * _NEAR_END:
                return None
            if self._limit is None and new.value >= modulus * _NEAR_START:
                return None
            amount += modulus
            if amount < 0:
                return None
        if factor != 1:
            amount *= factor
        return Step(old.at, new.at, amount, Flag.MEASURED) if self._carries(amount, old, new, factor) else None

    def _factor(self, at: int) -> Decimal:
        return self._rule.factor_at(at) if self._replacements or self._rule.states else _ONE

    def _across(self, old: Sample, new: Sample, factor: Decimal) -> Step | None:
        """E = (final - r0) * k_old + (r1 - initial) * k_new, over all replacements between the two readings."""
        amount, value = Decimal(0), old.value
        for change in self._replacements:
            if old.at < change.at <= new.at:
                if change.final is None or change.initial is None:
                    return Step(old.at, new.at, None, Flag.SUSPECT)
                amount += (change.final - value) * factor
                value, factor = change.initial, self._rule.scaled(change.at, change.factor)
        amount += (new.value - value) * factor
        return Step(old.at, new.at, amount, Flag.MEASURED) if amount >= 0 else None

    def break_(self, old: Sample, new: Sample) -> Step:
        """The step where two consistent readings say that the register was set: what it shows since, if it began at 0.

        Without a known limit a new value above a tenth of the old one is no plausible count since zero.
        """
        fell = new.value < old.value and new.value >= 0
        factor = self._factor(new.at)
        plausible = self._carries(new.value * factor, old, new, factor) and (
            self._limit is not None or new.value <= old.value * _NEAR_START
        )
        if fell and plausible:
            # what flowed between the last reading and the reset stands in no register any more
            return Step(old.at, new.at, new.value * factor, Flag.ESTIMATED, lost=True)
        return Step(old.at, new.at, None, Flag.SUSPECT)

    def began(self, old: Sample, new: Sample, after: Sample) -> bool:
        """Whether `new` may be what a register shows that began at 0 between `old` and `new`.

        Without a known limit it must have counted no more in this step than ten times as fast as in the next.
        """
        if self.break_(old, new).amount is None:
            return False
        usual = (after.value - new.value) * (new.at - old.at) / (after.at - new.at)
        return self._limit is not None or new.value * _NEAR_START <= max(usual, self._resolution)

    def _carries(self, amount: Decimal, old: Sample, new: Sample, factor: Decimal) -> bool:
        """Whether the connection can carry `amount`, beyond one step of the register's own resolution."""
        if self._limit is None:
            return True
        most = self._limit * (new.at - old.at)
        return amount <= most or amount <= most + (self._resolution + abs(new.value) * _FLOAT32_STEP) * factor


def resolution(samples: Sequence[Sample]) -> Decimal:
    """The last decimal place that any of the values uses: a register of whole kWh steps by 1 kWh at least."""
    exponents = (sample.value.as_tuple().exponent for sample in samples if sample.value % 1)
    return Decimal(1).scaleb(min((exponent for exponent in exponents if isinstance(exponent, int)), default=0))
