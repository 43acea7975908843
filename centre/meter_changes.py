"""When the meter behind a counter was changed, as its serial numbers tell."""

from collections.abc import Mapping
from typing import NamedTuple

from centre.recount import CHUNK_READINGS
from centre.register_samples import epoch_of, samples_of
from centre.store.base import FAR_NS, Dirty, Registers, SeriesKey
from metering.quantities import IDENTITY


class _Known(NamedTuple):
    """When the meters were changed; no reading after `until` can tell it otherwise."""

    at: tuple[int, ...]
    until: int


def identity(series: SeriesKey) -> SeriesKey:
    """The serial number of the meter that `series` is of."""
    return series._replace(point=IDENTITY)


def identifies(series: SeriesKey) -> bool:
    """Whether it tells serial numbers."""
    return series.point == IDENTITY


class MeterChanges:
    """What was found is kept until readings come that may tell it otherwise."""

    def __init__(self, store: Registers) -> None:
        self._store = store
        self._found: dict[SeriesKey, _Known] = {}

    async def of(self, counter: SeriesKey) -> tuple[int, ...]:
        """The times (UTC ns) of the changes, those left out whose first reading is still to come. Raises StoreError."""
        known = self._found.get(counter)
        if known is not None:
            return known.at
        found: list[int | None] = []
        until = -1
        for last, first in await self._store.changes(identity(counter)):
            inside = await self._store.read(counter, last + 1, first + 1, limit=CHUNK_READINGS)
            inside = inside or await self._store.read(counter, first + 1, FAR_NS, limit=1)
            found.append(epoch_of(samples_of([*await self._store.before(counter, last + 1, 1), *inside])))
            until = max([first, *(reading.at for reading in inside)])
        at = tuple(epoch for epoch in found if epoch is not None)
        if None not in found:
            self._found[counter] = _Known(at, until)
        return at

    def forget(self, told: Mapping[SeriesKey, Dirty]) -> None:
        """Ask again for the counters that have a new serial number, or new readings that may tell it otherwise."""
        self._found = {
            key: known
            for key, known in self._found.items()
            if identity(key) not in told and (key not in told or told[key].first > known.until)
        }

    def note(self, dirty: Dirty) -> None:
        """As `forget`, of the new readings of one counter."""
        known = self._found.get(dirty.series)
        if known is not None and dirty.first <= known.until:
            del self._found[dirty.series]
