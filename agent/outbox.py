"""Outbox: what of the spool was sent on this connection and what became of it. Decides what may be sent; no I/O.

A parcel is in flight until the broker answers, then awaits the store's word. Not told within its time, it is sent
again: brokers acknowledge what they later lose. A broker answers in the order of what it got (MQTT 5, 4.6): one that
answers a later parcel and never this one has lost its answer. Times are monotonic seconds.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from agent.headway import Headway
from agent.pace import Pace
from metering.parcel import ParcelId
from metering.topics import Committed

_REMEMBERED: Final = 4096
_SUSPECT: Final = 2  # ends of a connection with this parcel in flight, until it is sent alone
_BARRED: Final = 5  # and until it is barred, when it was alone at the last of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of sending; times in seconds."""

    window: int = 20
    """Parcels in flight."""
    awaiting: int = 256
    """Parcels sent and not released; then sending pauses, for a broker whose reader is away keeps 1000 or fewer."""
    resend_s: float = 60.0
    """Until a parcel the store has not confirmed is sent again, doubling."""
    resend_most_s: float = 900.0
    """Where that doubling ends; also how long a parcel is barred."""
    refused_s: float = 5.0
    """Until a refused topic is tried again, doubling."""
    refused_most_s: float = 300.0
    silent_s: float = 120.0
    """Without any acknowledgement, or without that of a parcel when later ones have theirs, until the connection is
    given up."""


@dataclass(slots=True)
class _Sent:
    times: int
    again_at: float  # when to send it again; infinite while it is in flight or set aside


_NEVER: Final = float("inf")


