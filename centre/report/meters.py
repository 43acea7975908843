"""The meters of a plant as an auditor asks for them: the ledger, and how much each level of GB 17167 measures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from centre.accounting.terms import ZERO, rounded
from centre.carriers import Carrier, Flow
from centre.day import Place, place_of
from centre.entities import Entity, EntityMeter
from centre.records import MeterRecord, Records
from centre.report.document import Cell, Table, Word, short
from centre.statement import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the entities tell of a meter, and whose it is."""

    entity: Entity
    meter: EntityMeter


def meter_tables(made: Statement, records: Records, entities: Sequence[Entity]) -> tuple[Table, Table]:
    """The ledger, and the share of each level."""
    known = _known(entities, made.period.last)
    return _ledger(records, known, made.dates.run_on), _levels(records, known)


def _known(entities: Sequence[Entity], day: date) -> Mapping[Place, _Known]:
    """Of a meter that was moved, where it was on `day`, or last."""
    found: dict[Place, _Known] = {}
    dated = [(meter.since or date.min, entity, meter) for entity in entities for meter in entity.meters]
    for since, entity, meter in sorted(dated, key=lambda one: one[0]):
        if since <= day:
            found[place_of(meter.meter)] = _Known(entity=entity, meter=meter)
    return found


def _ledger(records: Records, known: Mapping[Place, _Known], today: date) -> Table:
    rows = tuple(_meter(record, known.get(place), today) for place, record in sorted(records.items()))
    columns = ("device", "node", "level", "cost_centre", "model", "serial", "carrier", "flow", "counter", "accuracy",
               "calibration_due", "overdue", "quantity", "unit", "completeness", "reason")  # fmt: skip
    return Table(key="meters", columns=columns, rows=rows)


def _meter(record: MeterRecord, known: _Known | None, today: date) -> tuple[Cell, ...]:
    points = record.points
    told = None if known is None else known.meter
    due = None if told is None else told.calibration_due
    serials = [] if told is None else [epoch.serial for epoch in told.epochs if epoch.serial is not None]
    centre = None if known is None else known.meter.cost_centre or known.entity.cost_centre
    return (
        points.meter.device, None if known is None else known.entity.id,
        None if told is None or told.level is None else str(told.level), centre,
        None if points.info is None else points.info.profile, serials[-1] if serials else None,
        Word(f"carrier_{points.meter.carrier}"), Word(f"flow_{points.meter.flow}"),
        None if record.counter is None else record.counter.point, points.meter.accuracy,
        None if due is None else due.isoformat(), None if due is None else Word("is" if due < today else "is_not"),
        None if record.amount is None else short(record.amount), points.unit, record.count.completeness, record.reason,
    )  # fmt: skip


def _levels(records: Records, known: Mapping[Place, _Known]) -> Table:
    """What the meters of a level counted coming in, against those of level 1; what is made on the site came in too."""
    rows: list[tuple[Cell, ...]] = []
    for carrier in Carrier:
        of_level: dict[int, list[MeterRecord]] = {1: [], 2: [], 3: []}
        for place, record in records.items():
            told = known.get(place)
            level = None if told is None else told.meter.level
            if (
                record.points.meter.carrier is carrier
                and record.points.meter.flow is not Flow.EXPORT
                and level in of_level
            ):
                of_level[level].append(record)
        whole = _sum(of_level[1])
        for level, found in of_level.items():
            amount = _sum(found)
            share = rounded(Fraction(amount) / Fraction(whole) * 100, 2) if amount is not None and whole else None
            counted = None if amount is None else short(amount)
            lost = ", ".join(f"{one.points.meter.device}: {one.reason}" for one in found if one.amount is None)
            if of_level[1] or found:
                rows.append(
                    (
                        Word(f"carrier_{carrier}"), str(level), str(len(found)), counted,
                        (found or of_level[1])[0].points.unit, share, lost or None,
                    )
                )  # fmt: skip
    columns = ("carrier", "level", "meter_count", "quantity", "unit", "measured_percent", "reason")
    return Table(key="meter_levels", columns=columns, rows=tuple(rows))


def _sum(records: Sequence[MeterRecord]) -> Decimal | None:
    if any(record.amount is None for record in records):
        return None
    return sum((record.amount or ZERO for record in records), ZERO)
