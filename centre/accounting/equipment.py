"""Key equipment from its meter: load rate, running, idle and off hours, starts, and specific consumption."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.exact import rounded
from centre.accounting.metered import Metered

_HOUR_NS: Final = 3600 * 10**9
NEVER_RAN: Final = "never_ran"
NO_OUTPUT: Final = "no_output"
NO_ENERGY: Final = "no_energy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """An entry of the ledger. Below `off_share` of the rating it is off, below `idle_share` idle: on, and of no use."""

    id: str
    rated_kw: Decimal
    efficiency_class: str
    key: bool
    off_share: Decimal = Decimal("0.02")
    idle_share: Decimal = Decimal("0.25")

    def __post_init__(self) -> None:
        if self.rated_kw <= 0 or not 0 <= self.off_share <= self.idle_share <= 1:
            raise ValueError("a rating is above 0, and 0 <= off_share <= idle_share <= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A period of a machine. Hours add up to the period: running, idle, off and unknown.

    `load_rate` is the mean power while running over the rating; None when it never ran. `starts` counts changes
    from off to on between known intervals that touch.
    """

    equipment: str
    running_h: Decimal
    idle_h: Decimal
    off_h: Decimal
    unknown_h: Decimal
    energy_kwh: Decimal | None
    running_kwh: Decimal
    idle_kwh: Decimal
    load_rate: Decimal | None
    starts: int
    reason: str | None


def operation(machine: Equipment, intervals: Iterable[Metered], *, start: int, end: int) -> Operation:
    """What a machine did in [start, end), by its mean power in each interval that lies in it; short ones see more."""
    inside = sorted((i for i in intervals if start <= i.start and i.end <= end), key=lambda found: found.start)
    spans = {"running": 0, "idle": 0, "off": 0}
    energy = {"running": Fraction(0), "idle": Fraction(0), "off": Fraction(0)}
    starts, before, reached = 0, "", start
    for found in inside:
        if found.amount is None:
            before = ""
            continue
        state = _state(machine, found.amount, found.end - found.start)
        spans[state] += found.end - found.start
        energy[state] += Fraction(found.amount)
        starts += before == "off" and state != "off" and reached == found.start
        before, reached = state, found.end
    known = sum(spans.values())
    run = spans["running"]
    rate = energy["running"] * _HOUR_NS / run / Fraction(machine.rated_kw) if run else None
    return Operation(
        equipment=machine.id,
        running_h=_hours(run),
        idle_h=_hours(spans["idle"]),
        off_h=_hours(spans["off"]),
        unknown_h=_hours(end - start - known),
        energy_kwh=rounded(sum(energy.values(), Fraction(0)), 9) if known else None,
        running_kwh=rounded(energy["running"], 9),
        idle_kwh=rounded(energy["idle"], 9),
        load_rate=None if rate is None else rounded(rate, 4),
        starts=starts,
        reason=None if run else NEVER_RAN if known else NO_ENERGY,
    )


def together(machine: Equipment, parts: Sequence[Operation]) -> Operation:
    """The sum of periods that follow each other; a start at the turn of two is in neither."""

    def added(pick: Callable[[Operation], Decimal | None]) -> Decimal:
        return sum((value for value in map(pick, parts) if value is not None), Decimal(0))

    run, energy = added(lambda part: part.running_h), added(lambda part: part.running_kwh)
    known = any(part.energy_kwh is not None for part in parts)
    rate = Fraction(energy) / Fraction(run) / Fraction(machine.rated_kw) if run else None
    return Operation(
        equipment=machine.id,
        running_h=run,
        idle_h=added(lambda part: part.idle_h),
        off_h=added(lambda part: part.off_h),
        unknown_h=added(lambda part: part.unknown_h),
        energy_kwh=added(lambda part: part.energy_kwh) if known else None,
        running_kwh=energy,
        idle_kwh=added(lambda part: part.idle_kwh),
        load_rate=None if rate is None else rounded(rate, 4),
        starts=sum(part.starts for part in parts),
        reason=None if run else NEVER_RAN if known else NO_ENERGY,
    )


def _state(machine: Equipment, amount: Decimal, length_ns: int) -> str:
    share = Fraction(amount) * _HOUR_NS / length_ns / Fraction(machine.rated_kw)
    if share < Fraction(machine.off_share):
        return "off"
    return "idle" if share < Fraction(machine.idle_share) else "running"


def _hours(length_ns: int) -> Decimal:
    return rounded(Fraction(length_ns, _HOUR_NS), 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Specific:
    """Energy per unit of useful output (kWh/m3 of air, kWh/t of steam), in `unit`; or the reason why none."""

    value: Decimal | None
    unit: str
    reason: str | None


def specific(energy_kwh: Decimal | None, output: Decimal | None, unit: str) -> Specific:
    """Of one period: both must be of the same intervals."""
    if energy_kwh is None:
        return Specific(value=None, unit=unit, reason=NO_ENERGY)
    if output is None or output <= 0:
        return Specific(value=None, unit=unit, reason=NO_OUTPUT)
    return Specific(value=rounded(Fraction(energy_kwh) / Fraction(output), 6), unit=unit, reason=None)
