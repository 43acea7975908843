"""What goes into the spool's disk in one commit, what comes out in one read, and what the disk says of itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from metering.parcel import Parcel, ParcelId


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one commit makes durable. `dropped` readings were lost outside the disk and join the file's count.

    `keep` are confirmed parcels that were never on disk, for the history; `confirmed`: what is deleted goes there too.
    """

    epoch: int
    insert: Sequence[Parcel] = ()
    delete: Sequence[ParcelId] = ()
    dropped: int = 0
    keep: Sequence[Parcel] = ()
    confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the file holds. `dropped`: readings lost since the file was made; `mended`: what salvage did, once.

    `thinned`: the part of `dropped` that was thinned out of parcels that are, or were, still sent.
    `tight`: others fill the file system, and the ballast is given up. `kept_since`: the time of the history's oldest
    parcel, 0 when there is none.
    """

    epoch: int
    dropped: int
    parcels: int
    readings: int
    newest: int  # key of the newest parcel, 0 when there is none
    bytes: int
    mended: str | None = None
    tight: bool = False
    thinned: int = 0
    kept_since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Parcels in ascending order. `complete`: none was left in the range because of a limit."""

    parcels: tuple[Parcel, ...]
    damaged: tuple[tuple[ParcelId, int], ...]  # rows whose CRC is wrong, with their readings as far as one can tell
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the history has of a request: the keys of its parcels by time, and how many readings those have.

    `more`: it has still more, and these are the oldest.
    """

    keys: Sequence[int]
    readings: int
    more: bool
