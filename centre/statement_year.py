"""A year as the exact sum of its months, each with the factor rows that count for that month; pure.

Months in which nothing of a carrier was counted yet, and those to come, are not part of the year. A month in between
that is not known leaves the year without a figure, and its reason names the month.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, tzinfo
from decimal import Decimal
from typing import Final

from centre.accounting.coal_equivalent import ComprehensiveEnergy, EnergyLine
from centre.accounting.emissions import Scope2
from centre.accounting.factor_choice import Choice
from centre.accounting.terms import ZERO, Input, Term, Total, total, weighted_shares
from centre.carriers import Carrier
from centre.membership import Membership
from centre.period import Period
from centre.plant import Node, Plant
from centre.records import MeterRecord, Records
from centre.statement_figures import Lines, Means, NodeFigures, figures
from centre.statement_lines import CarrierLine, carrier_line
from centre.statement_told import fuels
from centre.store.base import Bucket

_DECLARED: Final = "declared:"

Months = Sequence[tuple[Period, Lines]]


def lines_by_month(plant: Plant, year: Period, records: Records, membership: Membership, run_on: date) -> Months:
    """The lines of every node in the months of a year, without what was not counted yet or is still to come."""
    periods = year.months()
    sliced = [in_month(records, month, plant.zone) for month in periods]
    within = [membership.within(month) for month in periods]
    found: list[tuple[Period, dict[str, dict[Carrier, CarrierLine]]]] = [(month, {}) for month in periods]
    for node in plant.tree.walk():
        for _, lines in found:
            lines[node.id] = {}
        for carrier in Carrier:
            each = [
                carrier_line(plant, node, carrier, month, counted, membership=part)
                for month, counted, part in zip(periods, sliced, within, strict=True)
            ]
            begun = next((place for place, line in enumerate(each) if _counted(line)), 0)
            for place, (line, (month, lines)) in enumerate(zip(each, found, strict=True)):
                if line is not None and (_counted(line) or _is_missing(each, place, begun, month, run_on)):
                    lines[node.id][carrier] = line
    return found


def _counted(line: CarrierLine | None) -> bool:
    return line is not None and any(term.value is not None for term in line.net.terms)


def _is_missing(each: Sequence[CarrierLine | None], place: int, begun: int, month: Period, run_on: date) -> bool:
    """Whether a month without anything has to be there: after the first one that counted, when it is over."""
    if not any(_counted(line) for line in each):
        return True
    return place > begun and month.last < run_on


def in_month(records: Records, month: Period, zone: tzinfo) -> Records:
    """What is accounted of the meters in one month of a year."""
    start, end = month.bounds(zone)
    return {place: _slice(record, start, end) for place, record in records.items()}


def _slice(record: MeterRecord, start: int, end: int) -> MeterRecord:
    """Readings are counted for the whole period only."""
    days = _inside(record.days, start, end)
    count = replace(record.count, expected=None, unexplained=None, completeness=None)
    return replace(
        record, days=days, quarters=_inside(record.quarters, start, end), running=None,
        count=replace(count, received=sum(day.interval.readings for day in days)),
    )  # fmt: skip


def _inside(buckets: tuple[Bucket, ...], start: int, end: int) -> tuple[Bucket, ...]:
    return tuple(bucket for bucket in buckets if start <= bucket.interval.start < end)


def node_months(node: Node, months: Months, means: Means) -> tuple[NodeFigures, ...]:
    """The figures of a node in each month that is part of its year."""
    metered = any(lines[node.id] for _, lines in months)
    made = [
        figures(node, month, lines, replace(means, told=means.told.until(month)), complete=month.first <= means.run_on)
        for month, lines in months
    ]
    return tuple(found for found in made if found.lines or found.fuels or not metered)


def year_figures(
    node: Node, year: Period, months: Sequence[NodeFigures], lines: Sequence[CarrierLine], means: Means
) -> NodeFigures:
    """The sums of `months`; `lines` are those of the whole year, of which shares and completeness are kept."""
    joined = tuple(_line(line, months) for line in lines)
    burnt = tuple(_fuels(node, months, means))
    inputs = {line.carrier: _inputs(line) for line in burnt}

    def of(pick: Callable[[NodeFigures], Total], known: Mapping[str, tuple[Input, ...]] | None = None) -> Total:
        return summed(year, [(month.period, pick(month)) for month in months], known or {})

    return NodeFigures(
        id=node.id,
        period=year,
        lines=joined,
        fuels=burnt,
        energy=ComprehensiveEnergy(
            calorific=of(lambda month: month.energy.calorific, inputs),
            equal_value=of(lambda month: month.energy.equal_value, inputs),
        ),
        scope1=of(lambda month: month.scope1),
        scope2=Scope2(
            location=of(lambda month: month.scope2.location),
            market=of(lambda month: month.scope2.market),
            unmatched_kwh=sum((month.scope2.unmatched_kwh for month in months), ZERO),
        ),
    )


def _inputs(line: EnergyLine) -> tuple[Input, ...]:
    made = () if line.self_produced is None else (line.self_produced,)
    return (line.purchased, line.stock_begin, line.stock_end, line.sold, *made)


def _fuels(node: Node, months: Sequence[NodeFigures], means: Means) -> list[EnergyLine]:
    """Each fuel over the months that it was told of in: the stock before the first and after the last."""
    names = dict.fromkeys(line.carrier for month in months for line in month.fuels)
    found: list[EnergyLine] = []
    for name in sorted(names):
        periods = [month.period for month in months if any(line.carrier == name for line in month.fuels)]
        found += [line for line in fuels(means.told, means.site, node, periods, ()) if line.carrier == name]
    return found


def _line(line: CarrierLine, months: Sequence[NodeFigures]) -> CarrierLine:
    """The year's line with the sums of its months."""
    parts = [(month.period, found) for month in months for found in [month.line(line.carrier)] if found is not None]
    nets = {term.label: [(month, one) for month, of in parts for one in of.net.terms if one.label == term.label]
            for term in line.net.terms}  # fmt: skip
    terms = [
        replace(term, value=_sum([one.value for _, one in nets[term.label]]), reason=_reasons(nets[term.label]))
        for term in line.net.terms
    ]
    flows: dict[str, list[tuple[Period, Input]]] = {
        flow: [(month, of.flows[flow]) for month, of in parts if flow in of.flows] for flow in line.flows
    }
    return replace(
        line,
        net=total(terms, line.unit),
        flows={
            flow: replace(found, value=_sum([one.value for _, one in flows[flow]]), reason=_reasons(flows[flow]))
            for flow, found in line.flows.items()
        },
    )


