"""The readings by hand behind a meter's days: every step between two of them, or what of it lies in the period."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from centre.accounting.intervals import ZERO
from centre.accounting.registers import Step, deltas
from centre.manual_meters import ManualMeter
from centre.register_samples import samples_of
from centre.store.base import Bucket
from centre.trace_registers import Edge, Event, Stretch, what_happened

_SHARE: Final = Decimal("1e-9")


def manual_stretches(manual: ManualMeter, days: Sequence[Bucket]) -> tuple[Stretch, ...]:
    """What the readings by hand make of the days of which something is known: one stretch over all of them."""
    known = [day.interval for day in days if day.interval.amount is not None]
    if not known:
        return ()
    start, end = known[0].start, known[-1].end
    rule = manual.points.rule
    samples = {sample.at: sample for sample in samples_of(manual.readings)}
    runs: list[tuple[Edge, Edge]] = []
    events: list[Event] = []
    edges: list[Edge] = []
    for step in deltas(list(samples.values()), rule).steps:
        first, last = max(step.start, start), min(step.end, end)
        if first >= last:
            continue
        old, new = samples[step.start], samples[step.end]
        scale = rule.factor_at(old.at)
        pair = Edge(first, old, new, scale), Edge(last, old, new, scale)
        edges += pair
        if step.amount == (new.value - old.value) * scale:
            runs.append(pair)
        else:
            amount = None if step.amount is None else _until(step, step.amount, last) - _until(step, step.amount, first)
            events.append(Event(old, new, amount, what_happened(step, old, new, rule), since=first))
    return (Stretch(begin=edges[0], end=edges[-1], runs=tuple(runs), events=tuple(events)),)


def _until(step: Step, amount: Decimal, at: int) -> Decimal:
    """What a step had counted at `at`, rounded as the intervals are."""
    if at in {step.start, step.end}:
        return ZERO if at == step.start else amount
    return (amount * (at - step.start) / (step.end - step.start)).quantize(_SHARE, ROUND_HALF_EVEN)
