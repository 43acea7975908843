"""A real TCP server that answers as a test says, polled by the agent's poller; what it brings and what it tells."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from agent.poller import PolledDevice, Poller
from agent.schedule import poll_groups
from drivers.modbus.bus import ModbusTcpBus
from drivers.modbus.profile import Profile
from metering.faults import Fault
from metering.sweep import Sweep
from support.hostile_server import Answer, Hostile, hostile_server
from wattline.clock import SystemClock
from wattline.events import EventLog, capture_events

PATIENCE_S = 60.0


@dataclass
class Polled:
    """What has come so far; `until` waits for a state, not for a time."""

    poller: Poller
    server: Hostile
    sweeps: list[Sweep]
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def of(self, device: str) -> list[Sweep]:
        return [sweep for sweep in self.sweeps if sweep.device == device]

    def values(self, device: str) -> list[Sweep]:
        return [sweep for sweep in self.of(device) if sweep.values]

    def faults(self, device: str) -> set[Fault]:
        return {fault for sweep in self.of(device) for fault in sweep.faults.values()}

    def told(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event]

    async def until(self, state: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not state():
                await asyncio.sleep(0.02)


@asynccontextmanager
async def polled(
    answer: Answer,
    units: Mapping[str, int],
    profile: Profile,
    *,
    every: str = "0.1",
    timeout_s: float = 0.3,
    judge: Callable[[Sweep], Sweep] = lambda sweep: sweep,
) -> AsyncGenerator[Polled]:
    """Poll devices of one profile, named with their units, behind one server."""
    async with (
        hostile_server(answer) as server,
        polling(("127.0.0.1", server.port), units, profile, every=every, timeout_s=timeout_s, judge=judge) as state,
    ):
        state.server = server
        yield state


@asynccontextmanager
async def polling(
    endpoint: tuple[str, int],
    units: Mapping[str, int],
    profile: Profile,
    *,
    every: str = "0.1",
    timeout_s: float = 0.3,
    judge: Callable[[Sweep], Sweep] = lambda sweep: sweep,
    name: str = "substation",
) -> AsyncGenerator[Polled]:
    """The same where the test makes the server, or none; the state's own server is a mere stand-in."""
    clock, sweeps = SystemClock(), list[Sweep]()
    bus = ModbusTcpBus(name, *endpoint, timeout_s=timeout_s, clock=clock)
    devices = [bus.add_device(name, unit, profile) for name, unit in units.items()]
    poller = Poller(
        bus,
        [
            PolledDevice(
                device=device,
                groups=poll_groups(device.points, gauges_s=Decimal(every), counters_s=Decimal(every)),
            )
            for device in devices
        ],
        sink=sweeps.append,
        clock=clock,
        random=Random(1),
        log=EventLog(),
        round_trips=bus.round_trips,
        judge=judge,
    )
    with capture_events() as events:
        task = asyncio.create_task(poller.run())
        try:
            yield Polled(poller, Hostile(), sweeps, events)
            assert not task.done(), task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
