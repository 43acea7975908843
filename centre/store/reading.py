"""What the reading connection answers; every query is bounded by a range of time, a count, or the size of the plant."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from centre.accounting.hours import HOUR_NS, Plan, Tally
from centre.accounting.intervals import Interval
from centre.store.base import (
    Bucket,
    Dirty,
    FaultSeen,
    GatewayKey,
    GatewayRow,
    Grain,
    Reading,
    SeriesKey,
    Span,
    Stretch,
    Totals,
)
from metering.faults import ALL_POINTS, Fault
from metering.parcel import ParcelId
from metering.status import State, decode_status
from metering.sweep import DeviceInfo, Value
from metering.topics import VERSION, Committed

_MAX_EPOCHS: Final = 256
_LOOK_BACK: Final = 100
_ID: Final = (
    "SELECT series.id FROM series JOIN device ON series.device = device.id"
    " WHERE device.site = ? AND device.name = ? AND series.point = ?"
)


class Reader:
    """Answers questions; every method is one or a few indexed queries."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._ids: dict[SeriesKey, int] = {}

    def _id(self, series: SeriesKey) -> int | None:
        found = self._ids.get(series)
        if found is None:
            row = self._db.execute(_ID, series).fetchone()
            if row is None:
                return None
            found = self._ids[series] = row[0]
        return found

    # --- what arrived

    def committed(self) -> dict[GatewayKey, Committed]:
        """See Store.committed."""
        return {key: _committed(stretches) for key, stretches in self._stretches().items()}

    def _stretches(self) -> dict[GatewayKey, list[Stretch]]:
        found: dict[GatewayKey, list[Stretch]] = {}
        for site, name in self._db.execute("SELECT site, name FROM gateway ORDER BY site, name"):
            found[GatewayKey(site, name)] = []
        rows = self._db.execute(
            "SELECT site, name, parcel.epoch, first, last, parcel.since, first_at, last_at, parcel.dropped FROM parcel"
            " JOIN gateway ON gateway = gateway.id ORDER BY parcel.epoch, first"
        )
        for site, name, *row in rows:
            found[GatewayKey(site, name)].append(Stretch(*row))
        return found

    def gateways(self) -> list[GatewayRow]:
        """See Store.gateways."""
        stretches = self._stretches()
        rows = self._db.execute(
            "SELECT site, name, state, since, last_seen, software, epoch, dropped, counters, settled_epoch,"
            " settled_seq FROM gateway ORDER BY site, name"
        )
        return [
            GatewayRow(
                key=GatewayKey(site, name),
                state=None if state is None else State(state),
                since=since,
                last_seen=last_seen,
                software=software,
                epoch=epoch,
                dropped=dropped,
                counters=json.loads(counters),
                committed=_committed(stretches[GatewayKey(site, name)]),
                stretches=stretches[GatewayKey(site, name)],
                settled=ParcelId(epoch=settled[0], seq=settled[1]) if settled[0] else None,
            )
            for site, name, state, since, last_seen, software, epoch, dropped, counters, *settled in rows
        ]

    def inventory(self, site: str) -> dict[str, tuple[str, DeviceInfo]]:
        """See Store.inventory."""
        rows = self._db.execute(
            "SELECT name, gateway, info FROM device WHERE site = ? AND info IS NOT NULL ORDER BY name", (site,)
        )
        return {name: (gateway, _device_info(info)) for name, gateway, info in rows}

    # --- readings

    def read(self, series: SeriesKey, t0: int, t1: int, limit: int) -> list[Reading]:
        """See Store.read."""
        number = self._id(series)
        rows = self._db.execute(
            "SELECT at, value FROM raw WHERE series = ? AND at >= ? AND at < ? ORDER BY at LIMIT ?",
            (number, t0, t1, limit),
        )
        return self._marked(number, [Reading(at, decode_value(value)) for at, value in rows])

    def before(self, series: SeriesKey, t: int, count: int) -> list[Reading]:
        """See Store.before."""
        number = self._id(series)
        rows = self._db.execute(
            "SELECT at, value FROM raw WHERE series = ? AND at < ? ORDER BY at DESC LIMIT ?", (number, t, count)
        )
        return self._marked(number, [Reading(at, decode_value(value)) for at, value in rows][::-1])

    def _marked(self, number: int | None, readings: list[Reading]) -> list[Reading]:
        """`readings`, in order of time, with those marked that have a fault `suspect` at their side."""
        if not readings:
            return readings
        rows = self._db.execute(
            "SELECT at FROM fault WHERE series = ? AND at BETWEEN ? AND ? AND reason = ?",
            (number, readings[0].at, readings[-1].at, Fault.SUSPECT.value),
        )
        marks = {at for (at,) in rows}
        return [reading._replace(suspect=reading.at in marks) for reading in readings] if marks else readings

    def changes(self, series: SeriesKey) -> list[tuple[int, int]]:
        """See Store.changes."""
        return self._db.execute(
            "SELECT before, at FROM (SELECT at, value, lag(at) OVER w AS before, lag(value) OVER w AS old FROM raw"
            " WHERE series = ? AND value NOT IN (0, '') WINDOW w AS (ORDER BY at)) WHERE old <> value ORDER BY at",
            (self._id(series),),
        ).fetchall()

    def latest(self, keys: Sequence[SeriesKey]) -> dict[SeriesKey, Reading]:
        """See Store.latest."""
        found: dict[SeriesKey, Reading] = {}
        for key in keys:
            row = self._db.execute(
                "SELECT at, value FROM raw WHERE series = ? ORDER BY at DESC LIMIT 1", (self._id(key),)
            ).fetchone()
            if row is not None:
                found[key] = Reading(row[0], decode_value(row[1]))
        return found

    def latest_faults(self, keys: Sequence[SeriesKey]) -> dict[SeriesKey, FaultSeen]:
        """See Store.latest_faults."""
        found: dict[SeriesKey, FaultSeen] = {}
        for key in keys:
            newest: list[tuple[int, str]] = []
            for point in (key.point, ALL_POINTS):
                newest += self._db.execute(
                    "SELECT at, reason FROM fault WHERE series = ? ORDER BY at DESC LIMIT ?",
                    (self._id(key._replace(point=point)), _LOOK_BACK),
                ).fetchall()
            if newest:
                newest.sort(reverse=True)
                at, reason = newest[0]
                telling = next((reason for _, reason in newest if reason != Fault.BACKOFF), reason)
                found[key] = FaultSeen(at, Fault(telling))
        return found

    def span(self, series: SeriesKey, t0: int, t1: int) -> Span | None:
        """See Store.span."""
        bounds = (self._id(series), t0, t1)
        where = "FROM raw WHERE series = ? AND at >= ? AND at < ?"
        first = self._db.execute(f"SELECT at, value {where} ORDER BY at LIMIT 1", bounds).fetchone()
        if first is None:
            return None
        last = self._db.execute(f"SELECT at, value {where} ORDER BY at DESC LIMIT 1", bounds).fetchone()
        (readings,) = self._db.execute(f"SELECT count(*) {where}", bounds).fetchone()
        return Span(Reading(first[0], decode_value(first[1])), Reading(last[0], decode_value(last[1])), readings)

    def series(self, site: str) -> dict[str, tuple[str, ...]]:
        """See Store.series."""
        rows = self._db.execute(
            "SELECT name, point FROM series JOIN device ON device = device.id WHERE site = ? AND point <> ?"
            " ORDER BY name, point",
            (site, ALL_POINTS),
        )
        found: dict[str, tuple[str, ...]] = {}
        for name, point in rows:
            found[name] = (*found.get(name, ()), point)
        return found

    def fault_counts(self, site: str, device: str, points: Sequence[str], t0: int, t1: int) -> dict[Fault, int]:
        """See Store.fault_counts."""
        counts: dict[Fault, int] = {}
        for point in points:
            rows = self._db.execute(
                "SELECT reason, count(*) FROM fault WHERE series = ? AND at >= ? AND at < ? GROUP BY reason",
                (self._id(SeriesKey(site, device, point)), t0, t1),
            )
            for reason, count in rows:
                counts[Fault(reason)] = counts.get(Fault(reason), 0) + count
        return counts

    def tallies(self, site: str, t0: int, t1: int) -> dict[str, dict[int, Tally]]:
        """See Store.tallies."""
        rows = self._db.execute(
            "SELECT name, hour, kind, count FROM tally JOIN device ON tally.device = device.id"
            " WHERE device.site = ? AND hour >= ? AND hour < ?",
            (site, -(-t0 // HOUR_NS), -(-t1 // HOUR_NS)),
        )
        kinds: dict[str, dict[int, dict[str, int]]] = {}
        for name, hour, kind, count in rows:
            kinds.setdefault(name, {}).setdefault(hour * HOUR_NS, {})[kind] = count
        return {name: {at: _tally(counts) for at, counts in hours.items()} for name, hours in kinds.items()}

    def plans(self, site: str) -> dict[str, list[Plan]]:
        """See Store.plans."""
        found: dict[str, list[Plan]] = {}
        rows = self._db.execute(
            "SELECT name, since, plan.gateway, plan.info FROM plan JOIN device ON plan.device = device.id"
            " WHERE device.site = ? ORDER BY name, since",
            (site,),
        )
        for name, since, gateway, info in rows:
            plan = Plan(since, gateway, None if info is None else _device_info(info))
            found.setdefault(name, []).append(plan)
        return found

    # --- accounted intervals

    def read_rollup(self, series: SeriesKey, grain: Grain, t0: int, t1: int) -> list[Bucket]:
        """See Store.read_rollup."""
        rows = self._db.execute(
            "SELECT start, end, amount, estimated, known_ns, estimated_ns, readings, suspects, breaks, open, revision"
            " FROM rollup WHERE series = ? AND grain = ? AND start >= ? AND start < ? ORDER BY start",
            (self._id(series), grain.value, t0, t1),
        )
        return [_bucket(grain, row) for row in rows]

    def dirty(self, limit: int) -> list[Dirty]:
        """See Store.dirty."""
        rows = self._db.execute(
            "SELECT site, name, point, first, last, mark FROM dirty JOIN series ON dirty.series = series.id"
            " JOIN device ON series.device = device.id ORDER BY since LIMIT ?",
            (limit,),
        )
        return [
            Dirty(series=SeriesKey(site, name, point), first=first, last=last, mark=mark)
            for site, name, point, first, last, mark in rows
        ]

    def totals(self) -> Totals:
        """See Store.totals."""
        counts: dict[str, int] = dict(self._db.execute("SELECT name, value FROM total").fetchall())
        by_device = {
            (site, name): readings
            for site, name, readings in self._db.execute("SELECT site, name, readings FROM device ORDER BY site, name")
        }
        return Totals(
            readings=counts.get("readings", 0),
            faults=counts.get("faults", 0),
            parcels=counts.get("parcels", 0),
            redelivered_parcels=counts.get("redelivered_parcels", 0),
            ignored_readings=counts.get("ignored_readings", 0),
            by_device=by_device,
        )


def _tally(kinds: Mapping[str, int]) -> Tally:
    """See writing.Writer: `received`, `late`, `point:REASON` and `all:REASON`."""

    def of(scope: str) -> dict[str, int]:
        return {kind.removeprefix(scope): count for kind, count in kinds.items() if kind.startswith(scope)}

    return Tally(received=kinds.get("received", 0), late=kinds.get("late", 0), points=of("point:"), sweeps=of("all:"))


def _committed(stretches: Sequence[Stretch]) -> Committed:
    """Ascending stretches as the message of the newest epochs."""
    epochs: dict[int, list[tuple[int, int]]] = {}
    for stretch in stretches:
        epochs.setdefault(stretch.epoch, []).append((stretch.first, stretch.last))
    return Committed(epochs={epoch: tuple(epochs[epoch]) for epoch in sorted(epochs)[-_MAX_EPOCHS:]})


def decode_value(stored: Any) -> Value:
    """The value as it was written, see writing.encode_value."""
    if isinstance(stored, bytes):
        return Decimal(stored.decode())
    value: Value = stored
    return value


def _device_info(info: str) -> DeviceInfo:
    """Out of the JSON of one device, by the one decoder there is for it."""
    status: dict[str, Any] = {
        "version": VERSION,
        "state": State.ONLINE.value,
        "software": "",
        "epoch": 1,
        "at": 0,
        "counters": {},
        "devices": [json.loads(info)],
    }
    devices = decode_status(json.dumps(status).encode()).devices
    assert devices is not None
    return devices[0]


def _bucket(grain: Grain, row: tuple[Any, ...]) -> Bucket:
    start, end, amount, estimated, known_ns, estimated_ns, readings, suspects, breaks, still_open, revision = row
    interval = Interval(
        start=start,
        end=end,
        amount=None if amount is None else Decimal(amount),
        estimated=Decimal(estimated),
        known_ns=known_ns,
        estimated_ns=estimated_ns,
        readings=readings,
        suspects=suspects,
        breaks=breaks,
        open=bool(still_open),
    )
    return Bucket(grain=grain, interval=interval, revision=revision)
