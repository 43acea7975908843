"""A picture of a device as a table for people, and as JSON's types for programs. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from drivers.commission.screen import BOLD, DIM, RED, YELLOW, Screen, columns
from drivers.commission.sweeping import Picture, PointRow
from drivers.commission.words import fault_words
from drivers.modbus.profile import Computed, Point
from wattline.clock import NS

_LONG: Final = 16  # registers shown of a long text


def picture_json(picture: Picture) -> dict[str, Any]:
    """`points` in the order of the profile, each with a value or a fault."""
    return {
        "device": picture.device,
        "unit": picture.unit,
        "profile": picture.profile,
        "taken_at": None if picture.taken_at is None else _moment(picture.taken_at).isoformat(timespec="milliseconds"),
        "took_s": round(picture.took_s, 4),
        "requests": picture.requests,
        "complete": picture.complete,
        "error": picture.error,
        "points": [_point_json(row) for row in picture.rows],
    }


def _point_json(row: PointRow) -> dict[str, Any]:
    return {
        "point": row.point.name,
        "value": float(row.value) if isinstance(row.value, Decimal) else row.value,
        "text": row.text or None,
        "unit": row.point.unit,
        "fault": None if row.fault is None else row.fault.value,
        "why": None if row.fault is None else fault_words(row.fault),
        "verified": row.point.verified,
        "table": row.point.table.value if isinstance(row.point, Point) else None,
        "address": row.point.address if isinstance(row.point, Point) else None,
        "registers": None if row.words is None else row.words.hex(" ", 2),
    }


def picture_lines(picture: Picture, screen: Screen, *, raw: bool) -> list[str]:
    """The head, the table, and what the marks mean."""
    head = f"{picture.device}  unit {picture.unit}  {picture.profile}"
    at = "" if picture.taken_at is None else f"{_moment(picture.taken_at).astimezone():%Y-%m-%d %H:%M:%S}  "
    lines = [screen.paint(head, BOLD), f"{at}{picture.requests} requests in {picture.took_s * 1000:.0f} ms", ""]
    faults = {row.fault for row in picture.rows}
    alike = picture.taken_at is None and len(faults) == 1
    if alike:  # nothing came, for one reason: said once, not once for each point
        (fault,) = faults
        assert fault is not None
        lines.append(screen.paint(f"nothing could be read: {fault_words(fault)}", RED))
    else:
        cells = columns([_cells(row, raw) for row in picture.rows], right=(1,), indent="  ")
        lines += [_coloured(line, row, screen.paint) for line, row in zip(cells, picture.rows, strict=True)]
    if picture.error:
        lines.append(screen.paint(f"({picture.error})", DIM))
    absent = sum(row.fault is not None for row in picture.rows)
    lines += [
        "",
        f"{len(picture.rows) - absent} of {len(picture.rows)} points read" + (f", {absent} absent" * (absent > 0)),
    ]
    if not alike and any(not row.point.verified for row in picture.rows):
        lines.append("* not verified by two sources: compare with the meter's display")
    return lines


def _cells(row: PointRow, raw: bool) -> tuple[str, ...]:
    unit = row.point.unit if row.point.unit not in {"1", "code"} else ""
    said = "" if row.fault is None else fault_words(row.fault)
    name = f"{row.point.name}{'' if row.point.verified else ' *'}"
    if not raw:
        return name, row.text or "-", unit, said
    if isinstance(row.point, Computed):
        return (
            name,
            row.text or "-",
            unit,
            "computed",
            "",
            " - ".join([" + ".join(row.point.plus), *row.point.minus]),
            said,
        )
    registers = "-" if row.words is None else _registers(row.words)
    return name, row.text or "-", unit, f"{row.point.table} {row.point.address}", str(row.point.type), registers, said


def _registers(words: bytes) -> str:
    shown = words[: 2 * _LONG].hex(" ", 2)
    return shown if len(words) <= 2 * _LONG else f"{shown} ..."


def _coloured(line: str, row: PointRow, paint: Callable[[str, str], str]) -> str:
    if row.fault is not None:
        return paint(line, RED)
    return line if row.point.verified else paint(line, YELLOW)


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // NS, UTC).replace(microsecond=ns % NS // 1000)
