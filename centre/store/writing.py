"""What the storage thread does on the writing connection; each public method is one transaction."""

import json
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

from centre.accounting.hours import HOUR_NS, LATE_NS, NS
from centre.ranges import held, join
from centre.store.base import (
    EARLIEST_NS,
    Bucket,
    GatewayKey,
    Grain,
    ReadingsRefused,
    RefusedReading,
    SeriesKey,
    Stretch,
    Written,
)
from metering.faults import ALL_POINTS
from metering.parcel import Received
from metering.quantities import IDENTITY, Kind, quantity_of
from metering.status import Status, encode_status
from metering.sweep import Sweep, Value
from metering.topics import Ranges

_LARGEST: Final = 2**63
_Row = tuple[int, int, object]
Tally = tuple[int, tuple[str, ...]]
"""An hour, and what each row counts as in it."""


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
        refused = [one for parcel in parcels for one in _refused(parcel)]
        if refused:
            raise ReadingsRefused(refused)
        with self._transaction():
            redelivered = sum(self._add_parcels(key, group, received_at) for key, group in _by_gateway(parcels).items())
            written = ignored = faults = 0
            for (site, device), sweeps in _by_device(parcels).items():
                new, known, new_faults = self._add_sweeps(site, device, sweeps, received_at)
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
            before = self._stretches(gateway, epoch)
            after = join(before, [_alone(parcel, received_at) for parcel in parcels if parcel.id.epoch == epoch])
            new += _size(held(after)) - _size(held(before))
            gone, come = set(before) - set(after), set(after) - set(before)
            self._db.executemany(
                "DELETE FROM parcel WHERE gateway = ? AND epoch = ? AND first = ?",
                [(gateway, epoch, stretch.first) for stretch in gone],
            )
            self._db.executemany(
                "INSERT INTO parcel VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [(gateway, *stretch) for stretch in come]
            )
        return len(parcels) - new

    def _stretches(self, gateway: int, epoch: int) -> tuple[Stretch, ...]:
        rows = self._db.execute(
            "SELECT epoch, first, last, since, first_at, last_at, dropped FROM parcel"
            " WHERE gateway = ? AND epoch = ? ORDER BY first",
            (gateway, epoch),
        )
        return tuple(Stretch(*row) for row in rows)

    def _add_sweeps(
        self, site: str, device_name: str, sweeps: Sequence[Sweep], received_at: int
    ) -> tuple[int, int, int]:
        """(readings written, readings that were there, faults written) of one device."""
        device = self._device(site, device_name)
        rows: dict[Tally, list[_Row]] = {}
        counters: dict[int, tuple[int, int]] = {}
        for sweep in sweeps:
            at = sweep.taken_at
            hour, late = at // HOUR_NS, received_at - at > LATE_NS
            for point, value in sweep.values.items():
                series, counter = self._series_of(device, point)
                kinds = () if point == IDENTITY else ("received", "late") if late else ("received",)
                rows.setdefault((hour, kinds), []).append((series, at, encode_value(value)))
                if counter:
                    first, last = counters.get(series, (at, at))
                    counters[series] = (min(first, at), max(last, at))
        faults: dict[Tally, list[_Row]] = {}
        for sweep in sweeps:
            for point, reason in sweep.faults.items():
                kinds = () if point == IDENTITY else (f"{'all' if point == ALL_POINTS else 'point'}:{reason}",)
                row = (self._series_of(device, point)[0], sweep.taken_at, str(reason))
                faults.setdefault((sweep.taken_at // HOUR_NS, kinds), []).append(row)
        written = self._insert_tallied(device, "INSERT OR IGNORE INTO raw VALUES (?, ?, ?)", rows)
        if written:
            self._db.execute("UPDATE device SET readings = readings + ? WHERE id = ?", (written, device))
            self._soil(counters)
        known = sum(len(those) for those in rows.values()) - written
        return written, known, self._insert_tallied(device, "INSERT OR IGNORE INTO fault VALUES (?, ?, ?)", faults)

    def _insert_tallied(self, device: int, statement: str, rows: Mapping[Tally, Sequence[_Row]]) -> int:
        """Insert, and count what was not there yet under its hour and kinds; returns how much that was."""
        counts: dict[tuple[int, str], int] = {}
        total = 0
        for (hour, kinds), those in rows.items():
            new = self._insert(statement, those)
            total += new
            for kind in kinds if new else ():
                counts[hour, kind] = counts.get((hour, kind), 0) + new
        self._db.executemany(
            "INSERT INTO tally VALUES (?, ?, ?, ?) ON CONFLICT (device, hour, kind) DO UPDATE SET"
            " count = count + excluded.count",
            [(device, hour, kind, count) for (hour, kind), count in counts.items()],
        )
        return total

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
            if status.counters.get("parcels_pending") == 0:
                self._settle(gateway, status.epoch, status.counters.get("parcels_sealed", 0))
            if status.devices is not None:
                self._write_inventory(key, status)
        return changed

    def _settle(self, gateway: int, epoch: int, seq: int) -> None:
        """Note that the gateway holds no parcel up to this one."""
        self._db.execute(
            "UPDATE gateway SET settled_epoch = ?1, settled_seq = ?2"
            " WHERE id = ?3 AND (settled_epoch, settled_seq) < (?1, ?2)",
            (epoch, seq, gateway),
        )

    def _write_inventory(self, key: GatewayKey, status: Status) -> None:
        """Devices this gateway no longer names stay, without an inventory: their readings remain."""
        before = self._db.execute(
            "SELECT name FROM device WHERE site = ? AND gateway = ? AND info IS NOT NULL", key
        ).fetchall()
        encoded: dict[str, Any] = json.loads(encode_status(status))
        now: dict[str, str] = {device["name"]: json.dumps(device) for device in encoded["devices"]}
        since = _planned_since(status)
        for name in {name for (name,) in before} - now.keys():
            self._plan(self._device(key.site, name), since, key.gateway, None)
        self._db.execute("UPDATE device SET info = NULL WHERE site = ? AND gateway = ?", key)
        for name, info in now.items():
            device = self._device(key.site, name)
            self._plan(device, since, key.gateway, info)
            self._db.execute("UPDATE device SET gateway = ?, info = ? WHERE id = ?", (key.gateway, info, device))

    def _plan(self, device: int, since: int, gateway: str, info: str | None) -> None:
        """Note what is read of the device from `since` on, unless that is known."""
        known = self._db.execute(
            "SELECT gateway, info FROM plan WHERE device = ? AND since <= ? ORDER BY since DESC LIMIT 1",
            (device, since),
        ).fetchone()
        if known != (gateway, info):
            self._db.execute("INSERT OR REPLACE INTO plan VALUES (?, ?, ?, ?)", (device, since, gateway, info))

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


def _refused(parcel: Received) -> Iterator[RefusedReading]:
    for sweep in parcel.sweeps:
        for point, value in sweep.values.items():
            if isinstance(value, str):
                quantity = quantity_of(point)
                if quantity is not None and quantity.kind is not Kind.STATE:
                    series = SeriesKey(parcel.site, sweep.device, point)
                    yield RefusedReading(series, sweep.taken_at, f"a text, where {point} is a number")


def _planned_since(status: Status) -> int:
    """The start of the agent: its epoch is the clock then, in seconds, unless its clock was wrong."""
    started = status.epoch * NS
    return started if EARLIEST_NS <= started <= status.at else status.at


def _alone(parcel: Received, received_at: int) -> Stretch:
    times = [sweep.taken_at for sweep in parcel.sweeps] or [received_at]
    return Stretch(
        epoch=parcel.id.epoch,
        first=parcel.id.seq,
        last=parcel.id.seq,
        since=received_at,
        first_at=min(times),
        last_at=max(times),
        dropped=parcel.dropped,
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
