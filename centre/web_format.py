"""Numbers, ages and times as people read them: scaled units, few digits, the site's zone, a dash for absence."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final
from zoneinfo import ZoneInfo

from wattline.clock import NS

ABSENT: Final = "—"
"""Stands for a value that is not there; a reason stands beside it, and it is never 0."""

_MINUS: Final = "\u2212"
_NARROW_SPACE: Final = "\u202f"

# unit as measured -> (unit shown, how many of the first make one of it); the last one that is not too large is taken
_SCALES: Final = {
    "W": (("kW", Decimal(1000)), ("MW", Decimal(10) ** 6)),
    "kW": (("kW", Decimal(1)), ("MW", Decimal(1000))),
    "kWh": (("kWh", Decimal(1)), ("MWh", Decimal(1000)), ("GWh", Decimal(10) ** 6)),
    "kg": (("kg", Decimal(1)), ("t", Decimal(1000))),
    "tCO2": (("kg CO₂", Decimal("0.001")), ("t CO₂", Decimal(1))),
    "tCO2e": (("kg CO₂e", Decimal("0.001")), ("t CO₂e", Decimal(1))),
    "tce": (("kgce", Decimal("0.001")), ("tce", Decimal(1))),
    "m3": (("m³", Decimal(1)),),
    "m3/h": (("m³/h", Decimal(1)),),
}
_SWITCH_AT: Final = 10  # a larger unit is taken from 10 of it: 9,999 kW stay kW


@dataclass(frozen=True, slots=True)
class Shown:
    """A number as text and its unit; the number is a dash and the unit empty when there is no value."""

    number: str
    unit: str

    def __str__(self) -> str:
        return f"{self.number}{_NARROW_SPACE}{self.unit}" if self.unit else self.number


NOTHING: Final = Shown(ABSENT, "")


def show(value: Decimal | float | None, unit: str) -> Shown:
    """`value` of `unit` (W, kW, kWh, kg, m3, m3/h; others stay as they are) in the unit people use for its size."""
    if value is None:
        return NOTHING
    exact = Decimal(str(value))
    shown, divisor = scale(exact, unit)
    return Shown(digits(exact / divisor), shown)


def scale(largest: Decimal, unit: str) -> tuple[str, Decimal]:
    """(unit to show, divisor) that suits values up to `largest` of `unit`."""
    steps = _SCALES.get(unit, ((unit, Decimal(1)),))
    fitting = [step for step in steps if abs(largest) >= step[1] * _SWITCH_AT]
    return fitting[-1] if fitting else steps[0]


def digits(value: Decimal) -> str:
    """At least three digits that count: 0, 0.41, 4.12, 41.2, 412, 4,120; half is rounded away from zero."""
    size = abs(value)
    places = 2 if size < Decimal("9.995") else 1 if size < Decimal("99.95") else 0
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    if not rounded:
        return "0"
    return f"{rounded:,f}".replace("-", _MINUS)


def percent(share: Decimal | None) -> str:
    """A share of 1 as percent, never rounded to 100 nor to 0: 0.998 is `99.8 %`, 0.9999 `>99.9 %`, 1.68 `168.0 %`."""
    if share is None:
        return ABSENT
    value = share * 100
    if value in (0, 100):
        return f"{value:.0f}{_NARROW_SPACE}%"
    if value > 100:
        above = value.quantize(Decimal("0.1"), ROUND_HALF_UP)
        return f">100{_NARROW_SPACE}%" if above == 100 else f"{above:f}{_NARROW_SPACE}%"
    if value > Decimal("99.9"):
        return f">99.9{_NARROW_SPACE}%"
    if value < Decimal("0.1"):
        return f"<0.1{_NARROW_SPACE}%"
    return f"{value.quantize(Decimal('0.1'), ROUND_HALF_UP):f}{_NARROW_SPACE}%"


def plain(value: Decimal) -> str:
    """All the digits of an exact number, without trailing zeros or exponent: a factor is shown as it is."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", _MINUS)


def parts_of_age(seconds: float) -> tuple[tuple[int, str], ...]:
    """An age in its two largest parts: ((2, "h"), (5, "min")); parts are d, h, min, s, and zero parts are left out."""
    left = max(0, int(seconds))
    if left < 60:
        return ((left, "s"),)
    sizes = (("d", 86400), ("h", 3600), ("min", 60))
    counted = [(left % above // size, name) for (name, size), above in zip(sizes, (2**62, 86400, 3600), strict=True)]
    first = next(place for place, (count, _) in enumerate(counted) if count)
    return tuple((count, name) for count, name in counted[first : first + 2] if count)


def local(at_ns: int, zone: ZoneInfo) -> datetime:
    """The wall-clock time of UTC nanoseconds in `zone`, to the second."""
    return datetime.fromtimestamp(at_ns // NS, zone)


def when(at_ns: int, now_ns: int, zone: ZoneInfo) -> str:
    """`14:05:09` today, `11-20 14:05` in this year, `2025-11-20 14:05` before it; in `zone`."""
    at, now = local(at_ns, zone), local(now_ns, zone)
    if at.date() == now.date():
        return f"{at:%H:%M:%S}"
    return f"{at:%m-%d %H:%M}" if at.year == now.year else f"{at:%Y-%m-%d %H:%M}"


def moment(at_ns: int, zone: ZoneInfo) -> str:
    """`2026-11-20 14:05`: a day and minute of the plant's clock."""
    return f"{local(at_ns, zone):%Y-%m-%d %H:%M}"
