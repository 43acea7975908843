"""Points and profiles for tests, in one line."""

from decimal import Decimal
from typing import Any

from drivers.modbus.profile import Limits, Medium, Point, Profile, Sentinel, Table, ValueType
from metering.quantities import quantity_of


def make_point(name: str, address: int, type: str = "u16", scale: str = "1", **more: Any) -> Point:  # noqa: A002
    """A holding point; `sentinel` is text such as 0xFFFF."""
    quantity = quantity_of(name)
    assert quantity is not None, name
    if sentinel := more.pop("sentinel", None):
        mask = int("".join("0" if digit == "x" else "F" for digit in sentinel[2:]), 16)
        more["sentinels"] = (Sentinel(int(sentinel[2:].replace("x", "0"), 16), mask),)
    more.setdefault("table", Table.HOLDING)
    for bound in ("minimum", "maximum"):
        if bound in more:
            more[bound] = Decimal(more[bound])
    return Point(
        name=name, quantity=quantity, address=address, type=ValueType.parse(type), scale=Decimal(scale), **more
    )


def make_profile(*points: Point, **limits: Any) -> Profile:
    return Profile(
        id="test-meter",
        manufacturer="Test",
        model="Meter",
        medium=Medium.ELECTRICITY,
        manual="none",
        sources=(),
        notes="",
        default_unit=1,
        serial=None,
        limits=Limits(**limits),
        points={point.name: point for point in points},
    )
