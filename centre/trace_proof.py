"""The steps that prove a meter's quantity: its register at the ends of each stretch of days, reading by reading."""

from dataclasses import replace

from centre.accounting.registers import Sample
from centre.accounting.utilities import TRADE
from centre.records import MeterRecord
from centre.steam import MASS_UNIT, Steam
from centre.store.base import Store
from centre.trace import Part, Rule, Step
from centre.trace_build import Builder
from centre.trace_manual import manual_stretches
from centre.trace_registers import Edge, Event, Stretch, stretches
from centre.trace_steam import mass_step, since, steam_at, steam_step


async def with_registers(build: Builder, name: str, record: MeterRecord, store: Store) -> None:
    """Give the meter's step the readings that prove it."""
    found = await stretches(store, record.points, record.wire_days)
    if record.manual is not None and not (record.points.integrated and record.wire_days):
        found = (*manual_stretches(record.manual, record.manual_days), *found)
    proof = tuple(_stretch(build, record, one) for one in found)
    build.steps[name] = replace(build.steps[name], proof=proof)


def _stretch(build: Builder, record: MeterRecord, found: Stretch) -> Part:
    parts: list[Part] = []
    for first, last in found.runs:
        if first != last:
            steam = steam_at(record, first.old.at)
            parts += [_edge(build, record, last, steam), _edge(build, record, first, steam)._replace(sign=-1)]
            parts += [] if steam is None else _steam(build, record, first, last, steam)
    for event in found.events:
        parts.append(_event(build, record, event))
    name = build.series(record)
    words = "end of the register - beginning, scaled" if not found.events else "plain runs of the register and events"
    return build.add(
        Step(
            id=f"register:{name}@{build.clock(found.begin.at)}..{build.clock(found.end.at)}", rule=Rule.SUM,
            words=words, value=found.amount, unit=record.points.unit, parts=tuple(parts),
        )
    )  # fmt: skip


def _steam(build: Builder, record: MeterRecord, first: Edge, last: Edge, steam: Steam) -> list[Part]:
    """Beside a run: its mass, and what a kilogram of it is worth."""
    factor = first.scale / steam.kwh_per_kg  # what the register is scaled by to show kilograms
    ends = [_edge(build, record, edge._replace(scale=factor), None, unit=MASS_UNIT) for edge in (last, first)]
    name = f"mass:{build.series(record)}@{build.clock(first.at)}..{build.clock(last.at)}"
    beside = (mass_step(build, name, *ends), steam_step(build, record, steam))
    return [part._replace(sign=0) for part in beside]


def _edge(
    build: Builder, record: MeterRecord, found: Edge, steam: Steam | None, *, unit: str | None = None
) -> Part:  # fmt: skip
    readings = (_reading(build, record, found.old), _reading(build, record, found.new))
    what = "edge" if unit is None else "mass_at"
    state = (
        "" if steam is None else f" of steam since {since(build, steam)}"
    )  # one time may end one state and begin one
    stated = record.points.rule.stated_at(found.old.at)
    conditions = "" if stated is None else f" (m3 at {stated} -> {TRADE})"
    return build.add(
        Step(
            id=f"{what}:{build.series(record)}@{build.clock(found.at)}{state}",
            rule=Rule.INTERPOLATED,
            words=f"between two readings, x {found.scale}{conditions}",
            value=found.value,
            unit=unit or record.points.unit,
            parts=readings,
            ratio=str(found.scale),
            at_ns=found.at,
        )
    )


def _reading(build: Builder, record: MeterRecord, found: Sample) -> Part:
    return build.add(
        Step(
            id=f"reading:{build.series(record)}@{build.clock(found.at)}", rule=Rule.READING,
            words=record.said(found.at) or "raw register", value=found.value, unit=record.points.register_unit,
            at_ns=found.at,
        )
    )  # fmt: skip


def _event(build: Builder, record: MeterRecord, found: Event) -> Part:
    since = "" if found.since is None else f"/{build.clock(found.since)}"
    readings = (_reading(build, record, found.old), _reading(build, record, found.new))
    if found.amount is None:  # they say that it is not known, and make no amount
        readings = (readings[0]._replace(sign=0), readings[1]._replace(sign=0))
    part = build.add(
        Step(
            id=f"event:{build.series(record)}@{build.clock(found.new.at)}{since}", rule=Rule.GIVEN, words=found.what,
            value=found.amount, unit=record.points.unit, parts=readings, at_ns=found.new.at,
            reason=None if found.amount is not None else "not_known",
        )
    )  # fmt: skip
    return part if found.amount is not None else part._replace(sign=0)
