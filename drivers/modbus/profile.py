"""Profile and Point: one meter model as its manual describes it, frozen. The YAML side is profile_file.py."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from metering.quantities import QUANTITIES, Quantity
from metering.sweep import PointInfo, Value

MAX_REGISTERS: Final = 125  # of one read; Modbus Application Protocol V1.1b3, 6.3 and 6.4


class Medium(StrEnum):
    """What flows through the meter."""

    ELECTRICITY = "electricity"
    GAS = "gas"
    WATER = "water"
    HEAT = "heat"


class Table(StrEnum):
    """Where a register lives; decides the function code of the read."""

    HOLDING = "holding"
    INPUT = "input"

    @property
    def function(self) -> int:
        """3 for holding, 4 for input registers."""
        return 3 if self is Table.HOLDING else 4


class WordOrder(StrEnum):
    """Which register of a longer value comes first. The bytes inside a register are always big-endian."""

    BIG = "big"  # most significant register first
    LITTLE = "little"  # least significant register first


class Family(StrEnum):
    """How the bits of a value are meant."""

    UNSIGNED = "u"
    SIGNED = "i"
    FLOAT = "f"
    BCD = "bcd"  # one decimal digit per 4 bits
    ASCII = "ascii"  # two characters per register


_TYPE: Final = re.compile(r"(?P<int>[ui])(?P<ibits>16|32|64)|f(?P<fbits>32|64)|bcd(?P<digits>\d+)|ascii(?P<regs>\d+)")
TYPES_HELP: Final = "u16 i16 u32 i32 u64 i64 f32 f64, bcd4 bcd8 bcd12 bcd16 (digits) or ascii1 to ascii32 (registers)"


@dataclass(frozen=True, slots=True)
class ValueType:
    """A register type: family and length in registers. Its text form is the one of the profile: `u32`, `bcd12`."""

    family: Family
    registers: int

    @classmethod
    def parse(cls, text: str) -> "ValueType":
        """The type of its text; ValueError naming the types there are."""
        match = _TYPE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a type: {TYPES_HELP}")
        if match["int"]:
            return cls(Family(match["int"]), int(match["ibits"]) // 16)
        if match["fbits"]:
            return cls(Family.FLOAT, int(match["fbits"]) // 16)
        if match["digits"]:
            registers, rest = divmod(int(match["digits"]), 4)
            if rest or not 1 <= registers <= 4:
                raise ValueError(f"{text!r} has not 4, 8, 12 or 16 digits (4 to a register)")
            return cls(Family.BCD, registers)
        if not 1 <= int(match["regs"]) <= 32:
            raise ValueError(f"{text!r} has not 1 to 32 registers")
        return cls(Family.ASCII, int(match["regs"]))

    @property
    def is_integer(self) -> bool:
        return self.family in {Family.UNSIGNED, Family.SIGNED}

    def __str__(self) -> str:
        size = {Family.BCD: 4, Family.ASCII: 1}.get(self.family, 16)
        return f"{self.family}{self.registers * size}"


class Form(StrEnum):
    """A value that is not simply register x scale."""

    FOUR_QUADRANT_PF = "four_quadrant_pf"
    """Power factor in -2..2 of Schneider's 4Q_FP_PF: beyond +-1 the current leads and the factor is +-2 - x."""
    TENFOLD_FREQUENCY = "tenfold_frequency"
    """Hz, or tenths of Hz in some units of the model: what is above 100 is tenths."""


