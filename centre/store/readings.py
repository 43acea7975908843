"""What the reading connection answers of readings and faults."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from centre.store.base import (
    Climb,
    Columns,
    FaultSeen,
    Reading,
    SeriesKey,
    Span,
)
from centre.store.rows import Ids
from metering.faults import ALL_POINTS, Fault
from metering.sweep import Value

_LOOK_BACK: Final = 100
_SUSPECTS: Final = "SELECT at FROM fault WHERE series = ? AND at BETWEEN ? AND ? AND reason = ?"


class Readings(Ids):
    """Every method is one or a few indexed queries, bounded by a range of time, a count, or the size of the plant."""

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

    def columns(self, series: SeriesKey, t0: int, t1: int, *, before: int, after: int, limit: int) -> Columns:
        """See Store.columns."""
        number = self._id(series)
        asked = "SELECT at, value FROM raw WHERE series = ? AND at"
        rows = self._db.execute(f"{asked} < ? ORDER BY at DESC LIMIT ?", (number, t0, before)).fetchall()[::-1]
        rows += self._db.execute(f"{asked} >= ? AND at < ? ORDER BY at LIMIT ?", (number, t0, t1, limit)).fetchall()
        rows += self._db.execute(f"{asked} >= ? ORDER BY at LIMIT ?", (number, t1, after)).fetchall()
        if not rows:
            return Columns((), (), frozenset())
        times, values = zip(*rows, strict=True)
        if bytes in set(map(type, values)):
            values = tuple(map(decode_value, values))
        doubted = self._db.execute(_SUSPECTS, (number, times[0], times[-1], Fault.SUSPECT.value))
        return Columns(times, values, frozenset(at for (at,) in doubted))

    def climbs(self, series: SeriesKey, t: int, before: int) -> tuple[int, Sequence[Climb]] | None:
        """See Store.climbs."""
        number = self._id(series)
        found = () if number is None else self._climbs.of(number)
        if not found or t <= found[0].first:
            return None
        row = self._db.execute(
            "SELECT at FROM raw WHERE series = ? AND at < ? ORDER BY at DESC LIMIT 1 OFFSET ?", (number, t, before - 1)
        ).fetchone()
        return None if row is None else (row[0], found)

    def _marked(self, number: int | None, readings: list[Reading]) -> list[Reading]:
        """`readings`, in order of time, with those marked that have a fault `suspect` at their side."""
        if not readings:
            return readings
        rows = self._db.execute(_SUSPECTS, (number, readings[0].at, readings[-1].at, Fault.SUSPECT.value))
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


def decode_value(stored: Any) -> Value:
    """The value as it was written, see arriving.encode_value."""
    if isinstance(stored, bytes):
        return Decimal(stored.decode())
    value: Value = stored
    return value
