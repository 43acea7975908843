"""Gaps: parcels of a gateway that the store has not, though it has later ones. Pure, but for what GapNews told.

A gap is missing as long as the gateway may still send it: it sends again what is not confirmed. It is lost when the
gateway said later that nothing waits there any more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby, pairwise
from typing import Final

from centre.accounting.hours import Window
from centre.ranges import gaps, held
from centre.store.base import GatewayKey, GatewayRow, Stretch
from metering.parcel import ParcelId
from wattline.clock import NS
from wattline.events import EventLog

SETTLING_NS: Final = 60 * NS
"""Parcels overtake each other, live ones go first: a gap younger than this is no news."""

_TOLD: Final = 5  # ranges in one event


class GapState(StrEnum):
    """What is to be expected of a gap."""

    MISSING = "missing"  # the gateway may still send it
    LOST = "lost"  # the gateway has it no more


class Cause(StrEnum):
    """Why parcels were lost; the gateway counts the readings of the first kind."""

    DROPPED = "dropped"  # by the gateway: its spool was full, or a parcel in it damaged
    ENDED = "ended"  # the agent was killed, or lost power, before they were on its disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Parcels `first` to `last` of an epoch, missed since `since_ns`.

    Their readings were taken between `after_ns` (None: nothing of the epoch is stored before) and `before_ns`.
    """

    epoch: int
    first: int
    last: int
    since_ns: int
    after_ns: int | None
    before_ns: int
    state: GapState
    cause: Cause | None

    @property
    def parcels(self) -> int:
        return self.last - self.first + 1

    @property
    def name(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def gaps_of(gateway: GatewayRow) -> tuple[Gap, ...]:
    """All gaps of all epochs, the oldest first."""
    found: list[Gap] = []
    dropped = 0
    for _, group in groupby(gateway.stretches, key=lambda stretch: stretch.epoch):
        stretches = list(group)
        found += _of_epoch(stretches, gateway, dropped)
        dropped = stretches[-1].dropped
    return tuple(found)


def _of_epoch(stretches: Sequence[Stretch], gateway: GatewayRow, dropped: int) -> Iterator[Gap]:
    """`dropped`: what the last parcel before these told."""
    below = {upper.first: lower for lower, upper in pairwise(stretches)}
    noticed: dict[int, int] = {}  # a later parcel is what shows a gap, whichever came first
    first_come = stretches[-1].since
    for stretch in reversed(stretches):
        first_come = noticed[stretch.first] = min(first_come, stretch.since)
    upper_of = {stretch.first - 1: stretch for stretch in stretches}
    for first, last in gaps(held(stretches)):
        upper = upper_of[last]
        lower = below.get(upper.first)
        epoch = upper.epoch
        lost = gateway.settled is not None and ParcelId(epoch=epoch, seq=last) <= gateway.settled
        told = dropped if lower is None else lower.dropped
        yield Gap(
            epoch=epoch,
            first=first,
            last=last,
            since_ns=noticed[upper.first],
            after_ns=None if lower is None else lower.last_at,
            before_ns=upper.first_at,
            state=GapState.LOST if lost else GapState.MISSING,
            cause=None if not lost else Cause.DROPPED if gateway.dropped > told else Cause.ENDED,
        )


def windows(gateway: GatewayRow) -> tuple[Window, ...]:
    """Times out of which nothing can come any more: those of lost parcels, and those between two runs of the agent."""
    found: list[Window] = []
    for lower, upper in pairwise(gateway.stretches):
        settled = gateway.settled is not None and ParcelId(epoch=upper.epoch, seq=upper.first - 1) <= gateway.settled
        if settled and lower.last_at < upper.first_at:
            gap = lower.epoch == upper.epoch or upper.first > 1
            dropped = upper.dropped > lower.dropped or (gap and gateway.dropped > lower.dropped)
            found.append(Window(lower.last_at, upper.first_at, str(Cause.DROPPED if dropped else Cause.ENDED)))
    return tuple(found)


def ripe(found: Sequence[Gap], now: int) -> tuple[Gap, ...]:
    """Those that are old enough to be told."""
    return tuple(gap for gap in found if now - gap.since_ns >= SETTLING_NS)


@dataclass(slots=True)
class GapNews:
    """Tells changes: that a gateway misses parcels, that some of them are lost, that nothing is missing any more."""

    log: EventLog
    _missing: set[GatewayKey] = field(default_factory=set[GatewayKey])
    _lost: dict[GatewayKey, frozenset[tuple[int, int]]] = field(
        default_factory=dict[GatewayKey, frozenset[tuple[int, int]]]
    )

    def look(self, gateways: Sequence[GatewayRow], now: int) -> None:
        """Compare with what was told; the first look after a start tells what stands, too."""
        for gateway in gateways:
            found = ripe(gaps_of(gateway), now)
            self._tell_lost(gateway, [gap for gap in found if gap.state is GapState.LOST])
            self._tell_missing(gateway.key, [gap for gap in found if gap.state is GapState.MISSING])

    def _tell_missing(self, key: GatewayKey, missing: Sequence[Gap]) -> None:
        if missing and key not in self._missing:
            self._missing.add(key)
            self.log.warning("gateway.missing", **_fields(key, missing))
        elif not missing and key in self._missing:
            self._missing.discard(key)
            self.log.info("gateway.whole", site=key.site, gateway=key.gateway)

    def _tell_lost(self, gateway: GatewayRow, lost: Sequence[Gap]) -> None:
        before = self._lost.get(gateway.key, frozenset())
        self._lost[gateway.key] = frozenset((gap.epoch, gap.last) for gap in lost)
        new = [gap for gap in lost if (gap.epoch, gap.last) not in before]
        for cause in Cause:
            those = [gap for gap in new if gap.cause is cause]
            if those:
                self.log.error(
                    "gateway.lost_parcels", cause=str(cause), dropped=gateway.dropped, **_fields(gateway.key, those)
                )


def _fields(key: GatewayKey, found: Sequence[Gap]) -> dict[str, object]:
    ranges = ", ".join(f"{gap.epoch}:{gap.name}" for gap in found[:_TOLD])
    return {
        "site": key.site,
        "gateway": key.gateway,
        "parcels": sum(gap.parcels for gap in found),
        "ranges": ranges if len(found) <= _TOLD else f"{ranges}, ...",
        "since_ns": min(gap.since_ns for gap in found),
    }
