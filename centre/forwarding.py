"""Forwarding: the closed intervals of this centre to the centre above, as surely as an agent delivers its readings.

What waits stands in the books; it leaves the queue only when the upper centre says that it holds the parcel, on
`.../committed`. All that is not confirmed is sent again on each new connection, and on a living one after a time; and
everything, when the upper centre holds less than it held before. A new start numbers its parcels under a new epoch: the
upper centre knows an interval by its key and revision, so it may come twice.
"""

import asyncio
import sqlite3
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from centre.accounting.calendar import Month
from centre.acknowledged import publish
from centre.books import forward
from centre.books.file import Books
from centre.books.forward import Look, Sent
from centre.forwarding_touched import Touched
from centre.reconnecting import reconnecting
from centre.store.base import StoreError
from metering.intervals import IntervalParcel, seal_intervals
from metering.parcel import ParcelId
from metering.topics import Committed, Topics, decode_committed
from wattline.broker import Broker, Connection, PublishRefused
from wattline.clock import NS, Clock
from wattline.events import EventLog

_PER_PARCEL: Final = 500
_UNDER_WAY: Final = 16
_MOST_WAITING: Final = 200_000
_LOOK_NS: Final = 2 * NS
_NEXT_LOOK_S: Final = 5.0
_PAUSE: Final = 20.0  # times what a look at a month took, until the next
_AGAIN_S: Final = 60.0
_MOST_AGAIN_S: Final = 3600.0
_SURE_S: Final = 300.0


class Source(Protocol):
    """Where the intervals come from; see forwarding_figures.py."""

    async def months(self, site: str, sent: tuple[int, int] | None) -> Collection[Month]: ...

    async def closed(self, site: str, month: Month) -> tuple[Look, bool]: ...


@dataclass(slots=True)
class _Flight:
    """A parcel under way: what is in it, its bytes, and when it is sent again."""

    rows: tuple[Sent, ...]
    body: bytes
    due: float = 0.0
    pause_s: float = _AGAIN_S


