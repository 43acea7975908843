"""The measurement on serial lines itself works, in a short run; its figures are judged by people on an idle machine."""

import json
import subprocess
import sys
from typing import Any

import pytest

from support.installed import ROOT

pytestmark = [pytest.mark.alone, pytest.mark.slow]


def _bench(*args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(ROOT / "bench/rtu_main.py"), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _told(bench: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = bench.communicate(timeout=180)
    assert bench.returncode in (0, 1), err
    runs: list[dict[str, Any]] = json.loads(out)
    [run] = runs
    return run


def test_a_short_run_keeps_every_silence_and_comes_near_the_limit() -> None:
    """All cases at once: each has its own terminal."""
    full, short, dead = map(_told, [_bench("--case", f"{n}", "--window", "3", "--json") for n in (1, 2, 3)])
    for run in (full, short, dead):
        assert run["broken_silences"] == 0
        assert run["bad_requests"] == 0
        assert 0.3 < run["share"] <= 1.0, "more than the limit would be no silence kept"
        assert run["cpu_s_per_1000"] > 0
    assert full["readings_per_s"] > short["reads_per_s"] * 0.3
    assert dead["back_after_s"] is not None


def test_the_command_explains_itself() -> None:
    assert "usage: bench/rtu" in _bench("--help").communicate(timeout=60)[0]
