"""The measurement itself works, in a small and short run; its figures are judged by people on an idle machine."""

import json
import subprocess
import sys

import pytest

from support.installed import ROOT
from support.mosquitto import mosquitto_program

pytestmark = [pytest.mark.alone, pytest.mark.mosquitto, pytest.mark.slow]


def _bench(*args: str, program: str = "main.py") -> str:
    mosquitto_program()
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / program), *args], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_short_run_counts_every_reading_and_loses_none() -> None:
    said = json.loads(_bench("--meters", "3", "--window", "6", "--warm-up", "0", "--away", "2", "--json"))
    run = said["runs"]["3"]
    assert run["readings_per_s"] == pytest.approx(120, rel=0.2)
    assert run["lost"] == 0
    assert run["cpu_s_per_1000"] > 0
    assert 10 < run["rss_mib"] < 200
    assert 1 < run["wire_bytes"] < 100
    assert set(said["decode_ns"]) == {"bench-meter", "schneider-pm5100", "abb-b23", "siemens-pac3200"}


def test_the_command_explains_itself() -> None:
    assert "usage: bench/run" in _bench("--help")


def test_a_short_drain_stores_the_backlog_and_what_was_read_meanwhile() -> None:
    said = json.loads(_bench("--seconds", "200", "--centre", "store", "--json", program="drain_main.py"))["store"]
    assert said["backlog"] == 200_000
    assert said["lost"] == 0
    assert said["rate"] > 0
    assert {"cpu_agent", "cpu_broker", "cpu_centre"} <= said.keys()
