"""Splitting a parcel that a broker finds too large: the same sweeps in two parcels, the first under the old id.

The old id stays in use, so that the centre sees no gap. That is safe only because neither half is sent before both are
on disk in place of the whole: see Spool.split.
"""

from dataclasses import dataclass

from metering.parcel import Parcel, ParcelError, ParcelId, open_parcel, seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """`points` are the values and faults of the larger one."""

    first: Parcel
    second: Parcel
    points: int


def halves(parcel: Parcel, second: ParcelId) -> Halves | None:
    """`parcel` as two, half its sweeps under the id `second`; None when it is one sweep, or cannot be read."""
    try:
        opened = open_parcel(parcel.body)
    except ParcelError:
        return None
    sweeps = opened.sweeps
    middle = len(sweeps) // 2
    if not middle:
        return None
    parts = (sweeps[:middle], sweeps[middle:])
    early, late = (
        seal(
            part,
            site=opened.site,
            gateway=opened.gateway,
            parcel_id=parcel_id,
            dropped=opened.dropped,
            thinned=opened.thinned,
            time_quality=opened.time_quality,
        )
        for part, parcel_id in zip(parts, (parcel.id, second), strict=True)
    )
    points = max(sum(len(sweep.values) + len(sweep.faults) for sweep in part) for part in parts)
    return Halves(first=early, second=late, points=points)
