"""Runs one schedule of the simulation in virtual time, in memory and with few wake-ups: a fraction of a second."""

import logging
import tempfile
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import agent.app
import agent.publisher
import agent.session
import agent.wake_ups
import centre.ingest
import centre.insisting
from agent.outbox import Limits
from support.sim_schedule import Schedule, schedule
from support.sim_world import Outcome, World
from support.virtual_time import run
from wattline.clock import NS


def run_seed(seed: int, *, events: bool = False) -> Outcome:
    """Six virtual hours; raises Wrong, or whatever the product raised."""
    return run_schedule(schedule(seed), events=events)


def run_schedule(
    plot: Schedule, *, orders: Mapping[tuple[str, int], str] | None = None, events: bool = False
) -> Outcome:
    """As `run_seed`; `orders` see World."""
    memory = Path("/dev/shm")
    with (
        _fewer_wake_ups(),
        patch.object(agent.publisher, "Limits", partial(_narrow, plot.window)),
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        _silent_events(silent=not events),
    ):
        return run(lambda clock: World(clock, Path(folder), plot, orders).play())


def _narrow(window: int) -> Limits:
    return Limits(window=window, awaiting=12 * window)


@contextmanager
def _silent_events(*, silent: bool) -> Generator[None]:
    logger = logging.getLogger("wattline.events")
    before = logger.level
    if silent:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _fewer_wake_ups() -> Generator[None]:
    """What only looks and tells, rarely: a third of the time of a run."""
    slower = (
        (agent.app, "_LOOK_S", 60.0),
        (agent.session, "_STATUS_S", 300.0),
        (agent.wake_ups, "_NAP_NS", 60 * NS),
        (centre.ingest, "_IDLE_NS", 60 * NS),
        (centre.insisting, "_NAP_NS", 60 * NS),
        (centre.ingest, "_LOOK_EVERY_NS", 120 * NS),
    )
    with ExitStack() as stack:
        for module, name, value in slower:
            stack.enter_context(patch.object(module, name, value))
        yield
