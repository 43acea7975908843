"""Registers read in every way a profile can say: each number type in each word order, and text. Pure."""

import struct
from collections.abc import Mapping
from math import isfinite
from typing import Final

from drivers.modbus.profile import ValueType, WordOrder

Reading = int | float

_FORMAT: Final = {
    "u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f", "u64": "Q", "i64": "q", "f64": "d",
}  # fmt: skip
_SHORTEST_TEXT: Final = 3
_LONGEST_TEXT: Final = 32

NUMBERS: Final = tuple(
    (ValueType.parse(name), order)
    for name in _FORMAT
    for order in WordOrder
    if not (name in {"u16", "i16"} and order is WordOrder.LITTLE)
)
"""Every number type with every word order it can have."""


def number_at(words: Mapping[int, bytes], address: int, value_type: ValueType, order: WordOrder) -> Reading | None:
    """The number that starts at `address`; None when a register is absent or the bits are no number."""
    parts = [words.get(address + place) for place in range(value_type.registers)]
    present = [part for part in parts if part is not None]
    if len(present) < len(parts):
        return None
    if order is WordOrder.LITTLE:
        present.reverse()
    number: Reading = struct.unpack(f">{_FORMAT[str(value_type)]}", b"".join(present))[0]
    return number if isfinite(number) else None


def bcd_at(words: Mapping[int, bytes], address: int, registers: int) -> str | None:
    """The decimal digits of registers that hold one per 4 bits; None when they are no digits."""
    parts = [words.get(address + place, b"\xff\xff").hex() for place in range(registers)]
    digits = "".join(parts)
    return digits if digits.isdecimal() else None


def text_at(words: Mapping[int, bytes], address: int) -> str:
    """The text that starts at `address`, two characters a register; empty when it is shorter than 3 registers."""
    text = ""
    for at in range(address, address + _LONGEST_TEXT):
        word = words.get(at, b"\xff\xff")
        filled = bytes(char for char in word if char)
        if not filled and not text.strip("\0 "):
            return ""
        if not all(0x20 <= char < 0x7F for char in filled) or (word[0] == 0 and word[1] != 0):
            break
        text += word.decode()
        if not filled:
            break
    return text if len(text.strip("\0 ")) > 2 * _SHORTEST_TEXT - 2 else ""
