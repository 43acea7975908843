"""One line of a profile's `points`: the keys it may have, and how it becomes a Point."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final, Literal, cast

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from drivers.modbus.profile import Family, Form, Point, Sentinel, Table, ValueType, WordOrder
from drivers.modbus.scaling import float_of
from drivers.modbus.unit_advice import advice
from metering.quantities import QUANTITIES, Kind, Quantity, quantity_of
from wattline.strict_yaml import Strict

_HEX: Final = re.compile(r"0x[0-9A-Fa-f]{1,4}")
_BITS: Final = re.compile(r"0x(?:[0-9A-Fa-f]|x)+")


class PointMistake(ValueError):
    """What is wrong with a point; `keys` lead from the point to the key at fault."""

    def __init__(self, message: str, *keys: str) -> None:
        super().__init__(message)
        self.keys = keys


def _address(value: object) -> object:
    if isinstance(value, str) and _HEX.fullmatch(value):
        return int(value, 16)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError('must be an address: a whole number, or hexadecimal in quotes such as "0x1000"')


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return Decimal(str(value))


def _scale(value: Decimal) -> Decimal:
    if value == 0:
        raise ValueError("must not be 0")
    return value


def _type_text(value: str) -> str:
    ValueType.parse(value)
    return value


ADDRESS_SCHEMA: Final = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^{_HEX.pattern}$"}]
}

Address = Annotated[int, BeforeValidator(_address), WithJsonSchema(ADDRESS_SCHEMA)]
Number = Annotated[Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
ValueTypeText = Annotated[str, AfterValidator(_type_text)]
Sentinels = str | tuple[str, ...]


def _codes(value: object) -> object:
    """The keys of a table of codes are texts in YAML: made whole numbers here."""
    if not isinstance(value, Mapping):
        return value
    written = cast("Mapping[str, object]", value)
    try:
        return {int(code): factor for code, factor in written.items()}
    except ValueError as err:
        raise ValueError("must be power_of_ten, or factors by code such as {0: 1, 1: 1000}") from err


_CODES_SCHEMA: Final = {
    "anyOf": [
        {"const": "power_of_ten"},
        {"type": "object", "patternProperties": {"^-?\\d+$": {"type": "number"}}, "additionalProperties": False},
    ]
}
AsFactor = Annotated[
    Literal["power_of_ten"] | dict[int, Annotated[Number, AfterValidator(_scale)]],
    BeforeValidator(_codes),
    WithJsonSchema(_CODES_SCHEMA),
]
POWERS: Final = tuple((exponent, Decimal(10) ** exponent) for exponent in range(-10, 11))
"""The factors of an exponent register; SunSpec allows -10 to 10."""


class PointModel(Strict):
    """The keys of one point; what they mean is told in docs/add-a-meter.md and in Point."""

    address: Address
    type: ValueTypeText
    unit: str | int | None = None
    scale: Annotated[Number, AfterValidator(_scale)] = Decimal(1)
    table: Table | None = None
    word_order: WordOrder | None = None
    multiply_by: tuple[str, ...] = ()
    as_factor: AsFactor | None = None
    form: Form | None = None
    sentinel: Sentinels = ()
    min: Number | None = None
    max: Number | None = None
    rollover: Number | None = None
    alone: bool = False
    on_request: bool = False
    verified: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointBuilder:
    """Makes points with the defaults of one profile; `base` is what the datasheet adds to the address on the wire."""

    table: Table
    word_order: WordOrder
    base: int
    sentinels: Mapping[str, Sentinels]

    def __call__(self, name: str, written: PointModel) -> Point:
        """The point; raises PointMistake."""
        quantity = quantity_named(name)
        value_type = ValueType.parse(written.type)
        _check_unit(quantity, written)
        _check_keys(quantity, value_type, written)
        address = written.address - self.base
        if not 0 <= address <= 0x10000 - value_type.registers:
            raise PointMistake(f"{written.address} is no address with address_base {self.base}", "address")
        return Point(
            name=name,
            quantity=quantity,
            table=written.table or self.table,
            address=address,
            type=value_type,
            word_order=written.word_order or self.word_order,
            scale=written.scale,
            multiply_by=written.multiply_by,
            as_factor=_as_factor(written.as_factor),
            form=written.form,
            sentinels=_sentinels(value_type, written.sentinel or self.sentinels.get(written.type, ())),
            minimum=written.min,
            maximum=written.max,
            rollover=written.rollover,
            alone=written.alone,
            on_request=written.on_request,
            verified=written.verified,
            note=written.note,
        )


def _as_factor(written: Literal["power_of_ten"] | dict[int, Decimal] | None) -> tuple[tuple[int, Decimal], ...]:
    if written is None:
        return ()
    return POWERS if written == "power_of_ten" else tuple(written.items())


def quantity_named(name: str) -> Quantity:
    """The quantity of a point's name; raises PointMistake."""
    quantity = quantity_of(name)
    if quantity is None:
        near = difflib.get_close_matches(name, QUANTITIES, n=3, cutoff=0.4)
        raise PointMistake(
            "is not a point name: <quantity>[_<direction>][_<phase or tariff>]"
            + (f"; quantities near it: {', '.join(near)}" if near else "")
        )
    if quantity.directed and quantity.kind is Kind.COUNTER and name.removeprefix(quantity.name)[:2] in {"", "_t", "_l"}:
        raise PointMistake(
            f"a counter of {quantity.name} needs its direction: {quantity.name}_import_total, _export_, ..."
        )
    return quantity


