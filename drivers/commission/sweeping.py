"""Pictures of a device: what it says now, with the registers each value came from. A failure is part of a picture."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from drivers.base import DeviceSilent, LinkDown
from drivers.commission.ports import hint
from drivers.commission.words import value_text
from drivers.modbus.bus import ModbusBus, ModbusDevice
from drivers.modbus.plan import Block
from drivers.modbus.profile import Computed, Point, Table
from drivers.modbus.reader import ModbusReader
from metering.faults import ALL_POINTS, Fault
from metering.sweep import Sweep, Value
from wattline.clock import NS, Clock
from wattline.events import EventLog


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRow:
    """One point: `value` (with its exact `text`) or `fault`; `words` are its registers as received, None if not."""

    point: Point | Computed
    value: Value | None
    text: str
    fault: Fault | None
    words: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A device at one moment. `taken_at` is UTC ns, None when nothing came; `error` then says why."""

    device: str
    unit: int
    profile: str
    taken_at: int | None
    took_s: float
    requests: int
    rows: tuple[PointRow, ...]
    error: str | None

    @property
    def complete(self) -> bool:
        return all(row.fault is None for row in self.rows)

    @property
    def broken(self) -> bool:
        """True when the connection is gone."""
        return any(row.fault is Fault.LINK_DOWN for row in self.rows)


class LiveReader:
    """Reads all points of one device of a bus, and remembers the registers they came from."""

    def __init__(self, bus: ModbusBus, device: ModbusDevice, clock: Clock) -> None:
        self._bus = bus
        self._device = device
        self._clock = clock
        self._points = device.profile.select([point.name for point in device.points])
        self._heard: dict[tuple[Table, int], bytes] = {}
        self._asked = 0
        self._reader = ModbusReader(
            device=device.name,
            profile=device.profile,
            points=self._points,
            ask=self._ask,
            clock=clock,
            log=EventLog(bus=bus.name, device=device.name),
        )

    async def _ask(self, block: Block) -> bytes:
        self._asked += 1
        data = await self._bus.ask(self._device, block)
        for place in range(block.count):
            self._heard[block.table, block.address + place] = data[2 * place : 2 * place + 2]
        return data

    async def read(self) -> Picture:
        """One sweep inside `bus.connection()`. A device or link that fails is a picture of faults."""
        self._heard.clear()
        self._asked = 0
        started = self._clock.monotonic()
        sweep: Sweep | None = None
        error: str | None = None
        fault = Fault.LINK_DOWN
        try:
            sweep = await self._reader.read()
        except DeviceSilent as err:
            error, fault = str(err), err.fault
        except LinkDown as err:
            error = hint(err)
        return Picture(
            device=self._device.name,
            unit=self._device.unit,
            profile=self._device.profile.id,
            taken_at=None if sweep is None else sweep.taken_at,
            took_s=self._clock.monotonic() - started,
            requests=self._asked,
            rows=tuple(_row(point, sweep, fault, self._words(point)) for point in self._points),
            error=error,
        )

    def unreachable(self, error: LinkDown) -> Picture:
        """The picture of a bus that could not be connected."""
        return Picture(
            device=self._device.name,
            unit=self._device.unit,
            profile=self._device.profile.id,
            taken_at=None,
            took_s=0.0,
            requests=0,
            rows=tuple(_row(point, None, Fault.LINK_DOWN, None) for point in self._points),
            error=hint(error),
        )

    def _words(self, point: Point | Computed) -> bytes | None:
        if isinstance(point, Computed):
            return None
        words = [self._heard.get((point.table, address)) for address in range(point.address, point.end)]
        return None if None in words else b"".join(word for word in words if word is not None)


def _row(point: Point | Computed, sweep: Sweep | None, fault: Fault, words: bytes | None) -> PointRow:
    if sweep is None:
        return PointRow(point=point, value=None, text="", fault=fault, words=words)
    if point.name in sweep.values:
        value = sweep.values[point.name]
        text = value_text(value, sweep.float32.get(point.name))
        return PointRow(point=point, value=value, text=text, fault=None, words=words)
    why = sweep.faults.get(point.name) or sweep.faults.get(ALL_POINTS) or Fault.TIMEOUT
    return PointRow(point=point, value=None, text="", fault=why, words=words)


async def pictures(reader: LiveReader, bus: ModbusBus, clock: Clock, every_s: float) -> AsyncGenerator[Picture]:
    """A picture each `every_s`, without end; a connection that breaks is opened again. Close it after use."""
    while True:
        started = clock.now_ns()
        try:
            async with bus.connection():
                while True:
                    started = clock.now_ns()
                    picture = await reader.read()
                    yield picture
                    if picture.broken:
                        break
                    await clock.sleep_until(started + round(every_s * NS))
        except LinkDown as err:
            yield reader.unreachable(err)
        await clock.sleep_until(started + round(every_s * NS))
