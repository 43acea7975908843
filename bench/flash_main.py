"""Measures what the running agent costs the flash: bytes that reach a block device for each reading, 1000 a second.

The spool lies alone on an ext4 on a loop device (over a file in memory), and the kernel counts what is written to that
device: SQLite's journal, its file, inodes, bitmaps and the file system's journal. Needs root.

What costs bytes for each reading is shown as such. Where the agent commits, the window begins right after a commit and
ends right after the n-th that follows, so that all that was read in it has been written, and nothing else; all that the
file system still holds back is written at both ends. What costs the same after any time stands apart: the bytes of the
start, from an empty file system to the first parcel, and those of a clean stop, with the readings it made durable.

  online        broker and centre are there
  centre-away   the broker takes parcels, nobody confirms them
  outage        the broker is gone

With --history every parcel that the store confirmed is kept on the card (`spool.history`), and no goal is set: then a
commit comes every 30 s online too.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # -P and PYTHONSAFEPATH leave it out

from processes import (  # noqa: E402
    GATEWAY,
    SITE,
    agent_settings,
    as_installed,
    broker,
    folder_on_disk,
    line_of,
    say,
    starter,
    stop,
)

METERS, POINTS = 25, 40
GOALS = {"online": 0.05, "centre-away": None, "outage": 8.0}
_SECTOR = 512
_DEVICE_MB = 192
_COMMIT = 64 * 1024  # bytes; what the file system writes on its own every few seconds is less
_PATIENCE_S = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a block device has been told to write since it is there; `at_ns` in UTC."""

    at_ns: int
    written: int
    writes: int
    flushes: int


@dataclass(frozen=True, slots=True)
class Flash:
    """An ext4 of its own on a loop device."""

    folder: Path
    device: str

    def count(self) -> Count:
        """After all that waits has been written."""
        subprocess.run(["sync", "--file-system", self.folder], check=True)
        told = Path(f"/sys/block/{self.device}/stat").read_text().split()
        # Documentation/block/stat.rst: 4 writes, 6 sectors written, 15 flushes
        return Count(at_ns=time.time_ns(), written=int(told[6]) * _SECTOR, writes=int(told[4]), flushes=int(told[15]))

    def count_after_commit(self) -> Count:
        """Wait for the next commit of the agent, and count when it is over."""
        until = time.monotonic() + _PATIENCE_S
        quiet = last = self._written()
        while True:
            time.sleep(0.5)
            written = self._written()
            if written == last:
                if written - quiet >= _COMMIT:
                    return self.count()
                quiet = written
            if time.monotonic() > until:
                raise SystemExit(f"no commit within {_PATIENCE_S} s")
            last = written

    def _written(self) -> int:
        return int(Path(f"/sys/block/{self.device}/stat").read_text().split()[6]) * _SECTOR


