"""The measurement on serial lines itself works, in a short run; its figures are judged by people on an idle machine."""

import json
import subprocess
import sys

import pytest

from support.installed import ROOT

pytestmark = pytest.mark.slow


def _bench(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "bench/rtu_main.py"), *args], capture_output=True, text=True, timeout=180
    )


def test_a_short_run_keeps_every_silence_and_comes_near_the_limit() -> None:
    done = _bench("--window", "4", "--json")
    assert done.returncode in (0, 1), done.stderr
    full, short, dead = json.loads(done.stdout)
    for run in (full, short, dead):
        assert run["broken_silences"] == 0
        assert run["bad_requests"] == 0
        assert 0.3 < run["share"] <= 1.0, "more than the limit would be no silence kept"
        assert run["cpu_s_per_1000"] > 0
    assert full["readings_per_s"] > short["reads_per_s"] * 0.3
    assert dead["back_after_s"] is not None


def test_the_command_explains_itself() -> None:
    assert "usage: bench/rtu" in _bench("--help").stdout
