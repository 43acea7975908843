"""What keeps a killed agent's readings: each sweep goes to a side file too, until its parcel is on disk or stored.

The next agent seals what it finds there anew, in its own epoch. What had become safe already comes twice then, and the
store takes it for what it is; so it must stand there under the very time under which it was sealed.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

from agent.honest_time import HonestTime
from agent.side_files import SideFiles
from agent.spool_intake import Intake
from agent.spool_ram import Ram
from metering.lineprotocol import decode_sweeps, encode_sweep, parse_line
from metering.parcel import TimeQuality
from metering.sweep import Sweep
from wattline.clock import Clock
from wattline.events import EventLog

_BURST_S: Final = 0.05
_MOST_SWEEPS: Final = 500  # in one parcel of what is taken over
_MARKS: Final = {quality: quality[:1].encode() for quality in TimeQuality}
_QUALITIES: Final = {mark: quality for quality, mark in _MARKS.items()}

Put = Callable[[Sequence[Sweep], TimeQuality, float], int]
"""Seals sweeps of this quality that have waited since a monotonic time, and returns the number of their parcel."""

_NOTHING: Final[tuple[None, list[str]]] = (None, [])


class Kept:
    """The sweeps in the side files, and which parcels of this epoch each file stands for."""

    def __init__(self, files: SideFiles, tags: str, events: EventLog) -> None:
        """`tags`: with which the sweeps will be sealed."""
        self._files, self._tags, self._events = files, tags, events
        self._parcels: dict[int, set[int]] = {}  # by number of the file
        self._fresh: list[Sweep] = []  # not written yet
        self._quality = TimeQuality.GOOD  # of these
        self._written: set[TimeQuality] = set()  # under which the sweeps of the next parcel were written
        self._encoded: dict[int, tuple[Sweep, list[str]]] = {}  # what was written and is not sealed yet, by identity

    def take_over(self, put: Put, now: float) -> None:
        """Put all that an earlier agent left; its files stay until that is durable."""
        sweeps = readings = damaged = 0
        for number in self._files.open():
            left = self._files.read(number)
            damaged += left.cut
            parcels = self._parcels[number] = set()
            for batch, quality in _batches(left.records):
                parcels.add(put(batch, quality, now))
                sweeps += len(batch)
                readings += sum(len(sweep.values) for sweep in batch)
        if sweeps or damaged:
            self._events.warning("spool.taken_over", sweeps=sweeps, readings=readings, damaged_bytes=damaged)

    def add(self, sweep: Sweep, quality: TimeQuality) -> None:
        """Write it within `_BURST_S`: what arrives together goes together."""
        if quality is not self._quality:
            self._write()
            self._quality = quality
        if not self._fresh:
            asyncio.get_running_loop().call_later(_BURST_S, self._write)
        self._fresh.append(sweep)
        self._written.add(quality)

    def _write(self) -> None:
        if not self._fresh:
            return
        lines: list[str] = []
        for sweep in self._fresh:
            encoded = encode_sweep(sweep, self._tags)
            self._encoded[id(sweep)] = sweep, encoded
            lines += encoded
        self._files.write(_MARKS[self._quality] + "\n".join(lines).encode())
        self._fresh = []

    def encode(self, sweep: Sweep, tags: str) -> list[str]:
        """As `encode_sweep`, once for the side file and the parcel."""
        written, lines = self._encoded.pop(id(sweep), _NOTHING)
        return lines if written is sweep and tags == self._tags else encode_sweep(sweep, tags)

    def end(self, seq: int, sweeps: Sequence[Sweep], quality: TimeQuality, ram: Ram) -> None:
        """What was added since the last time is now this parcel, with these times; what left `ram` is forgotten."""
        self.forget(ram)
        self._write()
        number = self._files.end()
        same_times = all(id(sweep) in self._encoded for sweep in sweeps)
        if quality is not TimeQuality.GOOD and not (same_times and self._written == {quality}):
            number = self._anew(sweeps, quality, number, same_times=same_times)
        self._written.clear()
        if number is not None:
            self._parcels[number] = {seq}

    def _anew(self, sweeps: Sequence[Sweep], quality: TimeQuality, was: int | None, *, same_times: bool) -> int | None:
        """Another file in the place of `was`; beside it for a moment, unless a reading stood there under two times."""
        if was is not None and not same_times:
            self._files.delete(was)
        self._encoded.clear()
        for sweep in sweeps:
            self.add(sweep, quality)
        self._write()
        number = self._files.end()
        if was is not None and same_times:
            self._files.delete(was)
        return number

    def forget(self, ram: Ram) -> None:
        """Delete the files of the parcels that are not, or no longer, in RAM only."""
        waiting = {parcel.id.seq for parcel in ram}
        for number in [number for number, parcels in self._parcels.items() if parcels.isdisjoint(waiting)]:
            del self._parcels[number]
            self._files.delete(number)

    def close(self, ram: Ram) -> None:
        """Everything is sealed; what no disk took stays in the files."""
        self.forget(ram)
        self._files.close()


def _batches(records: Sequence[bytes]) -> Iterator[tuple[list[Sweep], TimeQuality]]:
    """The sweeps of the records in their order, together as long as they are of one quality and not too many."""
    for quality, group in groupby(records, key=lambda record: _QUALITIES.get(record[:1])):
        if quality is not None:  # else another version wrote it
            sweeps = [sweep for record in group for sweep in _sweeps(record)]
            for first in range(0, len(sweeps), _MOST_SWEEPS):
                yield sweeps[first : first + _MOST_SWEEPS], quality


def _sweeps(record: bytes) -> Sequence[Sweep]:
    try:
        return list(decode_sweeps(parse_line(line) for line in record[1:].decode().split("\n")))
    except ValueError:  # it is whole, but of a version that knew other faults
        return ()


class KeptIntake(Intake):
    """An Intake of which every sweep is kept as soon as it comes."""

    def __init__(self, clock: Clock, time: HonestTime | None, kept: Kept) -> None:
        super().__init__(clock, time)
        self._kept = kept

    def add(self, sweep: Sweep) -> bool:
        enough = super().add(sweep)
        unset = bool(self._noted) and self._noted[-1].unset
        self._kept.add(sweep, TimeQuality.UNSYNCHRONISED if unset else TimeQuality.GOOD)
        return enough
