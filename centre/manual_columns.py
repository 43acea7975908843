"""What may stand in a column of manual data: each check gives the canonical text, or raises ValueError.

A check gets the text, the row so far, and what rows may refer to; its message tells what would be right.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from centre.accounting.calendar import Month, month_bounds
from centre.plant import Plant
from centre.points import registers_of
from metering.quantities import quantity_of
from wattline.clock import NS

_FIRST_YEAR: Final = 2000  # before it no month can be named


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a row may refer to: the plants, the fuels of the factor table (name -> units), and the time now (UTC ns)."""

    plants: Mapping[str, Plant]
    fuels: Mapping[str, tuple[str, ...]]
    now: int


Row = Mapping[str, str]


def amount_of(text: str) -> Decimal:
    """A plain decimal number of at most 30 digits; raises ValueError."""
    try:
        value = Decimal(text) if text.isascii() and not set(text) & set("eE_") else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or len(value.as_tuple().digits) > 30:
        raise ValueError(f"{text[:40]!r} is no number; write it such as 1250.5, without thousands separators")
    return value


def site(text: str, _row: Row, known: Known) -> str:
    """A plant that is set up here."""
    return _one_of(text, known.plants, "a site")


def node(text: str, row: Row, known: Known) -> str:
    """A node of the tree of its site."""
    plant = known.plants.get(row.get("site", ""))
    return text if plant is None else _one_of(text, [node.id for node in plant.tree.walk()], "a node of the site")


def month(text: str, row: Row, known: Known) -> str:
    """A month that has begun."""
    month = Month.of(text)
    plant = known.plants.get(row.get("site", ""))
    if plant is not None and month_bounds(month, plant.zone, plant.metering_day)[0] > known.now:
        raise ValueError(f"{month} has not begun")
    return str(month)


def amount(text: str, _row: Row, _known: Known) -> str:
    """A number, not below 0."""
    value = amount_of(text)
    if value < 0:
        raise ValueError(f"{text} is below 0")
    return f"{value.normalize() + 0:f}"


def signed(text: str, _row: Row, _known: Known) -> str:
    """A number."""
    return f"{amount_of(text).normalize() + 0:f}"


def name(text: str, _row: Row, _known: Known) -> str:
    """Any printable text."""
    if not text.isprintable():
        raise ValueError("only printable characters")
    return text


def time(text: str, _row: Row, known: Known) -> str:
    """A time with its offset that has passed; as UTC ns."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"{text[:40]!r} is no time with its offset, such as 2026-10-31T23:50:00+08:00")
    if at.year < _FIRST_YEAR:
        raise ValueError(f"{text[:40]!r} lies before {_FIRST_YEAR}")
    if int(at.timestamp()) * NS > known.now:
        raise ValueError(f"{text[:40]!r} lies in the future")
    return str(int(at.timestamp()) * NS)


def among(*allowed: str) -> Callable[[str, Row, Known], str]:
    """One of a few words."""
    return lambda text, _row, _known: _one_of(text, allowed, "one of these")


def fuel(text: str, _row: Row, known: Known) -> str:
    """A fuel of the factor table."""
    return _one_of(text, known.fuels, "a fuel of the factor table")


def fuel_unit(text: str, row: Row, known: Known) -> str:
    """A unit its fuel is weighed or metered in."""
    units = known.fuels.get(row.get("fuel", ""))
    return text if units is None else _one_of(text, units, f"a unit of {row['fuel']}")


def device(text: str, row: Row, known: Known) -> str:
    """A meter of the tree of its site."""
    plant = known.plants.get(row.get("site", ""))
    return text if plant is None else _one_of(text, {meter.device for meter in plant.meters()}, "a meter of the tree")


def point(text: str, row: Row, known: Known) -> str:
    """A register that the tree counts of its meter."""
    plant = known.plants.get(row.get("site", ""))
    if plant is None:
        return text
    meters = [meter for meter in plant.meters() if meter.device == row.get("device")]
    counted = [point for meter in meters for point in registers_of(meter)]
    return _one_of(text, counted, "a register that the tree counts of this meter") if meters else text


def point_unit(text: str, row: Row, _known: Known) -> str:
    """The unit of its register."""
    quantity = quantity_of(row.get("point", ""))
    return text if quantity is None else _one_of(text, (quantity.unit,), f"the unit of {row['point']}")


def _one_of(text: str, allowed: "Mapping[str, object] | tuple[str, ...] | list[str] | set[str]", what: str) -> str:
    if text in allowed:
        return text
    near = ", ".join(sorted(allowed)[:12])
    raise ValueError(f"{text[:40]!r} is not {what}: {near}{', ...' if len(allowed) > 12 else ''}")
