"""The steps of an hour of a gauge: what is summed up and over what, and the readings whose values held in it."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Context, Decimal
from typing import Final, NamedTuple

from centre.accounting.gauge_sums import HOUR_NS, Reading, Sums, common, pieces
from centre.gauge_hours import GaugeHours, Source
from centre.outlets import Gauge
from centre.trace import Part, Rule, Step
from centre.trace_build import Builder

FLOW_UNIT: Final = "m3/h"
_WIDE: Final = Context(prec=200)


class _Held(NamedTuple):
    """Between `start` and `end` two readings hold: of what is measured, and of what flows, where it counts by that."""

    start: int
    end: int
    value: Reading
    flow: Reading | None


def sums(build: Builder, source: Source, unit: str, start: int, found: Sums) -> tuple[Part, Part]:
    """What is summed up in the hour from `start` on, and what it is divided by."""
    weight = _weight(source)
    total, below = _ids(build, source, start)
    build.add(Step(id=total, rule=Rule.GIVEN, words="value x weight", value=found.total, unit=f"{unit} x {weight}"))
    build.add(Step(id=below, rule=Rule.GIVEN, words="weights", value=found.weight, unit=weight))
    return Part(total), Part(below, -1)


async def with_readings(build: Builder, gauges: GaugeHours, source: Source, unit: str, start: int) -> None:
    """Give the sums of an hour the readings that make them; raises StoreError."""
    site, since, end = build.made.site, start - source.hold_ns, start + HOUR_NS
    values = await gauges.readings(site, source.gauge, since, end)
    flow = None if source.flow is None else await gauges.readings(site, source.flow, since, end)
    total, below = _ids(build, source, start)
    parts: list[Part] = []
    weights: list[Part] = []
    for held in _held(values, flow, start, source.hold_ns):
        at = f"{total.partition(':')[2].rpartition('@')[0]}@{build.clock(held.start)}"
        reading = _reading(build, source.gauge, held.value, unit)
        through = None if held.flow is None or source.flow is None else (source.flow, held.flow)
        beside = () if through is None else (_reading(build, *through, FLOW_UNIT),)
        number = held.value.value or Decimal(0)
        by = Decimal(1) if held.flow is None or held.flow.value is None else held.flow.value
        length = held.end - held.start
        parts.append(
            build.add(
                Step(
                    id=f"held:{at}", rule=Rule.FRACTION, words="value x weight",
                    value=_WIDE.multiply(_WIDE.multiply(number, by), length), unit=build.steps[total].unit,
                    parts=(reading, *beside), ratio=str(length),
                )
            )
        )  # fmt: skip
        weights.append(
            build.add(
                Step(
                    id=f"share:{at}", rule=Rule.FRACTION if beside else Rule.GIVEN, words="weight",
                    value=_WIDE.multiply(by, length), unit=_weight(source), parts=beside, ratio=str(length),
                )
            )
        )  # fmt: skip
    for name, made in ((total, parts), (below, weights)):
        build.steps[name] = replace(build.steps[name], rule=Rule.SUM, parts=tuple(made))


def _held(values: Sequence[Reading], flow: Sequence[Reading] | None, start: int, hold_ns: int) -> Iterator[_Held]:
    known = pieces(values, start, start + HOUR_NS, hold_ns)
    if flow is None:
        for piece in known:
            yield _Held(piece.start, piece.end, _at(values, piece.start), None)
        return
    for since, until, _, _ in common(known, pieces(flow, start, start + HOUR_NS, hold_ns)):
        yield _Held(since, until, _at(values, since), _at(flow, since))


def _at(readings: Sequence[Reading], at: int) -> Reading:
    """The one that holds."""
    return readings[bisect_right(readings, at, key=lambda one: one.at) - 1]


def _reading(build: Builder, gauge: Gauge, found: Reading, unit: str) -> Part:
    name = f"reading:{build.made.site}/{gauge.device}/{gauge.point}@{build.clock(found.at)}"
    return build.add(
        Step(id=name, rule=Rule.READING, words="as it was read", value=found.value, unit=unit, at_ns=found.at)
    )


def _ids(build: Builder, source: Source, start: int) -> tuple[str, str]:
    by = "" if source.flow is None else f" by {source.flow.device}/{source.flow.point}"
    label = f"{build.made.site}/{source.gauge.device}/{source.gauge.point}{by}@{build.clock(start)}"
    return f"total:{label}", f"weight:{label}"


def _weight(source: Source) -> str:
    return "ns" if source.flow is None else f"{FLOW_UNIT} x ns"