def _check_unit(quantity: Quantity, written: PointModel) -> None:
    plain = quantity.kind is Kind.STATE or quantity.unit == "1"
    if written.unit is None:
        if not plain:
            raise PointMistake(f"is missing; this point is measured in {quantity.unit}", "unit")
    elif str(written.unit) != quantity.unit:
        raise PointMistake(advice(str(written.unit), quantity.unit, written.scale), "unit")


def _check_keys(quantity: Quantity, value_type: ValueType, written: PointModel) -> None:
    text = value_type.family is Family.ASCII
    if text and quantity.kind is not Kind.STATE:
        raise PointMistake(f"text cannot be a {quantity.kind}", "type")
    for key, given in (
        ("scale", written.scale != 1),
        ("multiply_by", bool(written.multiply_by)),
        ("min", written.min is not None),
        ("max", written.max is not None),
    ):
        if text and given:
            raise PointMistake("text has none", key)
    if written.form is Form.FOUR_QUADRANT_PF and (
        value_type.family is not Family.FLOAT or written.scale != 1 or written.multiply_by
    ):
        raise PointMistake("is of a float register, without scale and multiply_by", "form")
    if written.form is Form.TENFOLD_FREQUENCY and (quantity.name != "frequency" or written.multiply_by):
        raise PointMistake("is of a frequency without multiply_by", "form")
    if written.as_factor is not None and (quantity.kind is not Kind.STATE or text or written.scale != 1):
        raise PointMistake("is of a state that is a number without scale: sf, unit_code, scale_code, cfg", "as_factor")
    if written.min is not None and written.max is not None and written.min > written.max:
        raise PointMistake(f"is above max {written.max}", "min")
    if written.rollover is not None and (quantity.kind is not Kind.COUNTER or written.rollover <= 0):
        raise PointMistake(
            f"is the value, above 0, at which a counter starts again; this is a {quantity.kind}", "rollover"
        )
    if written.rollover is not None and written.multiply_by:
        raise PointMistake("cannot be told in advance for a counter with multiply_by: leave it out", "rollover")


def _sentinels(value_type: ValueType, written: Sentinels) -> tuple[Sentinel, ...]:
    texts = (written,) if isinstance(written, str) else written
    return tuple(_sentinel(value_type, text) for text in texts)


def _sentinel(value_type: ValueType, text: str) -> Sentinel:
    digits = value_type.registers * 4
    if value_type.family in {Family.ASCII, Family.BCD}:
        raise PointMistake(f"a {value_type} has none: what is not text or digits is a fault anyway", "sentinel")
    if not _BITS.fullmatch(text) or len(text) != 2 + digits:
        raise PointMistake(f'"{text}" must be "0x" and the {digits} digits of {value_type}; x is any digit', "sentinel")
    bits = int(text[2:].replace("x", "0"), 16)
    mask = int("".join("0" if digit == "x" else "F" for digit in text[2:]), 16)
    if value_type.family is Family.FLOAT:
        if "x" in text[2:]:
            raise PointMistake("of a float has no x", "sentinel")
        if float_of(value_type, bits) is None:
            raise PointMistake("is NaN or infinity: that is a fault anyway", "sentinel")
    return Sentinel(bits, mask)
