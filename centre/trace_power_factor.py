"""The trace of a month's power factor: the active and the reactive energy of the grid connection."""

from decimal import Decimal

from centre.accounting.power_factor import Adjustment
from centre.accounting.terms import RATIO
from centre.carriers import REACTIVE_UNIT
from centre.day import place_of
from centre.membership import of_span
from centre.period import Period
from centre.statement_cost import billed_spans
from centre.trace import Part, Rule, Step
from centre.trace_build import Builder


def power_factor(build: Builder, name: str, adjusted: Adjustment, month: Period, billed: Part) -> Part:
    """The step of the power factor of a bill's `month`; `billed` is the energy of all its bands."""
    active = billed
    if build.steps[billed.id].value != adjusted.active_kwh:
        active = build.add(
            Step(id=f"{name}/active", rule=Rule.GIVEN, words="with what was bought at no known price",
                 value=adjusted.active_kwh, unit="kWh", parts=(billed._replace(sign=0),))
        )  # fmt: skip
    return build.add(
        Step(
            id=f"{name}/cosphi", rule=Rule.POWER_FACTOR, words="active over apparent energy", value=adjusted.cosphi,
            unit=RATIO, parts=(active._replace(sign=1), _reactive(build, adjusted.reactive_kvarh, month)),
        )
    )  # fmt: skip


def _reactive(build: Builder, energy: Decimal, month: Period) -> Part:
    """What came with it, by the registers of the grid connection."""
    inside = build if build.made.period == month else build.within(month)
    parts = [
        inside.meter(of_span(inside.reactive[place_of(span.meter)], span, month, build.plant.zone))
        for span in billed_spans(build.plant, month, inside.membership)
        if place_of(span.meter) in inside.reactive
    ]
    return build.add(
        Step(
            id=f"reactive:{build.made.site}/{month.label}", rule=Rule.SUM if parts else Rule.GIVEN,
            words="the reactive energy of the grid connection", value=energy, unit=REACTIVE_UNIT, parts=tuple(parts),
        )
    )  # fmt: skip
