"""ModbusBus: devices on one Modbus link, one request at a time, with the pauses they need."""

from collections.abc import AsyncGenerator, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol, runtime_checkable

from drivers.base import DeviceSilent
from drivers.modbus.plan import Block
from drivers.modbus.profile import Computed, Point, Profile
from drivers.modbus.reader import ModbusReader
from drivers.modbus.refusal_book import RefusalBook
from drivers.modbus.refusals import Refusals
from drivers.modbus.setup import settle
from drivers.modbus.sunspec import Place
from drivers.modbus.tcp import TcpLink
from drivers.round_trips import RoundTrips
from metering.faults import Fault
from metering.lineprotocol import check_name
from metering.sweep import PointInfo
from wattline.clock import NS, Clock
from wattline.events import EventLog


class Link(Protocol):
    """A way to ask registers of units: TCP, a serial line, or a simulated one."""

    async def open(self) -> None:
        """Connect; raises LinkDown."""
        ...

    async def close(self) -> None:
        """Disconnect; harmless when not connected."""
        ...

    async def read(self, unit: int, function: int, address: int, count: int) -> bytes:
        """The 2 x `count` register bytes of a checked reply. One call at a time.

        Raises LinkDown, DeviceSilent (no answer, or none that makes sense) or drivers.modbus.pdu.Refused.
        """
        ...


@runtime_checkable
class WritingLink(Link, Protocol):
    """A link that can also write."""

    async def write(self, unit: int, address: int, registers: bytes) -> None:
        """Write holding registers; the echo is checked. Raises as `read`."""
        ...


