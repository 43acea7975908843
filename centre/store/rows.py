"""Row ids on both connections, and what every write needs: the transaction, the counters, what is outdated."""

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from centre.store.base import (
    GatewayKey,
    SeriesKey,
)
from centre.store.climbs import Climbs
from metering.quantities import IDENTITY, Kind, quantity_of

_ID: Final = (
    "SELECT series.id FROM series JOIN device ON series.device = device.id"
    " WHERE device.site = ? AND device.name = ? AND series.point = ?"
)


class Rows:
    """On the writing connection. Row ids are remembered; they are forgotten when a transaction fails."""

    def __init__(self, connection: sqlite3.Connection, climbs: Climbs) -> None:
        self._db = connection
        self._climbs = climbs
        self._devices: dict[tuple[str, str], int] = {}
        self._series: dict[tuple[int, str], tuple[int, bool]] = {}

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
            self._climbs.committed()
        except BaseException:
            self._climbs.clear()
            self._devices.clear()
            self._series.clear()
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
        return self._db.executemany(statement, rows).rowcount if rows else 0

    def _soil(self, counters: Mapping[int, tuple[int, int]]) -> None:
        mark = self._next_mark()
        self._db.executemany(
            "INSERT INTO dirty VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (series) DO UPDATE SET"
            " first = min(first, excluded.first), last = max(last, excluded.last), mark = excluded.mark",
            [(series, first, last, mark) for series, (first, last) in counters.items()],
        )

    def _next_mark(self) -> int:
        self._count(mark=1)
        mark: int = self._db.execute("SELECT value FROM total WHERE name = 'mark'").fetchone()[0]
        return mark

    def _count(self, **amounts: int) -> None:
        self._db.executemany(
            "INSERT INTO total VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            list(amounts.items()),
        )

    # --- row ids

    def _number(self, series: SeriesKey) -> int:
        return self._series_of(self._device(series.site, series.device), series.point)[0]

    def _gateway(self, key: GatewayKey, received_at: int) -> int:
        self._db.execute("INSERT OR IGNORE INTO gateway (site, name, last_seen) VALUES (?, ?, ?)", (*key, received_at))
        row: tuple[int] = self._db.execute("SELECT id FROM gateway WHERE site = ? AND name = ?", key).fetchone()
        return row[0]

    def _device(self, site: str, name: str) -> int:
        found = self._devices.get((site, name))
        if found is None:
            self._db.execute("INSERT OR IGNORE INTO device (site, name) VALUES (?, ?)", (site, name))
            row: tuple[int] = self._db.execute(
                "SELECT id FROM device WHERE site = ? AND name = ?", (site, name)
            ).fetchone()
            found = self._devices[site, name] = row[0]
        return found

    def _series_of(self, device: int, point: str) -> tuple[int, bool]:
        """(id, whether it is a counter) of a series, made where it is new."""
        found = self._series.get((device, point))
        if found is None:
            quantity = quantity_of(point)
            # the identity counts as one: with another meter the amounts have to be worked out again
            counter = quantity is not None and (quantity.kind is Kind.COUNTER or point == IDENTITY)
            self._db.execute(
                "INSERT OR IGNORE INTO series (device, point, counter) VALUES (?, ?, ?)", (device, point, counter)
            )
            row: tuple[int, int] = self._db.execute(
                "SELECT id, counter FROM series WHERE device = ? AND point = ?", (device, point)
            ).fetchone()
            found = self._series[device, point] = (row[0], bool(row[1]))
        return found


class Ids:
    """On the reading connection."""

    def __init__(self, connection: sqlite3.Connection, climbs: Climbs) -> None:
        self._db = connection
        self._climbs = climbs
        self._ids: dict[SeriesKey, int] = {}

    def _id(self, series: SeriesKey) -> int | None:
        found = self._ids.get(series)
        if found is None:
            row = self._db.execute(_ID, series).fetchone()
            if row is None:
                return None
            found = self._ids[series] = row[0]
        return found
