"""Search: one scan after the other at the places named; what was found stays when it is broken off."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Final

from drivers.commission.scan import PAUSE_S, Scanned, Scanner, Watcher
from drivers.commission.scan_text import Place
from drivers.commission.screen import Progress, time_text
from drivers.commission.target import Endpoint, SerialPlace
from drivers.modbus.bus import Link
from drivers.modbus.profile import Profile
from drivers.modbus.rtu import RtuLink
from drivers.modbus.serial_line import SerialLine
from drivers.modbus.tcp import TcpLink
from wattline.clock import Clock
from wattline.events import EventLog

_LATE_S: Final = 0.1  # a serial line is left alone for so long after a silent unit
_FIRST_S: Final = 3.0  # longest wait for the first silent unit behind a gateway
_READ_REGISTERS: Final = 8  # as a rule, to tell models apart


@dataclass(slots=True, kw_only=True)
class Search:
    """What to ask, and by now `results`. `every_line`: go on after the first setting of a line that was answered."""

    units: Sequence[int]
    profiles: Sequence[Profile]
    timeout_s: float
    progress: Progress
    clock: Clock
    every_line: bool = False
    results: dict[Place, Scanned] = field(default_factory=dict[Place, Scanned])

    async def endpoints(self, endpoints: Sequence[Endpoint]) -> None:
        """All of them."""
        for place in endpoints:
            link = TcpLink(place.host, place.port, self.timeout_s, EventLog(bus=str(place)))

            def wait(seconds: float, link: TcpLink = link) -> None:
                link.timeout_s = seconds

            await self._scan(place, link, wait)

    async def lines(self, port: Path, lines: Sequence[SerialLine]) -> None:
        """The settings of one port in turn."""
        for line in lines:
            most_s = self.silent_s(line) * len(self.units)
            self.progress.line(f"{line}: {len(self.units)} unit ids, at most {time_text(ceil(most_s))} if none answers")
            link = RtuLink(port, line, EventLog(bus=str(port)), turnaround_s=self.timeout_s)
            scanned = await self._scan(SerialPlace(port=port, line=line), link, None)
            gone = scanned.error is not None and "cannot be set" not in scanned.error
            if gone or (scanned.clear and not self.every_line):
                return

    async def _scan(self, place: Place, link: Link, wait: Callable[[float], None] | None) -> Scanned:
        watcher: Watcher = _Bar(str(place.line if isinstance(place, SerialPlace) else place), self.progress)
        scanner = Scanner(link, self.clock, timeout_s=self.timeout_s, watcher=watcher, wait=wait)
        try:
            self.results[place] = scanned = await scanner.scan(self.units, self.profiles)
        except BaseException:
            self.results[place] = replace(scanner.so_far, error="broken off")
            raise
        return scanned

    def silent_s(self, line: SerialLine) -> float:
        """Seconds a unit costs that does not answer."""
        return 8 * line.character_s + 2 * line.silence_s + self.timeout_s + _LATE_S

    def identify_s(self, line: SerialLine | None) -> float:
        """Seconds it takes to find out what one unit is, about."""
        return len(self.profiles) * (PAUSE_S + 0.03 + (line.read_s(_READ_REGISTERS) if line else 0.0))

    def most_s(self, endpoints: int) -> float:
        """Seconds if nothing answers at so many endpoints."""
        return endpoints * (len(self.units) * self.timeout_s + _FIRST_S)


class _Bar:
    """Shows how the scan of one place goes."""

    def __init__(self, where: str, progress: Progress) -> None:
        self._where = where
        self._progress = progress

    def asking(self, done: int, of: int, left_s: float, what: str) -> None:
        self._progress.show(done, of, left_s, f"{self._where} {what}")

    def found(self, unit: int, said: str) -> None:
        self._progress.line(f"{self._where}, unit {unit}: {said}")
