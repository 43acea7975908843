"""The store as the centre sees it. Contract: tests/support/store_contract.py, which every store passes.

A store keeps and finds; it never computes a figure. Times are UTC nanoseconds, ranges are [t0, t1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from centre.accounting.hours import Plan, Tally
from centre.accounting.intervals import Interval
from metering.faults import Fault
from metering.parcel import ParcelId, Received
from metering.status import State, Status
from metering.sweep import DeviceInfo, Value
from metering.topics import Committed

FAR_NS: Final = 2**63 - 1
"""After every time: the end of a range that has none."""

EARLIEST_NS: Final = 1_577_836_800_000_000_000
"""2020-01-01: before Wattline, so no meter was read then."""

TOO_MUCH: Final = 10**12
"""No meter shows as much of a quantity, up or down; and arithmetic of 28 digits bears it times any transformer."""


class StoreError(Exception):
    """The store cannot do it now (disk full, locked, gone): nothing was written; try again."""


class StoreUnusable(Exception):
    """The store cannot be opened by this program (newer schema, no database, no permission); the message says why."""


class SeriesKey(NamedTuple):
    """Identity of a series of readings: device names are unique in a site."""

    site: str
    device: str
    point: str


class RefusedReading(NamedTuple):
    """A reading that cannot be stored, now or later, and why."""

    series: SeriesKey
    at: int
    reason: str


class ReadingsRefused(Exception):
    """The store takes everything of a write but `refused`; nothing was written: try again without them."""

    def __init__(self, refused: Sequence[RefusedReading]) -> None:
        super().__init__(f"{len(refused)} readings cannot be stored, the first: {refused[0].reason}")
        self.refused = refused


class GatewayKey(NamedTuple):
    """Identity of a gateway."""

    site: str
    gateway: str


class Reading(NamedTuple):
    """One stored value and its acquisition time; `suspect` when the gateway did not believe it."""

    at: int
    value: Value
    suspect: bool = False


class Columns(NamedTuple):
    """Readings in order of time as two columns, and the times of those the gateway did not believe."""

    times: Sequence[int]
    values: Sequence[Value]
    suspects: frozenset[int]


class Climb(NamedTuple):
    """The readings of a register in one quarter of an hour of UTC, none below the one before it.

    `step`, `rate` and `pause` are the largest step, the steepest (per ns) and the shortest time between two of them,
    the step that leads into the quarter among them.
    """

    first: int
    first_value: float
    last: int
    last_value: float
    readings: int
    step: float
    rate: float
    pause: int


class FaultSeen(NamedTuple):
    """When a value was absent last, and why."""

    at: int
    reason: Fault


class Grain(StrEnum):
    """Lengths of the accounted intervals; hours and more are those of the plant's clock and billing calendar."""

    QUARTER = "15min"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """An accounted interval as stored. `revision` counts from 1 how often a closed figure was corrected."""

    grain: Grain
    interval: Interval
    revision: int = 1


class Span(NamedTuple):
    """The first and last reading of a series in some range, and how many there are."""

    first: Reading
    last: Reading
    readings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What one write did. `ignored` readings were there already; `redelivered` parcels had been stored before."""

    parcels: int
    redelivered: int
    readings: int
    ignored: int
    faults: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dirty:
    """Readings of a counter were written between `first` and `last` since its intervals were last computed.

    `mark` changes with every further write: settling an outdated mark leaves the series dirty.
    """

    series: SeriesKey
    first: int
    last: int
    mark: int


class Stretch(NamedTuple):
    """Stored parcels of one epoch without a gap between them, numbers `first` to `last`.

    `since`: when the first of them came. `first_at`, `last_at`: the earliest time in the first and the latest in the
    last of them. `dropped`: what the last of them told of readings lost at the gateway.
    """

    epoch: int
    first: int
    last: int
    since: int
    first_at: int
    last_at: int
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRow:
    """What is known of a gateway. `state` None: it sent readings but never a status. `dropped` counts readings.

    `settled`: the newest parcel up to which the gateway holds none any more; what is not stored up to it never comes.
    """

    key: GatewayKey
    state: State | None
    since: int | None
    last_seen: int
    software: str | None
    epoch: int | None
    dropped: int
    counters: Mapping[str, int]
    committed: Committed
    stretches: Sequence[Stretch]
    settled: ParcelId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts since the store was made."""

    readings: int
    faults: int
    parcels: int
    redelivered_parcels: int
    ignored_readings: int
    by_device: Mapping[tuple[str, str], int]