class Outbox:
    """State of one publisher; `restart` at each new connection."""

    def __init__(self, limits: Limits, pace: Pace | None = None) -> None:
        self._limits = limits
        self._pace = pace
        self._headway = Headway(limits.window, limits.awaiting)
        self._sent: dict[ParcelId, _Sent] = {}
        self._flying: dict[ParcelId, float] = {}  # as sent; since when a later one has its answer
        self._aside: set[ParcelId] = set()
        self._tried: set[ParcelId] = set()  # on earlier connections
        self._ends: dict[ParcelId, int] = {}  # of connections, with this parcel in flight
        self._barred: dict[ParcelId, float] = {}  # until when
        self._refusals = 0
        self._closed_until = 0.0
        self._heard_at = 0.0
        self._committed = Committed(epochs={})

    def restart(self, now: float) -> list[ParcelId]:
        """A new connection: everything not released counts as unsent. Returns what is barred from now on."""
        culprits = self._accuse(now)
        if len(self._tried) < _REMEMBERED:
            self._tried |= self._sent.keys()
        else:
            self._tried = set(self._sent)
        self._sent.clear()
        self._flying.clear()
        self._aside.clear()
        self._refusals, self._closed_until, self._heard_at = 0, 0.0, now
        self._headway.restart()
        return culprits

    def _accuse(self, now: float) -> list[ParcelId]:
        """Count the end of a connection against what was in flight."""
        self._barred = {parcel_id: until for parcel_id, until in self._barred.items() if until > now}
        for parcel_id in self._flying:
            self._ends[parcel_id] = self._ends.get(parcel_id, 0) + 1
        culprits = [parcel_id for parcel_id in self._flying if self._ends[parcel_id] >= _BARRED]
        if len(self._flying) != 1:
            return []
        self._barred |= dict.fromkeys(culprits, now + self._limits.resend_most_s)
        return culprits

    def free(self, now: float) -> int:
        """Places in the window."""
        if now < self._closed_until:
            return 0
        free = self._places()
        if self._pace is not None:  # one at a time, so that each is counted before the next
            return 0 if now < self._pace.ready_at() else min(free, 1)
        return free

    def _places(self) -> int:
        """How many more may be in flight."""
        suspects = any(ends >= _SUSPECT for parcel_id, ends in self._ends.items() if parcel_id not in self._barred)
        window = 1 if self._refusals or suspects else self._limits.window
        return max(0, window - len(self._flying))

    def room(self, now: float, *, others_wait: bool) -> int:
        """How many parcels may start that were not sent; one place is left to the other lane when `others_wait`."""
        free = min(self.free(now), self._limits.awaiting - len(self._sent) + len(self._aside))
        return max(0, free - 1 if others_wait and free == 1 and len(self._flying) > 1 else free)

    def backlog_room(self, now: float) -> int:
        """How many parcels of the backlog may start: fewer than would make live ones wait long for the store.

        Some places are left to those for good: there may be parcels in the backlog that the store never confirms.
        """
        room = self.room(now, others_wait=False)
        left = self._limits.awaiting - self._limits.window // 4 - len(self._sent) + len(self._aside)
        return max(0, min(room, left, self._headway.room(self._waiting)))

    @property
    def _waiting(self) -> int:
        """Parcels sent once and not released; what was sent again, the store may never confirm."""
        return sum(sent.times == 1 for sent in self._sent.values())

    def may_start(self, parcel_id: ParcelId) -> bool:
        """False when it was sent on this connection or is barred; a barred one is due again when its time is over."""
        until = self._barred.get(parcel_id)
        if until is not None and parcel_id not in self._sent:
            self._sent[parcel_id] = _Sent(0, until)
            self._aside.add(parcel_id)
        return parcel_id not in self._sent

    def start(self, parcel_id: ParcelId, now: float, size: int = 0) -> None:
        """`parcel_id`, of `size` bytes, is being published."""
        if self._pace is not None:
            self._pace.spend(size, now)
        if not self._flying:
            self._heard_at = now
        self._headway.sent(self._waiting, now)
        sent = self._sent.setdefault(parcel_id, _Sent(0, _NEVER))
        sent.times, sent.again_at = sent.times + 1, _NEVER
        self._aside.discard(parcel_id)
        self._flying[parcel_id] = _NEVER

    def acked(self, parcel_id: ParcelId, now: float) -> bool:
        """The broker has it; True when this ends a spell of refusals."""
        resumed, self._refusals = self._refusals > 0, 0
        self._answered(parcel_id, now)
        self._ends.pop(parcel_id, None)
        sent = self._sent.get(parcel_id)
        if sent is not None:
            wait = min(self._limits.resend_s * 2 ** min(sent.times - 1, 16), self._limits.resend_most_s)
            sent.again_at = now + wait
        if resumed:
            for other in self._sent.keys() - self._flying.keys() - self._aside:
                self._sent[other].again_at = min(self._sent[other].again_at, now + self._limits.resend_s)
        return resumed

    def refused(self, parcel_id: ParcelId, now: float) -> None:
        """The broker said no: keep the parcel, close the outbox for a while, then try with one."""
        self._answered(parcel_id, now)
        if now >= self._closed_until:
            wait = min(self._limits.refused_s * 2 ** min(self._refusals, 16), self._limits.refused_most_s)
            self._closed_until = now + wait
            self._refusals += 1
        if parcel_id in self._sent:
            self._sent[parcel_id].again_at = now

    def set_aside(self, parcel_id: ParcelId, now: float) -> None:
        """It can never pass on this connection: keep it, and do not try again."""
        self._landed(parcel_id, now)
        if parcel_id in self._sent:
            self._aside.add(parcel_id)

    def again(self, parcel_id: ParcelId, now: float) -> None:
        """What was set aside can pass now: send it."""
        if parcel_id in self._sent:
            self._aside.discard(parcel_id)
            self._sent[parcel_id].again_at = now

    def pardon(self, parcel_id: ParcelId) -> None:
        """What was barred is another now: try it."""
        self._barred.pop(parcel_id, None)
        self._ends.pop(parcel_id, None)

    def _answered(self, parcel_id: ParcelId, now: float) -> None:
        if parcel_id in self._flying:
            for earlier in takewhile(parcel_id.__ne__, self._flying):
                self._flying[earlier] = min(self._flying[earlier], now)
        self._landed(parcel_id, now)

    def _landed(self, parcel_id: ParcelId, now: float) -> None:
        self._flying.pop(parcel_id, None)
        self._heard_at = now

    def released(self, parcel_ids: Iterable[ParcelId]) -> None:
        """Forget them: they are safe, or no longer there."""
        for parcel_id in parcel_ids:
            self._sent.pop(parcel_id, None)
            self._aside.discard(parcel_id)
            self._tried.discard(parcel_id)
            self._ends.pop(parcel_id, None)

    def committed(self, committed: Committed, now: float, known: Container[ParcelId] = ()) -> list[ParcelId]:
        """What the store's word releases: of what was sent on this connection, in flight included.

        Not so of `known`, whose numbers the store may have had before they were sent.
        """
        self._committed = committed
        stored = [
            parcel_id
            for parcel_id in self._sent
            if committed.holds(parcel_id.epoch, parcel_id.seq)
            and not (parcel_id in self._flying and parcel_id in known)
        ]
        self._headway.heard(sum(self._sent[each].times == 1 for each in stored), self._waiting, now)
        self.released(stored)
        return stored

    def is_stored(self, parcel_id: ParcelId) -> bool:
        """True when an unsent parcel need not be sent: the store had it from an earlier connection.

        Whatever a message says, a parcel leaves only after this process sent it: of any epoch.
        """
        return parcel_id in self._tried and self._committed.holds(parcel_id.epoch, parcel_id.seq)

    def due_again(self, now: float, limit: int) -> list[ParcelId]:
        """Parcels to send again, oldest first."""
        due = sorted(parcel_id for parcel_id, sent in self._sent.items() if sent.again_at <= now)
        return due[:limit]

    def next_at(self, now: float) -> float:
        """When to look again although nothing happened; infinite when there is no need."""
        times = [sent.again_at for sent in self._sent.values()] if self._places() else []  # a place that comes is news
        if now < self._closed_until:
            return self._closed_until
        if self._pace is not None and now < (ready := self._pace.ready_at()):
            times = [max(at, ready) for at in times] + [ready]
        if self._flying:
            times.append(self._given_up_at())
        return min(times, default=_NEVER)

    def is_silent(self, now: float) -> bool:
        """True when the broker has owed an acknowledgement for too long."""
        return bool(self._flying) and now >= self._given_up_at()

    def _given_up_at(self) -> float:
        return min(self._heard_at, *self._flying.values()) + self._limits.silent_s

    @property
    def awaiting(self) -> bool:
        """Something was sent and is not released."""
        return len(self._sent) > len(self._aside)

    @property
    def idle(self) -> bool:
        """Nothing in flight."""
        return not self._flying
