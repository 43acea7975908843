"""The quantities of a statement: what the meters of a node counted of each carrier, flow by flow; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.terms import ZERO, Input, Term, Total, rounded, total
from centre.carriers import CARRIERS, Carrier, Flow
from centre.day import NO_METER, shares
from centre.membership import UNDATED, Membership
from centre.period import Period
from centre.plant import Node, Plant
from centre.records import MeterRecord, Records
from centre.views import DerivedFrom

_KNOWN_PLACES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierLine:
    """One carrier of one node. `net` = import + generation - export, a term for each meter; `flows` are its parts.

    `completeness` (readings) and `known` (share of the time) are those of the least known meter.
    """

    carrier: Carrier
    unit: str
    net: Total
    flows: Mapping[Flow, Input]
    shares: Mapping[str, Decimal]
    completeness: Decimal | None
    known: Decimal
    derived_from: DerivedFrom


def carrier_line(
    plant: Plant, node: Node, carrier: Carrier, period: Period, records: Records, *, membership: Membership = UNDATED
) -> CarrierLine | None:  # fmt: skip
    """What a node's meters counted of a carrier; None where it has none, nor anything below it."""
    found, derived = membership.counted(node, carrier, period, records, plant.zone)
    if not found:
        return None
    unit = CARRIERS[carrier].unit
    flows = {
        flow: _flow(f"interval:{plant.site}/{node.id}/{carrier}/{flow}/{period.label}", unit, of_flow)
        for flow in Flow
        if (of_flow := [record for record in found if record.points.meter.flow is flow])
    }
    completeness = [record.count.completeness for record in found]
    known = [share for share in completeness if share is not None]
    whole = period.bounds(plant.zone)
    shares_known = [
        Fraction(record.known_ns, end - start) for record in found for start, end in [record.bounds or whole]
    ]
    return CarrierLine(
        carrier=carrier,
        unit=unit,
        net=total([meter_term(record, plant.site, period) for record in found], unit),
        flows=flows,
        shares=shares([day.interval for record in found for day in record.days]),
        completeness=min(known) if len(known) == len(completeness) else None,
        known=rounded(min(shares_known), _KNOWN_PLACES),
        derived_from=derived,
    )


def meter_input(record: MeterRecord, site: str, period: Period) -> Input:
    """The quantity of one meter, named by device and point."""
    counter = "" if record.counter is None else record.counter.point
    return Input(
        id=f"meter:{site}/{record.points.meter.device}/{counter}/{record.part or period.label}",
        value=record.amount,
        unit=record.points.unit,
        shares=tuple(shares([day.interval for day in record.days]).items()),
        reason=record.reason,
    )


def meter_term(record: MeterRecord, site: str, period: Period) -> Term:
    """One meter's part of a node's quantity; an export is deducted."""
    counted = meter_input(record, site, period)
    value = -counted.value if counted.value is not None and is_export(record) else counted.value
    label = f"{record.points.meter.device} {record.points.meter.flow}"
    return Term(label=label, value=value, unit=counted.unit, inputs=(counted,), reason=counted.reason)


def is_export(record: MeterRecord) -> bool:
    return record.points.meter.flow is Flow.EXPORT


def _flow(name: str, unit: str, records: Sequence[MeterRecord]) -> Input:
    """The sum of the meters of one flow; unknown as long as one of them is."""
    amounts = [record.amount for record in records]
    known = [amount for amount in amounts if amount is not None]
    missing = [f"{record.points.meter.device}: {record.reason}" for record in records if record.reason is not None]
    return Input(
        id=name,
        value=None if missing else sum(known, ZERO),
        unit=unit,
        shares=tuple(shares([day.interval for record in records for day in record.days]).items()),
        reason=", ".join(missing) or None,
    )


def declared(what: str, unit: str) -> Input:
    """A nothing that the plant's tree states: what has no meter and no form there does not happen."""
    return Input(id=f"declared:{what}", value=ZERO, unit=unit)


def unmetered(what: str, unit: str) -> Input:
    """Something that surely happens, and nobody counts."""
    return Input(id=f"unmetered:{what}", value=None, unit=unit, reason=NO_METER)
