"""The buses of the agent's settings: their media, the meters on them, and what of it does not fit together."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from agent.link_settings import Endpoint, SerialSettings, TlsSettings, split
from agent.plan import BusPlan, DevicePlan, LinkPlan, RtuOverTcpPlan, TcpPlan, UdpPlan
from agent.rated_settings import RatedSettings
from drivers.modbus import catalogue
from drivers.modbus.profile import Profile
from metering.lineprotocol import check_name
from wattline.errors import ConfigError
from wattline.strict_yaml import Document, KeyPath, Strict
from wattline.units import Duration, duration_text, parse_duration

_NETWORK_TIMEOUT: Final = Decimal(1)
_SERIAL_TIMEOUT: Final = Decimal("0.2")
_SERIAL_UNITS: Final = range(1, 248)  # 0 is for all, and answered by none; the rest are reserved
_SHORTEST: Final = Decimal("0.1")
_QUARTER: Final = Decimal(900)
_DAY: Final = Decimal(86400)

T = TypeVar("T")

Name = Annotated[str, AfterValidator(check_name)]


def _interval(seconds: Decimal) -> Decimal:
    """Only what hits the quarters of an hour: the day's figures are made of readings at their bounds."""
    if not _SHORTEST <= seconds <= _DAY:
        raise ValueError(f"an interval is {duration_text(_SHORTEST)} to {duration_text(_DAY)}")
    if _QUARTER % seconds and (seconds % _QUARTER or _DAY % seconds):
        raise ValueError(
            "an interval divides 15min evenly (1s, 2s, 5s, 10s, 12s, 15s, 20s, 30s, 1min, ...), or is 15min,"
            " 30min, 1h, 2h, ... of a day: so that every quarter of an hour has a reading at its bounds"
        )
    return seconds


def _seconds(value: object) -> Decimal:
    return value if isinstance(value, Decimal) else parse_duration(value)


Interval = Annotated[Decimal, BeforeValidator(_seconds), AfterValidator(_interval)]


class Every(Strict):
    """How often a device is read: `1s`, or fast gauges and slow counters (states go with the counters)."""

    gauges: Interval
    counters: Interval


def _every(value: object) -> object:
    if isinstance(value, str):
        seconds = _interval(parse_duration(value))
        return Every(gauges=seconds, counters=seconds)
    if not isinstance(value, dict):
        raise ValueError("must be an interval with its unit, such as 1s, or {gauges: 1s, counters: 1min}")
    return value  # pyright: ignore[reportUnknownVariableType]


def some(items: tuple[T, ...]) -> tuple[T, ...]:
    """At least one; pydantic's min_length complains of no items when each of them is wrong."""
    if not items:
        raise ValueError("must have at least one entry")
    return items


