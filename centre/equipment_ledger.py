"""The equipment ledger of a period: hours, load rate, energy and specific consumption of every machine. Pure.

A machine is what its entity's electricity meters count. Specific consumption compares the quarters of an hour in which
both its energy and its output are known; output that only a form tells of needs the whole period.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.equipment import Operation, operation, together
from centre.accounting.exact import rounded
from centre.accounting.intervals import Interval
from centre.accounting.metered import Amount
from centre.accounting.ratios import Ratio, ratio
from centre.accounting.terms import ZERO, Input
from centre.accounting.utilities import GasReference, specific_power
from centre.accounting.zones import day_bounds
from centre.carriers import CARRIERS, Carrier, Flow
from centre.entities import Entities, Entity
from centre.equipment import EquipmentEntry, Output
from centre.period import Period
from centre.plant import Node, Plant
from centre.records import MeterRecord
from centre.statements import Basis

NO_COMMON: Final = "no_common_interval"
NO_ONE_OUTPUT: Final = "no_one_output"
NOT_WHOLE: Final = "not_known_for_the_whole_period"
_SHARE_PLACES: Final = 4

Products = Callable[[Node], Mapping[str, Input]]
"""What approved forms say that a node made in the month, by product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """A machine from `first` to `last` (days, both included), as long as one entry counts.

    `compared`: share of the time that `specific` rests on; its numerator and denominator are those of that time.
    """

    node: str
    name: Mapping[str, str]
    entry: EquipmentEntry
    first: date
    last: date
    operation: Operation
    specific: Ratio | None
    compared: Decimal | None

    @property
    def reason(self) -> str | None:
        """Why it has no energy, or else no specific consumption."""
        return self.operation.reason or (NO_ONE_OUTPUT if self.specific is None else self.specific.reason)


def ledger(
    basis: Basis, products: Products, entities: Entities, air: GasReference, until: int
) -> tuple[LedgerRow, ...]:
    """The machines of a month in the order of the tree, as far as it was accounted `until` (UTC ns)."""
    plant, period = basis.plant, basis.period
    rows: list[LedgerRow] = []
    for node in plant.tree.walk():
        machine = _Machine(basis=basis, products=products(node), node=node, air=air)
        entity = entities.by_key.get(f"{plant.site}/{node.id}")
        for entry, first, last in _within(entity, period):
            bounds = day_bounds(first, plant.zone)[0], min(day_bounds(last, plant.zone)[1], until)
            if bounds[0] < bounds[1]:
                rows.append(machine.row(entry, first, last, bounds))
    return tuple(rows)


def _within(entity: Entity | None, period: Period) -> Iterator[tuple[EquipmentEntry, date, date]]:
    for entry in () if entity is None else entity.equipment:
        first = period.first if entry.since is None else max(entry.since, period.first)
        last = period.last if entry.until is None else min(entry.until - timedelta(days=1), period.last)
        if first <= last:
            yield entry, first, last


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    basis: Basis
    products: Mapping[str, Input]
    node: Node
    air: GasReference

    def row(self, entry: EquipmentEntry, first: date, last: date, bounds: tuple[int, int]) -> LedgerRow:
        plant, period = self.basis.plant, self.basis.period
        membership = self.basis.membership
        records, _ = membership.counted(self.node, Carrier.ELECTRICITY, period, self.basis.records, plant.zone)
        energy = _together([record for record in records if record.points.meter.flow is Flow.IMPORT], bounds)
        done = operation(entry.machine(self.node.id), energy, start=bounds[0], end=bounds[1])
        whole = (first, last) == (period.first, period.last) and done.unknown_h == 0
        of = entry.output
        specific, compared = self._by_form(done, whole=whole) if of is None else self._by_meter(of, energy, bounds)
        return LedgerRow(
            node=self.node.id,
            name=self.node.name,
            entry=entry,
            first=first,
            last=last,
            operation=done,
            specific=specific,
            compared=compared,
        )

    def _by_meter(self, of: Output, energy: Sequence[Amount], bounds: tuple[int, int]) -> tuple[Ratio, Decimal]:
        """Over the intervals that are known of both."""
        unit = CARRIERS[of.carrier].unit
        records = self.basis.records
        found = [one for (device, carrier, _), one in records.items() if (device, carrier) == (of.device, of.carrier)]
        made = {one.start: one.amount or ZERO for one in _together(found[:1], bounds)}
        both = [(one.amount or ZERO, made[one.start]) for one in energy if one.start in made]
        output = self._input(f"meter:{self.basis.plant.site}/{of.device}", sum((o for _, o in both), ZERO), unit, both)
        used = self._input(self._energy, sum((e for e, _ in both), ZERO), "kWh", both)
        length = sum(one.end - one.start for one in energy if one.start in made)
        share = rounded(Fraction(length, bounds[1] - bounds[0]), _SHARE_PLACES)
        if of.carrier is Carrier.COMPRESSED_AIR:
            return specific_power(self.node.id, used, output, stated=of.stated or self.air, wanted=self.air), share
        return ratio(self.node.id, used, output, unit=f"kWh/{unit}"), share

    def _input(self, name: str, value: Decimal, unit: str, both: Sequence[object]) -> Input:
        name = f"{name}/{self.basis.period.label}"
        return Input(id=name, value=value if both else None, unit=unit, reason=None if both else NO_COMMON)

    def _by_form(self, done: Operation, *, whole: bool) -> tuple[Ratio | None, Decimal | None]:
        """By the one product that an approved form tells of; of several each would need its share."""
        if len(self.products) != 1:
            return None, None
        output = next(iter(self.products.values()))
        used = Input(
            id=f"{self._energy}/{self.basis.period.label}",
            value=done.energy_kwh if whole else None,
            unit="kWh",
            reason=None if whole else NOT_WHOLE,
        )
        return ratio(self.node.id, used, output, unit=f"kWh/{output.unit}"), Decimal(1) if whole else None

    @property
    def _energy(self) -> str:
        return f"interval:{self.basis.plant.site}/{self.node.id}/electricity/import"


