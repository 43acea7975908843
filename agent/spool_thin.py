"""Thinning: a parcel with fewer sweeps, where gauges stay once a minute and counters keep what energy is made of. Pure.

Of each device, point and UTC minute in a parcel the first value stays, and of counters and states the last one too:
the register at the bounds of each quarter hour is in one of them. Reasons of absence stay the same way. The
parcel keeps its id. That is harmless where the whole one was sent already: the store knows a reading by device, point
and time, and the thinned parcel holds a part of the same readings with the same values. Should the whole one arrive
later still, the store has more than was counted as lost, never less.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from metering.parcel import Parcel, ParcelId, Received, open_parcel, seal
from metering.quantities import Kind, quantity_of
from metering.sweep import Sweep
from wattline.clock import NS

_MINUTE: Final = 60 * NS
_GAIN: Final = 0.9  # a parcel that stays larger than this part of itself is left as it is

_Key = tuple[str, str, int, bool]  # device, point, minute, and whether it has a value


def thinned(parcel: Parcel) -> Parcel | None:
    """The parcel with less in it; None when there is nothing to gain. Raises ParcelError."""
    was = open_parcel(parcel.body)
    left = thin(was.sweeps)
    if len(left) == len(was.sweeps) and all(new == old for new, old in zip(left, was.sweeps, strict=True)):
        return None
    small = resealed(was, parcel.id, left)
    return small if len(small.body) < _GAIN * len(parcel.body) else None


def resealed(was: Received, parcel_id: ParcelId, sweeps: Sequence[Sweep]) -> Parcel:
    """An opened parcel sealed again under this id, with these sweeps."""
    return seal(
        sweeps,
        site=was.site,
        gateway=was.gateway,
        parcel_id=parcel_id,
        dropped=was.dropped,
        thinned=was.thinned,
        time_quality=was.time_quality,
    )


def thin(sweeps: Sequence[Sweep]) -> list[Sweep]:
    """What stays of sweeps in the order they were taken."""
    first: dict[_Key, int] = {}
    last: dict[_Key, int] = {}
    for at, sweep in enumerate(sweeps):
        for key in _keys(sweep):
            first.setdefault(key, at)
            if not _is_gauge(key[1]):
                last[key] = at
    left: list[Sweep] = []
    for at, sweep in enumerate(sweeps):
        stay = {key[1] for key in _keys(sweep) if first[key] == at or last.get(key) == at}
        if len(stay) == len(sweep.values.keys() | sweep.faults.keys()):
            left.append(sweep)
        elif stay:
            left.append(
                Sweep(
                    device=sweep.device,
                    taken_at=sweep.taken_at,
                    values={point: value for point, value in sweep.values.items() if point in stay},
                    faults={point: fault for point, fault in sweep.faults.items() if point in stay},
                )
            )
    return left


def _keys(sweep: Sweep) -> list[_Key]:
    minute = sweep.taken_at // _MINUTE
    known = [(sweep.device, point, minute, True) for point in sweep.values]
    return known + [(sweep.device, point, minute, False) for point in sweep.faults if point not in sweep.values]


@lru_cache(4096)
def _is_gauge(point: str) -> bool:
    quantity = quantity_of(point)
    return quantity is not None and quantity.kind is Kind.GAUGE
