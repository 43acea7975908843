"""load_profile(path) -> Profile: the YAML of one meter model, checked; errors name file, line and key."""

import difflib
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from drivers.modbus.computed_file import ComputedModel, Mistake, build_computed, build_probes, build_settings
from drivers.modbus.plan import PlanError, plan
from drivers.modbus.point_file import PointBuilder, PointMistake, PointModel, Sentinels, ValueTypeText
from drivers.modbus.profile import MAX_REGISTERS, Family, Limits, Medium, Point, Profile, Span, Table, WordOrder
from drivers.modbus.profile_extends import Bases, base_file, extended, no_bases
from drivers.modbus.sunspec import usual_place
from wattline.errors import ConfigError
from wattline.strict_yaml import Document, Strict, load_file, validate
from wattline.units import Duration

_ID: Final = r"[a-z0-9]+(-[a-z0-9]+)*"
_SERIAL: Final = r"(1200|2400|4800|9600|19200|38400|57600|115200) 8(N1|N2|E1|O1)"
_LONGEST_S: Final = 30  # as of `timeout` in agent.yaml
_SPAN: Final = re.compile(r"(0x[0-9A-Fa-f]+|\d+)(?:\.\.(0x[0-9A-Fa-f]+|\d+))?")


def _span(value: object) -> object:
    """A range of printed addresses: `75..77`, `"0x000B"`, 75."""
    match = _SPAN.fullmatch(str(value))
    if match is None:
        raise ValueError("must be an address or a range of addresses such as 75..77 or 0x10..0x1F")
    first = int(match[1], 0)
    last = int(match[2], 0) if match[2] else first
    if last < first:
        raise ValueError(f"{match[0]} ends before it starts")
    return first, last


_SPAN_SCHEMA: Final = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^{_SPAN.pattern}$"}]
}
PrintedSpan = Annotated[tuple[int, int], BeforeValidator(_span), WithJsonSchema(_SPAN_SCHEMA)]


def _seconds_of_a_bus(value: Decimal) -> Decimal:
    if value > _LONGEST_S:
        raise ValueError(f"is more than {_LONGEST_S}s: all other meters of the bus would wait for this one")
    return value


PrintedDuration = Annotated[
    Duration,
    AfterValidator(_seconds_of_a_bus),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9.]+ ?(ms|s|min|h|d)$"}),
]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class _Manual(Strict):
    title: Text
    pages: str | int | None = None


class _Modbus(Strict):
    default_unit: Annotated[int, Field(ge=0, le=255)] = 1
    serial: Annotated[str, StringConstraints(pattern=f"^{_SERIAL}$")] | None = None
    table: Table = Table.HOLDING
    word_order: WordOrder = WordOrder.BIG
    address_base: Literal[0, 1, 30001, 40001] = 0
    address_offset: Annotated[int, Field(ge=-0xFFFF, le=0xFFFF)] = 0
    sentinels: Mapping[ValueTypeText, Sentinels] = Field(default_factory=dict)
    sunspec: tuple[Annotated[int, Field(ge=1, lt=0xFFFF)], ...] = ()


class _Limits(Strict):
    max_registers: Annotated[int, Field(ge=1, le=MAX_REGISTERS)] = MAX_REGISTERS
    max_gap: Annotated[int, Field(ge=0, le=MAX_REGISTERS)] = 0
    even_addresses: bool = False
    forbidden: tuple[PrintedSpan, ...] = ()
    blocks: tuple[PrintedSpan, ...] = ()
    min_pause: PrintedDuration = Decimal(0)
    timeout: PrintedDuration = Decimal(0)


class ProfileModel(Strict):
    """The keys of a profile's file; what they mean is told in docs/add-a-meter.md and in Profile."""

    id: Annotated[str, StringConstraints(pattern=f"^{_ID}$", max_length=64)]
    manufacturer: Text
    model: Text
    medium: Medium
    manual: _Manual
    sources: tuple[Text, ...] = ()
    notes: str = ""
    modbus: _Modbus = _Modbus()
    limits: _Limits = _Limits()
    requires: Mapping[str, int] = Field(default_factory=dict)
    before_reading: Mapping[str, int] = Field(default_factory=dict)
    identify: Mapping[str, int | str | tuple[int | str, ...]] = Field(default_factory=dict)
    computed: Mapping[str, ComputedModel] = Field(default_factory=dict)
    points: Annotated[Mapping[str, PointModel], Field(min_length=1)]


