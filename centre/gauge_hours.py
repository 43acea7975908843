"""Hours of gauges: out of the books, and made of readings again where any arrived since they were kept.

The store's own count of what arrived tells that, so nothing has to be noted when readings come, however late.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from centre.accounting.gauge_sums import HOUR_NS, UNKNOWN, Reading, Sums, by_flow, by_time, pieces
from centre.books import gauge_hours as rows
from centre.books.file import Books
from centre.books.gauge_hours import KeptHour
from centre.outlets import Gauge
from centre.register_samples import exact
from centre.store.base import SeriesKey, Store

_FORM: Final = 1  # of the sums: another one makes all hours anew
_AT_ONCE_NS: Final = 24 * HOUR_NS
_MOST_READINGS: Final = 200_000  # of a day: two a second


class Source(NamedTuple):
    """A gauge whose values count by time, or by what flows at `flow`; each holds for `hold_ns` at most."""

    gauge: Gauge
    flow: Gauge | None
    hold_ns: int

    @property
    def name(self) -> str:
        """Two sources of the same name have the same sums."""
        weight = "time" if self.flow is None else f"{self.flow.device}/{self.flow.point}"
        return f"{_FORM} {self.gauge.device}/{self.gauge.point} by {weight} {self.hold_ns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeHours:
    """Methods raise StoreError. Without books everything is made of readings."""

    store: Store
    books: Books | None

    async def of(self, site: str, source: Source, starts: Sequence[int]) -> dict[int, Sums]:
        """The hours that begin at `starts`, which are in order."""
        if not starts:
            return {}
        # what arrived is looked at before the readings: what comes in between is made again the next time
        arrived = await self._arrived(site, source, starts)
        kept: dict[int, KeptHour] = {}
        if self.books is not None:
            where = (site, source.name, starts[0], starts[-1] + 1)
            kept = await self.books.read(lambda connection: rows.hours(connection, *where))
        new: dict[int, KeptHour] = {}
        for stretch in _stretches([at for at in starts if at not in kept or kept[at].arrived != arrived[at]]):
            found = await self._made(site, source, [at for at in stretch if arrived[at]])
            new |= {at: KeptHour(arrived[at], sums) for at, sums in found.items()}
        if new and self.books is not None:
            await self.books.keep(lambda connection: rows.put(connection, site, source.name, new))
        kept |= new
        return {at: kept[at].sums if arrived[at] else UNKNOWN for at in starts}

    async def _arrived(self, site: str, source: Source, starts: Sequence[int]) -> dict[int, int]:
        """Hour -> all that arrived of the hours of UTC its readings may lie in."""
        before = -(-source.hold_ns // HOUR_NS) * HOUR_NS
        first, last = (starts[0] - before) // HOUR_NS * HOUR_NS, starts[-1] + HOUR_NS
        counts: dict[int, int] = {}
        for device in {gauge.device for gauge in (source.gauge, source.flow) if gauge is not None}:
            for at, number in (await self.store.arrivals(site, device, first, last)).items():
                counts[at] = counts.get(at, 0) + number
        return {
            start: sum(
                counts.get(at, 0)
                for at in range((start - source.hold_ns) // HOUR_NS * HOUR_NS, start + HOUR_NS, HOUR_NS)
            )
            for start in starts
        }

    async def _made(self, site: str, source: Source, starts: Sequence[int]) -> dict[int, Sums]:
        """Hours of a day or less, of readings."""
        if not starts:
            return {}
        start, end = starts[0] - source.hold_ns, starts[-1] + HOUR_NS
        values = await self.readings(site, source.gauge, start, end)
        flow = None if source.flow is None else await self.readings(site, source.flow, start, end)
        return await asyncio.to_thread(_sums, source.hold_ns, values, flow, starts)

    async def readings(self, site: str, gauge: Gauge, start: int, end: int) -> list[Reading]:
        """In [start, end), in order of time."""
        series = SeriesKey(site, gauge.device, gauge.point)
        found = await self.store.read(series, start, end, limit=_MOST_READINGS)
        return [
            Reading(one.at, None if one.suspect or isinstance(one.value, str) else exact(one.value)) for one in found
        ]


def _sums(
    hold_ns: int, values: Sequence[Reading], flow: Sequence[Reading] | None, starts: Sequence[int]
) -> dict[int, Sums]:
    found: dict[int, Sums] = {}
    for at in starts:
        held = pieces(values, at, at + HOUR_NS, hold_ns)
        found[at] = by_time(held) if flow is None else by_flow(held, pieces(flow, at, at + HOUR_NS, hold_ns))
    return found


def _stretches(starts: Sequence[int]) -> Iterator[Sequence[int]]:
    """Parts of a day at most."""
    first = 0
    for place, at in enumerate(starts):
        if at - starts[first] >= _AT_ONCE_NS:
            yield starts[first:place]
            first = place
    if starts:
        yield starts[first:]
