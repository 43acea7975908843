"""What one point adds to a generated decoder: when its raw value is fine, and what value it gives. Pure."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import ceil, floor, isfinite
from sys import float_info
from typing import Any, Final

from drivers.modbus.profile import Family, Form, Point, Sentinel, ValueType, WordOrder
from drivers.modbus.scaling import EXACT, MAX_FACTOR, Factor, digits_of, float_of, text_of
from metering.faults import Fault

_LARGEST_FLOAT32: Final = 3.5e38

FactorKey = tuple[Decimal, tuple[str, ...]]
"""What decides a factor known only at run time: scale, and the points it is multiplied with."""


def factor_key(point: Point) -> FactorKey | None:
    """The key of a point with multipliers; None for a point whose factor is its scale."""
    return (point.scale, point.multiply_by) if point.multiply_by else None


class Rule:
    """The source text of one point: when its raw value `r<place>` is fine, and what value it gives."""

    def __init__(self, point: Point, place: int, keys: Sequence[FactorKey]) -> None:
        self.point = point
        self.raw = f"r{place}"
        self.place = place
        key = factor_key(point)
        self.key = None if key is None else keys.index(key)
        self.is_float = point.type.family is Family.FLOAT
        self.number = self._number()
        self.value = self._value()
        self.checks = [*self._digits(), *self._sentinels(), *self._overflow(), *self._range()]

    @property
    def alone(self) -> str:
        """The condition under which this point by itself has a value."""
        finite = [f"isfinite({self.raw})"] if self.is_float else []
        known = [] if self.key is None else [f"factors[{self.key}] is not None"]
        return " and ".join([*known, *finite, *self.checks]) or "True"

    def _number(self) -> str:
        """The raw number; BCD digits become one here."""
        if self.point.type.family is Family.BCD:
            return f"int(digits_of({self.raw}, {self.point.word_order is WordOrder.LITTLE}))"
        return self.raw

    def _value(self) -> str:
        point, number = self.point, self.number
        if point.type.family is Family.ASCII:
            return f"text_of({self.raw})"
        if point.form is Form.FOUR_QUADRANT_PF:
            return f"four_quadrant({self.raw})"
        if self.key is None:
            scaled = _scaled_float if self.is_float else _scaled_integer
            value = scaled(number, Factor.of(point.scale), point.type)
            return f"hertz({value})" if point.form is Form.TENFOLD_FREQUENCY else value
        factor = f"factors[{self.key}]"
        if self.is_float:
            return f"{number} * {factor}.number"
        return f"exact({number} * {factor}.over, {factor}.places)"

    def _digits(self) -> Iterable[str]:
        if self.point.type.family is Family.BCD:
            yield f"digits_of({self.raw}, False).isdecimal()"
        if self.point.type.family is Family.ASCII:
            yield f"text_of({self.raw})"
        if self.point.form is Form.FOUR_QUADRANT_PF:
            yield f"-2.0 <= {self.raw} <= 2.0"

    def _sentinels(self) -> Iterable[str]:
        for sentinel in self.point.sentinels:
            yield f"not {_is_sentinel(self.point.type, sentinel, self.raw)}"

    def _overflow(self) -> Iterable[str]:
        """A float that its factor would make infinite: no parcel with that could be read."""
        factor = MAX_FACTOR if self.key is not None else abs(float(self.point.scale))
        largest = float_info.max if self.point.type.registers > 2 else _LARGEST_FLOAT32
        if self.is_float and factor > float_info.max / largest:
            yield f"abs({self.raw}) <= {float_info.max / factor!r}"

    def _range(self) -> Iterable[str]:
        """Checks the raw number where the factor is known, so that the usual case costs one comparison."""
        low, high = self.point.minimum, self.point.maximum
        scale = self.point.scale
        subject = self.number
        if self.key is not None or self.point.form is not None:
            subject, scale = self.value, Decimal(1)
        if scale < 0:
            low, high = high, low
        exactly = not self.is_float and self.key is None
        if low is not None:
            bound = ceil(low / scale) if exactly else float(low / scale)
            yield f"{subject} >= {bound!r}"
        if high is not None:
            bound = floor(high / scale) if exactly else float(high / scale)
            yield f"{subject} <= {bound!r}"


def _scaled_float(number: str, factor: Factor, _: ValueType) -> str:
    if factor.exact == 1:
        return number
    if factor.over == 1:
        return f"{number} / {float(10**factor.places)!r}"  # division by a power of ten rounds once, x 0.1 twice
    return f"{number} * {factor.number!r}"


def _scaled_integer(number: str, factor: Factor, value_type: ValueType) -> str:
    scaled = number if factor.over == 1 else f"{number} * {factor.over}"
    if factor.places == 0:
        return scaled
    if _largest(value_type) * abs(factor.over) < EXACT:
        return f"{scaled} / {10**factor.places}"
    return f"exact({scaled}, {factor.places})"


def _largest(value_type: ValueType) -> int:
    """An upper bound of the magnitude of a raw number."""
    if value_type.family is Family.BCD:
        return int(10 ** (4 * value_type.registers))
    return int(2 ** (16 * value_type.registers))


def _is_sentinel(value_type: ValueType, sentinel: Sentinel, raw: str) -> str:
    if value_type.family is Family.FLOAT:
        return f"{raw} == {float_of(value_type, sentinel.bits)!r}"
    return f"{raw} & {sentinel.mask:#x} == {sentinel.bits:#x}"


def reason(point: Point, raw: Any, multiplier_missing: bool) -> Fault:
    """Why this raw value is no value; called only for one that failed its checks."""
    family = point.type.family
    if family is Family.FLOAT and not isfinite(raw):
        return Fault.NOT_FINITE
    if family is Family.ASCII:
        return Fault.SENTINEL if text_of(raw) == "" else Fault.BAD_DIGITS
    if family is Family.BCD and not digits_of(raw, False).isdecimal():
        return Fault.BAD_DIGITS
    for sentinel in point.sentinels:
        if family is Family.FLOAT:
            matches = raw == float_of(point.type, sentinel.bits)
        else:
            matches = raw & sentinel.mask == sentinel.bits
        if matches:
            return Fault.SENTINEL
    return Fault.NO_MULTIPLIER if multiplier_missing else Fault.OUT_OF_RANGE
