"""Virtual meters: their formulas over the intervals of other meters, gaps and quality carried along.

Sums, differences and products are exact; a quotient without end is rounded to nine places.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from typing import Final

from centre.accounting.intervals import Interval
from centre.accounting.quality import amounts_by_flag
from centre.accounting.registers import Flag
from centre.accounting.terms import rounded
from centre.carriers import CARRIERS
from centre.entities import Entity, VirtualMeter
from centre.expression import Expression, ExpressionError, Undefined, parse, references, shown, unit_of, value_of

_WIDE: Final = Context(prec=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A virtual meter whose formula is sound; `uses` maps what it refers to, as written, to series names."""

    meter: VirtualMeter
    expression: Expression
    uses: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """An interval of a virtual meter; without amount `reason` says why, and `missing` which series have none."""

    interval: Interval
    reason: str | None = None
    missing: tuple[str, ...] = ()


def series_names(entities: Iterable[Entity]) -> tuple[dict[str, str], dict[str, str]]:
    """What a formula of the site may refer to -> name of the series, and name of the series -> unit.

    A meter is DEVICE:CARRIER:FLOW, shortly DEVICE:FLOW or DEVICE where only one meter is meant; a virtual one its id.
    """
    units: dict[str, str] = {}
    meant: dict[str, set[str]] = {}
    for entity in entities:
        for meter in entity.meters:
            name = f"{meter.device}:{meter.carrier.value}:{meter.flow.value}"
            units[name] = CARRIERS[meter.carrier].unit
            for text in (name, f"{meter.device}:{meter.flow.value}", meter.device):
                meant.setdefault(text, set()).add(name)
        for virtual in entity.virtual:
            units[virtual.id] = CARRIERS[virtual.carrier].unit
            meant.setdefault(virtual.id, set()).add(virtual.id)
    return {text: next(iter(names)) for text, names in meant.items() if len(names) == 1}, units


def formula_of(meter: VirtualMeter, names: Mapping[str, str], units: Mapping[str, str]) -> Formula:
    """The formula, parsed and its units checked; raises ExpressionError."""
    expression = parse(meter.expression)
    told = sorted(references(expression))
    for text in told:
        if text not in names:
            similar = sorted(name for name in units if name.startswith(f"{text}:"))
            near = f"; did you mean {' or '.join(similar)}?" if similar else ""
            raise ExpressionError(f"[{text}] is no meter of this site{near}")
    if not told:
        raise ExpressionError("refers to no meter")
    unit = unit_of(expression, {text: units[names[text]] for text in told})
    if unit != ((wanted := CARRIERS[meter.carrier].unit, 1),):
        raise ExpressionError(f"gives {shown(unit)}, but {meter.carrier.value} is counted in {wanted}")
    return Formula(meter=meter, expression=expression, uses={text: names[text] for text in told})


def in_order(formulas: Sequence[Formula]) -> list[Formula]:
    """Each after those it refers to; raises ExpressionError with the circle when there is one."""
    by_id = {formula.meter.id: formula for formula in formulas}
    graph = {id_: [name for name in formula.uses.values() if name in by_id] for id_, formula in by_id.items()}
    try:
        return [by_id[id_] for id_ in TopologicalSorter(graph).static_order()]
    except CycleError as err:
        circle: list[str] = err.args[1]
        raise ExpressionError(f"refers to itself: {' -> '.join(circle[::-1])}") from None


def compute(
    formula: Formula, series: Mapping[str, Mapping[int, Interval]], starts: Sequence[int], step_ns: int
) -> list[Computed]:
    """The intervals that begin at `starts`, from those of the series it uses (name -> start -> interval)."""
    return [
        _one(formula, {name: series.get(name, {}).get(at) for name in formula.uses.values()}, at, at + step_ns)
        for at in starts
    ]


def _one(formula: Formula, parts: Mapping[str, Interval | None], start: int, end: int) -> Computed:
    known = [part for part in parts.values() if part is not None]
    still_open = len(known) < len(parts) or any(part.open for part in known)
    breaks = sum(part.breaks for part in known)
    nothing = Interval(start=start, end=end, breaks=breaks, open=still_open)
    if missing := tuple(name for name, part in parts.items() if part is None or part.amount is None):
        return Computed(interval=nothing, reason="no_data", missing=missing)
    lengths = {part.known_ns for part in known}
    if len(lengths) > 1:  # a whole less the part of another is no difference of theirs
        least = min(lengths)
        short = tuple(name for name, part in parts.items() if part is not None and part.known_ns == least)
        return Computed(interval=nothing, reason="incomplete", missing=short)
    values = {
        name: Fraction(part.amount) for name, part in parts.items() if part is not None and part.amount is not None
    }
    try:
        result = value_of(formula.expression, {text: values[name] for text, name in formula.uses.items()})
    except Undefined as err:
        return Computed(interval=nothing, reason=str(err))
    amount = _decimal(result)
    marks = _marks(amount, known)
    return Computed(
        interval=Interval(
            start=start,
            end=end,
            amount=amount,
            estimated=marks.pop(Flag.ESTIMATED, Decimal(0)),
            known_ns=lengths.pop(),
            estimated_ns=max(part.estimated_ns for part in known),
            readings=sum(part.readings for part in known),
            suspects=sum(part.suspects for part in known),
            breaks=breaks,
            open=still_open,
            marked=tuple(sorted(marks.items())),
        )
    )


def _marks(amount: Decimal, parts: Iterable[Interval]) -> dict[Flag, Decimal]:
    """`amount` under the flags of its parts, by their energy; what was measured is now computed from measured."""
    weights: dict[Flag, Fraction] = {}
    for part in parts:
        for flag, found in amounts_by_flag(part).items():
            carried = Flag.COMPUTED if flag is Flag.MEASURED else flag
            weights[carried] = weights.get(carried, Fraction(0)) + abs(Fraction(found))
    whole = sum(weights.values(), Fraction(0))
    marks: dict[Flag, Decimal] = {
        flag: rounded(Fraction(amount) * weight / whole)
        for flag, weight in sorted(weights.items())
        if flag is not Flag.COMPUTED and weight
    }
    rest = amount - sum(marks.values(), Decimal(0))
    if rest or not marks:
        marks[Flag.COMPUTED] = rest
    return marks


def _decimal(value: Fraction) -> Decimal:
    """Exact where the digits end, else at nine places."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return rounded(value)
    places = max(twos, fives)
    return Decimal(value.numerator * 10**places // value.denominator).scaleb(-places, _WIDE)
