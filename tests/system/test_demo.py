"""`wattline demo`, whole: real processes, real Modbus, a real broker, the real store, and the verdict."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.simulation.demo_files import free_ports

DEMO = [sys.executable, "-P", "-m", "wattline", "demo"]

pytestmark = pytest.mark.slow


def started(*args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*DEMO, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def processes_in(folder: Path) -> list[int]:
    """The processes that work in `folder`."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == folder:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_until_nobody_works_in(folder: Path) -> Sequence[int]:
    for _ in range(300):
        if not (left := processes_in(folder)):
            return left
        time.sleep(0.05)
    return left


def test_a_short_demo_loses_nothing_and_counts_what_is_true(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with started("--for", "15", "--keep", str(folder), "--port", str(free_ports(1)[0])) as demo:
        output, _ = demo.communicate(timeout=240)
    assert demo.returncode == 0, output
    counts = re.search(r"acquired ([\d,]+)   stored ([\d,]+)   lost 0   duplicated 0", output)
    assert counts is not None, output
    assert counts[1] == counts[2]
    assert int(counts[1].replace(",", "")) > 2000
    for carrier in ("electricity", "natural_gas", "fresh_water", "heat"):
        assert f"\n{carrier} " in output
        assert f"\nCO2 of {carrier} " in output
    for line in ("carbon, scope 1", "carbon, scope 2 by location", "cost of electricity"):
        assert re.search(rf"\n{line} .* adds up in \d+ steps", output), output
    assert "\nbalance of Plant, electricity " in output
    assert "\nalarm " in output
    assert "all is well" in output
    assert wait_until_nobody_works_in(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_demo_that_is_ended_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "demo"
    with started("--keep", str(folder), "--port", str(free_ports(1)[0])) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "the page:" in line:
                break
        assert len(processes_in(folder)) == 4
        os.kill(demo.pid, number)
        assert demo.wait(60) == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    assert wait_until_nobody_works_in(folder) == []


def test_a_process_that_dies_ends_the_demo_and_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with started("--keep", str(folder), "--port", str(free_ports(1)[0])) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "the page:" in line:
                break
        for pid in processes_in(folder):
            if b"simulate" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        rest = demo.stdout.read()
        assert demo.wait(60) == 1
    assert "the simulator ended by signal SIGKILL" in rest
    assert wait_until_nobody_works_in(folder) == []


def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep me")
    done = subprocess.run([*DEMO, "--keep", str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