@contextmanager
def flash() -> Generator[Flash]:
    """Blocks of 4 KiB as on any larger card, `noatime`; gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="flash-"))
    memory, mounted = folder / "memory", folder / "mounted"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        memory.mkdir()
        mounted.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={_DEVICE_MB + 8}m", "tmpfs", str(memory))
        stack.callback(_run, "umount", "--lazy", str(memory))  # the loop device lets go a little later
        image = memory / "image"
        with image.open("wb") as file:
            file.truncate(_DEVICE_MB * 1024 * 1024)
        _run("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
        loop = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
        device = loop.stdout.strip()
        stack.callback(_run, "losetup", "--detach", device)
        _run("mount", "-t", "ext4", "-o", "noatime", device, str(mounted))
        stack.callback(_run, "umount", str(mounted))
        yield Flash(mounted, Path(device).name)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def measure(case: str, *, window_s: float, commits: int, warm_up_s: float, history: bool) -> dict[str, float]:
    """Run plant, broker, recorder and agent for one case; its figures by name."""
    with ExitStack() as stack:
        folder = stack.enter_context(folder_on_disk())
        card = stack.enter_context(flash())
        stamps, record = folder / "stamps.json", folder / "record.json"
        log = stack.enter_context((folder / "log").open("w"))
        start = starter(stack, log)
        mosquitto = broker(start, folder)
        plant = start([sys.executable, str(HERE / "plant.py"), str(METERS), str(stamps)], core=0)
        meters = json.loads(line_of(plant))
        recorder = start(
            [sys.executable, str(HERE / "recorder.py"), str(mosquitto.port), SITE, GATEWAY, str(record)], core=0
        )
        line_of(recorder)
        settings = folder / "agent.yaml"
        budget = "64 MiB, history: 1d" if history else "64 MiB"
        settings.write_text("".join(agent_settings(mosquitto.port, meters, card.folder, budget=budget)))
        empty = card.count()
        agent = start([sys.executable, "-P", "-m", "wattline", "run", str(settings)], core=1)
        if line_of(recorder) != "first":
            raise SystemExit(f"no reading came; the agent said:\n{(folder / 'log').read_text()[-3000:]}")
        begun = card.count()
        by_time = case == "online" and not history
        window = f"{window_s:g} s" if by_time else f"{commits} commits"
        say(f"{case}: {warm_up_s:g} s to warm up, then {window}")
        time.sleep(warm_up_s)
        if case == "centre-away":
            recorder.send_signal(signal.SIGUSR1)
        elif case == "outage":
            recorder.kill()  # it would only say that its broker is gone
            os.kill(mosquitto.pid, signal.SIGKILL)
        if by_time:
            before = card.count()
            time.sleep(window_s)
            end = card.count()
        else:
            before = end = card.count_after_commit()
            for _ in range(commits):
                end = card.count_after_commit()
        if stop(agent):
            raise SystemExit(f"the agent ended with {agent.returncode}:\n{(folder / 'log').read_text()[-3000:]}")
        after = card.count()
        stop(plant)
        asked_ns = [at for meter in json.loads(stamps.read_text()) for at in meter]
    readings = POINTS * sum(before.at_ns <= at < end.at_ns for at in asked_ns)
    return {
        "readings_per_s": readings / ((end.at_ns - before.at_ns) / 1e9),
        "bytes": end.written - before.written,
        "writes": end.writes - before.writes,
        "flushes": end.flushes - before.flushes,
        "bytes_per_reading": (end.written - before.written) / readings,
        "bytes_start": begun.written - empty.written,
        "bytes_stop": after.written - end.written,
    }


def table(cases: dict[str, dict[str, float]], goals: dict[str, float]) -> str:
    head = ("readings/s", "bytes", "writes", "flushes", "bytes/reading", "a start, bytes", "a stop, bytes")
    lines = [f"{'T = 30 s':<12}{''.join(f'{word:>15}' for word in head)}{'goal':>16}"]
    for case, figures in cases.items():
        cells = "".join(f"{figure:>15.{3 if 'per_reading' in name else 0}f}" for name, figure in figures.items())
        lines.append(f"{case:<12}{cells}{_verdict(goals.get(case), figures):>16}".rstrip())
    return "\n".join(lines)


def _verdict(goal: float | None, figures: dict[str, float]) -> str:
    return "" if goal is None else f"<= {goal:g}  {'MISSED' if figures['bytes_per_reading'] > goal else 'met'}"


def main() -> int:
    """Measure and print; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="bench/flash", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--cases", nargs="+", choices=tuple(GOALS), default=list(GOALS), help="one after the other (all)")
    add("--window", type=float, default=120, metavar="S", help="seconds of the window online (120)")
    add("--commits", type=int, default=5, metavar="N", help="that a window of the others has (5, one in 30 s)")
    add("--warm-up", type=float, default=10, metavar="S", help="seconds before each window (10)")
    add("--history", action="store_true", help="keep what is confirmed, on the card")
    add("--json", action="store_true", help="the figures as JSON")
    args = parser.parse_args()
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        print("flash: cannot run here: it takes root and loop devices", file=sys.stderr)
        return 2
    as_installed()
    cases = {
        case: measure(case, window_s=args.window, commits=args.commits, warm_up_s=args.warm_up, history=args.history)
        for case in args.cases
    }
    goals = {case: goal for case, goal in GOALS.items() if goal is not None and case in cases and not args.history}
    print(json.dumps(cases, indent=1) if args.json else table(cases, goals))
    return 1 if any(cases[case]["bytes_per_reading"] > goal for case, goal in goals.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
