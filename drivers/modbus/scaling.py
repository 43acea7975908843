"""From raw register contents to exact values: factors, decimals, digits, text. Pure."""

import struct
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from drivers.modbus.profile import ValueType
from metering.sweep import Number

EXACT: Final = 10**15
"""Below this a whole number has at most 15 digits, and its decimal fractions survive the way through a double."""

MAX_FACTOR: Final = 1e60
"""No scale times ratios is beyond this, or below its inverse: what is multiplied or divided by it stays a number."""

_POWERS: Final[tuple[int, ...]] = tuple(10**places for places in range(40))
_NO_TEXT: Final = "\x00 \xff"


@dataclass(frozen=True, slots=True)
class Factor:
    """What a register is multiplied with: exactly, as `over` / 10**`places` for integers, as a double for floats."""

    exact: Decimal
    over: int
    places: int
    number: float

    @classmethod
    def of(cls, exact: Decimal) -> "Factor":
        _, digits, exponent = exact.normalize().as_tuple()
        assert isinstance(exponent, int)
        over = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
        return cls(exact, -over if exact < 0 else over, max(-exponent, 0), float(exact))


def exact(number: int, places: int) -> Number:
    """`number` / 10**`places`: an int, the float whose shortest text is that decimal, or the Decimal itself."""
    if places == 0:
        return number
    if -EXACT < number < EXACT:
        return number / _POWERS[places]
    return Decimal(f"{number}E-{places}")


def number_of(exactly: Decimal) -> Number:
    """An exact decimal as `exact` gives numbers."""
    factor = Factor.of(exactly)
    return exact(factor.over, factor.places)


def four_quadrant(register: float) -> float:
    """The power factor of a register in -2..2: beyond +-1 it is +-2 - x, rounded to what the float32 could say.

    Source: Schneider PM51xx register list, note on 4Q_FP_PF. The sign is that of the active power.
    """
    if register > 1:
        return round(2 - register, 7)
    if register < -1:
        return round(-2 - register, 7)
    return register


def hertz(value: float) -> float:
    """A frequency of which some units of the model give tenths: what is above 100 Hz is tenths."""
    return value / 10 if value > 100 else value


def digits_of(registers: bytes, little: bool) -> str:
    """The hexadecimal digits of registers, most significant first; `isdecimal()` when they are BCD."""
    if little:
        registers = b"".join(registers[at : at + 2] for at in range(len(registers) - 2, -1, -2))
    return registers.hex()


def text_of(registers: bytes) -> str | None:
    """Text of two characters a register without padding; "" when it is blank, None when it is no printable ASCII.

    Registers whose upper bytes are all 0 hold one character each, as Socomec writes text.
    """
    if not any(registers[::2]):
        registers = registers[1::2]
    text = registers.decode("latin-1").strip(_NO_TEXT)
    return text if text.isascii() and text.isprintable() else None


def float_of(value_type: ValueType, bits: int) -> float | None:
    """The number of float bits; None when they are NaN or infinity."""
    size = value_type.registers * 2
    (value,) = struct.unpack(">f" if size == 4 else ">d", bits.to_bytes(size, "big"))
    return float(value) if value - value == 0 else None