def summed(year: Period, months: Sequence[tuple[Period, Total]], inputs: Mapping[str, tuple[Input, ...]]) -> Total:
    """The sum of totals, line by line; a line's inputs are those given, or the sums of those of its months."""
    by_label: dict[str, list[tuple[Period, Term]]] = {}
    for month, found in months:
        for term in found.terms:
            by_label.setdefault(term.label, []).append((month, term))
    unit = months[0][1].unit
    terms = [_term(year, label, parts, inputs.get(label)) for label, parts in by_label.items()]
    return total(terms, unit)


def by_rows(year: Period, months: Sequence[tuple[Period, Total]]) -> list[tuple[tuple[Period, ...], Term]]:
    """The lines of totals, summed over the months that have the same factor rows."""
    found: dict[tuple[str, ...], list[tuple[Period, Term]]] = {}
    for month, of in months:
        for term in of.terms:
            rows = [choice.reason if choice.row is None else choice.row.id for choice in term.choices]
            found.setdefault((term.label, *rows), []).append((month, term))
    order = list(dict.fromkeys(label for label, *_ in found))
    lines = sorted(found.items(), key=lambda line: order.index(line[0][0]))
    return [(tuple(month for month, _ in parts), _term(year, key[0], parts, None)) for key, parts in lines]


def _term(year: Period, label: str, parts: Sequence[tuple[Period, Term]], inputs: tuple[Input, ...] | None) -> Term:
    choices: dict[str, Choice] = {}
    for _, term in parts:
        choices |= {choice.reason if choice.row is None else choice.row.id: choice for choice in term.choices}
    value = _sum([term.value for _, term in parts])
    kept = {term.reason for _, term in parts}
    return Term(
        label=label,
        value=value,
        unit=parts[0][1].unit,
        inputs=_joined(year, parts) if inputs is None else inputs,
        choices=tuple(choices.values()),
        reason=_reasons(parts) if value is None else kept.pop() if len(kept) == 1 else None,
    )


def _joined(year: Period, parts: Sequence[tuple[Period, Term]]) -> tuple[Input, ...]:
    """The inputs of the months, place by place."""
    width = max(len(term.inputs) for _, term in parts)
    places = [[(month, term.inputs[at]) for month, term in parts if at < len(term.inputs)] for at in range(width)]
    return tuple(_input(year, place) for place in places)


def _input(year: Period, parts: Sequence[tuple[Period, Input]]) -> Input:
    ids = dict.fromkeys(part.id.replace(month.label, year.label) for month, part in parts)
    named = [one for one in ids if not one.startswith(_DECLARED)] or list(ids)
    value = _sum([part.value for _, part in parts])
    return Input(
        id="; ".join(named),
        value=value,
        unit=parts[-1][1].unit,
        shares=tuple(weighted_shares(part for _, part in parts).items()),
        reason=_reasons(parts) if value is None else None,
    )


def _sum(values: Sequence[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, ZERO) if values and len(known) == len(values) else None


def _reasons(parts: Sequence[tuple[Period, Term | Input]]) -> str | None:
    """Why the sum is not known: reasons with the months they hold for."""
    found: dict[str, list[Period]] = {}
    for month, part in parts:
        if part.value is None:
            found.setdefault((part.reason or "").replace(f"/{month.label}", ""), []).append(month)
    return ", ".join(f"{spans(months)}: {reason}" for reason, months in found.items()) or None


def spans(months: Sequence[Period]) -> str:
    """Months as runs: `2026-01..2026-03, 2026-05`."""
    runs: list[list[Period]] = []
    for month in sorted(set(months), key=lambda one: one.label):
        if runs and runs[-1][-1].last.toordinal() + 1 == month.first.toordinal():
            runs[-1].append(month)
        else:
            runs.append([month])
    return ", ".join(run[0].label if len(run) == 1 else f"{run[0].label}..{run[-1].label}" for run in runs)
