"""Meters that nobody reads by wire: approved readings as samples of a register, and its days; pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

from centre.accounting.intervals import Interval, cut
from centre.accounting.registers import Flag, Register, RegisterRule, Sample, deltas
from centre.accounting.zones import day_bounds, local_day
from centre.manual_forms import Entry
from centre.plant import Plant

_NEVER: Final = 2**63 - 1


def samples_of(entries: Sequence[Entry]) -> list[Sample]:
    """The readings of one register, ascending in time."""
    return sorted(Sample(int(entry.period), Decimal(entry.values["reading"])) for entry in entries)


def register_of(samples: Sequence[Sample], rule: RegisterRule) -> Register:
    """What the register counted between two readings, all of it of quality U."""
    found = deltas(samples, rule)
    return replace(
        found,
        steps=tuple(step._replace(flag=Flag.MANUAL) if step.flag is Flag.MEASURED else step for step in found.steps),
    )


def manual_days(entries: Sequence[Entry], rule: RegisterRule, plant: Plant, start: int, end: int) -> list[Interval]:
    """The local days of [start, end) of which anything is known; between two readings the rate is taken as steady."""
    samples = samples_of(entries)
    register = register_of(samples, rule)
    days: list[Interval] = []
    day = local_day(start, plant.zone)
    while (bounds := day_bounds(day, plant.zone))[0] < end:
        first, last = bounds
        # U tells already that the shape is not measured, so no gap is too long
        [found] = cut(register, samples, start=first, end=last, max_gap_ns=_NEVER, step_ns=last - first)
        if found.amount is not None or found.breaks:
            days.append(found)
        day += timedelta(days=1)
    return days
