"""What is known of a product in a period, or of one batch of it, as a study of its footprint; pure.

A batch has what the meters of its node took in while it was made, by quarters of an hour; a quarter that it shares with
what was before or after it is divided by time. Batches made at the same time at the same node share what was taken in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from centre.accounting.allocation import Shares, shares
from centre.accounting.coal_equivalent import net
from centre.accounting.intervals import Interval
from centre.accounting.product import CutOff, Flow, Kind, Study
from centre.accounting.quality import flag_shares
from centre.accounting.terms import ZERO, Input, rounded
from centre.accounting.time_of_use import Piece, energy_by_band
from centre.accounting.zones import local_day, local_time
from centre.carriers import CARRIERS, Carrier
from centre.carriers import Flow as Way
from centre.day import NO_DATA
from centre.product_shares import Sharing, by_rows
from centre.production import Produced, Production
from centre.records import MeterRecord
from centre.statement import NodeStatement

BOUNDARY: Final = "gate_to_gate"
CUT_OFFS: Final = (
    CutOff(label="materials", why="no bill of materials was entered"),
    CutOff(label="transport", why="no transports were entered"),
    CutOff(label="waste", why="no waste of the product was entered"),
)
_OF_BATCH: Final = (
    CutOff(label="idle", why="what the node took in between batches"),
    CutOff(label="fuels", why="fuels that forms tell by the month"),
)
_KINDS: Final = {
    Carrier.ELECTRICITY: (Kind.ENERGY, "electricity"),
    Carrier.NATURAL_GAS: (Kind.FUEL, "natural_gas"),
    Carrier.HEAT: (Kind.ENERGY, "purchased_heat"),
    Carrier.FRESH_WATER: (Kind.ENERGY, "fresh_water"),
    Carrier.COMPRESSED_AIR: (Kind.ENERGY, "compressed_air"),
    Carrier.COMPRESSED_AIR: (Kind.ENERGY, "compressed_air"),
}


def period_study(item: Production, node: NodeStatement, sharing: Sharing) -> Study:
    """All of a product that a node made in the period of a statement."""
    period = sharing.made.period
    flows = [
        _flow(line.carrier, amount, sharing.of(item, line.carrier))
        for line in node.lines
        for amount in [line.flows.get(Way.IMPORT)]
        if amount is not None
    ]
    flows += [
        Flow(label=fuel.carrier, kind=Kind.FUEL, carrier=fuel.carrier, amount=net(fuel),
             shares=sharing.of(item, fuel.carrier))
        for fuel in node.fuels
    ]  # fmt: skip
    return Study(
        product=item.product,
        begin=period.first,
        end=period.last,
        boundary=BOUNDARY,
        output=item.output,
        scrap=item.scrap,
        flows=flows,
        cut_offs=CUT_OFFS,
    )


def _flow(carrier: Carrier, amount: Input, part: Shares | None) -> Flow:
    kind, name = _KINDS[carrier]
    return Flow(label=carrier.value, kind=kind, carrier=name, amount=amount, shares=part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A meter while it counted for the node of a batch: [start, end) in UTC ns."""

    record: MeterRecord
    start: int
    end: int

    def within(self, start: int, end: int) -> "Stretch":
        """The part of it in [start, end); empty where it begins at or after its end."""
        return replace(self, start=max(start, self.start), end=min(end, self.end))

    def quarters(self) -> list[Interval]:
        """The quarters of an hour that it touches."""
        every = (bucket.interval for bucket in self.record.quarters)
        return [quarter for quarter in every if quarter.start < self.end and quarter.end > self.start]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStudy:
    """A batch with its study; `counted`: what each of its amounts, by id, was counted from; `told`: each key's row."""

    item: Production
    study: Study
    counted: Mapping[str, tuple[Stretch, ...]]
    told: Mapping[str, tuple[Input, ...]]


def batch_study(
    item: Production, together: Sequence[Production], meters: Mapping[Carrier, Sequence[Stretch]], *, site: str,
    zone: tzinfo,
) -> BatchStudy:  # fmt: skip
    """The one row of `item`; `together` are the other batches of its node, each with its one row."""
    row = item.rows[0]
    assert row.begin is not None
    assert row.end is not None
    flows: list[Flow] = []
    counted: dict[str, tuple[Stretch, ...]] = {}
    told: dict[str, tuple[Input, ...]] = {}
    for start, end, running in segments(item, together):
        split = None
        if len(running) > 1:
            rows = {_name(one): _part_of(one, start, end) for one in running}
            split = shares(list(rows), by_rows(rows))
            for one, part in zip(running, rows.values(), strict=True):
                told |= {part.mass.id: (one.mass,), part.value.id: (one.value,)}
        for carrier, stretches in meters.items():
            first, last = local_time(start, zone).isoformat(), local_time(end, zone).isoformat()
            name = f"interval:{site}/{item.node}/{carrier}/import/{first}..{last}"
            inside = [stretch.within(start, end) for stretch in stretches]
            counted[name] = tuple(part for part in inside if part.start < part.end)
            flows.append(_flow(carrier, _amount(name, CARRIERS[carrier].unit, counted[name]), split))
    return BatchStudy(
        item=item,
        study=Study(
            product=_name(item),
            begin=local_day(row.begin, zone),
            end=local_day(row.end - 1, zone),
            boundary=BOUNDARY,
            output=row.output,
            scrap=row.scrap,
            flows=flows,
            cut_offs=(*CUT_OFFS, *_OF_BATCH),
        ),
        counted=counted,
        told=told,
    )


def segments(item: Production, together: Sequence[Production]) -> list[tuple[int, int, tuple[Production, ...]]]:
    """[start, end) of a batch taken apart where another begins or ends, with all that were made then."""
    begin, end = _time(item)
    near = [other for other in together if _time(other)[0] < end and _time(other)[1] > begin]
    cuts = sorted({begin, end, *(at for other in near for at in _time(other) if begin < at < end)})
    return [
        (a, b, (item, *(other for other in near if _time(other)[0] < b and _time(other)[1] > a)))
        for a, b in pairwise(cuts)
    ]


def _part_of(one: Production, start: int, end: int) -> Produced:
    """What of a batch falls into a stretch of time, as if it were made evenly over its own."""
    row = one.rows[0]
    begin, over = _time(one)
    part = Fraction(end - start, over - begin)

    def of(key: Input) -> Input:
        value = None if key.value is None else rounded(Fraction(key.value) * part)
        return replace(key, id=f"{key.id} x {part}", value=value)

    return replace(row, mass=of(row.mass), value=of(row.value))


def _amount(name: str, unit: str, stretches: Sequence[Stretch]) -> Input:
    """The sum of the meters; unknown as long as one of them misses a moment."""
    value: Decimal = ZERO
    for stretch in stretches:
        piece = Piece(start=stretch.start, end=stretch.end, version="", band="")
        [found] = energy_by_band(stretch.quarters(), [piece])
        if found.missing_ns or any(quarter.open for quarter in stretch.quarters()):
            reason = f"{stretch.record.points.meter.device}: {NO_DATA}"
            return Input(id=name, value=None, unit=unit, reason=reason)
        value += found.amount
    met = [quarter for stretch in stretches for quarter in stretch.quarters()]
    return Input(id=name, value=value, unit=unit, shares=flag_shares(met))


def _name(item: Production) -> str:
    return f"{item.product}, {item.rows[0].id}"


def _time(item: Production) -> tuple[int, int]:
    row = item.rows[0]
    assert row.begin is not None
    assert row.end is not None
    return row.begin, row.end
