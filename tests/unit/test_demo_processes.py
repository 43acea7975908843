"""The demo's children: watched, ended in order, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drivers.simulation.demo_processes import ProcessDied, Processes

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


def wait_for(path: Path, text: str) -> str:
    for _ in range(600):
        if path.exists() and text in path.read_text():
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{text} never came into {path}")


def is_gone(pid: int) -> bool:
    """True when it runs no longer (a zombie whose parent has not looked yet counts as gone)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_process_that_dies_is_named_with_its_status_and_last_lines(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("centre", [sys.executable, "-c", "print('the cause'); raise SystemExit(3)"])
        with pytest.raises(ProcessDied, match=r"(?s)the centre ended with status 3.*    the cause"):
            processes.wait(30)


def test_a_process_that_is_killed_is_named_with_the_signal(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("broker", [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
        with pytest.raises(ProcessDied, match="the broker ended by signal SIGKILL"):
            processes.wait(30)


def test_leaving_ends_all_of_them(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        running = [processes.start(name, SLEEP) for name in ("a", "b")]
        for name in ("a", "b"):
            wait_for(tmp_path / f"{name}.log", "up")
        processes.check()
    for process in running:
        with pytest.raises(ProcessDied, match="SIGTERM"):
            process.check()


def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        deaf = processes.start("deaf", DEAF)
        wait_for(tmp_path / "deaf.log", "up")
        assert deaf.stop(0.1) is False


def test_no_child_outlives_a_demo_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from drivers.simulation.demo_processes import Processes\n"
        f"processes = Processes(Path({str(tmp_path)!r}))\n"
        "processes.start('child', [sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'])\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-P", "-c", program]) as parent:
        child = int(wait_for(tmp_path / "child.log", "\n"))
        os.kill(parent.pid, signal.SIGKILL)
    for _ in range(200):
        if is_gone(child):
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child lives on")
