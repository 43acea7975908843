"""What arrives of readings: parcels, their numbers, their readings and faults, and how much of it each hour has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from centre.accounting.hours import HOUR_NS, LATE_NS
from centre.ranges import held, join
from centre.store.base import (
    TOO_MUCH,
    GatewayKey,
    ReadingsRefused,
    RefusedReading,
    SeriesKey,
    Stretch,
    Written,
)
from centre.store.rows import Rows
from metering.faults import ALL_POINTS, Fault
from metering.parcel import Received, TimeQuality
from metering.quantities import IDENTITY, Kind, quantity_of
from metering.sweep import Sweep, Value
from metering.topics import Ranges

_LARGEST: Final = 2**63
_BEYOND: Final = "10^12 or more, which no meter shows: its register is read in a wrong form"
_Row = tuple[int, int, object]
_Told = tuple[Sweep, TimeQuality]
Tally = tuple[int, tuple[str, ...]]
"""An hour, and what each row counts as in it."""


class Arriving(Rows):
    """Keeps what arrived."""

    def write(self, parcels: Sequence[Received], received_at: int) -> Written:
        """See Store.write."""
        refused = [one for parcel in parcels for one in _refused(parcel)]
        if refused:
            raise ReadingsRefused(refused)
        with self._transaction():
            redelivered = sum(self._add_parcels(key, group, received_at) for key, group in _by_gateway(parcels).items())
            written = ignored = faults = 0
            for (site, device), told in _by_device(parcels).items():
                new, known, new_faults = self._add_sweeps(site, device, told, received_at)
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

    def _add_sweeps(self, site: str, device_name: str, told: Sequence[_Told], received_at: int) -> tuple[int, int, int]:
        """(readings written, readings that were there, faults written) of one device."""
        device = self._device(site, device_name)
        rows: dict[Tally, list[_Row]] = {}
        counters: dict[int, tuple[list[int], list[Value]]] = {}
        for sweep, quality in told:
            at = sweep.taken_at
            hour, counts_as = at // HOUR_NS, _counts_as(at, quality, received_at)
            for point, value in sweep.values.items():
                series, counter = self._series_of(device, point)
                kinds = () if point == IDENTITY else counts_as
                rows.setdefault((hour, kinds), []).append((series, at, encode_value(value)))
                if counter:
                    times, those = counters.setdefault(series, ([], []))
                    times.append(at)
                    those.append(value)
        faults: dict[Tally, list[_Row]] = {}
        for sweep, _ in told:
            for point, reason in sweep.faults.items():
                kinds = () if point == IDENTITY else (f"{'all' if point == ALL_POINTS else 'point'}:{reason}",)
                row = (self._series_of(device, point)[0], sweep.taken_at, str(reason))
                faults.setdefault((sweep.taken_at // HOUR_NS, kinds), []).append(row)
        doubted = [row[:2] for those in faults.values() for row in those if row[2] == Fault.SUSPECT.value]
        for series in [*counters, *(series for series, _ in doubted)]:
            if not self._climbs.knows(series):
                self._climbs.begin(series, self._newest(series))
        for series, at in doubted:
            self._climbs.doubt(series, at)
        written = self._insert_tallied(device, "INSERT OR IGNORE INTO raw VALUES (?, ?, ?)", rows)
        known = sum(len(those) for those in rows.values()) - written
        if written:
            self._db.execute("UPDATE device SET readings = readings + ? WHERE id = ?", (written, device))
            self._soil({series: (min(times), max(times)) for series, (times, _) in counters.items()})
            for series, (times, values) in counters.items():
                self._climbs.add(series, times, values, all_new=not known)
        return written, known, self._insert_tallied(device, "INSERT OR IGNORE INTO fault VALUES (?, ?, ?)", faults)

    def _newest(self, series: int) -> int:
        (newest,) = self._db.execute("SELECT max(at) FROM raw WHERE series = ?", (series,)).fetchone()
        return -1 if newest is None else newest

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


def encode_value(value: Value) -> object:
    """The value as SQLite keeps it without loss; a number beyond a double or 64 bits as BLOB of its digits."""
    if isinstance(value, Decimal) or (isinstance(value, int) and not -_LARGEST <= value < _LARGEST):
        return str(value).encode()
    return value


def _refused(parcel: Received) -> Iterator[RefusedReading]:
    for sweep in parcel.sweeps:
        for point, value in sweep.values.items():
            if isinstance(value, str) or value >= TOO_MUCH or value <= -TOO_MUCH:
                quantity = quantity_of(point)
                if quantity is not None and quantity.kind is not Kind.STATE:
                    series = SeriesKey(parcel.site, sweep.device, point)
                    what = f"a text, where {point} is a number" if isinstance(value, str) else _BEYOND
                    yield RefusedReading(series, sweep.taken_at, what)


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


def _by_device(parcels: Iterable[Received]) -> dict[tuple[str, str], list[_Told]]:
    groups: dict[tuple[str, str], list[_Told]] = {}
    for parcel in parcels:
        for sweep in parcel.sweeps:
            groups.setdefault((parcel.site, sweep.device), []).append((sweep, parcel.time_quality))
    return groups


def _counts_as(at: int, quality: TimeQuality, received_at: int) -> tuple[str, ...]:
    """The kinds of a reading in the tally of its hour."""
    late = ("late",) if received_at - at > LATE_NS else ()
    doubt = (f"time:{quality}",) if quality is not TimeQuality.GOOD else ()
    return ("received", *late, *doubt)


def _size(ranges: Ranges) -> int:
    return sum(last - first + 1 for first, last in ranges)
