"""Confirming: tells each gateway, retained, what the store holds of it; shared by all workers of an ingest.

What is told is read from the store when it is told, so it is never more than is durable, whichever worker wrote it. One
worker tells a gateway at a time, and the next word waits for the acknowledgement of the last: what the broker retains
grows.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from centre.acknowledged import publish
from centre.insisting import Patience
from centre.store.base import GatewayKey, Store
from metering.topics import Topics, encode_committed
from wattline.broker import Connection, PublishRefused
from wattline.clock import NS, Clock
from wattline.events import EventLog

_EVERY_NS: Final = NS // 2
_REPEAT_NS: Final = 300 * NS


@dataclass(slots=True)
class Confirming:
    """Which gateways are to be told, and which are being told."""

    store: Store
    clock: Clock
    log: EventLog
    _waiting: set[GatewayKey] = field(default_factory=set[GatewayKey])
    _told_now: set[GatewayKey] = field(default_factory=set[GatewayKey])
    _refused: set[GatewayKey] = field(default_factory=set[GatewayKey])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _repeated: int = 0

    def add(self, keys: Iterable[GatewayKey]) -> None:
        """These are to be told, each at most twice a second."""
        self._waiting.update(keys)
        self._changed.set()

    async def add_all(self, patience: Patience) -> None:
        """Every gateway is to be told."""
        self._repeated = self.clock.now_ns()
        self.add(await patience.insist(self.store.committed))

    async def repeat(self, patience: Patience) -> None:
        """Tell all again, now and then: a broker that was killed may have forgotten what it retained."""
        if not 0 <= self.clock.now_ns() - self._repeated < _REPEAT_NS:
            await self.add_all(patience)

    async def tell(self, connection: Connection, patience: Patience) -> None:
        """Tell over `connection` until it is lost; raises BrokerLost. What it leaves untold is told by the next."""
        while True:
            taken = await self._take()
            untold = set(taken)
            try:
                committed = await patience.insist(self.store.committed)
                for key in taken:
                    await self._publish(connection, key, encode_committed(committed[key]))
                    untold.discard(key)
                await self.clock.sleep_until(self.clock.now_ns() + _EVERY_NS)
            finally:
                self._told_now.difference_update(taken)
                self.add(untold)

    async def _take(self) -> list[GatewayKey]:
        while not (free := self._waiting - self._told_now):
            self._changed.clear()
            await self._changed.wait()
        self._waiting -= free
        self._told_now |= free
        return sorted(free)

    async def _publish(self, connection: Connection, key: GatewayKey, payload: bytes) -> None:
        try:
            await publish(connection, Topics(key.site, key.gateway).committed, payload, retain=True)
            self._refused.discard(key)
        except PublishRefused as err:
            if key not in self._refused:
                self.log.warning("committed.refused", site=key.site, gateway=key.gateway, error=str(err))
            self._refused.add(key)
