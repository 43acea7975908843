"""One simulated run: agent, broker, ingest and store in one thread for six virtual hours, with the faults of a seed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from support.sim_agent import COMMIT_S, DISK_BAD, SimAgent
from support.sim_centre import SimCentre
from support.sim_faulty_broker import BROKER_SPELLS, FaultyBroker
from support.sim_ledger import Ledger, Wrong
from support.sim_orders import Port
from support.sim_ports import serials_on
from support.sim_process import KEEPALIVE_S
from support.sim_schedule import BLOWS, Fault, Schedule, Weather
from support.sim_verdict import judge_agent, judge_counts, judge_gaps
from support.virtual_time import START_NS, VirtualClock, VirtualLoop
from wattline.clock import NS

_PORTS: Final = ("meter read", "commit", "agent connect", "agent publish", "store write", "centre ack")
"""Each call through one of these can be ordered to fail or to be the last of its process."""

_LOOK_S: Final = 60.0
_MOST_JUMPS: Final = 2500  # of the loop within that time
_BUSY: Final = 2 / 3  # of a run, until which calls are counted: what is ordered of one has time to be made good
_STEADY: Final = 1 / 24  # of a run, at its end: nothing has been wrong for so long that every connection must live
_LAG_S: Final = 15.0  # from a reply to the store when nothing is wrong
_TICK_S: Final = 1e-6  # what a sum of floats may be off


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one seed: replies of the meters, how many of them were lost for an allowed cause, blows that fell.

    `calls` through each port in the first two thirds of the run.
    """

    seed: int
    told: int
    lost: int
    kills: int
    redelivered: int
    calls: Mapping[str, int]


