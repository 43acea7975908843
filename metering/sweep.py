"""Sweep: a device answered once. The unit of flow from the meter to the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from metering.faults import Fault
from metering.quantities import Kind

Number = int | float | Decimal
Value = Number | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What one device said at one moment.

    `taken_at` is UTC nanoseconds at the arrival of the (last) reply. `values` and `faults` are keyed by point name and
    share a key only for a value that is kept though it is suspect; `faults` may hold the single key ALL_POINTS when
    nothing could be read. Numbers are finite.
    `float32` names the values that came from an IEEE single register, each with the factor between register and
    value: the widened double carries digits the meter never said, and the wire writes the shortest exact text instead.
    """

    device: str
    taken_at: int
    values: Mapping[str, Value]
    faults: Mapping[str, Fault]
    float32: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal], compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PointInfo:
    """What the centre must know of a point to use its values: it travels in the gateway's status.

    `modulus` is the value at which a counter returns to 0, in `unit`; None when it is not known.
    `interval_s` is the point's own poll interval where it differs from the device's (slow counters, fast gauges).
    """

    name: str
    unit: str
    kind: Kind
    modulus: Decimal | None = None
    interval_s: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """What the centre must know of a device: expected interval (s), profile, place in the plant, points."""

    name: str
    bus: str
    profile: str
    interval_s: Decimal
    asset: str | None
    points: tuple[PointInfo, ...]
