"""The shortest decimal text of a float32: of one, and the arguments of `%.*g` for many at once.

Between two powers of two all float32 values lie at one distance. So one of two powers of ten spaces the decimals of the
shortest text: the finest that is coarser than the distance, where the value happens to lie close to such a decimal, or
a tenth of it, of which one is always close enough. Which it is takes arithmetic; to try texts costs four times as much.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_F32: Final = struct.Struct("<f")
_BIAS: Final = 127
_EXPONENTS: Final = range(-13, 24)
"""Of two. Below, %g writes exponents; above, tens and ones would be rounded off by it."""

Row = tuple[float, float, float, float, int]
"""Of one power of two: how many coarse decimals there are to 1, half the distance of float32 values and the whole in
this measure, the power of ten above the power of two, and the digits of a coarse decimal below that."""


@lru_cache(maxsize=512)
def shortest_float32(value: float) -> str:
    """The shortest decimal text that reads back as the float32 nearest to `value` (finite, within float32)."""
    return f"{value:.{_digits_by_trial(value)}g}"


def with_digits(values: Sequence[float]) -> list[float]:
    """What `%.*g` takes to write the float32 nearest to each value as its shortest text: digits, value, digits..."""
    count = len(values)
    packed = struct.pack(f"<{count}f", *values)
    singles: tuple[float, ...] = struct.unpack(f"<{count}f", packed)
    patterns: tuple[int, ...] = struct.unpack(f"<{count}I", packed)
    arguments: list[float] = []
    add = arguments.append
    for value, bits in zip(singles, patterns, strict=True):
        row = _ROWS[bits >> 23]
        if row is None:
            add(_digits_by_trial(value))
        else:
            scale, half, whole, ten, digits = row
            if (value * scale + half) % 1.0 > whole:
                digits += 1
            if not -ten < value < ten:
                digits += 1
            add(digits)
        add(value)
    return arguments


def _digits_by_trial(value: float) -> int:
    single = _F32.pack(value)

    def fits(digits: int) -> bool:
        return _F32.pack(float(f"{value:.{digits}g}")) == single

    if fits(7):
        # where 6 digits suffice, rounding to 7 nearly always shows them; near 9.99 x 10^n it may not
        return 6 if len(f"{value:.7g}") > 7 and fits(6) else 7
    return 8 if fits(8) else 9


def _row(exponent: int) -> Row:
    distance = 2.0 ** (exponent - 23)
    places = 0
    while 10.0**-places >= distance:
        places += 1
    scale = 10.0 ** (places - 1)
    below_one = 0
    while 10.0**below_one > 2.0**exponent:
        below_one -= 1
    while 10.0 ** (below_one + 1) <= 2.0**exponent:
        below_one += 1
    return scale, distance / 2 * scale, distance * scale, 10.0 ** (below_one + 1), below_one + places


_ROWS: Final[Sequence[Row | None]] = [
    _row(biased - _BIAS) if biased - _BIAS in _EXPONENTS else None for biased in range(256)
] * 2  # the sign is the highest bit
