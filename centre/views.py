"""What the centre shows: figures as page and API read them. Field names are the JSON keys; a trailing `_` is dropped.

Accounted figures are Decimal, live gauges plain numbers, times UTC nanoseconds. What is absent is None with a reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from centre.accounting.factors import FactorRow
from centre.accounting.hours import DeviceHour
from centre.accounting.registers import Flag
from centre.carriers import Carrier, Flow
from centre.gaps import Gap
from metering.sweep import Number
from metering.topics import Ranges

Shares = Mapping[str, Decimal]
DerivedFrom = Literal["meters", "children", "none"]


class MeterState(StrEnum):
    """Of a meter's live value."""

    OK = "ok"
    SILENT = "silent"  # nothing good for longer than three polls, and nobody says why
    FAULTY = "faulty"  # the gateway says why
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterLive:
    """The gauge of one meter. `value` is None unless `state` is ok; `since_ns`: the last good reading."""

    device: str
    carrier: Carrier
    flow: Flow
    state: MeterState
    value: float | None
    unit: str
    taken_at_ns: int | None
    silent_for_s: float | None
    since_ns: int | None
    fault: str | None
    interval_s: Decimal | None
    gateway: str | None
    profile: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLive:
    """Electric power a node draws, W; None when a meter it needs is missing."""

    power_w: float | None
    missing: tuple[str, ...]
    derived_from: DerivedFrom


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """Parcels of one epoch of a gateway: stored up to `watermark`, and what is missing between stored ones."""

    watermark: int
    ranges: Ranges
    gaps: Ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayState:
    """A gateway as it last said of itself; `state` never: readings came, a status did not.

    `dropped` readings were lost there for good; `gaps` are parcels the store has not, see centre.gaps.
    """

    site: str
    gateway: str
    state: str
    since_ns: int | None
    last_seen_ns: int
    software: str | None
    epoch: int | None
    dropped: int
    pending: int | None
    counters: Mapping[str, int]
    epochs: Mapping[int, Epoch]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A plant now."""

    site: str
    at_ns: int
    meters: tuple[MeterLive, ...]
    nodes: Mapping[str, NodeLive]
    gateways: tuple[GatewayState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPoint:
    """Mean electric power of one interval, kW; `open`: the interval still runs."""

    start_ns: int
    kw: Decimal | None
    quality: Flag
    open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The load curve of a day, by node; up to now where the day still runs."""

    site: str
    day: date
    start_ns: int
    end_ns: int
    step_s: int
    nodes: Mapping[str, tuple[LoadPoint, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierFigure:
    """One carrier of one node in a day: quantity = import + generation - export.

    `co2_kg` is the location-based emission of the import; `scope` 3 is CO2e of supply and stays out of totals.
    `completeness` is that of the least complete meter.
    """

    carrier: Carrier
    quantity: Decimal | None
    unit: str
    import_: Decimal | None
    generation: Decimal | None
    export: Decimal | None
    shares: Shares
    completeness: Decimal | None
    missing: tuple[str, ...]
    reason: str | None
    scope: int
    co2_kg: Decimal | None
    co2_reason: str | None
    factor: FactorRow | None
    derived_from: DerivedFrom


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterFigure:
    """One meter in a day. `revision` rises when a closed figure was corrected by late readings."""

    device: str
    carrier: Carrier
    flow: Flow
    point: str | None
    quantity: Decimal | None
    unit: str
    shares: Shares
    completeness: Decimal | None
    suspects: int
    breaks: int
    revision: int | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Energy and carbon of a day; `until_ns`: the newest reading that is in it, None without any."""

    site: str
    day: date
    start_ns: int
    end_ns: int
    until_ns: int | None
    nodes: Mapping[str, tuple[CarrierFigure, ...]]
    meters: tuple[MeterFigure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterCompleteness:
    """Readings of the counter of a meter in a day against what its poll interval promises, from its first one on."""

    device: str
    point: str | None
    since_ns: int | None
    expected: int | None
    received: int
    faults: Mapping[str, int]
    unexplained: int | None
    completeness: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """Completeness of a day, meter by meter."""

    site: str
    day: date
    meters: tuple[MeterCompleteness, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHours:
    """The ledger of one device; `gateway` reads it now."""

    device: str
    gateway: str
    hours: tuple[DeviceHour, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Readings of a gateway whose times are in doubt, in hours between `from` and `to`.

    `quality`: why, see metering.parcel.TimeQuality.
    """

    gateway: str
    quality: str
    readings: int
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Readings of all devices in [from, to), by device and hour, and their sums; see centre.accounting.hours."""

    site: str
    from_ns: int
    to_ns: int
    expected: int
    received: int
    late: int
    faulty: int
    lost: int
    missing: int
    doubtful: tuple[Doubt, ...]
    devices: tuple[DeviceHours, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingAt:
    """A register at a time."""

    at_ns: int
    value: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSpan:
    """First and last reading of a counter in a range of time."""

    device: str
    point: str
    unit: str | None
    first: ReadingAt
    last: ReadingAt
    readings: int