def of_year(months: Sequence[Sequence[LedgerRow]]) -> tuple[LedgerRow, ...]:
    """The machines of a year: each entry's months together, from the first of which something is known."""
    found: dict[tuple[str, EquipmentEntry], list[LedgerRow]] = {}
    for row in (row for month in months for row in month):
        found.setdefault((row.node, row.entry), []).append(row)
    begun = (
        next((at for at, row in enumerate(of) if row.operation.energy_kwh is not None), 0) for of in found.values()
    )
    return tuple(_joined(parts[at:]) for at, parts in zip(begun, found.values(), strict=True))


def _joined(parts: Sequence[LedgerRow]) -> LedgerRow:
    first, last = parts[0], parts[-1]
    whole = sum((_hours(part) for part in parts), ZERO)
    known = [(part, one) for part in parts for one in [part.specific] if one is not None and one.value is not None]
    rested = sum((_hours(part) * (part.compared or ZERO) for part, _ in known), ZERO)
    return replace(
        last,
        first=first.first,
        operation=together(last.entry.machine(last.node), [part.operation for part in parts]),
        specific=_specific([one for _, one in known]) if known else first.specific,
        compared=rounded(Fraction(rested) / Fraction(whole), _SHARE_PLACES) if known and whole else first.compared,
    )


def _specific(parts: Sequence[Ratio]) -> Ratio:
    """Of the months in which there is one; output in another unit is not added to it."""
    last = parts[-1]
    same = [part for part in parts if (part.unit, part.denominator.unit) == (last.unit, last.denominator.unit)]
    used, made = (sum((side.value or ZERO for side in sides), ZERO) for sides in zip(
        *((part.numerator, part.denominator) for part in same), strict=True))  # fmt: skip
    return ratio(last.label, replace(last.numerator, value=used), replace(last.denominator, value=made), unit=last.unit)


def _hours(row: LedgerRow) -> Decimal:
    done = row.operation
    return done.running_h + done.idle_h + done.off_h + done.unknown_h


def _together(records: Sequence[MeterRecord], bounds: tuple[int, int]) -> list[Amount]:
    """The quarters of an hour that all meters know whole, added up."""
    sums: dict[tuple[int, int], list[Interval]] = {}
    for record in records:
        for bucket in record.quarters:
            found = bucket.interval
            whole = found.known_ns == found.end - found.start and not found.open
            if whole and bounds[0] <= found.start and found.end <= bounds[1]:
                sums.setdefault((found.start, found.end), []).append(found)
    return [
        Amount(start=start, end=end, amount=sum((one.amount or ZERO for one in parts), ZERO))
        for (start, end), parts in sorted(sums.items())
        if len(parts) == len(records)
    ]


def until_of(plant: Plant, period: Period, now: int) -> int:
    """As far as a running period can be accounted: the last full quarter of an hour."""
    quarter = 900 * 10**9
    return min(period.bounds(plant.zone)[1], now - now % quarter)
