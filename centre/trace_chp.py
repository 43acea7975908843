"""Why heat or power of a CHP plant has its part of the fuel, the coal equivalent or the CO2: the steps of its split."""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Final

from centre.accounting.chp import Method, Split
from centre.accounting.ratios import in_unit
from centre.accounting.terms import RATIO, ZERO, Input
from centre.carriers import Flow
from centre.chp_plants import OUTPUTS
from centre.statement_chp import ChpMonth, Of, burnt_amount
from centre.trace import Part, Rounding, Rule, Step
from centre.trace_build import Builder

CHP: Final = "chp/"
_WIDE: Final = 200


def chp(build: Builder, detail: str) -> str | None:
    """The id of the step of `PLANT/OF`, such as `engine/carbon`; None where there is none of this name."""
    id_, _, of = detail.partition("/")
    found = next((one for one in build.made.chps if one.plant.id == id_), None)
    if found is None or of not in set(Of):
        return None
    name = f"{build.made.site}/{CHP}{id_}/{of}/{build.made.period.label}"
    parted = found.splits[Of(of)]
    whole = _whole(build, found, Of(of))
    heat = _heat(build, found, parted, whole, f"{name}/heat")
    power = _sum(build, f"{name}/power", "what the heat leaves", _known(parted, parted.power), (whole, _less(heat)))
    given = _known(parted, parted.split.value if parted.heat is not None else None)
    return _sum(build, name, "to heat + to power", given, (heat, power)).id


def _known(parted: Split, value: Decimal | None) -> Input:
    return Input(id=parted.split.id, value=value, unit=parted.split.unit, reason=parted.reason)


def _less(part: Part) -> Part:
    return part._replace(sign=-1)


def _sum(build: Builder, id_: str, words: str, found: Input, parts: Sequence[Part]) -> Part:
    """A sum; where the split has no value its parts stand beside it."""
    shown = parts if found.value is not None else [part._replace(sign=0) for part in parts]
    return build.sum(id_, words, found, shown)


def _heat(build: Builder, found: ChpMonth, parted: Split, whole: Part, id_: str) -> Part:
    plant = found.plant
    parts = (whole, *_weights(build, found))
    why = f"method {plant.method}, stated by `chp` {plant.id}"
    return build.add(
        Step(
            id=id_, rule=Rule.FRACTION, words=f"to heat: {plant.method}", value=parted.heat, unit=parted.split.unit,
            parts=parts if parted.heat is not None else tuple(part._replace(sign=0) for part in parts),
            rounding=Rounding.NINE, why=why, reason=None if parted.heat is not None else parted.reason,
        )
    )  # fmt: skip


def _weights(build: Builder, found: ChpMonth) -> tuple[Part, ...]:
    """What the whole is multiplied and divided by."""
    plant, name = found.plant, f"chp:{found.plant.id}/{build.made.period.label}"
    heat, power = (_output(build, found, key, f"{name}/{key}") for key in OUTPUTS)
    if plant.method is Method.REFERENCE_BOILER and plant.reference is not None:
        told = plant.reference
        boiler = Step(
            id=f"boiler:{told.id}", rule=Rule.FACTOR, words="heat of a boiler / its fuel", unit=RATIO,
            value=told.boiler_efficiency, why=f"config/chp.yaml: {told.source}, confirmed: {told.confirmed}",
        )  # fmt: skip
        return heat, _less(build.add(boiler)), _less(_whole(build, found, Of.FUEL))
    if plant.method is Method.EXERGY and plant.supply_c is not None and plant.ambient_c is not None:
        heat, power = _exergies(build, name, heat, power, supply=plant.supply_c, ambient=plant.ambient_c)
    return heat, _less(_joined(build, f"{name}/made", (heat, power)))


def _exergies(
    build: Builder, name: str, heat: Part, power: Part, *, supply: Decimal, ambient: Decimal
) -> tuple[Part, Part]:  # fmt: skip
    """Both times the absolute temperature of the supply, so that nothing has to be rounded."""

    def given(kind: str, words: str, value: Decimal) -> Part:
        return build.add(Step(id=f"{name}/{kind}", rule=Rule.GIVEN, words=words, value=value, unit="degC"))

    hot = given("supply", "temperature of the supply", supply)
    cold = _less(given("ambient", "temperature of the surroundings", ambient))
    zero = given("zero", "absolute zero below 0 C", Decimal("273.15"))
    drop = _joined(build, f"{name}/drop", (hot, cold))
    above = _joined(build, f"{name}/absolute", (hot, zero))
    return _times(build, f"{name}/heat-exergy", heat, drop), _times(build, f"{name}/power-exergy", power, above)


def _joined(build: Builder, id_: str, parts: Sequence[Part]) -> Part:
    """The exact sum of steps of one unit; None as long as one of them is."""
    steps = [build.steps[part.id] for part in parts]
    lost = next((step for step in steps if step.value is None), None)
    with localcontext(prec=_WIDE):
        value = sum((part.sign * (step.value or ZERO) for part, step in zip(parts, steps, strict=True)), ZERO)
    reason = None if lost is None else f"{lost.id}: {lost.reason}"
    whole = Input(id=id_, value=None if lost is not None else value, unit=steps[0].unit, reason=reason)
    return build.sum(id_, "the sum of its parts", whole, parts)


def _times(build: Builder, id_: str, one: Part, other: Part) -> Part:
    first, second = build.steps[one.id], build.steps[other.id]
    with localcontext(prec=_WIDE):
        value = None if first.value is None or second.value is None else first.value * second.value
    return build.add(
        Step(id=id_, rule=Rule.FRACTION, words="energy x temperature", value=value, unit="GJ.K", parts=(one, other),
             reason=first.reason)
    )  # fmt: skip


def _output(build: Builder, found: ChpMonth, key: str, id_: str) -> Part:
    """What came out, in GJ, by its meter."""
    plant = found.splits[Of.FUEL].plant
    counted = plant.heat if key == "heat" else plant.power
    device = found.plant.heat if key == "heat" else found.plant.power
    record = build.records.get((device, OUTPUTS[key], Flow.GENERATION))
    parts = () if record is None else (build.meter(record),)
    return build.sum(id_, f"{key} that came out", in_unit(counted, "GJ"), parts, rounding=Rounding.NINE)


def _whole(build: Builder, found: ChpMonth, of: Of) -> Part:
    """What is split: the fuel by its calorific value, or the line of the node's total."""
    fuel, node, period = found.plant.fuel, found.node, build.made.period.label
    if of is Of.FUEL:
        amount, burnt = burnt_amount(fuel, node), found.terms[of]
        if amount is None:
            lost = Step(id=f"chp-fuel:{found.plant.id}/{period}", rule=Rule.GIVEN, words=fuel, value=None,
                        unit=burnt.unit, reason=burnt.reason)  # fmt: skip
            return build.add(lost)
        return build.multiplied(f"chp-fuel:{found.plant.id}/{period}", burnt, build.input(amount, node))
    kind, total = ("tce/calorific", node.energy.calorific) if of is Of.ENERGY else ("scope1", node.scope1)
    name = build.total(f"{build.made.site}/{node.id}/{kind}/{period}", total, node)
    place = next((place for place, term in enumerate(total.terms, 1) if term.label == fuel), None)
    if place is None:
        lost = Step(id=f"{name}#{fuel}", rule=Rule.GIVEN, words=fuel, value=None, unit=found.terms[of].unit,
                    reason=found.terms[of].reason)  # fmt: skip
        return build.add(lost)
    return Part(f"{name}#{place}-{fuel}")
