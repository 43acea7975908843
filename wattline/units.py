"""Durations, sizes and rates as people write them in YAML: `250ms`, `15min`, `512 MiB`, `64 kbit/s`: with a unit."""

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator

_SECONDS: Final = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_BYTES: Final = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_BITS_S: Final = {"kbit/s": 1000, "Mbit/s": 1000**2}
_AMOUNT: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?([A-Za-z]+(?:/s)?)")


def parse_duration(text: object) -> Decimal:
    """Seconds, exact, of text such as `250ms`, `1.5s`, `15min`, `1h`, `7d`; ValueError for anything else."""
    amount, unit = _split(text, "a duration such as 250ms, 30s, 15min, 1h or 7d")
    if unit not in _SECONDS:
        raise ValueError(f"the unit of a duration is one of {', '.join(_SECONDS)}")
    return amount * _SECONDS[unit]


def parse_size(text: object) -> int:
    """Whole bytes of text such as `512 MiB` or `64 kB`; ValueError for anything else."""
    amount, unit = _split(text, "a size such as 512 MiB or 64 KiB")
    if unit not in _BYTES:
        raise ValueError(f"the unit of a size is one of {', '.join(_BYTES)}")
    size = amount * _BYTES[unit]
    if size != int(size):
        raise ValueError("a size is a whole number of bytes")
    return int(size)


def parse_rate(text: object) -> Decimal:
    """Bytes a second of text such as `64 kbit/s` or `1 Mbit/s`; ValueError for anything else."""
    amount, unit = _split(text, "a rate such as 64 kbit/s or 1 Mbit/s")
    if unit not in _BITS_S:
        raise ValueError(f"the unit of a rate is one of {', '.join(_BITS_S)}")
    return amount * _BITS_S[unit] / 8


def _split(text: object, example: str) -> tuple[Decimal, str]:
    match = _AMOUNT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"must be {example}, with its unit")
    return Decimal(match[1]), match[2]


def duration_text(seconds: Decimal) -> str:
    """The shortest text that `parse_duration` reads back as `seconds` (not negative): 900 is `15min`."""
    for unit in ("d", "h", "min", "s"):
        amount = seconds / _SECONDS[unit]
        if amount == amount.to_integral_value() and amount >= 1:
            return f"{amount:.0f}{unit}"
    return f"{(seconds * 1000).normalize():f}ms"


Duration = Annotated[Decimal, BeforeValidator(parse_duration)]
"""Seconds as an exact Decimal, written as text with a unit."""

Rate = Annotated[Decimal, BeforeValidator(parse_rate)]
"""Bytes a second as an exact Decimal, written as text in bits a second."""

Size = Annotated[int, BeforeValidator(parse_size)]
"""Bytes, written as text with a unit."""
