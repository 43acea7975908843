"""A bus in virtual time whose devices do as the test says: answer, keep silent, lose the link."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from drivers.base import DeviceSilent, LinkDown, Request
from metering.faults import Fault
from metering.quantities import Kind
from metering.sweep import PointInfo, Sweep
from wattline.clock import Clock

POINTS = (
    PointInfo(name="power_active_total", unit="W", kind=Kind.GAUGE),
    PointInfo(name="energy_active_import_total", unit="kWh", kind=Kind.COUNTER),
)


@dataclass
class ScriptedReader:
    device: "ScriptedDevice"
    wanted: tuple[str, ...]

    @property
    def requests(self) -> Sequence[Request]:
        return (Request(what="scripted", points=len(self.wanted)),)

    async def read(self) -> Sweep:
        device, bus = self.device, self.device.bus
        assert bus.connected, "a reader works inside the connection only"
        assert not bus.busy, "one request at a time"
        bus.busy = True
        device.asked.append(bus.clock.now_ns())
        try:
            if not bus.cable:
                await asyncio.sleep(bus.loss_s)
                raise LinkDown("the cable is out")
            await asyncio.sleep(bus.timeout_s if device.silent else device.answer_s)
            if device.silent:
                raise DeviceSilent("read input 0+2: no reply", Fault.TIMEOUT)
            faults = {point: device.faults[point] for point in self.wanted if point in device.faults}
            values = dict.fromkeys((point for point in self.wanted if point not in faults), 1.0)
            return Sweep(device=device.name, taken_at=bus.clock.now_ns(), values=values, faults=faults)
        finally:
            bus.busy = False


@dataclass
class ScriptedDevice:
    name: str
    bus: "ScriptedBus"
    answer_s: float = 0.02
    silent: bool = False
    faults: dict[str, Fault] = field(default_factory=dict[str, Fault])
    asked: list[int] = field(default_factory=list)
    points: tuple[PointInfo, ...] = POINTS

    def reader(self, points: Collection[str]) -> ScriptedReader:
        return ScriptedReader(self, tuple(points))


class ScriptedBus:
    name = "substation"

    def __init__(self, clock: Clock, names: Sequence[str], *, timeout_s: float = 0.5, loss_s: float = 0.0) -> None:
        self.clock = clock
        self.timeout_s, self.loss_s = timeout_s, loss_s
        self.cable = True
        self.connected = self.busy = False
        self.connects: list[int] = []
        self.devices = [ScriptedDevice(name, self) for name in names]

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[None]:
        self.connects.append(self.clock.now_ns())
        if not self.cable:
            raise LinkDown("connect to 10.0.0.20:502: no route to host")
        self.connected = True
        try:
            yield
        finally:
            self.connected = False
