"""What the storage thread does on the writing connection; each public method is one transaction."""

from collections.abc import Mapping, Sequence

from centre.store.arriving import Arriving
from centre.store.base import (
    Bucket,
    Grain,
    SeriesKey,
)
from centre.store.statuses import Statuses


class Writer(Arriving, Statuses):
    """All writes: what arrives, and the accounted intervals made of it."""

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
        """See Store.require."""
        with self._transaction():
            number = self._number(series)
            (before,) = self._db.execute("SELECT fingerprint FROM series WHERE id = ?", (number,)).fetchone()
            if (before or "") == fingerprint:
                return False
            if not fingerprint:
                self._db.execute("UPDATE series SET fingerprint = NULL WHERE id = ?", (number,))
                return False
            self._db.execute("UPDATE series SET fingerprint = ?, counter = 1 WHERE id = ?", (fingerprint, number))
            self._series.clear()  # a gauge that is integrated is soiled by its readings from now on
            if before is not None and before.partition("|")[0] != fingerprint.partition("|")[0]:
                self._db.execute("DELETE FROM rollup WHERE series = ? AND grain <> ?", (number, Grain.QUARTER.value))
            first, last = self._db.execute("SELECT min(at), max(at) FROM raw WHERE series = ?", (number,)).fetchone()
            if first is not None:
                self._soil({number: (first, last)})
        return True


def _bucket_row(bucket: Bucket) -> tuple[object, ...]:
    found = bucket.interval
    return (
        bucket.grain.value,
        found.start,
        found.end,
        None if found.amount is None else f"{found.amount:f}",
        " ".join([f"{found.estimated:f}", *(f"{flag}={amount:f}" for flag, amount in found.marked)]),
        found.known_ns,
        found.estimated_ns,
        found.readings,
        found.suspects,
        found.breaks,
        found.open,
    )
