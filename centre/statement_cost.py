"""The cost of a statement: the electricity bill of each of its months, under the plant's tariff and contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from centre.accounting.basic_charge import Contract
from centre.accounting.bill import Bill, Section, Usage
from centre.accounting.billing import NO_REACTIVE, bill
from centre.accounting.demand import Demand, fixed_demands, peak
from centre.accounting.intervals import Interval
from centre.accounting.metered import Amount
from centre.accounting.terms import ZERO, Input, Term, Total, total
from centre.accounting.zones import day_bounds
from centre.carriers import REACTIVE_UNIT, Carrier, Flow
from centre.day import boundary, place_of
from centre.entities_tree import MeterSpan
from centre.membership import UNDATED, Membership
from centre.period import Period
from centre.plant import Meter, Plant
from centre.plant_terms import PlantTerms
from centre.records import MeterRecord, Records, Rules
from centre.statement_surcharges import surcharged
from centre.statement_told import Told

NO_TARIFF: Final = "no_tariff"
NO_METER: Final = "no_meter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactive:
    """Reactive energy bought in a month, kvarh, named by its registers."""

    month: str
    energy: Input


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """The demand that a stretch is billed by, and one found another way to check it."""

    billed: Demand | None
    beside: Demand | None


NO_DEMANDS: Final[Mapping[date, Demands]] = {}


def billed_meters(plant: Plant) -> list[Meter]:
    """The meters at the grid connection: electricity bought by the whole plant."""
    return [meter for meter in boundary(plant.tree, Carrier.ELECTRICITY)[0] if meter.flow is Flow.IMPORT]


def billed_spans(plant: Plant, period: Period, membership: Membership) -> list[MeterSpan]:
    """The meters at the grid connection with the days of a period on which they stood there."""
    spans = membership.within(period).spans.get((plant.tree.id, Carrier.ELECTRICITY))
    if spans is not None:
        return [span for span in spans if span.meter.flow is Flow.IMPORT]
    after = period.last + timedelta(days=1)
    return [MeterSpan(meter=meter, start=period.first, end=after) for meter in billed_meters(plant)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Days of a month, `end` excluded, with the same meters and contract."""

    start: date
    end: date
    meters: tuple[Meter, ...]
    contract: Contract | None

    def bounds(self, zone: tzinfo) -> tuple[int, int]:
        """[start, end) in UTC ns."""
        return day_bounds(self.start, zone)[0], day_bounds(self.end, zone)[0]


def stretches(plant: Plant, month: Period, membership: Membership, terms: PlantTerms) -> tuple[Stretch, ...]:
    """A month cut where a meter of the grid connection came or went, or the contract changed."""
    spans = billed_spans(plant, month, membership)
    found: list[Stretch] = []
    for day in month.days():
        meters = tuple(span.meter for span in spans if span.start <= day < span.end)
        after = day + timedelta(days=1)
        made = Stretch(start=day, end=after, meters=meters, contract=terms.contract(day))
        if found and (found[-1].meters, found[-1].contract) == (made.meters, made.contract):
            found[-1] = replace(found[-1], end=after)
        else:
            found.append(made)
    return tuple(found)


def bills(
    plant: Plant,
    period: Period,
    records: Records,
    rules: Rules,
    reactive: Sequence[Reactive],
    *,
    membership: Membership = UNDATED,
    told: Told | None = None,
    demands: Mapping[date, Demands] = NO_DEMANDS,
) -> tuple[tuple[Bill, ...], Total, str | None]:
    """A bill for each month that has energy, their sum, and why there is none; `told`: what was made.

    `demands`: those that quarters do not tell, by the first day of their stretch.
    """
    tariff = rules.terms.tariff
    if tariff is None or not billed_spans(plant, period, membership):
        reason = NO_TARIFF if tariff is None else NO_METER
        return (), total([Term(label="electricity", value=None, unit="CNY", reason=reason)], "CNY"), reason
    by_month = {found.month: found.energy.value for found in reactive}
    made: list[Bill] = []
    terms: list[Term] = []
    for month in period.months():
        usage = usage_of(
            plant, month, records, stretches(plant, month, membership, rules.terms), by_month, demands=demands
        )
        if usage is None:
            continue
        usage = replace(
            usage, surcharges=surcharged(plant, month, records, rules.terms, told or Told(), membership=membership)
        )
        found = bill(usage, tariff, rules.power_factors)
        made.append(found)
        named = Input(id=f"bill:{plant.site}/{month.label}", value=found.total, unit=tariff.currency)
        lost = ", ".join(f"{line.id}: {line.reason}" for line in found.lines if line.amount is None)
        terms.append(
            Term(label=month.label, value=found.total, unit=tariff.currency, inputs=(named,), reason=lost or None)
        )
    if not terms:
        terms = [Term(label=period.label, value=None, unit=tariff.currency, reason="no_energy")]
    whole = total(terms, tariff.currency)
    return tuple(made), whole, None if whole.value is not None else ", ".join(term.reason or "" for term in terms)


