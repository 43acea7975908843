"""Measures what a backlog costs a starting agent: time until its first parcel can be sent, memory, bytes on disk.

Makes a spool as 25 meters of 40 points, read every second, would leave it in an outage (ten million readings are not
quite three hours of that), then opens it in a fresh process from a cold cache and drains it. Use an idle machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # -P and PYTHONSAFEPATH leave them out

from agent.spool_file import Change, SpoolFile  # noqa: E402
from drivers.modbus import catalogue  # noqa: E402
from metering.parcel import Parcel, ParcelId, seal  # noqa: E402
from metering.sweep import Sweep  # noqa: E402
from wattline.clock import NS  # noqa: E402

METERS, POINTS = 25, 40
_SECONDS = 15  # of a parcel: at 15,000 points one is sealed
_COMMIT_S = 30
_START_NS = 1_767_225_600 * NS
_SAID_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    words: str
    digits: int
    goal: float | None = None


ROWS = (
    Row("readings", "readings waiting", 0),
    Row("parcels", "parcels waiting", 0),
    Row("first_s", "start to first parcel, s", 3, 0.5),
    Row("rss_mib", "RSS the spool adds, MiB", 2, 8.0),
    Row("disk_bytes", "bytes on disk per reading", 2, 8.0),
    Row("drain_s", "all of it read and released, s", 1),
    Row("left", "parcels left after that", 0, 0),
    Row("left_bytes", "bytes of the files after that", 0),
)


def main() -> int:
    """Make, measure, print; 1 when a goal is missed."""
    args = _parser().parse_args()
    with _folder(args.directory) as folder:
        made = make(folder, args.readings)
        found = {**made, **measure(folder)}
    print(json.dumps(found, indent=1) if args.json else table(found))
    missed = [row for row in ROWS if row.goal is not None and found[row.name] > row.goal]
    return 1 if missed and not args.json else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/backlog", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--readings", type=int, default=10_000_000, metavar="N", help="size of the backlog (10000000)")
    add("--directory", type=Path, metavar="DIR", help="where the spool is made: the disk to measure (build/)")
    add("--json", action="store_true", help="the figures as JSON, and never a failure for a goal")
    return parser


def make(folder: Path, readings: int) -> dict[str, float]:
    """Fill a new spool with at least so many readings, each commit as the agent would make it."""
    file = SpoolFile(folder / "spool.sqlite3", budget=1 << 40)
    sealed = parcels()
    count = waiting = 0
    said_at = 0.0
    while waiting < readings:
        batch = [next(sealed) for _ in range(_COMMIT_S // _SECONDS)]
        file.commit(Change(epoch=1, insert=batch))
        count, waiting = count + len(batch), waiting + sum(parcel.readings for parcel in batch)
        if time.monotonic() >= said_at + _SAID_EVERY_S or waiting >= readings:
            said_at = time.monotonic()
            _say(f"\rmade {waiting:>12,} of {readings:,} readings")
    _say("\n")
    file.close()
    return {"readings": waiting, "parcels": count, "disk_bytes": _size(folder) / waiting}


def parcels() -> Iterator[Parcel]:
    """Parcels of whole seconds of the plant, for ever: energy that grows, and values that wander."""
    chance = Random(4)
    points = tuple(catalogue.load("bench-meter", HERE / "profiles").points)
    values = {(meter, point): round(chance.uniform(1, 400), 2) for meter in range(METERS) for point in points}
    seq, at = 0, _START_NS
    while True:
        sweeps: list[Sweep] = []
        for _ in range(_SECONDS):
            at += NS
            for meter in range(METERS):
                for point in points:
                    values[meter, point] = round(values[meter, point] + chance.uniform(-0.05, 0.06), 2)
                sweep = {point: values[meter, point] for point in points}
                sweeps.append(Sweep(device=f"meter-{meter}", taken_at=at + meter * 7_000_123, values=sweep, faults={}))
        seq += 1
        yield seal(sweeps, site="bench", gateway="gateway", parcel_id=ParcelId(epoch=1, seq=seq), dropped=0)


def measure(folder: Path) -> dict[str, float]:
    """What a fresh process sees."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    _say("draining in a fresh process\n")
    command = [sys.executable, str(HERE / "backlog_open.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MALLOC_ARENA_MAX": "1"})
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "left_bytes": _size(folder)}


def table(found: dict[str, float]) -> str:
    """The figures for people."""
    lines = [f"{'the spool with a backlog':<32}{'':>14}{'goal':>12}"]
    for row in ROWS:
        value = found[row.name]
        goal = "" if row.goal is None else f"{row.goal:>12g} {'met' if value <= row.goal else 'MISSED'}"
        lines.append(f"{row.words:<32}{value:>14,.{row.digits}f}{goal}")
    return "\n".join(lines)


def _size(folder: Path) -> int:
    """Of the spool, without the ballast, which is there whatever waits."""
    return sum(path.stat().st_blocks * 512 for path in folder.glob("spool.sqlite3*"))


@contextmanager
def _folder(directory: Path | None) -> Generator[Path]:
    parent = directory or HERE.parent / "build"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="backlog-", dir=parent) as folder:
        yield Path(folder)


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
