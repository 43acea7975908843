"""The agent's settings: one YAML file plus the environment, checked to the last name before anything is opened."""

import ipaddress
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from agent.plan import BusPlan, DevicePlan, GatewayPlan, SpoolPlan
from drivers.modbus import catalogue
from drivers.modbus.profile import Profile
from metering.lineprotocol import check_name
from wattline.broker_settings import BrokerSettings
from wattline.errors import ConfigError
from wattline.settings_file import FileSettings, load_settings
from wattline.strict_yaml import Document, KeyPath
from wattline.units import Duration, Size, duration_text, parse_duration

_SHORTEST: Final = Decimal("0.1")
_QUARTER: Final = Decimal(900)
_DAY: Final = Decimal(86400)
_MIB: Final = 1024 * 1024
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_FORM: Final = "must be HOST:PORT, such as 10.0.0.20:502 or [fe80::1]:502"

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


class Model(BaseModel):
    """Base of the parts: nothing unknown, nothing changed later, no input in a message."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Every(Model):
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


def _some(items: tuple[T, ...]) -> tuple[T, ...]:
    # not pydantic's min_length: that complains of no items when each of them is wrong
    if not items:
        raise ValueError("must have at least one entry")
    return items


class DeviceSettings(Model):
    """One meter on a bus."""

    name: Name
    unit: Annotated[int, Field(ge=0, le=255, strict=True)]
    """Modbus address of the meter; behind a TCP address of its own often 1 or 255."""
    profile: str
    every: Annotated[Every, BeforeValidator(_every)]
    asset: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Place in the plant, free text with `/` between levels: utilities/boiler."""
    points: Annotated[tuple[str, ...], AfterValidator(_some)] | None = None
    """Names of points or of quantities; None: all that the profile reads by itself."""


def _endpoint(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(_FORM)
    if host.startswith("[") and host.endswith("]"):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError as err:
            raise ValueError(_FORM) from err
    elif not _HOST.fullmatch(host):
        raise ValueError(_FORM)
    return text


class BusSettings(Model):
    """One medium that carries one request at a time: here a TCP connection to a meter or gateway."""

    name: Name
    tcp: Annotated[str, AfterValidator(_endpoint)]
    timeout: Annotated[Duration, Field(ge=Decimal("0.05"), le=Decimal(30))] = Decimal(1)
    """How long one request waits for its reply."""
    gap: Annotated[Duration, Field(le=Decimal(5))] = Decimal(0)
    """Pause between two requests, for gateways that need one."""
    devices: Annotated[tuple[DeviceSettings, ...], AfterValidator(_some)]

    @property
    def host(self) -> str:
        return self.tcp.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.tcp.rpartition(":")[2])


class SpoolSettings(Model):
    """Where readings wait on disk until the store has them."""

    directory: Path
    budget: Annotated[Size, Field(ge=8 * _MIB)] = 512 * _MIB
    """Most bytes the spool may take on disk."""
    commit_interval: Annotated[Duration, Field(ge=Decimal(1), le=Decimal(600))] = Decimal(30)
    """At most this much may be lost in a power cut; shorter writes more to the flash."""
    seal_interval: Annotated[Duration, Field(ge=Decimal("0.5"), le=Decimal(600))] = Decimal(5)
    """How often what was read is sealed in a parcel and sent."""


class AgentSettings(FileSettings):
    """The whole file."""

    site: Name
    gateway: Name
    broker: BrokerSettings
    spool: SpoolSettings
    commit: Literal["store", "puback"] = "store"
    """What lets a parcel leave the spool: the centre's word that it is stored, or the broker's acknowledgement."""
    profiles: Path | None = None
    """Folder with the plant's own device profiles, relative to this file; one of them goes before a shipped one."""
    buses: Annotated[tuple[BusSettings, ...], AfterValidator(_some)]

    def profile(self, device: DeviceSettings) -> Profile:
        """The device's profile; raises ConfigError."""
        return catalogue.load(device.profile, self.profiles)

    def plan(self) -> GatewayPlan:
        """The settings as the agent knows them, with every profile loaded; raises ConfigError."""
        return GatewayPlan(
            site=self.site,
            gateway=self.gateway,
            broker=self.broker.access(f"wattline-{self.site}-{self.gateway}"),
            spool=SpoolPlan(
                directory=self.spool.directory,
                budget=self.spool.budget,
                commit_interval_s=float(self.spool.commit_interval),
                seal_interval_s=float(self.spool.seal_interval),
            ),
            release=self.commit,
            buses=tuple(self._bus_plan(bus) for bus in self.buses),
        )

    def _bus_plan(self, bus: BusSettings) -> BusPlan:
        return BusPlan(
            name=bus.name,
            host=bus.host,
            port=bus.port,
            timeout_s=float(bus.timeout),
            gap_s=float(bus.gap),
            devices=tuple(
                DevicePlan(
                    name=device.name,
                    unit=device.unit,
                    profile=self.profile(device),
                    gauges_s=device.every.gauges,
                    counters_s=device.every.counters,
                    points=device.points,
                    asset=device.asset,
                )
                for device in bus.devices
            ),
        )


def load(path: Path) -> AgentSettings:
    """Load and cross-check a file; raises ConfigError with a line for every mistake."""
    settings, document = load_settings(AgentSettings, path)
    if settings.profiles is not None:
        folder = path.parent / settings.profiles
        if not folder.is_dir():
            raise document.error(("profiles",), f"there is no folder {folder}")
        settings = settings.model_copy(update={"profiles": folder})
    mistakes = dict.fromkeys(_mistakes(settings, document))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return settings


def _mistakes(settings: AgentSettings, document: Document) -> Iterator[str]:
    buses: dict[object, KeyPath] = {}
    devices: dict[object, KeyPath] = {}
    for b, bus in enumerate(settings.buses):
        yield from _twice(buses, bus.name, ("buses", b, "name"), document, "bus")
        units: dict[object, KeyPath] = {}
        for d, device in enumerate(bus.devices):
            at: KeyPath = ("buses", b, "devices", d)
            yield from _twice(devices, device.name, (*at, "name"), document, "device")
            yield from _twice(units, device.unit, (*at, "unit"), document, f"bus {bus.name}: unit")
            yield from _profile_mistakes(settings, device, at, document)


def _twice(seen: dict[object, KeyPath], key: object, at: KeyPath, document: Document, what: str) -> Iterator[str]:
    if key in seen:
        yield str(
            document.error(at, f"{what} {key} stands here a second time (first in line {document.line(seen[key])})")
        )
    else:
        seen[key] = at


def _profile_mistakes(
    settings: AgentSettings, device: DeviceSettings, at: KeyPath, document: Document
) -> Iterator[str]:
    try:
        catalogue.find(device.profile, settings.profiles)
    except ConfigError as err:
        yield str(document.error((*at, "profile"), str(err)))
        return
    try:
        settings.profile(device).select(device.points)
    except ConfigError as err:
        # the profile's own file is wrong: the message names that file and line
        yield str(err)
    except ValueError as err:
        yield str(document.error((*at, "points"), str(err)))
