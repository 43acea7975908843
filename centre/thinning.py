"""Leaves out the readings of a healthy register that change nothing, so that very many cost little.

Between two readings of the same quarter of an hour a register that only rises, and no faster than its connection can
carry, counts the same whether or not it is read in between. This only sieves, with binary floats and a margin for their
rounding; whatever it is not sure of is left to the exact rules, and no figure is ever made of its numbers.
"""

from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter, sub
from typing import Final, NamedTuple, cast

from centre.accounting.intervals import QUARTER_NS
from centre.accounting.registers import HOUR_NS, Register, RegisterRule, Sample, deltas, resolution
from centre.register_samples import exact
from centre.store.base import TOO_MUCH, Climb
from metering.sweep import Value

_TOLERANCE: Final = 1.05
_FLOAT32_STEP: Final = 2.0**-22
_SURELY: Final = 1 - 1e-9
_FEW: Final = 8


def thinned(times: Sequence[int], values: Sequence[Value], rule: RegisterRule) -> tuple[Register, list[Sample]] | None:
    """The register by the readings that count, and these; None when every reading has to be looked at."""
    if len(times) < _FEW or _meters_change(times, rule):
        return None
    try:
        if not _rises_slowly(times, cast("Sequence[float]", values), _limit(rule, times[0])):
            return None
    except TypeError:  # a text, or a number no double holds
        return None
    kept = {0, len(times) - 1}
    first = times[0] - times[0] % QUARTER_NS + QUARTER_NS
    for boundary in range(first, times[-1] + 1, QUARTER_NS):
        place = bisect_left(times, boundary)
        kept |= {place - 1, place}
    samples = [Sample(times[place], exact(values[place])) for place in sorted(kept)]
    register = deltas(samples, rule)
    return None if register.suspects or len(register.steps) != len(samples) - 1 else (register, samples)


class Outline(NamedTuple):
    """What counts of the readings of a climb: the register by its edges, these, and how many readings by quarter."""

    register: Register
    samples: list[Sample]
    readings: dict[int, int]


def outlined(climbs: Sequence[Climb], start: int, rule: RegisterRule, *, before: int) -> Outline | None:
    """The quarters from `start` by their first and last readings, with at least `before` readings before it.

    None when these are not known, or every reading has to be looked at.
    """
    place = bisect_left(climbs, start, key=attrgetter("first"))
    while place and before > 0:
        place -= 1
        before -= climbs[place].readings
    inside = climbs[place:]
    if before > 0 or _meters_change((inside[0].first, inside[-1].last), rule) or inside[0].first_value < 0:
        return None
    limit = _limit(rule, inside[0].first)
    if limit is not None:
        rate = limit * _TOLERANCE / HOUR_NS
        rounding = float(inside[0].first_value) * _FLOAT32_STEP
        for climb in inside:
            if climb.rate > rate * _SURELY and climb.step > (rate * climb.pause + rounding) * _SURELY:
                return None
    samples: list[Sample] = []
    for climb in inside:
        samples.append(Sample(climb.first, exact(climb.first_value)))
        if climb.readings > 1:
            samples.append(Sample(climb.last, exact(climb.last_value)))
    register = deltas(samples, rule)
    if register.suspects or len(register.steps) != len(samples) - 1:
        return None
    return Outline(register, samples, {climb.first - climb.first % QUARTER_NS: climb.readings for climb in inside})


def _meters_change(times: Sequence[int], rule: RegisterRule) -> bool:
    changes = (*(change.at for change in rule.replacements), *rule.epochs, *(at for at, _ in rule.states))
    return any(times[0] < at <= times[-1] for at in changes)


def _limit(rule: RegisterRule, at: int) -> float | None:
    """The largest rate of the register that stands at `at`, in what it shows."""
    return None if rule.limit is None else float(rule.limit / rule.factor_at(at))


def _rises_slowly(times: Sequence[int], values: Sequence[float], limit: float | None) -> bool:
    """Whether no step goes down and none is larger than rule F1 accepts; False when that is not certain."""
    steps: list[float] = [*map(sub, values[1:], values)]
    if min(steps) < 0 or values[0] < 0 or values[-1] >= TOO_MUCH:
        return False
    if limit is None:
        return True
    rate = limit * _TOLERANCE / HOUR_NS
    rounding = float(values[0]) * _FLOAT32_STEP
    surely = (rate * min(map(sub, times[1:], times)) + rounding) * _SURELY
    if max(steps) <= surely:
        return True
    # a pause, or a register of whole units: each of these steps by the time it took
    far = [place for place, step in enumerate(steps) if step > surely]
    if any(steps[place] > (rate * (times[place + 1] - times[place]) + rounding) * _SURELY for place in far):
        different = set(values)
        if len(different) * _FEW > len(values):
            return False
        rounding += float(resolution([Sample(0, exact(value)) for value in different]))
    return all(steps[place] <= (rate * (times[place + 1] - times[place]) + rounding) * _SURELY for place in far)
