"""The balances of a statement: what came into a node against what the meters of its children counted (rule F10)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from centre.accounting.balance import NOTHING_COMMON, Balance, BalanceMeter, Role, balance
from centre.accounting.intervals import QUARTER_NS, Interval
from centre.accounting.management_file import Management
from centre.accounting.running_balance import RunningBalance, RunningMeter, running_balance
from centre.carriers import Carrier, Flow
from centre.day import boundary, place_of
from centre.membership import UNDATED, Membership
from centre.period import Period
from centre.plant import Meter, Node, Plant
from centre.records import MeterRecord, Records

_OWN: Final[Mapping[Flow, Role]] = {
    Flow.IMPORT: Role.SUPPLY,
    Flow.GENERATION: Role.GENERATION,
    Flow.EXPORT: Role.EXPORT,
}


def balances(
    plant: Plant, node: Node, period: Period, records: Records, management: Management, *,
    membership: Membership = UNDATED,
) -> Mapping[Carrier, Balance]:  # fmt: skip
    """The balance of every carrier that `node` and its children have meters of, since their meters last changed.

    A month is compared quarter by quarter, a year day by day, as is a month of which a meter knows days alone; only
    intervals that every meter knows whole count.
    """
    found: dict[Carrier, Balance] = {}
    start, end = period.bounds(plant.zone)
    for carrier in Carrier:
        roles = balanced(node, carrier)
        if roles:
            since = membership.settled(node, carrier, period, plant.zone)
            daily = by_day(period, [records[place_of(meter)] for meter, _ in roles])
            expected = len(list(period.days())) if daily else (end - start) // QUARTER_NS
            meters = [
                _balance_meter(
                    f"{plant.site}/{meter.device}/{meter.flow}/{period.label}", records[place_of(meter)], role,
                    management, whole_intervals(records[place_of(meter)], since, daily=daily),
                )
                for meter, role in roles
            ]  # fmt: skip
            found[carrier] = balance(meters, expected=expected, limit_percent=management.balance_limit_percent)
    return found


def running_balances(
    plant: Plant, node: Node, period: Period, records: Records, management: Management, *,
    made: Mapping[Carrier, Balance], membership: Membership = UNDATED,
) -> Mapping[Carrier, RunningBalance]:  # fmt: skip
    """A provisional balance where `made` waits for a quarter of an hour that all meters know, and all were read."""
    found: dict[Carrier, RunningBalance] = {}
    for carrier, waiting in made.items():
        roles = [(records[place_of(meter)], role) for meter, role in balanced(node, carrier)]
        meters = [
            RunningMeter(
                id=f"meter:{plant.site}/{record.points.meter.device}/{record.points.meter.flow}/{period.label}",
                role=role, accuracy=accuracy_of(record, management), register=record.running[0],
                resolution=record.running[1],
            )
            for record, role in roles if record.running is not None
        ]  # fmt: skip
        if waiting.reason == NOTHING_COMMON and len(meters) == len(roles):
            since = membership.settled(node, carrier, period, plant.zone)
            found[carrier] = running_balance(meters, since=since, limit_percent=management.balance_limit_percent)
    return found


def balanced(node: Node, carrier: Carrier) -> list[tuple[Meter, Role]]:
    """The meters of a balance; none where the node has no meter of its own, or no child has one."""
    own = [(meter, _OWN[meter.flow]) for meter in node.meters if meter.carrier is carrier]
    below = list(_children(node, carrier))
    return [*own, *below] if own and below else []


def balance_parts(node: Node, carrier: Carrier, records: Records) -> list[tuple[MeterRecord, int]]:
    """The meters of a balance and whether they add to what is left or take from it."""
    adding = {Role.SUPPLY, Role.GENERATION}
    return [(records[place_of(meter)], 1 if role in adding else -1) for meter, role in balanced(node, carrier)]


def accuracy_of(record: MeterRecord, management: Management) -> Decimal:
    """The class in percent that a meter is taken to have."""
    meter = record.points.meter
    return meter.accuracy or management.accuracy[meter.carrier]


def _children(node: Node, carrier: Carrier) -> Iterator[tuple[Meter, Role]]:
    """The meters between a node and its children; what generates inside a child stays behind its own meter."""
    for child in node.children:
        meters, _ = boundary(child, carrier)
        takes = any(meter.flow is Flow.IMPORT for meter in meters)
        for meter in meters:
            if meter.flow is Flow.IMPORT:
                yield meter, Role.CHILD
            elif meter.flow is Flow.EXPORT:
                yield meter, Role.SUPPLY
            elif not takes:
                yield meter, Role.GENERATION


def _balance_meter(
    name: str, record: MeterRecord, role: Role, management: Management, intervals: Sequence[Interval]
) -> BalanceMeter:  # fmt: skip
    accuracy = accuracy_of(record, management)
    return BalanceMeter(id=f"meter:{name}", role=role, accuracy=accuracy, intervals=intervals)


def by_day(period: Period, records: Iterable[MeterRecord]) -> bool:
    """Whether meters are compared by their days."""
    return period.month is None or any(record.days_only for record in records)


def whole_intervals(record: MeterRecord, since: int, *, daily: bool) -> Sequence[Interval]:
    """The intervals a balance may compare: those from `since` that the register covers from end to end."""
    buckets = record.days if daily else record.quarters
    return [bucket.interval for bucket in buckets if is_whole(bucket.interval) and bucket.interval.start >= since]


def is_whole(interval: Interval) -> bool:
    """Whether its register covers it from end to end."""
    return interval.known_ns == interval.end - interval.start