@dataclass(frozen=True, slots=True)
class Sentinel:
    """The meter's "no data": raw bits, of which those in `mask` must be those of `bits` (most significant first)."""

    bits: int
    mask: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One named value of a meter: value in `unit` = register x `scale` x the factors of the points in `multiply_by`.

    The factor of a point is its value, or what its `as_factor` gives for that value: an exponent register or a unit
    code. A value that is not in `as_factor` gives none, and what is multiplied by it is a fault.
    `address` is the one on the wire, from 0. `minimum`, `maximum` and `rollover` are in `unit`. `sentinels` are
    compared with the raw bits in big word order. `alone`: the meter answers this register only in a read of its own.
    `on_request`: read only when a device names it. `verified`: two independent sources agree on it.
    """

    name: str
    quantity: Quantity
    table: Table
    address: int
    type: ValueType
    word_order: WordOrder = WordOrder.BIG
    scale: Decimal = Decimal(1)
    multiply_by: tuple[str, ...] = ()
    as_factor: tuple[tuple[int, Decimal], ...] = ()
    form: Form | None = None
    sentinels: tuple[Sentinel, ...] = ()
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    rollover: Decimal | None = None
    alone: bool = False
    on_request: bool = False
    verified: bool = True
    note: str = ""

    @property
    def unit(self) -> str:
        return self.quantity.unit

    @property
    def end(self) -> int:
        """The address after its last register."""
        return self.address + self.type.registers

    @property
    def info(self) -> PointInfo:
        return PointInfo(name=self.name, unit=self.unit, kind=self.quantity.kind, modulus=self.rollover)


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A value the meter does not give: the sum of `plus` less the sum of `minus`, names of points of one unit.

    It is a fault when one of them is. `verified` is that of all of them.
    """

    name: str
    quantity: Quantity
    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()
    rollover: Decimal | None = None
    on_request: bool = False
    verified: bool = True
    note: str = ""

    @property
    def unit(self) -> str:
        return self.quantity.unit

    @property
    def needs(self) -> tuple[str, ...]:
        """The points it is made of."""
        return (*self.plus, *self.minus)

    @property
    def info(self) -> PointInfo:
        return PointInfo(name=self.name, unit=self.unit, kind=self.quantity.kind, modulus=self.rollover)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How a model is known: the point `name` reads one of `values` (as delivered: a number, or text)."""

    name: str
    values: tuple[int | str, ...]

    def fits(self, value: Value | None) -> bool:
        return value in self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a meter must be set to: the point `name`, a whole number, must read `value`, else no value counts.

    With `write` it is written where the operator allows it.
    """

    name: str
    value: int
    write: bool = False


Span = tuple[int, int]
"""Addresses on the wire, first and last included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What reads a meter takes.

    `max_gap` is how many registers in a row that no point describes a read may cross. With `even_addresses` a read
    starts at an even address and has an even length. `blocks` are reads the meter answers only whole. `min_pause_s` is
    kept between two requests to the meter; `timeout_s` is how long an answer may take at most.
    """

    max_registers: int = MAX_REGISTERS
    max_gap: int = 0
    even_addresses: bool = False
    forbidden: tuple[Span, ...] = ()
    blocks: tuple[Span, ...] = ()
    min_pause_s: float = 0.0
    timeout_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One meter model: identity, where the facts come from, serial defaults, limits, points by name.

    `probes` tell the model apart from others; all must fit. With `sunspec` the meter is of those SunSpec models, whose
    place is found at first contact; until then the points stand where it usually is (drivers.modbus.sunspec).
    """

    id: str
    manufacturer: str
    model: str
    medium: Medium
    manual: str
    sources: tuple[str, ...]
    notes: str
    default_unit: int
    serial: str | None
    limits: Limits
    points: Mapping[str, Point]
    computed: Mapping[str, Computed] = field(default_factory=dict[str, Computed])
    probes: tuple[Probe, ...] = ()
    sunspec: tuple[int, ...] = ()
    settings: tuple[Setting, ...] = ()

    @property
    def writes(self) -> tuple[Setting, ...]:
        """The settings that are written where they differ and the operator allows it."""
        return tuple(setting for setting in self.settings if setting.write)

    @property
    def standard_points(self) -> tuple[Point, ...]:
        """The points of registers a device delivers when its settings name no points."""
        return tuple(point for point in self.points.values() if not point.on_request)

    def registers_of(self, names: Collection[str]) -> tuple[Point, ...]:
        """The points that must be read to deliver `names`: with multipliers and what is added up."""
        wanted = set(names)
        wanted.update(need for computed in self._computed_of(names) for need in computed.needs)
        wanted.update(name for point in self.points.values() if point.name in wanted for name in point.multiply_by)
        return tuple(point for point in self.points.values() if point.name in wanted)

    def _computed_of(self, names: Collection[str]) -> Iterable[Computed]:
        return (computed for computed in self.computed.values() if computed.name in names)

    def select(self, wanted: Collection[str] | None) -> tuple[Point | Computed, ...]:
        """The points named in `wanted` (names of points, or of quantities for all their standard points).

        None is all standard points. In the order of the profile. ValueError names what is unknown, and what is near.
        """
        every: tuple[Point | Computed, ...] = (*self.points.values(), *self.computed.values())
        standard = tuple(point for point in every if not point.on_request)
        if wanted is None:
            return standard
        names: set[str] = set()
        for name in wanted:
            if name in self.points or name in self.computed:
                names.add(name)
                continue
            members = [point.name for point in standard if point.quantity.name == name]
            if not members:
                raise ValueError(f"{self.id} has no point {name!r}{self._near(name)}")
            names.update(members)
        return tuple(point for point in every if point.name in names)

    def _near(self, name: str) -> str:
        near = difflib.get_close_matches(name, [*self.points, *self.computed, *QUANTITIES], n=3)
        return f"; near it: {', '.join(near)}" if near else ""