class ModbusBus:
    """The devices on one link. `pause_s` is kept between any two requests on the bus."""

    def __init__(self, name: str, link: Link, clock: Clock, *, pause_s: float = 0.0) -> None:
        self._name = check_name(name)
        self._link = link
        self._clock = clock
        self._pause_s = pause_s
        self._devices: list[ModbusDevice] = []
        self._rested_at = float("-inf")
        self._connections = 0
        self._log = EventLog(bus=name)
        self.round_trips = RoundTrips()
        self.refusals = RefusalBook()
        """What its meters refused; the gateway gives all its buses one book before the first device is added."""
        self.where = ""  # how it is reached: the book of refusals knows its meters by that, beside name and unit
        self.worthwhile_gap: int | None = None
        """What plan() takes; a serial line sets it, and seldom changes it: each change plans all reads anew."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def link(self) -> Link:
        """For registers that no device of the bus describes."""
        return self._link

    @property
    def devices(self) -> Sequence["ModbusDevice"]:
        return tuple(self._devices)

    def add_device(
        self, name: str, unit: int, profile: Profile, points: Collection[str] | None = None
    ) -> "ModbusDevice":
        """A device of this bus that delivers `points` (names of points or quantities; None: the standard points).

        Raises ValueError for a name that is taken or not allowed, a unit that is none, or an unknown point.
        """
        if any(device.name == name for device in self._devices):
            raise ValueError(f"device {name!r} is on bus {self._name} already")
        if not 0 <= unit <= 255:
            raise ValueError(f"{unit} is no unit id (0 to 255)")
        device = ModbusDevice(self, check_name(name), unit, profile, profile.select(points))
        self._devices.append(device)
        return device

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[None]:
        """Connected inside; raises LinkDown when it cannot be."""
        await self._link.open()
        self._connections += 1
        try:
            yield
        finally:
            await self._link.close()

    def ask(self, device: "ModbusDevice", block: Block) -> Coroutine[None, None, bytes]:
        """The register bytes of one block, after the pauses that the bus and the meter need. Raises as Link.read.

        The settings that the meter's profile asks for are looked at first, once in each connection.
        """
        return self._settle_and_ask(device, block) if self._unsettled(device) else self._ask(device, block)

    def _unsettled(self, device: "ModbusDevice") -> bool:
        return bool(device.profile.settings) and device.settled_in != self._connections

    async def _settle_and_ask(self, device: "ModbusDevice", block: Block) -> bytes:
        await settle(
            device.profile,
            partial(self._ask, device),
            partial(self._write, device) if device.allow_writes else None,
            self._log.bind(device=device.name),
        )
        device.settled_in = self._connections
        return await self._ask(device, block)

    async def _write(self, device: "ModbusDevice", address: int, registers: bytes) -> None:
        if not isinstance(self._link, WritingLink):
            raise DeviceSilent(f"{self._name} has no way to write", Fault.WRONG_SETUP)
        await self._link.write(device.unit, address, registers)

    def _ask(self, device: "ModbusDevice", block: Block) -> Coroutine[None, None, bytes]:
        if self._pause_s or device.profile.limits.min_pause_s:
            return self._rest_and_ask(device, block)
        return self._timed(device.unit, block)

    async def _rest_and_ask(self, device: "ModbusDevice", block: Block) -> bytes:
        left_s = max(self._rested_at, device.rested_at) - self._clock.monotonic()
        if left_s > 0:
            await self._clock.sleep_until(self._clock.now_ns() + round(left_s * NS))
        try:
            return await self._timed(device.unit, block)
        finally:
            now = self._clock.monotonic()
            self._rested_at = now + self._pause_s
            device.rested_at = now + device.profile.limits.min_pause_s

    async def _timed(self, unit: int, block: Block) -> bytes:
        began = self._clock.monotonic()
        data = await self._link.read(unit, block.table.function, block.address, block.count)
        self.round_trips.add(self._clock.monotonic() - began)
        return data

    def reader(self, device: "ModbusDevice", points: Collection[Point | Computed]) -> ModbusReader:
        return ModbusReader(
            device=device.name,
            profile=device.profile,
            points=points,
            ask=partial(self.ask, device),
            clock=self._clock,
            log=self._log.bind(device=device.name),
            refusals=device.refusals,
            place=device.place,
            gap=lambda: self.worthwhile_gap,
            at_once=partial(self._at_once, device),
        )

    def _at_once(self, device: "ModbusDevice") -> int:  # noqa: ARG002 - what most links carry
        """How many requests to the device may be under way now."""
        return 1


class ModbusDevice:
    """One unit on a bus, with its profile and the points it is set to deliver."""

    def __init__(
        self, bus: ModbusBus, name: str, unit: int, profile: Profile, points: tuple[Point | Computed, ...]
    ) -> None:
        self._bus = bus
        self._name = name
        self._unit = unit
        self._profile = profile
        self._points = points
        self.rested_at = float("-inf")  # on the bus's clock: when the meter may be asked again
        self.allow_writes = False  # True: the operator allows what the profile writes before reading
        self.pipeline = 1  # how many requests it takes at once, where the link carries them
        self.place = Place()
        self.settled_in = 0  # the connection of the bus in which the settings were last found right

    @property
    def name(self) -> str:
        return self._name

    @property
    def unit(self) -> int:
        return self._unit

    @property
    def profile(self) -> Profile:
        return self._profile

    @property
    def refusals(self) -> Refusals:
        """What it refused."""
        return self._bus.refusals.page(self._name, self._profile, f"{self._bus.where} {self._unit}")

    @property
    def points(self) -> tuple[PointInfo, ...]:
        return tuple(point.info for point in self._points)

    def reader(self, points: Collection[str]) -> ModbusReader:
        """A reader of these points, at least one; ValueError for one this device does not deliver."""
        if not points:
            raise ValueError(f"a reader of no points of {self._name}")
        known = {point.name for point in self._points}
        if unknown := sorted(set(points) - known):
            raise ValueError(f"{self._name} does not deliver {', '.join(unknown)}")
        return self._bus.reader(self, [point for point in self._points if point.name in points])


class ModbusNetworkBus(ModbusBus):
    """An endpoint in the network, by Modbus TCP, TLS or UDP: a meter, or a gateway with several behind it.

    An answer may take the link's `timeout_s`, or longer where the profile of one of the devices says so.
    """

    def __init__(self, name: str, link: TcpLink, clock: Clock, *, pause_s: float = 0.0) -> None:
        super().__init__(name, link, clock, pause_s=pause_s)
        self._endpoint = link

    def add_device(self, name: str, unit: int, profile: Profile, points: Collection[str] | None = None) -> ModbusDevice:
        device = super().add_device(name, unit, profile, points)
        self._endpoint.timeout_s = max(self._endpoint.timeout_s, profile.limits.timeout_s)
        return device

    def _at_once(self, device: ModbusDevice) -> int:
        if self._pause_s or device.profile.limits.min_pause_s or self._unsettled(device):
            return 1
        return min(device.pipeline, self._endpoint.most_at_once)


class ModbusTcpBus(ModbusNetworkBus):
    """A Modbus TCP endpoint."""

    def __init__(
        self, name: str, host: str, port: int, *, timeout_s: float = 1.0, pause_s: float = 0.0, clock: Clock
    ) -> None:
        super().__init__(name, TcpLink(host, port, timeout_s, EventLog(bus=name)), clock, pause_s=pause_s)
