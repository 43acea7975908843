"""What the storage thread does on the writing connection; each public method is one transaction."""

import json
import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

from centre.ranges import add_all
from centre.store.base import Bucket, GatewayKey, Grain, SeriesKey, Written
from metering.parcel import Received
from metering.quantities import IDENTITY, Kind, quantity_of
from metering.status import Status, encode_status
from metering.sweep import Sweep, Value
from metering.topics import Ranges

_LARGEST: Final = 2**63
_Row = tuple[int, int, object]


class Writer:
    """Keeps what arrived. Row ids are remembered; they are forgotten when a transaction fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._devices: dict[tuple[str, str], int] = {}
        self._series: dict[tuple[int, str], tuple[int, bool]] = {}

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._devices.clear()
            self._series.clear()
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # --- what arrives

    def write(self, parcels: Sequence[Received], received_at: int) -> Written:
        """See Store.write."""
        with self._transaction():
            redelivered = sum(self._add_parcels(key, group, received_at) for key, group in _by_gateway(parcels).items())
            written = ignored = faults = 0
            for (site, device), sweeps in _by_device(parcels).items():
                new, known, new_faults = self._add_sweeps(site, device, sweeps)
                written += new
                ignored += known
                faults += new_faults
            done = Written(
                parcels=len(parcels), redelivered=redelivered, readings=written, ignored=ignored, faults=faults
            )
            self._count(
                readings=written,
                faults=faults,
                parcels=len(parcels) - redelivered,
                redelivered_parcels=redelivered,
                ignored_readings=ignored,
            )
        return done

    def _add_parcels(self, key: GatewayKey, parcels: Sequence[Received], received_at: int) -> int:
        """Note the numbers; returns how many were there already."""
        gateway = self._gateway(key, received_at)
        dropped = max(parcel.dropped for parcel in parcels)
        self._db.execute(
            "UPDATE gateway SET last_seen = max(last_seen, ?), dropped = max(dropped, ?) WHERE id = ?",
            (received_at, dropped, gateway),
        )
        new = 0
        for epoch in {parcel.id.epoch for parcel in parcels}:
            seqs = {parcel.id.seq for parcel in parcels if parcel.id.epoch == epoch}
            before = self._ranges(gateway, epoch)
            after = add_all(before, sorted(seqs))
            new += _size(after) - _size(before)
            gone, come = set(before) - set(after), set(after) - set(before)
            self._db.executemany(
                "DELETE FROM parcel WHERE gateway = ? AND epoch = ? AND first = ?",
                [(gateway, epoch, first) for first, _ in gone],
            )
            self._db.executemany(
                "INSERT INTO parcel VALUES (?, ?, ?, ?)", [(gateway, epoch, first, last) for first, last in come]
            )
        return len(parcels) - new

    def _ranges(self, gateway: int, epoch: int) -> Ranges:
        rows = self._db.execute(
            "SELECT first, last FROM parcel WHERE gateway = ? AND epoch = ? ORDER BY first", (gateway, epoch)
        )
        return tuple((first, last) for first, last in rows)

    def _add_sweeps(self, site: str, device_name: str, sweeps: Sequence[Sweep]) -> tuple[int, int, int]:
        """(readings written, readings that were there, faults written) of one device."""
        device = self._device(site, device_name)
        rows: list[_Row] = []
        counters: dict[int, tuple[int, int]] = {}
        for sweep in sweeps:
            at = sweep.taken_at
            for point, value in sweep.values.items():
                series, counter = self._series_of(device, point)
                rows.append((series, at, encode_value(value)))
                if counter:
                    first, last = counters.get(series, (at, at))
                    counters[series] = (min(first, at), max(last, at))
        faults = [
            (self._series_of(device, point)[0], sweep.taken_at, str(reason))
            for sweep in sweeps
            for point, reason in sweep.faults.items()
        ]
        written = self._insert("INSERT OR IGNORE INTO raw VALUES (?, ?, ?)", rows)
        if written:
            self._db.execute("UPDATE device SET readings = readings + ? WHERE id = ?", (written, device))
            self._soil(counters)
        return written, len(rows) - written, self._insert("INSERT OR IGNORE INTO fault VALUES (?, ?, ?)", faults)

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

    def write_status(self, key: GatewayKey, status: Status, received_at: int) -> bool:
        """See Store.write_status."""
        with self._transaction():
            gateway = self._gateway(key, received_at)
            (before,) = self._db.execute("SELECT state FROM gateway WHERE id = ?", (gateway,)).fetchone()
            changed: bool = before != status.state
            self._db.execute(
                "UPDATE gateway SET state = ?1, since = CASE WHEN ?2 THEN ?3 ELSE since END,"
                " last_seen = max(last_seen, ?3), software = ?4, epoch = ?5, counters = ?6 WHERE id = ?7",
                (
                    status.state.value,
                    changed,
                    received_at,
                    status.software,
                    status.epoch,
                    json.dumps(dict(status.counters)),
                    gateway,
                ),
            )
            if status.devices is not None:
                self._write_inventory(key, status)
        return changed

    def _write_inventory(self, key: GatewayKey, status: Status) -> None:
        """Devices this gateway no longer names stay, without an inventory: their readings remain."""
        self._db.execute("UPDATE device SET info = NULL WHERE site = ? AND gateway = ?", key)
        encoded: dict[str, Any] = json.loads(encode_status(status))
        for device in encoded["devices"]:
            self._device(key.site, device["name"])
            self._db.execute(
                "UPDATE device SET gateway = ?, info = ? WHERE site = ? AND name = ?",
                (key.gateway, json.dumps(device), key.site, device["name"]),
            )

    # --- accounted intervals

    def write_rollup(self, buckets: Mapping[SeriesKey, Sequence[Bucket]], settled: Mapping[SeriesKey, int]) -> int:
        """See Store.write_rollup."""
        with self._transaction():
            changed = self._insert(
                "INSERT INTO rollup VALUES (?,?,?,?,?,?,?,?,?,?,?,?,1) ON CONFLICT (series, grain, start) DO UPDATE SET"
                " end = excluded.end, amount = excluded.amount, estimated = excluded.estimated,"
                " known_ns = excluded.known_ns, estimated_ns = excluded.estimated_ns, readings = excluded.readings,"
                " suspects = excluded.suspects, breaks = excluded.breaks, open = excluded.open,"
                " revision = revision + NOT open"
                " WHERE (end, amount, estimated, known_ns, estimated_ns, readings, suspects, breaks, open) IS NOT"
                " (excluded.end, excluded.amount, excluded.estimated, excluded.known_ns, excluded.estimated_ns,"
                " excluded.readings, excluded.suspects, excluded.breaks, excluded.open)",
                [(self._number(series), *_bucket_row(bucket)) for series, those in buckets.items() for bucket in those],
            )
            self._db.executemany(
                "DELETE FROM dirty WHERE series = ? AND mark = ?",
                [(self._number(series), mark) for series, mark in settled.items()],
            )
        return changed

    def require(self, series: SeriesKey, fingerprint: str) -> bool:
        """See Store.require. Hours and days are dropped: under another zone they begin elsewhere."""
        with self._transaction():
            number = self._number(series)
            (before,) = self._db.execute("SELECT fingerprint FROM series WHERE id = ?", (number,)).fetchone()
            if before == fingerprint:
                return False
            self._db.execute("UPDATE series SET fingerprint = ? WHERE id = ?", (fingerprint, number))
            if before is not None:
                self._db.execute("DELETE FROM rollup WHERE series = ? AND grain <> ?", (number, Grain.QUARTER.value))
            first, last = self._db.execute("SELECT min(at), max(at) FROM raw WHERE series = ?", (number,)).fetchone()
            if first is not None:
                self._soil({number: (first, last)})
        return True

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
            row: tuple[int] = self._db.execute(
                "SELECT id FROM series WHERE device = ? AND point = ?", (device, point)
            ).fetchone()
            found = self._series[device, point] = (row[0], counter)
        return found


def encode_value(value: Value) -> object:
    """The value as SQLite keeps it without loss; a number beyond a double or 64 bits as BLOB of its digits."""
    if isinstance(value, Decimal) or (isinstance(value, int) and not -_LARGEST <= value < _LARGEST):
        return str(value).encode()
    return value


def _bucket_row(bucket: Bucket) -> tuple[object, ...]:
    found = bucket.interval
    return (
        bucket.grain.value,
        found.start,
        found.end,
        None if found.amount is None else f"{found.amount:f}",
        f"{found.estimated:f}",
        found.known_ns,
        found.estimated_ns,
        found.readings,
        found.suspects,
        found.breaks,
        found.open,
    )


def _by_gateway(parcels: Iterable[Received]) -> dict[GatewayKey, list[Received]]:
    groups: dict[GatewayKey, list[Received]] = {}
    for parcel in parcels:
        groups.setdefault(GatewayKey(parcel.site, parcel.gateway), []).append(parcel)
    return groups


def _by_device(parcels: Iterable[Received]) -> dict[tuple[str, str], list[Sweep]]:
    groups: dict[tuple[str, str], list[Sweep]] = {}
    for parcel in parcels:
        for sweep in parcel.sweeps:
            groups.setdefault((parcel.site, sweep.device), []).append(sweep)
    return groups


def _size(ranges: Ranges) -> int:
    return sum(last - first + 1 for first, last in ranges)
