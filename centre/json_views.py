"""Views as JSON: Decimals as text, so that they stay exact; days as text; field names without trailing `_`."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any


def plain(value: object) -> Any:
    """`value` as what json.dumps takes."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal | date | Fraction):
        return _text(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name.removesuffix("_"): plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _text(value: Decimal | date | Fraction) -> str:
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    return f"{value:f}" if isinstance(value, Decimal) else value.isoformat()


def to_json(value: object) -> bytes:
    """UTF-8 JSON; refuses NaN."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
