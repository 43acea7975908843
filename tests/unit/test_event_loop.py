"""The agent's event loop: uvloop's where it is installed."""

import asyncio
import sys

import pytest

from agent.service import new_loop


def test_without_uvloop_the_agent_runs_on_asyncios_own_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert type(runner.get_loop()).__module__.startswith("asyncio")


def test_with_uvloop_it_runs_on_that() -> None:
    uvloop = pytest.importorskip("uvloop", reason="this machine has no wheel of uvloop")
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert isinstance(runner.get_loop(), uvloop.Loop)