def load_profile(path: Path, bases: Bases = no_bases) -> Profile:
    """The profile in `path`; raises ConfigError with a line for each mistake. The file is named `<id>.yaml`.

    `bases` finds the file of the profile that this one extends.
    """
    document = load_file(path)
    whole = extended(document, bases)
    try:
        profile = build_profile(whole)
    except ConfigError:
        base = base_file(document, bases)
        if base is not None:  # what is wrong there is told there
            load_profile(base, bases)
        raise
    if path.stem != profile.id:
        raise ConfigError(f"{path}:1: id: is {profile.id!r}, so the file's name must be {profile.id}.yaml")
    return profile


def build_profile(document: Document) -> Profile:
    """The profile of a loaded document; raises ConfigError."""
    model = validate(ProfileModel, document)
    mistakes: list[Mistake] = []
    build = PointBuilder(
        table=model.modbus.table,
        word_order=model.modbus.word_order,
        base=model.modbus.address_base
        - model.modbus.address_offset
        - (usual_place(model.modbus.sunspec) if model.modbus.sunspec else 0),
        sentinels=model.modbus.sentinels,
    )
    points: dict[str, Point] = {}
    for name, written in model.points.items():
        try:
            points[name] = build(name, written)
        except PointMistake as err:
            mistakes.append((("points", name, *err.keys), str(err)))
    limits = _limits(model.limits, build.base)
    mistakes += _multiplier_mistakes(points)
    mistakes += _overlap_mistakes(points.values())
    computed = build_computed(model.computed, points, mistakes)
    probes = build_probes(model.identify, points, mistakes)
    settings = build_settings(model.requires, model.before_reading, points, mistakes)
    mistakes += _plan_mistakes(points.values(), limits)
    if mistakes:
        raise ConfigError("\n".join(str(document.error(path, text)) for path, text in mistakes))
    manual = model.manual
    return Profile(
        id=model.id,
        manufacturer=model.manufacturer,
        model=model.model,
        medium=model.medium,
        manual=manual.title if manual.pages is None else f"{manual.title}, p. {manual.pages}",
        sources=model.sources,
        notes=model.notes.strip(),
        default_unit=model.modbus.default_unit,
        serial=model.modbus.serial,
        limits=limits,
        points=points,
        computed=computed,
        probes=probes,
        sunspec=model.modbus.sunspec,
        settings=settings,
    )


def _limits(written: _Limits, base: int) -> Limits:
    def on_wire(spans: Iterable[PrintedSpan]) -> tuple[Span, ...]:
        return tuple((first - base, last - base) for first, last in spans)

    return Limits(
        max_registers=written.max_registers,
        max_gap=written.max_gap,
        even_addresses=written.even_addresses,
        forbidden=on_wire(written.forbidden),
        blocks=on_wire(written.blocks),
        min_pause_s=float(written.min_pause),
        timeout_s=float(written.timeout),
    )


def _multiplier_mistakes(points: Mapping[str, Point]) -> Iterable[Mistake]:
    for point in points.values():
        for place, name in enumerate(point.multiply_by):
            at = ("points", point.name, "multiply_by", place)
            multiplier = points.get(name)
            if multiplier is None:
                near = difflib.get_close_matches(name, points, n=2)
                yield at, f"{name} is no point of this file" + (f"; near it: {', '.join(near)}" if near else "")
            elif multiplier.multiply_by or multiplier.type.family is Family.ASCII or multiplier.form:
                yield at, f"{name} must be a plain number without multiply_by of its own"


def _overlap_mistakes(points: Iterable[Point]) -> Iterable[Mistake]:
    """Two values never share a register in part, unless one of them is given only in a read of its own."""
    ordered = sorted((p for p in points if not p.alone), key=lambda p: (p.table, p.address, p.end))
    for before, point in pairwise(ordered):
        same = (before.address, before.end) == (point.address, point.end)
        if before.table is point.table and point.address < before.end and not same:
            yield (
                ("points", point.name, "address"),
                f"begins within {before.name} ({before.type}): the address or type of one of them is wrong",
            )


def _plan_mistakes(points: Iterable[Point], limits: Limits) -> Iterable[Mistake]:
    for point in points:
        try:
            (block,) = plan((point,), limits)
        except PlanError as err:
            yield ("points", point.name), str(err)
            continue
        if block.count > MAX_REGISTERS or block.address + block.count > 0x10000:
            yield ("points", point.name), f"its block {block} is more than one read may bring"