class World:
    """What a schedule is played on."""

    def __init__(
        self, clock: VirtualClock, folder: Path, plot: Schedule, orders: Mapping[tuple[str, int], str] | None = None
    ) -> None:
        """`orders`: what becomes of the n-th call through a port, counted from 1; see support.sim_orders."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._plot, self._loop, self._now = plot, loop, loop.time
        self._jumps = 0
        self._orders = dict(orders or {})
        weather = Weather(plot.faults, loop.time)
        self._ledger = Ledger(COMMIT_S, partial(weather.spells_of, DISK_BAD))
        chance = Random(f"wattline run {plot.seed}")
        self._broker = FaultyBroker(weather, chance, self._ledger)
        self._ports = self._broker.ports = {name: self._port(name) for name in _PORTS}
        self._agent = SimAgent(
            self._broker,
            VirtualClock(loop, START_NS),
            folder / "spool",
            plot,
            ledger=self._ledger,
            weather=weather,
            chance=chance,
            port=self._ports.__getitem__,
        )
        self._centre = SimCentre(
            self._broker, clock, folder, ledger=self._ledger, weather=weather, port=self._ports["store write"]
        )
        self._dying: set[asyncio.Task[None]] = set()

    def _port(self, name: str) -> Port:
        return Port({n: order for (port, n), order in self._orders.items() if port == name}, partial(self._die, name))

    def _die(self, port: str) -> None:
        """The process that has this port was ordered to die in a call through it."""
        of_centre = port in ("store write", "centre ack")
        self._dying.add(asyncio.create_task(self._centre.kill() if of_centre else self._agent.kill(power=True)))

    async def play(self) -> Outcome:
        self._centre.start()
        self._agent.start()
        edges = [
            (fault.at + after, fault)
            for fault in self._plot.faults
            if fault.kind in BROKER_SPELLS
            for after in (0.0, fault.lasts + 2 * _TICK_S)  # `_until` may return a tick early: then it still lasts
        ]
        blows = [(fault.at, fault) for fault in self._plot.faults if fault.kind in BLOWS]
        for at, fault in sorted([*edges, *blows], key=lambda each: each[0]):
            await self._until(at)
            if fault.kind in BLOWS:
                await self._strike(fault)
            self._broker.follow()
        await self._until(self._plot.length_s * _BUSY)
        calls = {name: port.calls for name, port in self._ports.items()}
        await self._until(self._plot.length_s * (1 - _STEADY))
        before = self._broker.connections_made
        await self._until(self._plot.length_s)
        if not self._orders and self._broker.connections_made != before:
            raise Wrong("connections end, though nothing has been wrong for long")
        return await self._end(calls)

    async def _until(self, second: float) -> None:
        """Wait, start again what was killed when its time has come, and see that all that should live does."""
        while (now := self._now()) < second - _TICK_S:
            due = [second, now + _LOOK_S]
            for process in (self._agent, self._centre):
                if process.task is None and now >= process.starts_at:
                    process.start()
                if process.starts_at > now:
                    due.append(process.starts_at)
            await asyncio.sleep(max(_TICK_S, min(due) - now))
            self._look()

    def _look(self) -> None:
        for task in self._dying:
            if task.done():
                task.result()
        self._agent.look()
        self._centre.look()
        self._dying = {task for task in self._dying if not task.done()}
        jumps, self._jumps = self._loop.jumps - self._jumps, self._loop.jumps
        if jumps > _MOST_JUMPS:
            raise Wrong(f"{jumps} wake-ups within {_LOOK_S:.0f} s: something waits for what has long been due")

    async def _strike(self, fault: Fault) -> None:
        back = self._now() + fault.lasts
        match fault.kind:
            case "agent killed" | "agent loses power":
                self._agent.starts_at = back
                await self._agent.kill(power=fault.kind == "agent loses power")
            case "agent killed in commit":
                self._agent.starts_at = back
                self._ports["commit"].order_next("die before" if fault.size < 0.5 else "die after")
            case "agent killed, word forged":
                self._agent.starts_at = back
                await self._agent.kill(power=False)
                self._broker.deceive(self._agent.directory)
            case "agent restarted" | "card lost":
                await self._agent.stop()
                self._agent.starts_at = self._now() + fault.lasts
                if fault.kind == "card lost":
                    self._agent.lose_card()
            case "centre killed":
                self._centre.starts_at = back
                await self._centre.kill()
            case "centre killed after write":
                self._centre.starts_at = back
                self._ports["store write"].order_next("die after")
            case "agent cut off" | "centre cut off":
                self._broker.drop(fault.kind.split()[0])
            case "agent half open" | "centre half open":
                self._broker.freeze(fault.kind.split()[0], seen_after_s=KEEPALIVE_S)
            case "committed forged":
                self._broker.forge(fault.size)
            case "clock set":
                # within a day, beyond which the centre waits with what comes from the future
                wrong_ns = self._agent.clock.now_ns() - self._centre.clock.now_ns()
                self._agent.clock.step(int((fault.size - 0.5) * 2 * 20 * 3600 * NS) - wrong_ns)
            case _:
                raise AssertionError(fault)

    async def _end(self, calls: Mapping[str, int]) -> Outcome:
        """Nothing has been wrong for long: all must be there before the agent stops, and after."""
        plan, ordered = self._agent.plan, bool(self._orders)
        if not ordered:
            self._ledger.judge(await self._centre.stored(plan), until=self._now() - _LAG_S)
        await self._agent.stop()
        await asyncio.sleep(5.0)
        await self._centre.kill()
        left = serials_on(self._agent.directory)
        if left:
            raise Wrong(
                f"after {self._plot.length_s:.0f} s the spool still holds {len(left)} replies, such as {min(left)}"
            )
        account = await self._centre.account(plan)
        told = len(self._ledger.told)
        lost = self._ledger.judge(account.stored, until=self._now())
        judge_counts(account)
        if not ordered:  # what is ordered may fall upon the last status
            judge_agent(account.gateway, told=told - self._agent.told_before, buses=len(plan.buses))
            judge_gaps(account.gateway)
        kills = self._agent.kills + self._centre.kills
        return Outcome(self._plot.seed, told, lost, kills, account.totals.redelivered_parcels, calls)
