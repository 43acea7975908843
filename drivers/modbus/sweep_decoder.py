"""SweepDecoder: the replies to all blocks of one device become values, faults and float32 factors."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from sys import float_info
from types import MappingProxyType
from typing import Final

from drivers.modbus.decode import BlockDecoder, compile_block
from drivers.modbus.decode_rules import FactorKey, factor_key
from drivers.modbus.plan import Block
from drivers.modbus.profile import Computed, Family, Point
from drivers.modbus.scaling import MAX_FACTOR, Factor, number_of
from metering.faults import Fault
from metering.float32 import shortest_float32
from metering.sweep import Value

_LARGEST: Final = Decimal(float_info.max)
Decoded = tuple[dict[str, Value], dict[str, Fault], Mapping[str, Decimal]]


class SweepDecoder:
    """Decodes what the blocks brought. `wanted` are the points to deliver; others in the blocks are multipliers or
    what `computed` values are made of.

    Factors made of multipliers are computed anew only when a multiplier's value has changed.
    """

    def __init__(self, blocks: Sequence[Block], wanted: Collection[str], computed: Sequence[Computed] = ()) -> None:
        self._computed = tuple(computed)
        parts = {name for each in computed for name in each.needs}
        self._hidden = tuple(parts.difference(wanted))
        wanted = parts.union(wanted)
        delivered = [[point for point in block.points if point.name in wanted] for block in blocks]
        points = [point for members in delivered for point in members]
        self._keys = tuple(dict.fromkeys(key for point in points if (key := factor_key(point)) is not None))
        needed = {name for _, names in self._keys for name in names}
        self._names = [[point.name for point in members] for members in delivered]
        self._decoders = [
            compile_block(block.address, block.count, members, self._keys) if members else None
            for block, members in zip(blocks, delivered, strict=True)
        ]
        multipliers = [[point for point in block.points if point.name in needed] for block in blocks]
        self._multipliers: list[tuple[int, BlockDecoder]] = [
            (place, compile_block(block.address, block.count, members))
            for place, (block, members) in enumerate(zip(blocks, multipliers, strict=True))
            if members
        ]
        self._singles = tuple(point for point in points if _is_single(point))
        self._float_names = {p.name for members in multipliers for p in members if _is_single(p)}
        self._scales = {p.name: p.scale for members in multipliers for p in members}
        self._as_factor = {p.name: dict(p.as_factor) for members in multipliers for p in members if p.as_factor}
        self._known: dict[str, Value] | None = None
        self._factors: tuple[Factor | None, ...] = ()
        self._float32: Mapping[str, Decimal] = self._float32_factors({})

    def decode(self, replies: Sequence[bytes | Fault]) -> Decoded:
        """One reply per block: its register bytes, or why there are none."""
        values: dict[str, Value] = {}
        faults: dict[str, Fault] = {}
        if self._multipliers:
            self._update_factors(replies)
        factors = self._factors
        for decode, reply, names in zip(self._decoders, replies, self._names, strict=True):
            if isinstance(reply, Fault):
                faults.update(dict.fromkeys(names, reply))
            elif decode is not None:
                decode(reply, values, faults, factors)
        if self._computed:
            self._compute(values, faults)
        return values, faults, self._float32

    def _compute(self, values: dict[str, Value], faults: dict[str, Fault]) -> None:
        """Add the computed values, each a fault where one of its parts is, and take out parts nobody asked for."""
        for computed in self._computed:
            missing = next((name for name in computed.needs if name not in values), None)
            if missing is not None:
                faults[computed.name] = faults[missing]
                continue
            total = sum((self._decimal(name, values[name]) for name in computed.plus), Decimal(0))
            less = sum((self._decimal(name, values[name]) for name in computed.minus), Decimal(0))
            if abs(total - less) > _LARGEST:
                faults[computed.name] = Fault.OUT_OF_RANGE
            else:
                values[computed.name] = number_of(total - less)
        for name in self._hidden:
            values.pop(name, None)
            faults.pop(name, None)

    def _decimal(self, name: str, value: Value) -> Decimal:
        """A value in the digits that go over the wire."""
        factor = self._float32.get(name)
        if factor is None or not isinstance(value, float):
            return Decimal(str(value))
        return Decimal(shortest_float32(value / float(factor))) * factor

    def _update_factors(self, replies: Sequence[bytes | Fault]) -> None:
        known: dict[str, Value] = {}
        faults: dict[str, Fault] = {}
        for place, decode in self._multipliers:
            reply = replies[place]
            if not isinstance(reply, Fault):
                decode(reply, known, faults)
        if known == self._known:
            return
        self._known = known
        exact = {name: factor for name, value in known.items() if (factor := self._factor(name, value)) is not None}
        by_key: dict[FactorKey, Factor | None] = {key: _product(key, exact) for key in self._keys}
        self._factors = tuple(by_key.values())
        self._float32 = self._float32_factors(by_key)

    def _factor(self, name: str, value: Value) -> Decimal | None:
        """What the value of a multiplier multiplies with; None for a code that means nothing known."""
        exactly = self._exactly(name, value)
        table = self._as_factor.get(name)
        return exactly if table is None else table.get(int(exactly)) if exactly == int(exactly) else None

    def _exactly(self, name: str, value: Value) -> Decimal:
        """The multiplier as its register says it: a float32 in its own digits, not in those of a double."""
        if name in self._float_names and isinstance(value, float):
            scale = self._scales[name]
            return Decimal(shortest_float32(value / float(scale))) * scale
        return Decimal(str(value))

    def _float32_factors(self, by_key: Mapping[FactorKey, Factor | None]) -> Mapping[str, Decimal]:
        factors: dict[str, Decimal] = {}
        for point in self._singles:
            key = factor_key(point)
            if key is None:
                factors[point.name] = point.scale
            elif (factor := by_key.get(key)) is not None:
                factors[point.name] = factor.exact
        return MappingProxyType(factors)


def _is_single(point: Point) -> bool:
    return point.type.family is Family.FLOAT and point.type.registers == 2


def _product(key: FactorKey, multipliers: Mapping[str, Decimal]) -> Factor | None:
    """Scale x multipliers; None when one is missing, or not above 0: a meter without its ratio set measures nothing.

    None, too, for a product no installation has: ratios read in the wrong word order.
    """
    scale, names = key
    product = scale
    for name in names:
        multiplier = multipliers.get(name)
        if multiplier is None or multiplier <= 0:
            return None
        product *= multiplier
    return Factor.of(product) if 1 / MAX_FACTOR <= abs(product) <= MAX_FACTOR else None
