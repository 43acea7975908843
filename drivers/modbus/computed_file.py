"""Sections of a profile that name its points: `computed`, `identify`, `requires` and `before_reading`."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import Field

from drivers.modbus.point_file import Number, PointMistake, quantity_named
from drivers.modbus.profile import Computed, Family, Point, Probe, Setting, Table
from metering.quantities import Kind
from wattline.strict_yaml import KeyPath, Strict

Mistake = tuple[KeyPath, str]
Values = int | str | tuple[int | str, ...]


class ComputedModel(Strict):
    """The keys of one computed value: sums of points, less other points."""

    plus: Annotated[tuple[str, ...], Field(min_length=1)]
    minus: tuple[str, ...] = ()
    rollover: Annotated[Number, Field(gt=0)] | None = None
    on_request: bool = False
    note: str = ""


def build_computed(
    written: Mapping[str, ComputedModel], points: Mapping[str, Point], mistakes: list[Mistake]
) -> dict[str, Computed]:
    """The computed values by name; what is wrong with one is added to `mistakes`."""
    computed: dict[str, Computed] = {}
    for name, model in written.items():
        try:
            computed[name] = _computed(name, model, points)
        except PointMistake as err:
            mistakes.append((("computed", name, *err.keys), str(err)))
    return computed


def _computed(name: str, written: ComputedModel, points: Mapping[str, Point]) -> Computed:
    quantity = quantity_named(name)
    if name in points:
        raise PointMistake("is a point of this file already")
    if quantity.kind is Kind.STATE:
        raise PointMistake("a state cannot be computed")
    if quantity.kind is Kind.COUNTER and written.minus:
        raise PointMistake("a counter less another one is no counter: leave the difference to the centre", "minus")
    if quantity.kind is not Kind.COUNTER and written.rollover is not None:
        raise PointMistake(f"is the value at which a counter starts again; this is a {quantity.kind}", "rollover")
    for key, names in (("plus", written.plus), ("minus", written.minus)):
        for part in names:
            point = points.get(part)
            if point is None:
                raise PointMistake(f"{part} is no point of this file{_near(part, points)}", key)
            if point.unit != quantity.unit:
                raise PointMistake(f"{part} is in {point.unit}, and this is in {quantity.unit}", key)
    return Computed(
        name=name,
        quantity=quantity,
        plus=written.plus,
        minus=written.minus,
        rollover=written.rollover,
        on_request=written.on_request,
        verified=all(points[part].verified for part in (*written.plus, *written.minus)),
        note=written.note,
    )


def build_probes(
    written: Mapping[str, Values], points: Mapping[str, Point], mistakes: list[Mistake]
) -> tuple[Probe, ...]:
    """The probes; what is wrong with one is added to `mistakes`."""
    probes: list[Probe] = []
    for name, given in written.items():
        values = given if isinstance(given, tuple) else (given,)
        mistakes += ((("identify", name), text) for text in _probe_mistakes(name, values, points))
        probes.append(Probe(name=name, values=values))
    return tuple(probes)


def _probe_mistakes(name: str, values: tuple[int | str, ...], points: Mapping[str, Point]) -> Iterable[str]:
    point = points.get(name)
    if point is None:
        yield f"is no point of this file{_near(name, points)}"
    elif any(isinstance(value, str) is not (point.type.family is Family.ASCII) for value in values):
        yield f"is a {point.type}: it reads {'text' if point.type.family is Family.ASCII else 'numbers'}"


def build_settings(
    required: Mapping[str, int], written: Mapping[str, int], points: Mapping[str, Point], mistakes: list[Mistake]
) -> tuple[Setting, ...]:
    """What the meter must be set to; what is wrong with one is added to `mistakes`."""
    settings: list[Setting] = []
    for section, values, write in (("requires", required, False), ("before_reading", written, True)):
        for name, value in values.items():
            mistakes += (((section, name), text) for text in _setting_mistakes(name, value, write, points))
            settings.append(Setting(name=name, value=value, write=write))
    return tuple(settings)


def _setting_mistakes(name: str, value: int, write: bool, points: Mapping[str, Point]) -> Iterable[str]:
    point = points.get(name)
    if point is None:
        yield f"is no point of this file{_near(name, points)}"
    elif not point.type.is_integer or point.scale != 1 or point.multiply_by or point.quantity.kind is not Kind.STATE:
        yield "must be a state in whole numbers without scale, such as cfg_..."
    elif write and (point.table is not Table.HOLDING or point.type.family is not Family.UNSIGNED):
        yield "can be written only as an unsigned number in holding registers"
    elif write and not 0 <= value < 1 << 16 * point.type.registers:
        yield f"{value} does not fit a {point.type}"


def _near(name: str, points: Mapping[str, Point]) -> str:
    near = difflib.get_close_matches(name, points, n=2)
    return f"; near it: {', '.join(near)}" if near else ""