def reactive_energy(
    plant: Plant, month: Period, records: Records, reactive: Records, membership: Membership
) -> Reactive:  # fmt: skip
    """What came with the electricity of a month; unknown where a whole day of that is known and of its own nothing.

    `reactive` are the records of the reactive energy, by the place of the meter of the electricity.
    """
    names: list[str] = []
    total: Decimal | None = ZERO
    for span in billed_spans(plant, month, membership):
        bounds, counted = span.bounds(plant.zone), reactive.get(place_of(span.meter))
        found = None
        if counted is not None and counted.points.counter is not None:
            names.append(f"meter:{plant.site}/{span.meter.device}/{counted.points.counter.point}/{month.label}")
            days, active = _days(counted, *bounds), _days(records[place_of(span.meter)], *bounds)
            known = [day.amount for day in days.values() if day.amount is not None]
            over = [day for day in active.values() if not day.open]  # the running day may have come further
            found = sum(known, ZERO) if known and all(day.start in days for day in over) else None
        total = None if found is None or total is None else total + found
    named = Input(
        id=", ".join(names) or "unmetered:reactive", value=total, unit=REACTIVE_UNIT,
        reason=None if total is not None else NO_REACTIVE,
    )  # fmt: skip
    return Reactive(month=month.label, energy=named)


def _days(record: MeterRecord, start: int, end: int) -> dict[int, Interval]:
    """The known days of a meter in [start, end), by their start."""
    inside = (day.interval for day in record.days if start <= day.interval.start < end)
    return {day.start: day for day in inside if day.amount is not None}


def usage_of(
    plant: Plant,
    month: Period,
    records: Records,
    parts: Sequence[Stretch],
    reactive: Mapping[str, Decimal | None],
    *,
    demands: Mapping[date, Demands] = NO_DEMANDS,
) -> Usage | None:
    """What is billed of a month, `reactive` energy by month; None where nothing is known of what was bought."""
    start, end = month.bounds(plant.zone)
    quarters = bought_quarters(plant, parts, records)
    if not any(found.amount is not None for found in quarters):
        return None
    sections = [_section(part, plant.zone, quarters, demands.get(part.start)) for part in parts]
    return Usage(
        zone=plant.zone,
        start=start,
        end=end,
        intervals=quarters,
        contract=parts[-1].contract,
        demand=peak(one.demand for one in sections if one.demand is not None),
        beside=peak(one.beside for one in sections if one.beside is not None),
        reactive_kvarh=reactive.get(month.label),
        sections=sections if len(parts) > 1 else (),
    )


def _section(part: Stretch, zone: tzinfo, quarters: Sequence[Amount], found: Demands | None) -> Section:
    start, end = part.bounds(zone)
    fixed = peak(fixed_demands(one for one in quarters if start <= one.start < end))
    return Section(
        start=start,
        end=end,
        meters=tuple(meter.device for meter in part.meters),
        contract=part.contract,
        demand=fixed if found is None else found.billed,
        beside=None if found is None else found.beside,
    )


def bought_quarters(plant: Plant, parts: Sequence[Stretch], records: Records) -> list[Amount]:
    """The plant's purchase in each quarter of an hour that is known; without amount where one of its meters lacks."""
    found: list[Amount] = []
    for part in parts:
        start, end = part.bounds(plant.zone)
        sums: dict[tuple[int, int], list[tuple[Decimal, Decimal]]] = {}
        for meter in part.meters:
            for bucket in records[place_of(meter)].quarters:
                one = bucket.interval
                if start <= one.start < end and one.amount is not None:
                    sums.setdefault((one.start, one.end), []).append((one.amount, one.estimated))
        found += [
            Amount(
                start=first,
                end=last,
                amount=sum((amount for amount, _ in known), ZERO) if len(known) == len(part.meters) else None,
                estimated=sum((estimated for _, estimated in known), ZERO),
            )
            for (first, last), known in sorted(sums.items())
        ]
    return found
