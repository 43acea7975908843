"""The plant file: what a simulated plant consists of, checked at the door.

Names tie it together: a shift says when, a load what consumes, a node what is summed up, a source what is produced on
the roof, a meter what is measured and where it is asked. Errors name file and line.
"""

import re
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from drivers.modbus.serial_line import SerialLine
from drivers.simulation.mishaps import Mishap
from drivers.simulation.served import SerialEnd
from wattline.strict_yaml import Strict
from wattline.units import Duration

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Carrier(StrEnum):
    """What flows; the rate is kW for electricity and heat, m3/h for gas (at base conditions) and water."""

    ELECTRICITY = "electricity"
    NATURAL_GAS = "natural_gas"
    FRESH_WATER = "fresh_water"
    HEAT = "heat"

    @property
    def unit(self) -> str:
        """Of an amount: what its rate gives in an hour."""
        return "kWh" if self in {Carrier.ELECTRICITY, Carrier.HEAT} else "m3"


def _days(text: object) -> object:
    """`mon-fri`, `sat`, `mon,wed,fri` or `daily` as day numbers, Monday 0."""
    if not isinstance(text, str):
        raise ValueError("write days as mon-fri, sat, mon,wed,fri or daily")
    if text == "daily":
        return tuple(range(7))
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first not in _DAYS or (last and last not in _DAYS):
            raise ValueError(f"{part.strip()!r} is no day: write mon-fri, sat, mon,wed,fri or daily")
        a, b = _DAYS.index(first), _DAYS.index(last or first)
        found += range(a, b + 1) if a <= b else [*range(a, 7), *range(b + 1)]
    return tuple(sorted(set(found)))


def _time_of_day(text: object) -> object:
    """`07:30` as seconds since midnight; `24:00` is the end of the day."""
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text) if isinstance(text, str) else None
    if match is None or int(match[2]) > 59 or int(match[1]) * 60 + int(match[2]) > 24 * 60:
        raise ValueError("write a time of day as 07:30")
    return int(match[1]) * 3600 + int(match[2]) * 60


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as err:
        raise ValueError(f"{name} is no time zone: write one such as Asia/Shanghai") from err
    return name


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("write the instant with its offset, such as 2025-01-01T00:00:00+08:00")
    return at


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("write HOST:PORT, such as 127.0.0.1:15020")
    return text


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=64)]
Days = Annotated[tuple[int, ...], BeforeValidator(_days)]
TimeOfDay = Annotated[int, BeforeValidator(_time_of_day)]
Positive = Annotated[float, Field(gt=0, le=1e7)]


class Work(Strict):
    """A block of work on some days; an `end` at or before `start` is on the next day."""

    days: Days
    start: TimeOfDay
    end: TimeOfDay
    level: Annotated[float, Field(gt=0, le=1)] = 1.0


class Shift(Strict):
    """How busy something is over the week: `idle` outside of work; it rises during the `ramp` before a block of work
    and falls during the last `ramp` of it."""

    idle: Annotated[float, Field(ge=0, le=1)]
    ramp: Annotated[Duration, Field(ge=1, le=4 * 3600)] = Decimal(60)
    work: tuple[Work, ...] = ()


class Stroke(Strict):
    """A machine's cycle: for the share `busy` of each `period` full load, then `depth` less, while at work."""

    period: Duration
    depth: Annotated[float, Field(gt=0, le=0.9)]
    busy: Annotated[float, Field(ge=0.1, le=0.9)] = 0.5


class Load(Strict):
    """A consumer: at most `rated` (kW or m3/h), as busy as its shift."""

    carrier: Carrier
    rated: Positive
    shift: Name
    cycle: Stroke | None = None


class Source(Strict):
    """A photovoltaic array: `peak` kW around noon of a clear day, nothing from sunset to sunrise."""

    peak: Positive
    sunrise: TimeOfDay
    sunset: TimeOfDay


class Node(Strict):
    """A place where flows meet: it draws what it feeds, plus its losses, less what the sources there produce."""

    feeds: Annotated[tuple[Name, ...], Field(min_length=1)]
    loss: Annotated[float, Field(ge=0, le=0.2)] = 0.0  # share of what flows to what it feeds
    standing_loss: Annotated[float, Field(ge=0, le=1e5)] = 0.0  # kW or m3/h, always
    sources: tuple[Name, ...] = ()


class Meter(Strict):
    """A meter of some profile at a load, node or source.

    `start` is what its main register shows when the simulation begins. A `reversed` meter is wired the other way
    round: it counts as export and shows negative power.
    """

    name: Name
    unit: Annotated[int, Field(ge=0, le=255)]
    profile: str
    measures: Name
    start: Annotated[float, Field(ge=0)] = 0.0
    every: Duration = Decimal(1)
    power_factor: Annotated[float, Field(ge=0.3, le=1)] = 0.93
    ct_ratio: Annotated[int, Field(ge=1, le=10000)] = 1
    pt_ratio: Annotated[int, Field(ge=1, le=1000)] = 1
    reversed: bool = False


class Serial(Strict):
    """A serial line by Modbus RTU; `link` is made, relative to where the simulator is started."""

    link: Path
    line: Annotated[str, AfterValidator(lambda text: str(SerialLine.parse(text)))]
    turnaround: Annotated[Duration, Field(le=5)] = Decimal("0.02")  # what a meter thinks before it answers


class Endpoint(Strict):
    """One Modbus TCP address, or a serial line; several units behind an address make it a gateway."""

    name: Name
    listen: Annotated[str, AfterValidator(_listen)] | None = None
    serial: Serial | None = None
    meters: Annotated[tuple[Meter, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.listen is None) == (self.serial is None):
            raise ValueError("needs one of listen: 127.0.0.1:15020 and serial: {link: ./ttyPLANT, line: 9600 8N1}")
        return self

    @property
    def at(self) -> tuple[str, int] | SerialEnd:
        if self.serial is not None:
            end = self.serial
            return SerialEnd(link=end.link, line=SerialLine.parse(end.line), turnaround_s=float(end.turnaround))
        assert self.listen is not None
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def place(self) -> str:
        """For people."""
        return self.listen or str(self.at)


class PlantFile(Strict):
    """A whole plant. `origin` is when all registers show their `start`; the start of the program when not given.
    `faults` is the script of what befalls its meters."""

    site: Name
    zone: Annotated[str, AfterValidator(_zone)]
    seed: int = 1
    voltage: Annotated[float, Field(ge=50, le=50_000)] = 400.0  # V between lines
    frequency: Annotated[float, Field(ge=40, le=70)] = 50.0
    origin: Annotated[datetime, AfterValidator(_aware)] | None = None
    shifts: dict[Name, Shift]
    loads: dict[Name, Load]
    sources: dict[Name, Source] = Field(default_factory=dict[Name, Source])
    nodes: dict[Name, Node] = Field(default_factory=dict[Name, Node])
    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1)]
    faults: tuple[Mishap, ...] = ()

    @property
    def meters(self) -> tuple[Meter, ...]:
        return tuple(meter for endpoint in self.endpoints for meter in endpoint.meters)


def carrier_of(plant: PlantFile, name: str) -> Carrier:
    """What flows at a load, node or source of a checked file."""
    if name in plant.loads:
        return plant.loads[name].carrier
    if name in plant.sources:
        return Carrier.ELECTRICITY
    return carrier_of(plant, plant.nodes[name].feeds[0])
