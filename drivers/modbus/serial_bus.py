"""ModbusRtuBus: the meters on one serial line; ModbusLineBus: those on whatever else carries RTU."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

from drivers.modbus.ascii import AsciiLink, ascii_time
from drivers.modbus.bus import ModbusBus, ModbusDevice
from drivers.modbus.plan import Block, worthwhile_gap
from drivers.modbus.profile import Profile
from drivers.modbus.rtu import TURNAROUND_S, LineLink, RtuLink
from drivers.modbus.serial_line import SerialLine
from drivers.round_trips import WINDOW, RoundTrips
from wattline.clock import Clock
from wattline.events import EventLog

_USUAL_TURNAROUND_S: Final = 0.02
_LEAST_CHANGE: Final = 4
"""Registers: a worthwhile gap that changes by less, or by less than half, is not worth planning all reads anew."""


class ModbusLineBus(ModbusBus):
    """What carries RTU as a bus. A meter may think as long as the link lets it, or longer where its profile says so."""

    def __init__(self, name: str, link: LineLink, clock: Clock, *, pause_s: float = 0.0) -> None:
        super().__init__(name, link, clock, pause_s=pause_s)
        self._line_link = link

    def add_device(self, name: str, unit: int, profile: Profile, points: Collection[str] | None = None) -> ModbusDevice:
        device = super().add_device(name, unit, profile, points)
        self._line_link.allow(unit, profile.limits.timeout_s)
        return device


class ModbusRtuBus(ModbusLineBus):
    """A serial port as a bus; with `ascii` its meters speak ASCII."""

    def __init__(
        self,
        name: str,
        port: Path,
        line: SerialLine,
        *,
        turnaround_s: float = TURNAROUND_S,
        rs485: bool = False,
        ascii: bool = False,  # noqa: A002 - its name
        pause_s: float = 0.0,
        clock: Clock,
    ) -> None:
        kind = AsciiLink if ascii else RtuLink
        super().__init__(
            name, kind(port, line, EventLog(bus=name), turnaround_s=turnaround_s, rs485=rs485), clock, pause_s=pause_s
        )
        self._pace = ascii_time(line) if ascii else line
        self._turnarounds = RoundTrips()
        self._measured = 0
        self.worthwhile_gap = self._gap(_USUAL_TURNAROUND_S)

    async def _timed(self, unit: int, block: Block) -> bytes:
        """As of any bus; learns how long the meters take to begin an answer, and what gap is worth crossing then."""
        began = self._clock.monotonic()
        data = await super()._timed(unit, block)
        self._turnarounds.add(max(0.0, self._clock.monotonic() - began - self._pace.read_s(block.count)))
        self._measured += 1
        if self._measured % WINDOW == 0 and (usual_s := self._turnarounds.percentile(50)) is not None:
            gap, before = self._gap(usual_s), self.worthwhile_gap or 0
            if abs(gap - before) > max(_LEAST_CHANGE, before // 2):
                self.worthwhile_gap = gap
        return data

    def _gap(self, turnaround_s: float) -> int:
        return worthwhile_gap(character_s=self._pace.character_s, turnaround_s=turnaround_s)
