"""The cost of a statement: the electricity bill of each of its months, under the plant's tariff and contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from centre.accounting.bill import Bill, Usage
from centre.accounting.billing import bill
from centre.accounting.demand import fixed_demands, peak
from centre.accounting.metered import Amount
from centre.accounting.terms import ZERO, Input, Term, Total, total
from centre.carriers import Carrier, Flow
from centre.day import boundary, place_of
from centre.period import Period
from centre.plant import Meter, Plant
from centre.records import Records, Rules

NO_TARIFF: Final = "no_tariff"
NO_METER: Final = "no_meter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactive:
    """Reactive energy bought in a month, kvarh: the difference of a register, named by its readings."""

    month: str
    energy: Input


def billed_meters(plant: Plant) -> list[Meter]:
    """The meters at the grid connection: electricity bought by the whole plant."""
    return [meter for meter in boundary(plant.tree, Carrier.ELECTRICITY)[0] if meter.flow is Flow.IMPORT]


def bills(
    plant: Plant, period: Period, records: Records, rules: Rules, reactive: Sequence[Reactive]
) -> tuple[tuple[Bill, ...], Total, str | None]:
    """A bill for each month that has energy, their sum, and why there is none."""
    tariff = rules.terms.tariff
    meters = billed_meters(plant)
    if tariff is None or not meters:
        reason = NO_TARIFF if tariff is None else NO_METER
        return (), total([Term(label="electricity", value=None, unit="CNY", reason=reason)], "CNY"), reason
    by_month = {found.month: found.energy.value for found in reactive}
    made: list[Bill] = []
    terms: list[Term] = []
    for month in period.months():
        usage = _usage(plant, month, records, rules, by_month)
        if usage is None:
            continue
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


def _usage(
    plant: Plant, month: Period, records: Records, rules: Rules, reactive: Mapping[str, Decimal | None]
) -> Usage | None:
    start, end = month.bounds(plant.zone)
    quarters = bought_quarters(plant, month, records)
    if not any(found.amount is not None for found in quarters):
        return None
    return Usage(
        zone=plant.zone,
        start=start,
        end=end,
        intervals=quarters,
        contract=rules.terms.contract,
        demand=peak(fixed_demands(quarters)),
        reactive_kvarh=reactive.get(month.label),
    )


def bought_quarters(plant: Plant, month: Period, records: Records) -> list[Amount]:
    """The plant's purchase in each quarter of an hour that is known; without amount where one of its meters lacks."""
    start, end = month.bounds(plant.zone)
    meters = billed_meters(plant)
    sums: dict[tuple[int, int], list[tuple[Decimal, Decimal]]] = {}
    for meter in meters:
        for bucket in records[place_of(meter)].quarters:
            found = bucket.interval
            if start <= found.start < end and found.amount is not None:
                sums.setdefault((found.start, found.end), []).append((found.amount, found.estimated))
    return [
        Amount(
            start=first,
            end=last,
            amount=sum((amount for amount, _ in parts), ZERO) if len(parts) == len(meters) else None,
            estimated=sum((part for _, part in parts), ZERO),
        )
        for (first, last), parts in sorted(sums.items())
    ]
