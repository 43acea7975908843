"""compile_block(...) -> decode(register bytes, values, faults): one struct and one generated function per block.

The generated function unpacks all registers at once and asks one question: is every raw value fine? When it is, as
nearly always, the values are stored in a straight line; when not, each point is judged alone and the bad ones get a
fault. Code is generated because a closure per value costs twice as much, and a gateway decodes thousands a second.
"""

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import isfinite
from struct import Struct
from typing import Any, Final, Protocol, cast

from drivers.modbus.decode_rules import FactorKey, Rule, reason
from drivers.modbus.profile import Family, Point, WordOrder
from drivers.modbus.scaling import Factor, digits_of, exact, four_quadrant, hertz, text_of
from metering.faults import Fault
from metering.sweep import Value

_FORMAT: Final = {
    (Family.UNSIGNED, 1): "H", (Family.SIGNED, 1): "h", (Family.UNSIGNED, 2): "I", (Family.SIGNED, 2): "i",
    (Family.UNSIGNED, 4): "Q", (Family.SIGNED, 4): "q", (Family.FLOAT, 2): "f", (Family.FLOAT, 4): "d",
}  # fmt: skip


class BlockDecoder(Protocol):
    """Puts each point of the block into `values` or `faults`; `data` has exactly the block's register bytes.

    `factors` belong to the block's factor keys, None for one whose multiplier could not be read.
    """

    def __call__(
        self,
        data: bytes,
        values: dict[str, Value],
        faults: dict[str, Fault],
        factors: Sequence[Factor | None] = (),
        /,
    ) -> None: ...


def compile_block(address: int, count: int, points: Sequence[Point], keys: Sequence[FactorKey] = ()) -> BlockDecoder:
    """The decoder of `count` registers from `address` (on the wire) that hold `points`; register bytes as received.

    `keys` must hold the factor key of every point with multipliers; their order is that of the factors.
    Values: an int or the float nearest to the exact decimal, a Decimal where a float would lose digits, text as str.
    """
    return _compile(address, count, tuple(points), tuple(keys))


@lru_cache(maxsize=1024)  # decoders hold no state: a hundred equal meters share theirs
def _compile(address: int, count: int, points: tuple[Point, ...], keys: tuple[FactorKey, ...]) -> BlockDecoder:
    layers = [_Layer(address, count, members, little) for members, little in _layers(points)]
    rules = [Rule(point, place, keys) for place, point in enumerate(p for layer in layers for p in layer.points)]
    source = "\n".join(_source(layers, rules, len(keys)))
    scope: dict[str, Any] = {
        "array": array, "isfinite": isfinite, "exact": exact, "digits_of": digits_of, "text_of": text_of,
        "four_quadrant": four_quadrant, "hertz": hertz, "reason": reason, "points": [rule.point for rule in rules],
        **{f"unpack{n}": layer.struct.unpack for n, layer in enumerate(layers)},
    }  # fmt: skip
    # names come from the vocabulary by repr, numbers are numbers: nothing of a profile is text in this source
    exec(compile(source, f"<decoder of {address}+{count}>", "exec"), scope)  # noqa: S102
    return cast("BlockDecoder", scope["decode"])


def _swaps(point: Point) -> bool:
    """True when the registers of a number stand least significant first."""
    return (
        point.word_order is WordOrder.LITTLE
        and point.type.registers > 1
        and point.type.family not in {Family.BCD, Family.ASCII}
    )


def _layers(points: Iterable[Point]) -> list[tuple[list[Point], bool]]:
    """The points in groups that one struct can unpack: same word order, by address, none over another."""
    layers: list[tuple[list[Point], bool]] = []
    for point in sorted(points, key=lambda p: p.address):
        little = _swaps(point)
        for members, order in layers:
            if order is little and members[-1].end <= point.address:
                members.append(point)
                break
        else:
            layers.append(([point], little))
    return layers


class _Layer:
    """One struct over the block. Swapping the bytes of each register turns least-first words into a little-endian
    number, so that a whole block of them needs one call."""

    def __init__(self, address: int, count: int, points: list[Point], little: bool) -> None:
        self.points = points
        self.little = little
        form = "<" if little else ">"
        at = address
        for point in points:
            size = point.type.registers
            form += f"{2 * (point.address - at)}x"
            form += _FORMAT.get((point.type.family, size), f"{2 * size}s")
            at = point.end
        self.struct = Struct(f"{form}{2 * (address + count - at)}x")


def _source(layers: Sequence[_Layer], rules: Sequence[Rule], factors: int) -> Iterable[str]:
    yield "def decode(data, values, faults, factors=()):"
    if any(layer.little for layer in layers):
        yield "    swapped = array('H', data)"
        yield "    swapped.byteswap()"
    conditions = ["None not in factors"] if factors else []
    place = 0
    for n, layer in enumerate(layers):
        mine = rules[place : place + len(layer.points)]
        place += len(mine)
        yield f"    raw = unpack{n}({'swapped' if layer.little else 'data'})"
        yield f"    ({' '.join(f'{rule.raw},' for rule in mine)}) = raw"
        floats = [rule.raw for rule in mine if rule.is_float]
        if floats:
            # NaN and infinity survive a sum, so one look at the sum finds them all; an overflow is judged singly
            numbers = all(rule.point.type.family not in {Family.BCD, Family.ASCII} for rule in mine)
            summed = "raw" if numbers else f"({', '.join(floats)},)"
            yield f"    total{n} = sum({summed})"
            conditions.append(f"isfinite(total{n})")
    conditions += [check for rule in rules for check in rule.checks]
    yield f"    if {' and '.join(conditions) or 'True'}:"
    for rule in rules:
        yield f"        values[{rule.point.name!r}] = {rule.value}"
    yield "        return"
    for rule in rules:
        factor = "False" if rule.key is None else f"factors[{rule.key}] is None"
        yield f"    if {rule.alone}:"
        yield f"        values[{rule.point.name!r}] = {rule.value}"
        yield "    else:"
        yield f"        faults[{rule.point.name!r}] = reason(points[{rule.place}], {rule.raw}, {factor})"
