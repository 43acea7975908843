"""What to write when a datasheet's unit is not the unit of the point: kW -> `unit: W, scale: 1000`. Pure."""

from decimal import Decimal
from typing import Final

_PREFIX: Final = {"m": Decimal("0.001"), "": Decimal(1), "k": Decimal(1000), "M": Decimal(10**6), "G": Decimal(10**9)}
_BASE: Final = ("W", "var", "VA", "V", "A", "Wh", "varh", "VAh", "Hz", "Pa")
_OTHER: Final[dict[tuple[str, str], Decimal]] = {
    ("l", "m3"): Decimal("0.001"), ("hl", "m3"): Decimal("0.1"), ("m³", "m3"): Decimal(1),
    ("l/h", "m3/h"): Decimal("0.001"), ("l/min", "m3/h"): Decimal("0.06"), ("l/s", "m3/h"): Decimal("3.6"),
    ("m3/s", "m3/h"): Decimal(3600), ("m³/s", "m3/h"): Decimal(3600), ("m³/h", "m3/h"): Decimal(1),
    ("bar", "kPa"): Decimal(100), ("mbar", "kPa"): Decimal("0.1"), ("hPa", "kPa"): Decimal("0.1"),
    ("°C", "degC"): Decimal(1), ("C", "degC"): Decimal(1), ("°", "deg"): Decimal(1), ("degC", "K"): Decimal(1),
    ("t", "kg"): Decimal(1000), ("g", "kg"): Decimal("0.001"), ("%", "1"): Decimal("0.01"),
}  # fmt: skip


def conversion(unit: str, into: str) -> Decimal | None:
    """The exact factor from `unit` to `into`, or None when there is none known."""
    if unit == into:
        return Decimal(1)
    other = _OTHER.get((unit, into))
    return other if other is not None else _prefixed(unit, into)


def _prefixed(unit: str, into: str) -> Decimal | None:
    for base in _BASE:
        if unit.endswith(base) and into.endswith(base):
            written, wanted = unit.removesuffix(base), into.removesuffix(base)
            if written in _PREFIX and wanted in _PREFIX:
                return (_PREFIX[written] / _PREFIX[wanted]).normalize()
    return None


def advice(unit: str, into: str, scale: Decimal) -> str:
    """What is wrong with `unit` for a point measured in `into`, and what to write instead."""
    factor = conversion(unit, into)
    if factor is None:
        return f"this point is measured in {into}, and {unit} cannot be converted into it; is the point's name right?"
    return f"this point is measured in {into}: write unit: {into} and scale: {(scale * factor).normalize():f}"