class Registers(Protocol):
    """The readings of registers and what is accounted of them; every method raises StoreError when it cannot answer."""

    async def read(self, series: SeriesKey, t0: int, t1: int, /, *, limit: int) -> Sequence[Reading]:
        """At most `limit` readings of [t0, t1) in order of time, the earliest first, suspects told as in `before`."""
        ...

    async def before(self, series: SeriesKey, t: int, count: int, /) -> Sequence[Reading]:
        """The last `count` readings with a time before `t`, in order of time."""
        ...

    async def changes(self, series: SeriesKey, /) -> Sequence[tuple[int, int]]:
        """Where a state took another value: the times of the last reading before and of the first after, in order.

        Empty texts and zeros are no values here.
        """
        ...

    async def read_rollup(self, series: SeriesKey, grain: Grain, t0: int, t1: int, /) -> Sequence[Bucket]:
        """Intervals that start in [t0, t1), in order."""
        ...


class Store(Registers, Protocol):
    """Every method raises StoreError when the store cannot answer; nothing was changed then."""

    # --- what arrives

    async def write(self, parcels: Sequence[Received], *, received_at: int) -> Written:
        """Keep readings, faults and parcel numbers in one step; durable on return, idempotent by (series, time).

        A value that is already there stays: the first one told wins. Raises ReadingsRefused for those that can never
        be stored: a text where the quantity is a number, a number of 10^12 or more.
        """
        ...

    async def write_status(self, key: GatewayKey, status: Status, *, received_at: int) -> bool:
        """Keep what a gateway says of itself; True when its state changed. Without devices the inventory stays."""
        ...

    async def committed(self) -> Mapping[GatewayKey, Committed]:
        """Parcel numbers the store has, by gateway; the newest epochs only where there are very many."""
        ...

    async def gateways(self) -> Sequence[GatewayRow]:
        """All known gateways, by name."""
        ...

    async def inventory(self, site: str) -> Mapping[str, tuple[str, DeviceInfo]]:
        """Device name -> (gateway, what that gateway says of it)."""
        ...

    # --- readings

    async def columns(self, series: SeriesKey, t0: int, t1: int, *, before: int, after: int, limit: int) -> Columns:
        """As `read`, with up to `before` earlier and `after` later ones: for very many."""
        ...

    async def climbs(self, series: SeriesKey, t: int, *, before: int) -> tuple[int, Sequence[Climb]] | None:
        """When the last but `before` reading before `t` was taken, and what is certain of the newest readings.

        The climbs tell of all readings from their first on; None when nothing is certain.
        """
        ...

    async def latest(self, keys: Sequence[SeriesKey]) -> Mapping[SeriesKey, Reading]:
        """The newest reading of each series that has one."""
        ...

    async def latest_faults(self, keys: Sequence[SeriesKey]) -> Mapping[SeriesKey, FaultSeen]:
        """The newest fault that concerns each series, its own or one of all points of its device.

        Its reason is the newest but `backoff`, which only says that an earlier one lasts, where the last hundred
        hold another.
        """
        ...

    async def span(self, series: SeriesKey, t0: int, t1: int) -> Span | None:
        """First, last and number of the readings in [t0, t1); None when there are none."""
        ...

    async def series(self, site: str) -> Mapping[str, tuple[str, ...]]:
        """Device -> its points, of every series of the site."""
        ...

    async def fault_counts(
        self, site: str, device: str, points: Sequence[str], t0: int, t1: int
    ) -> Mapping[Fault, int]:
        """How many faults of each reason stand at `points` of a device in [t0, t1)."""
        ...

    async def tallies(self, site: str, t0: int, t1: int) -> Mapping[str, Mapping[int, Tally]]:
        """Device -> start of the hour (UTC ns) in [t0, t1) -> what was written of it."""
        ...

    async def arrivals(self, site: str, device: str, t0: int, t1: int) -> Mapping[int, int]:
        """Start of the hour (UTC ns) in [t0, t1) -> a number that grows with each reading or fault written of it.

        An hour of the device whose number is the same has the same readings.
        """
        ...

    async def plans(self, site: str) -> Mapping[str, Sequence[Plan]]:
        """Device -> what its gateways were told to read of it, in order of time."""
        ...

    # --- accounted intervals

    async def write_rollup(
        self, buckets: Mapping[SeriesKey, Sequence[Bucket]], *, settled: Mapping[SeriesKey, int] | None = None
    ) -> int:
        """Put intervals in place of those of the same grain and start; returns how many differ from before.

        `revision` of a bucket is ignored: the store counts it up when a closed interval changes. `settled` series now
        hold all that was written up to the mark (see Dirty). All in one step.
        """
        ...

    async def dirty(self, limit: int) -> Sequence[Dirty]:
        """Counters whose intervals are outdated, the longest waiting first."""
        ...

    async def require(self, series: SeriesKey, fingerprint: str) -> bool:
        """Make the whole series dirty when its intervals were computed under another rule; True when they were.

        `fingerprint` names the rule from now on. Up to its first `|` it names the calendar: where that is another, what
        is longer than a quarter of an hour is dropped, for it may begin elsewhere. Empty: it is not counted any more.
        """
        ...

    async def totals(self) -> Totals:
        """Counters, not counted anew."""
        ...