class DeviceSettings(Strict):
    """One meter on a bus."""

    name: Name
    unit: Annotated[int, Field(ge=0, le=255, strict=True)]
    """Modbus address of the meter; behind a TCP address of its own often 1 or 255."""
    profile: str
    every: Annotated[Every, BeforeValidator(_every)]
    asset: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Place in the plant, free text with `/` between levels: utilities/boiler."""
    points: Annotated[tuple[str, ...], AfterValidator(some)] | None = None
    """Names of points or of quantities; None: all that the profile reads by itself."""
    allow_writes: Annotated[bool, Field(strict=True)] = False
    """True: the settings that the profile names under before_reading are written where they differ."""
    pipeline: Annotated[int, Field(ge=1, le=16, strict=True)] = 1
    """How many requests it takes at once, by tcp and tls: for meters far away, as the datasheet allows."""
    rated: RatedSettings = RatedSettings()
    """What its connection carries at most, so that impossible values are marked: {power: 250 kW, current: 400 A}."""

    def load(self, profiles: Path | None) -> Profile:
        """Its profile, from the folder `profiles` or as shipped; raises ConfigError."""
        return catalogue.load(self.profile, profiles)


class BusSettings(Strict):
    """One medium that carries one request at a time: an endpoint in the network, or a serial port."""

    name: Name
    tcp: Endpoint | None = None
    tls: TlsSettings | None = None
    udp: Endpoint | None = None
    rtu_over_tcp: Endpoint | None = None
    """A converter that passes RTU frames on unchanged; one that speaks Modbus TCP is `tcp`."""
    serial: SerialSettings | None = None
    timeout: Annotated[Duration, Field(ge=Decimal("0.05"), le=Decimal(30))] | None = None
    """How long one request waits for its reply (1s), on a serial line for the first byte of it (200ms)."""
    gap: Annotated[Duration, Field(le=Decimal(5))] = Decimal(0)
    """Pause between two requests, for gateways that need one."""
    devices: Annotated[tuple[DeviceSettings, ...], AfterValidator(some)]

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = (self.tcp, self.tls, self.udp, self.rtu_over_tcp, self.serial)
        if sum(way is not None for way in ways) != 1:
            raise ValueError(
                "needs one of tcp: 10.0.0.20:502, serial: {port: /dev/serial/by-id/..., line: 9600 8N1},"
                " rtu_over_tcp: 10.0.0.21:4001, tls: {address: 10.0.0.22, ...} and udp: 10.0.0.23:502"
            )
        return self

    @property
    def over(self) -> LinkPlan:
        if self.serial is not None:
            return self.serial.plan()
        if self.tls is not None:
            return self.tls.plan()
        for kind, endpoint in ((TcpPlan, self.tcp), (UdpPlan, self.udp), (RtuOverTcpPlan, self.rtu_over_tcp)):
            if endpoint is not None:
                host, port = split(endpoint)
                return kind(host=host, port=port)
        raise AssertionError("checked above")

    def plan(self, profiles: Path | None) -> BusPlan:
        """The bus as the agent knows it, with every profile loaded; raises ConfigError."""
        return BusPlan(
            name=self.name,
            over=self.over,
            timeout_s=float(self.timeout or (_SERIAL_TIMEOUT if self.serial else _NETWORK_TIMEOUT)),
            gap_s=float(self.gap),
            devices=tuple(
                DevicePlan(
                    name=device.name,
                    unit=device.unit,
                    profile=device.load(profiles),
                    gauges_s=device.every.gauges,
                    counters_s=device.every.counters,
                    points=device.points,
                    asset=device.asset,
                    rated=device.rated.plan(),
                    allow_writes=device.allow_writes,
                    pipeline=device.pipeline,
                )
                for device in self.devices
            ),
        )


def bus_mistakes(buses: tuple[BusSettings, ...], profiles: Path | None, document: Document) -> Iterator[str]:
    """A line for each; the same one may come twice."""
    names: dict[object, KeyPath] = {}
    devices: dict[object, KeyPath] = {}
    ports: dict[object, KeyPath] = {}
    for b, bus in enumerate(buses):
        yield from _twice(names, bus.name, ("buses", b, "name"), document, "bus")
        if bus.serial is not None:
            port = bus.serial.port.resolve()  # by its other name, too
            yield from _twice(ports, port, ("buses", b, "serial", "port"), document, "port")
        if bus.rtu_over_tcp is not None:  # it gives every connection all replies, and no reply says whose it is
            yield from _twice(ports, bus.rtu_over_tcp, ("buses", b, "rtu_over_tcp"), document, "converter")
        units: dict[object, KeyPath] = {}
        for d, device in enumerate(bus.devices):
            at: KeyPath = ("buses", b, "devices", d)
            yield from _twice(devices, device.name, (*at, "name"), document, "device")
            yield from _twice(units, device.unit, (*at, "unit"), document, f"bus {bus.name}: unit")
            if (bus.serial or bus.rtu_over_tcp) and device.unit not in _SERIAL_UNITS:
                yield str(document.error((*at, "unit"), "a unit on a serial line is 1 to 247"))
            if device.pipeline > 1 and ((bus.tcp is None and bus.tls is None) or bus.gap):
                why = "several requests at once go over tcp and tls only, and without a gap between them"
                yield str(document.error((*at, "pipeline"), why))
            yield from _profile_mistakes(device, profiles, at, document)
            yield from _write_mistakes(bus, device, profiles, at, document)


def _twice(seen: dict[object, KeyPath], key: object, at: KeyPath, document: Document, what: str) -> Iterator[str]:
    if key in seen:
        yield str(
            document.error(at, f"{what} {key} stands here a second time (first in line {document.line(seen[key])})")
        )
    else:
        seen[key] = at


def _profile_mistakes(device: DeviceSettings, profiles: Path | None, at: KeyPath, document: Document) -> Iterator[str]:
    try:
        catalogue.find(device.profile, profiles)
    except ConfigError as err:
        yield str(document.error((*at, "profile"), str(err)))
        return
    try:
        device.load(profiles).select(device.points)
    except ConfigError as err:
        # the profile's own file is wrong: the message names that file and line
        yield str(err)
    except ValueError as err:
        yield str(document.error((*at, "points"), str(err)))


def _write_mistakes(
    bus: BusSettings, device: DeviceSettings, profiles: Path | None, at: KeyPath, document: Document
) -> Iterator[str]:
    """What a profile writes before reading needs the operator's word, and a link that writes."""
    try:
        profile = device.load(profiles)
    except ConfigError:
        return  # told already
    if not profile.writes:
        return
    what = ", ".join(
        f"{setting.value} to {setting.name} (holding register {profile.points[setting.name].address})"
        for setting in profile.writes
    )
    if not device.allow_writes:
        yield str(
            document.error(
                (*at, "profile"),
                f"{profile.id} writes {what} before reading, when it reads otherwise: allow_writes: true allows it",
            )
        )
    elif bus.serial is not None or bus.rtu_over_tcp is not None:
        yield str(
            document.error((*at, "allow_writes"), f"{profile.id} writes {what}: only over Modbus TCP, TLS or UDP")
        )
