"""Sifting: which readings of a parcel cannot be stored, and the parcel without them. Pure.

One bad reading must not keep its parcel out of the store: what is refused is set aside, the rest goes in.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from centre.store.base import EARLIEST_NS, RefusedReading, SeriesKey
from metering.lineprotocol import encode_sweep
from metering.parcel import Received
from metering.sweep import Sweep
from wattline.clock import NS

MAX_AHEAD_NS: Final = 24 * 3600 * NS

Reasons = Mapping[tuple[SeriesKey, int], str]
"""Why readings cannot be stored, by series and time."""


def reasons_of(refused: Iterable[RefusedReading]) -> Reasons:
    """By reading: a batch is sifted parcel by parcel, and may be refused as a whole."""
    return {(one.series, one.at): one.reason for one in refused}


def misdated(parcel: Received, now: int) -> tuple[RefusedReading, ...]:
    """Readings with a time that cannot be, by the centre's clock `now`; sweeps of faults alone count as well."""
    refused: list[RefusedReading] = []
    for sweep in parcel.sweeps:
        if sweep.taken_at < EARLIEST_NS:
            reason = "its time lies before 2020: the gateway's clock is wrong"
        elif sweep.taken_at > now + MAX_AHEAD_NS:
            reason = "its time lies more than a day ahead: the gateway's clock is wrong"
        else:
            continue
        points = {**sweep.values, **sweep.faults}
        refused += [
            RefusedReading(SeriesKey(parcel.site, sweep.device, point), sweep.taken_at, reason) for point in points
        ]
    return tuple(refused)


def split(parcel: Received, refused: Reasons) -> tuple[Received, tuple[Sweep, ...], tuple[str, ...]]:
    """(the parcel without what is `refused`, what was taken out of it, the reasons for that)."""
    reasons: set[str] = set()
    kept: list[Sweep] = []
    taken: list[Sweep] = []
    for sweep in parcel.sweeps:
        points = {**sweep.values, **sweep.faults}
        named = {point: (SeriesKey(parcel.site, sweep.device, point), sweep.taken_at) for point in points}
        bad = {point: refused[name] for point, name in named.items() if name in refused}
        if not bad:
            kept.append(sweep)
            continue
        reasons |= {*bad.values()}
        taken.append(_only(sweep, bad))
        if rest := points.keys() - bad.keys():
            kept.append(_only(sweep, rest))
    readings = sum(len(sweep.values) for sweep in kept)
    return replace(parcel, sweeps=tuple(kept), readings=readings), tuple(taken), tuple(sorted(reasons))


def _only(sweep: Sweep, points: Collection[str]) -> Sweep:
    return replace(
        sweep,
        values={point: value for point, value in sweep.values.items() if point in points},
        faults={point: fault for point, fault in sweep.faults.items() if point in points},
    )


def as_lines(parcel: Received, sweeps: Sequence[Sweep]) -> bytes:
    """The sweeps as line protocol, as they came."""
    tags = f",site={parcel.site},gateway={parcel.gateway}"
    return "".join(f"{line}\n" for sweep in sweeps for line in encode_sweep(sweep, tags)).encode()
