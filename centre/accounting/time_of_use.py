"""Which band counts when, and the energy of each: any minute of the local clock may be a boundary, in any zone.

An instant has the band that a clock on the wall shows it: a night in which the clock goes back has that hour's bands
twice, one in which it goes forward lacks them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from typing import Final

from centre.accounting.metered import Metered
from centre.accounting.tariff import Tariff
from centre.accounting.zones import NS, day_bounds, local_day, local_time

_MINUTE_NS: Final = 60 * NS
_PLACES: Final = Decimal("1e-9")
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """[start, end) (UTC ns) with one band of one version; `version` and `band` are "" where no version counts."""

    start: int
    end: int
    version: str
    band: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BandEnergy:
    """The energy of a band under a version: `amount` of what is known, with what of it was estimated.

    `split`: so much of it came from intervals a boundary cut, which were shared out by time.
    """

    version: str
    band: str
    amount: Decimal
    estimated: Decimal
    split: Decimal
    known_ns: int
    missing_ns: int


def pieces(tariff: Tariff, zone: tzinfo, start: int, end: int) -> tuple[Piece, ...]:
    """[start, end) cut wherever band or version change, in order and without a gap."""
    found: list[Piece] = []
    day = local_day(start, zone)
    while day_bounds(day, zone)[0] < end:
        for piece in _day_pieces(tariff, zone, day):
            a, b = max(piece.start, start), min(piece.end, end)
            if a >= b:
                continue
            last = found[-1] if found else None
            if last is not None and (last.version, last.band) == (piece.version, piece.band):
                found[-1] = Piece(start=last.start, end=b, version=last.version, band=last.band)
            else:
                found.append(Piece(start=a, end=b, version=piece.version, band=piece.band))
        day += timedelta(days=1)
    return tuple(found)


def _day_pieces(tariff: Tariff, zone: tzinfo, day: date) -> Iterable[Piece]:
    start, end = day_bounds(day, zone)
    version = tariff.version_on(day)
    if version is None:
        yield Piece(start=start, end=end, version="", band="")
        return
    schedule = version.schedule_for(day.month, tariff.calendar.day_type(day))
    cuts = {start, end, *_clock_change(zone, start, end)}
    for minute, _ in schedule.changes:
        wall = datetime.combine(day, time(minute // 60, minute % 60), zone)
        cuts |= {int(wall.replace(fold=fold).timestamp()) * NS for fold in (0, 1)}
    for a, b in pairwise(sorted(cut for cut in cuts if start <= cut <= end)):
        wall = local_time(a, zone)
        band = schedule.band_at(60 * wall.hour + wall.minute)
        yield Piece(start=a, end=b, version=version.id, band=band)


def _clock_change(zone: tzinfo, start: int, end: int) -> tuple[int, ...]:
    """The minute in [start, end) at which the clock goes forward or back, if any."""
    if local_time(start, zone).utcoffset() == local_time(end, zone).utcoffset():
        return ()
    before, after = start // _MINUTE_NS, end // _MINUTE_NS
    while after - before > 1:
        middle = (before + after) // 2
        if local_time(middle * _MINUTE_NS, zone).utcoffset() == local_time(start, zone).utcoffset():
            before = middle
        else:
            after = middle
    return (after * _MINUTE_NS,)


@dataclass(slots=True)
class _Sum:
    amount: Decimal = _ZERO
    estimated: Decimal = _ZERO
    split: Decimal = _ZERO
    known_ns: int = 0
    missing_ns: int = 0


def energy_by_band(intervals: Iterable[Metered], cut: Sequence[Piece]) -> tuple[BandEnergy, ...]:
    """The energy of each band over all of `cut`; where no interval stands, time is missing.

    An interval in several pieces is shared out by time, and the shares add up to it exactly. Only what lies in `cut`
    counts. Intervals may come in any order and must not overlap.
    """
    sums: dict[tuple[str, str], _Sum] = {}
    for piece in cut:
        sums.setdefault((piece.version, piece.band), _Sum()).missing_ns += piece.end - piece.start
    place = 0
    for interval in sorted(intervals, key=lambda found: found.start):
        while place < len(cut) and cut[place].end <= interval.start:
            place += 1
        if interval.amount is None:
            continue
        for piece in _reached(cut, place, interval.end):
            a, b = max(piece.start, interval.start), min(piece.end, interval.end)
            found = sums[piece.version, piece.band]
            share = _share(interval.amount, interval, a, b)
            found.amount += share
            found.estimated += _share(interval.estimated, interval, a, b)
            found.split += share if b - a < interval.end - interval.start else _ZERO
            found.known_ns += b - a
            found.missing_ns -= b - a
    return tuple(
        BandEnergy(
            version=version,
            band=band,
            amount=found.amount,
            estimated=found.estimated,
            split=found.split,
            known_ns=found.known_ns,
            missing_ns=found.missing_ns,
        )
        for (version, band), found in sorted(sums.items())
    )


def _reached(cut: Sequence[Piece], place: int, end: int) -> Iterable[Piece]:
    while place < len(cut) and cut[place].start < end:
        yield cut[place]
        place += 1


def _share(amount: Decimal, interval: Metered, a: int, b: int) -> Decimal:
    """What of `amount` lies in [a, b), rounded the same way from either side so that the shares add up."""
    return _until(amount, interval, b) - _until(amount, interval, a)


def _until(amount: Decimal, interval: Metered, at: int) -> Decimal:
    if at <= interval.start:
        return _ZERO
    if at >= interval.end:
        return amount
    part = amount * (at - interval.start) / (interval.end - interval.start)
    return part.quantize(_PLACES, ROUND_HALF_EVEN)
