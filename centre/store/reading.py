"""What the reading connection answers; every query is bounded by a range of time, a count, or the size of the plant."""

from decimal import Decimal
from typing import Any

from centre.accounting.intervals import Interval
from centre.accounting.registers import Flag
from centre.store.arrived import Arrived
from centre.store.base import (
    Bucket,
    Dirty,
    Grain,
    SeriesKey,
)
from centre.store.readings import Readings


class Reader(Arrived, Readings):
    """All questions: what arrived, and the accounted intervals made of it."""

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


def _bucket(grain: Grain, row: tuple[Any, ...]) -> Bucket:
    start, end, amount, marks, known_ns, estimated_ns, readings, suspects, breaks, still_open, revision = row
    estimated, *marked = marks.split(" ")
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
        marked=tuple((Flag(mark[0]), Decimal(mark[2:])) for mark in marked),
    )
    return Bucket(grain=grain, interval=interval, revision=revision)
