"""The shortest decimal text of a float32: of one, and the arguments of `%.*g` for many at once.

Between two powers of two all float32 values lie at one distance. So one of two powers of ten spaces the decimals of the
shortest text: the finest that is coarser than the distance, where the value happens to lie close to such a decimal, or
a tenth of it, of which one is always close enough. Which it is takes arithmetic; to try texts costs four times as much.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, cast

_F32: Final = struct.Struct("<f")
_BIAS: Final = 127
_EXPONENTS: Final = range(-13, 24)
"""Of two. Below, %g writes exponents; above, tens and ones would be rounded off by it."""

_ROUND: Final = 1.5 * 2.0**52
"""Added and taken away again, it rounds a number to the nearest whole one."""

Row = tuple[float, float, float, int, int]
"""Of one power of two: how many coarse decimals there are to 1, half the distance of float32 values in this measure,
the power of ten above the power of two, and the digits of a coarse and of a fine decimal below that."""


@lru_cache(maxsize=512)
def shortest_float32(value: float) -> str:
    """The shortest decimal text that reads back as the float32 nearest to `value` (finite, within float32)."""
    return f"{value:.{_digits_by_trial(value)}g}"


def with_digits(values: Sequence[float]) -> list[float]:
    """What `%.*g` takes to write the float32 nearest to each value as its shortest text: digits, value, digits..."""
    count = len(values)
    packed = struct.pack(f"<{count}f", *values)
    singles: tuple[float, ...] = struct.unpack(f"<{count}f", packed)
    rows = cast("list[Row]", [_ROWS[bits >> 23] for bits in struct.unpack(f"<{count}I", packed)])
    arguments: list[float] = [0.0] * (2 * count)
    arguments[1::2] = singles
    try:
        # as _digits, without a call for each value: a gateway writes thousands a second
        arguments[::2] = [
            (fewer if -half <= (scaled := value * scale) - ((scaled + _ROUND) - _ROUND) <= half else more)
            if -ten < value < ten
            else _digits(value, (scale, half, ten, fewer, more))
            for value, (scale, half, ten, fewer, more) in zip(singles, rows, strict=True)
        ]
    except TypeError:  # a value without a row
        arguments[::2] = map(_digits, singles, rows)
    return arguments


def _digits(value: float, row: "Row | None") -> int:
    if row is None:
        return _digits_by_trial(value)
    scale, half, ten, fewer, more = row
    scaled = value * scale
    digits = fewer if -half <= scaled - ((scaled + _ROUND) - _ROUND) <= half else more
    return digits + (not -ten < value < ten)


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
    digits = below_one + places
    return scale, distance / 2 * scale, 10.0 ** (below_one + 1), digits, digits + 1


_ROWS: Final[Sequence[Row | None]] = [
    _row(biased - _BIAS) if biased - _BIAS in _EXPONENTS else None for biased in range(256)
] * 2  # the sign is the highest bit