@dataclass(slots=True, kw_only=True)
class Forwarder:
    """`gather` and `run` are tasks; `name` is this centre's on the topics of its `sites`."""

    name: str
    sites: tuple[str, ...]
    figures: Source
    books: Books
    broker: Broker
    clock: Clock
    log: EventLog = field(default_factory=EventLog)
    connected: bool = False
    _epoch: int = 0
    _seq: dict[str, int] = field(default_factory=dict[str, int])
    _after: dict[str, int] = field(default_factory=dict[str, int])
    _round: int = 0
    _flights: dict[tuple[str, int], _Flight] = field(default_factory=dict[tuple[str, int], _Flight])
    _fallen: dict[str, tuple[float, Committed]] = field(default_factory=dict[str, tuple[float, Committed]])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    # --- what is to be forwarded

    async def gather(self, touched: Touched) -> None:
        """Queue all that differs from what was queued before, then what the ledger touches, until cancelled."""
        wanted: set[tuple[str, Month]] = set()
        due: dict[tuple[str, Month], float] = {}
        whole = list(self.sites)
        failed = False
        while True:
            try:
                while whole:
                    sent = await self.books.read(partial(forward.reach, site=(site := whole[-1])))
                    wanted |= {(site, month) for month in await self.figures.months(site, sent)}
                    whole.pop()
                for site, month in touched.take():
                    if month is None:
                        whole.append(site)
                    else:
                        wanted.add((site, month))
                await self._look(wanted, due)
                failed = False
            except StoreError as err:
                if not failed:
                    self.log.error("forward.failed", error=str(err))  # noqa: TRY400 - an event, not a traceback
                failed = True
            await self.clock.sleep_until(self.clock.now_ns() + _LOOK_NS)

    async def _look(self, wanted: set[tuple[str, Month]], due: dict[tuple[str, Month], float]) -> None:
        """Queue the months that are wanted; the running one is touched all the time, and has its share of the time."""
        for site, month in sorted(wanted):
            began = self.clock.monotonic()
            if began < due.get((site, month), 0.0):
                continue
            if await self.waiting() >= _MOST_WAITING:
                return  # the months go on waiting; the store has their intervals
            if not await self.queue(site, month):
                wanted.discard((site, month))
            now = self.clock.monotonic()
            due[site, month] = now + max(_NEXT_LOOK_S, _PAUSE * (now - began))

    async def queue(self, site: str, month: Month) -> bool:
        """Put a month's closed intervals in the queue; True when more of it will be settled without being touched."""
        look, unsettled = await self.figures.closed(site, month)
        if await self.books.keep(partial(forward.keep, look=look, now_ns=self.clock.now_ns())):
            self._anew()
            self._changed.set()
        return unsettled

    def _anew(self) -> None:
        """Look through the queue from its beginning: what waits now stands anywhere among the rows."""
        self._after.clear()
        self._round += 1

    async def waiting(self) -> int:
        """How many intervals the upper centre lacks."""
        return await self.books.read(forward.pending)

    # --- the way up

    async def run(self) -> None:
        """Deliver until cancelled; come back after every loss."""
        await reconnecting(self.broker, self.clock, self.log, "upper.lost", self._connected)

    async def _connected(self, connection: Connection) -> None:
        if not self._epoch:
            self._epoch = await self.books.keep(partial(forward.begin_epoch, now_ns=self.clock.now_ns()))
        try:
            await self._serve(connection)
        finally:
            self.connected = False

    async def _serve(self, connection: Connection) -> None:
        for flight in self._flights.values():
            flight.due, flight.pause_s = 0.0, _AGAIN_S
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(connection), name="forward:committed")
            for site in self.sites:
                await connection.subscribe(Topics(site, self.name).committed)
            self.connected = True
            self.log.info("upper.connected")
            while True:
                self._changed.clear()
                await self._again()
                await self._fill()
                await self._send(connection)
                soonest = min((flight.due for flight in self._flights.values()), default=float("inf"))
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(max(0.001, soonest - self.clock.monotonic()), _AGAIN_S)):
                        await self._changed.wait()

    async def _fill(self) -> None:
        """Make parcels of what waits and is not under way."""
        for site in self.sites:
            while sum(of == site for of, _ in self._flights) < _UNDER_WAY:
                after, looked = self._after.get(site, 0), self._round
                rows = await self.books.read(partial(forward.waiting, site=site, after=after, limit=_PER_PARCEL))
                if looked != self._round:
                    continue  # more was queued meanwhile, perhaps before these
                if not rows:
                    break
                self._after[site] = rows[-1][0].id
                flying = {sent for (of, _), flight in self._flights.items() if of == site for sent in flight.rows}
                fresh = [(sent, interval) for sent, interval in rows if sent not in flying]
                if fresh:
                    seq = self._seq[site] = self._seq.get(site, 0) + 1
                    parcel = IntervalParcel(
                        site=site,
                        centre=self.name,
                        id=ParcelId(epoch=self._epoch, seq=seq),
                        intervals=tuple(interval for _, interval in fresh),
                    )
                    self._flights[site, seq] = _Flight(tuple(sent for sent, _ in fresh), seal_intervals(parcel))

    async def _send(self, connection: Connection) -> None:
        """What is due; a parcel that is not confirmed is due again after a time, which doubles."""
        for (site, _), flight in list(self._flights.items()):
            if flight.due > self.clock.monotonic():
                continue
            flight.due = self.clock.monotonic() + flight.pause_s
            flight.pause_s = min(flight.pause_s * 2, _MOST_AGAIN_S)
            try:
                await publish(connection, Topics(site, self.name).intervals, flight.body)
            except PublishRefused as err:
                self.log.error("forward.refused", topic=err.topic, error=err.reason)  # noqa: TRY400 - an event
                return

    async def _listen(self, connection: Connection) -> None:
        topics = {Topics(site, self.name).committed: site for site in self.sites}
        async for message in connection.messages():
            try:
                committed = decode_committed(message.payload)
            except ValueError as err:
                self.log.error("committed.invalid", error=str(err))  # noqa: TRY400 - an event, not a traceback
            else:
                await self._release(topics[message.topic], committed)
            message.ack()

    async def _release(self, site: str, committed: Committed) -> None:
        """Take out of the queue what the upper centre holds."""
        held = [key for key in self._flights if key[0] == site and committed.holds(self._epoch, key[1])]
        rows = [sent for key in held for sent in self._flights[key].rows]

        def work(connection: sqlite3.Connection) -> tuple[bool, bool]:
            forward.confirm(connection, rows)
            restored = forward.restored(connection, committed, self.clock.now_ns())
            return forward.heard(connection, site, committed), restored

        as_before, restored = await self.books.keep(work)
        if as_before:
            self._fallen.pop(site, None)
        else:
            self._fallen[site] = self._fallen.get(site, (self.clock.monotonic(), committed))[0], committed
        if restored:
            self._anew()
            self.log.warning("forward.restored", site=site)
        for key in held:
            del self._flights[key]
        if held or restored:
            self._changed.set()

    async def _again(self) -> None:
        """Send everything to an upper centre that says, and goes on saying, that it holds less than it held before.

        Its books were lost, or restored from a backup. A broker that lost what it retained says so for a moment only.
        """
        for site, (since, committed) in list(self._fallen.items()):
            if self.clock.monotonic() - since >= _SURE_S:
                await self.books.keep(partial(forward.again, site=site, committed=committed))
                self._fallen.pop(site, None)
                self._anew()
                self.log.warning("upper.fell_back", site=site)
