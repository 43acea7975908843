"""The sealed parcels that are in RAM only, and the figures of the spool."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from agent.spool_thin import resealed
from metering.parcel import Parcel, ParcelId, open_parcel


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolStats:
    """Figures. Counts are of this epoch, but `dropped` and its part `thinned`: since the spool was made."""

    epoch: int
    acquired: int
    dropped: int
    thinned: int
    parcels_sealed: int
    parcels_released: int
    parcels_pending: int
    readings_pending: int
    ram_bytes: int
    disk_bytes: int
    durable: bool

    def counters(self) -> dict[str, int]:
        """The counters of the gateway's status message."""
        return {
            "acquired": self.acquired,
            "dropped": self.dropped,
            "thinned": self.thinned,
            "parcels_sealed": self.parcels_sealed,
            "parcels_released": self.parcels_released,
            "parcels_pending": self.parcels_pending,
        }


@dataclass(frozen=True, slots=True)
class _Held:
    """A parcel and when (monotonic) the first of its sweeps came."""

    parcel: Parcel
    since: float


class Ram:
    """Parcels in the order of their sealing, and the bytes of their bodies."""

    def __init__(self) -> None:
        self.bytes = 0
        self._held: dict[ParcelId, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Parcel]:
        return iter([held.parcel for held in self._held.values()])

    def get(self, parcel_id: ParcelId) -> Parcel | None:
        held = self._held.get(parcel_id)
        return None if held is None else held.parcel

    def put(self, parcel: Parcel, since: float) -> None:
        self._held[parcel.id] = _Held(parcel, since)
        self.bytes += len(parcel.body)

    def forget(self, parcel_id: ParcelId) -> bool:
        """True when it was here."""
        held = self._held.pop(parcel_id, None)
        if held is not None:
            self.bytes -= len(held.parcel.body)
        return held is not None

    def first(self, most_bytes: int) -> tuple[Parcel, ...]:
        """The oldest, one at least, up to about `most_bytes`."""
        taken: list[Parcel] = []
        size = 0
        for parcel in self:
            size += len(parcel.body)
            if taken and size > most_bytes:
                break
            taken.append(parcel)
        return tuple(taken)

    def reseal(self, epoch: int) -> None:
        """Give every parcel the same number in another epoch."""
        held, self._held, self.bytes = self._held, {}, 0
        for each in held.values():
            was = open_parcel(each.parcel.body)
            self.put(resealed(was, ParcelId(epoch=epoch, seq=was.id.seq), was.sweeps), each.since)

    def oldest_since(self) -> float | None:
        """When the oldest reading came; None when there is none."""
        return next((held.since for held in self._held.values()), None)

    def drop_oldest(self, bound: int, but: Collection[ParcelId]) -> int:
        """Forget the oldest, but those named and the newest, until `bound` bytes are left; returns readings lost."""
        lost = 0
        for parcel in [parcel for parcel in self if parcel.id not in but][:-1]:
            if self.bytes <= bound:
                break
            self.forget(parcel.id)
            lost += parcel.readings
        return lost

    @property
    def readings(self) -> int:
        return sum(parcel.readings for parcel in self)
