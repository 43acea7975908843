"""The centre of a simulated run as a process: ingest over the real store, with what an oracle asks of that store."""

from dataclasses import dataclass
from pathlib import Path

from agent.plan import GatewayPlan
from centre.ingest import Ingest
from centre.store.base import GatewayKey, GatewayRow, SeriesKey, Totals
from support.sim_agent import GATEWAY, SITE
from support.sim_broker import SimBroker
from support.sim_ledger import POINTS, Ledger
from support.sim_orders import Port
from support.sim_ports import FaultyStore
from support.sim_process import SimProcess
from support.sim_schedule import Weather
from support.virtual_time import VirtualClock

Stored = dict[str, list[tuple[int, float, str]]]
"""(time, value, device) by point, as Ledger.judge takes it."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the store says at the end."""

    stored: Stored
    totals: Totals
    gateway: GatewayRow


class SimCentre(SimProcess):
    """Its store is in `folder`."""

    def __init__(
        self, broker: SimBroker, clock: VirtualClock, folder: Path, *, ledger: Ledger, weather: Weather, port: Port
    ) -> None:
        """`port`: that of writes to the store."""
        super().__init__("centre", broker)
        self.clock = clock
        self._folder, self._ledger, self._weather, self._port = folder, ledger, weather, port
        self._store: FaultyStore | None = None

    def start(self) -> None:
        self._begin(self._serve())

    async def _serve(self) -> None:
        async with self._open() as self._store:
            client = self._broker.client(self.name, persistent=True)
            dead = self._folder / "dead"
            await Ingest(broker=client, store=self._store, clock=self.clock, dead_letters=dead).run()

    def _open(self) -> FaultyStore:
        return FaultyStore(self._folder / "centre.db", self._ledger, self._weather, self._port)

    async def kill(self) -> None:
        running, self.task = self.task, None
        if running is not None:
            await self._end(running)

    async def stored(self, plan: GatewayPlan) -> Stored:
        """While it runs."""
        assert self._store is not None
        return await _stored(self._store, plan)

    async def account(self, plan: GatewayPlan) -> Account:
        """While it is down."""
        async with self._open() as store:
            (gateway,) = [row for row in await store.gateways() if row.key == GatewayKey(SITE, GATEWAY)]
            return Account(await _stored(store, plan), await store.totals(), gateway)


async def _stored(store: FaultyStore, plan: GatewayPlan) -> Stored:
    return {
        point: [
            (reading.at, float(reading.value), device.name)
            for bus in plan.buses
            for device in bus.devices
            for reading in await store.read(SeriesKey(SITE, device.name, point), 0, 1 << 62, limit=1_000_000)
        ]
        for point in POINTS
    }
