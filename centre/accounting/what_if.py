"""What the same month would have cost otherwise: another tariff, another contract, load moved to other hours. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from typing import Final

from centre.accounting.bill import Bill, Line, Usage
from centre.accounting.demand import Demand, DemandKind, fixed_demands, peak
from centre.accounting.metered import Amount, Metered
from centre.accounting.tariff import Tariff
from centre.accounting.time_of_use import Piece, pieces
from centre.accounting.zones import local_day

_ZERO: Final = Decimal(0)
_WATT_HOUR: Final = Decimal("0.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChange:
    """One item of both bills; None where it has no amount, `difference` (other less base) where one has none.

    An item that stands in one bill only costs nothing in the other.
    """

    item: str
    name: Mapping[str, str]
    base: Decimal | None
    other: Decimal | None
    difference: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The same usage billed twice: `saving` is what it would cost less, None when a total is not known."""

    base: Bill
    other: Bill
    lines: tuple[ItemChange, ...]
    saving: Decimal | None


def what_if(base: Bill, other: Bill) -> WhatIf:
    """Both bills are of the same usage; amounts in two currencies are not compared."""
    comparable = base.currency == other.currency
    ours, theirs = ({line.id: line for line in found.lines} for found in (base, other))
    saving = None if base.total is None or other.total is None else base.total - other.total
    return WhatIf(
        base=base,
        other=other,
        lines=tuple(
            _change(item, ours.get(item), theirs.get(item), comparable=comparable)
            for item in dict.fromkeys((*ours, *theirs))
        ),
        saving=saving if comparable else None,
    )


def _change(item: str, one: Line | None, two: Line | None, *, comparable: bool) -> ItemChange:
    known = comparable and not any(line is not None and line.amount is None for line in (one, two))
    base, other = (None if line is None else line.amount for line in (one, two))
    named = one or two
    return ItemChange(
        item=item,
        name={} if named is None else named.name,
        base=base,
        other=other,
        difference=(other or _ZERO) - (base or _ZERO) if known else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A share (0 to 1) of the energy of one band that is used in another instead, on the same day."""

    share: Decimal
    source: str
    target: str


def shifted(usage: Usage, tariff: Tariff, shift: Shift) -> tuple[Usage, Decimal]:
    """The usage with load moved between bands of `tariff`, and how many kWh were moved.

    It is spread evenly over the known quarters of the other band of the same local day, in Wh; a day without such
    keeps its load, and so do quarters that a band's boundary cuts. Moved energy is marked as estimated. Demands are
    those of the moved quarters, a sliding one as far above them as it was; reactive energy stays.
    """
    cut = pieces(tariff, usage.zone, usage.start, usage.end)
    quarters = sorted(usage.intervals, key=lambda one: one.start)
    days: dict[object, tuple[list[int], list[int]]] = {}
    for place, band in enumerate(_bands([(one.start, one.end) for one in quarters], cut)):
        if quarters[place].amount is None or band not in {shift.source, shift.target}:
            continue
        sources, targets = days.setdefault(local_day(quarters[place].start, usage.zone), ([], []))
        (sources if band == shift.source else targets).append(place)
    found = [Amount(start=one.start, end=one.end, amount=one.amount, estimated=one.estimated) for one in quarters]
    moved = sum((_move(found, sources, targets, shift.share) for sources, targets in days.values()), _ZERO)
    return _with(usage, found), moved


def _move(found: list[Amount], sources: Sequence[int], targets: Sequence[int], share: Decimal) -> Decimal:
    if not targets:
        return _ZERO
    energy = _ZERO
    for place in sources:
        one = found[place]
        taken = ((one.amount or _ZERO) * share).quantize(_WATT_HOUR, ROUND_DOWN)
        found[place] = replace(one, amount=(one.amount or _ZERO) - taken, estimated=one.estimated * (1 - share))
        energy += taken
    each = (energy / len(targets)).quantize(_WATT_HOUR, ROUND_DOWN)
    for number, place in enumerate(targets, 1):
        given = each if number < len(targets) else energy - each * (len(targets) - 1)
        one = found[place]
        found[place] = replace(one, amount=(one.amount or _ZERO) + given, estimated=one.estimated + given)
    return energy


def _bands(spans: Sequence[tuple[int, int]], cut: Sequence[Piece]) -> list[str]:
    """The band that each of the ordered spans lies in whole; empty where it lies in more than one."""
    found: list[str] = []
    place = 0
    for start, end in spans:
        while place < len(cut) - 1 and cut[place].end <= start:
            place += 1
        inside = bool(cut) and cut[place].start <= start and end <= cut[place].end
        found.append(cut[place].band if inside else "")
    return found


def _with(usage: Usage, quarters: Sequence[Amount]) -> Usage:
    return replace(
        usage,
        intervals=tuple(quarters),
        demand=_moved(usage.demand, usage.intervals, quarters, usage.start, usage.end),
        beside=None,
        sections=tuple(
            replace(
                section,
                demand=_moved(section.demand, usage.intervals, quarters, section.start, section.end),
                beside=None,
            )
            for section in usage.sections
        ),
    )


def _moved(
    found: Demand | None, before: Iterable[Metered], after: Iterable[Metered], start: int, end: int
) -> Demand | None:
    """The highest moved quarter, as much below a sliding demand (or a register) as the highest one was before."""
    old, new = (
        peak(fixed_demands(one for one in quarters if start <= one.start < end)) for quarters in (before, after)
    )
    if found is None or old is None or new is None or found.kind is DemandKind.FIXED:
        return new
    return replace(new, kw=new.kw + found.kw - old.kw, kind=found.kind)
