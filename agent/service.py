"""The agent as a service of this machine: the real clock, broker and disk, and the signals that stop it."""

import asyncio
import faulthandler
import gc
import signal
import sys
from random import Random
from typing import Final

from agent.app import Ports, run_agent
from agent.build import build
from agent.plan import GatewayPlan
from agent.side_files import SideFiles
from agent.spool_disk import SpoolTaken, SqliteDisk
from wattline.broker_access import ConfiguredBroker
from wattline.clock import SystemClock
from wattline.events import EventLog, start_logging
from wattline.service import Notifier
from wattline.time_sync import synchronised

_GARBAGE: Final = 20_000
"""New objects until the collector looks again: the sweeps of one second, which need no collector, stay below."""


def serve(plan: GatewayPlan, level: str) -> int:
    """Run until SIGTERM or SIGINT: 0; 1 when another agent has the spool. Raises ConfigError before anything runs."""
    start_logging(level)
    faulthandler.enable()  # systemd's watchdog kills by SIGABRT: the journal shows where the loop stood
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_serve(plan))
    except SpoolTaken as err:
        print(f"wattline run: {err}", file=sys.stderr)  # noqa: T201 - a person started a second agent by hand
        return 1
    return 0


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's, or asyncio's own where this machine has no uvloop."""
    try:
        import uvloop  # noqa: PLC0415 - not there on every machine
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(plan: GatewayPlan) -> None:
    clock, log = SystemClock(), EventLog()
    plant = build(plan, clock)
    ports = Ports(
        clock=clock,
        broker=ConfiguredBroker(plan.broker),
        disk=SqliteDisk(plan.spool.directory, budget=plan.spool.budget, history_s=plan.spool.history_s),
        random=Random(),
        notifier=Notifier(),
        log=log,
        synchronised=synchronised,
        side_files=_side_files(plan, log),
    )
    if plan.broker.exposed:
        log.warning("broker.plaintext", url=plan.broker.url)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # what start-up made stays: the collector need not walk through it for ever
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    await run_agent(plan, plant, ports, stop)


def _side_files(plan: GatewayPlan, log: EventLog) -> SideFiles | None:
    """In a folder of its own: the agents of one host may be given the same."""
    folder = plan.spool.side_directory
    return None if folder is None else SideFiles(folder / plan.site / plan.gateway, log)
