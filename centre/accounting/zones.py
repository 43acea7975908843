"""Days and hours of a plant's own clock as UTC nanoseconds; right across changes between winter and summer time."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from centre.accounting.intervals import QUARTER_NS

NS: Final = 1_000_000_000


def day_bounds(day: date, zone: tzinfo) -> tuple[int, int]:
    """[start, end) of a local day; 23 or 25 hours long when the clock changes in it."""
    return _midnight(day, zone), _midnight(day + timedelta(days=1), zone)


def _midnight(day: date, zone: tzinfo) -> int:
    return int(datetime.combine(day, time(), zone).timestamp()) * NS


def local_day(at: int, zone: tzinfo) -> date:
    """The local day in which `at` lies."""
    return local_time(at, zone).date()


def hour_bounds(at: int, zone: tzinfo) -> tuple[int, int]:
    """[start, end) of the clock hour in which `at` lies."""
    local = local_time(at, zone)
    start = at - at % NS - (local.minute * 60 + local.second) * NS
    return start, start + 3600 * NS


def local_time(at: int, zone: tzinfo) -> datetime:
    """What the clock on the wall shows at `at`, to the second."""
    return datetime.fromtimestamp(at // NS, UTC).astimezone(zone)


def quarter_floor(at: int) -> int:
    """The start of the quarter of an hour in which `at` lies; every zone's hours begin on this grid."""
    return at - at % QUARTER_NS
