"""Measures how fast the agent empties a backlog while it goes on polling, and how late live readings are meanwhile.

A spool is filled by the agent's own code with what 25 meters of 40 points say each second; then the real agent on that
spool, a real mosquitto, and as the centre once the real one with its SQLite store (`store`), once a stand-in that
confirms and stores nothing (`alone`). Agent, broker, plant and watcher share core 0, the centre has core 1.
"""

import argparse
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # -P and PYTHONSAFEPATH leave it out

from drain_figures import Drain, figures, table  # noqa: E402
from figures import POINTS  # noqa: E402
from probe import look  # noqa: E402
from processes import (  # noqa: E402
    GATEWAY,
    SITE,
    Start,
    agent_settings,
    as_installed,
    broker,
    folder_on_disk,
    free_port,
    line_of,
    say,
    starter,
    stop,
)

METERS = 25
CENTRE = """\
listen: 127.0.0.1:{port}
broker: {{url: "mqtt://127.0.0.1:{broker}"}}
store: {{sqlite: {database}}}
plants:
  - site: {site}
    name: {{en: Bench, zh: 台架}}
    zone: Asia/Shanghai
    region: CN-Chongqing
    tree:
      id: plant
      name: {{en: Plant, zh: 全厂}}
      meters: [{meters}]
"""


def main() -> int:
    """Measure and print; 1 when a reading was lost."""
    args = _parser().parse_args()
    as_installed()
    runs = {centre: figures(measure(centre, args)) for centre in args.centre}
    print(json.dumps(runs, indent=1) if args.json else table(runs))
    return 1 if any(run.get("lost") for run in runs.values()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/drain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--seconds", type=int, default=10_000, metavar="S", help="backlog, in seconds of 1000 readings (10000)")
    add("--hours", dest="seconds", type=lambda text: int(float(text) * 3600), metavar="H", help="the same in hours")
    add("--centre", nargs="+", choices=("store", "alone"), default=["store", "alone"], help="who confirms (both)")
    add("--patience", type=float, default=600, metavar="S", help="longest that a drain may take (600)")
    add("--json", action="store_true", help="the figures as JSON")
    return parser


def measure(centre: str, args: argparse.Namespace) -> Drain:
    """Fill a spool, drain it, and collect what was seen."""
    with ExitStack() as stack:
        folder = stack.enter_context(folder_on_disk())
        log = stack.enter_context((folder / "log").open("w"))
        start = starter(stack, log)
        budget_mib = 64 + args.seconds * METERS * POINTS * 16 // 2**20
        say(f"{centre}: making a backlog of {args.seconds * METERS * POINTS} readings")
        backlog = _backlog(folder, args.seconds, budget_mib)
        size = backlog["bytes"] / backlog["readings"]
        say(f"{centre}: made in {backlog['seconds']:.0f} s, {size:.1f} bytes a reading")

        mosquitto = broker(start, folder)
        stamps, record, database = folder / "stamps.json", folder / "record.json", folder / "centre.db"
        plant = start([sys.executable, str(HERE / "plant.py"), str(METERS), str(stamps)], core=0)
        ports = json.loads(line_of(plant))
        watched = [str(mosquitto.port), SITE, GATEWAY, str(record), str(backlog["epoch"]), str(backlog["parcels"])]
        watcher = start(
            [sys.executable, str(HERE / "drain_watch.py"), *watched, *["alone"] * (centre == "alone")], core=0
        )
        line_of(watcher)
        pids = {"broker": mosquitto.pid}
        if centre == "store":
            pids["centre"] = _centre(start, folder, mosquitto.port, database).pid
        settings = folder / "agent.yaml"
        settings.write_text("".join(agent_settings(mosquitto.port, ports, folder, budget=f"{budget_mib} MiB")))
        agent = start([sys.executable, "-P", "-m", "wattline", "run", str(settings)], core=0)
        pids["agent"] = agent.pid
        _await(watcher, "first", 60, folder)
        say(f"{centre}: draining")
        before = {name: look(pid) for name, pid in pids.items()}
        _await(watcher, "drained", args.patience, folder)
        after = {name: look(pid) for name, pid in pids.items()}
        if stop(agent):
            raise SystemExit(f"the agent ended with {agent.returncode}:\n{(folder / 'log').read_text()[-3000:]}")
        stop(plant)
        asked = sum(map(len, json.loads(stamps.read_text()))) * POINTS
        lost = _lost(database, int(backlog["readings"]) + asked) if centre == "store" else None
        stop(watcher)
        seen: dict[str, Any] = json.loads(record.read_text())
        return Drain(
            backlog=int(backlog["readings"]),
            parcels=int(backlog["parcels"]),
            polled_per_s=METERS * POINTS,
            first_at=seen["first_at"],
            progress=seen["progress"],
            lags=seen["lags"],
            cpu_s={name: after[name].cpu_s - before[name].cpu_s for name in pids},
            rss_mib=after["agent"].rss_mib,
            lost=lost,
        )


def _backlog(folder: Path, seconds: int, budget_mib: int) -> Mapping[str, float]:
    command = [sys.executable, str(HERE / "drain_backlog.py"), str(folder / "spool"), str(METERS), str(seconds)]
    done = subprocess.run([*command, str(budget_mib)], stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _centre(start: Start, folder: Path, port: int, database: Path) -> "subprocess.Popen[str]":
    """The real centre; it accounts for every meter's energy, as it would for a plant."""
    meters = ", ".join(f"{{device: meter-{each}, carrier: electricity, flow: import}}" for each in range(METERS))
    settings = folder / "centre.yaml"
    text = CENTRE.format(port=free_port(), broker=port, database=database, site=SITE, meters=meters)
    settings.write_text(text, encoding="utf-8")
    process = start([sys.executable, "-P", "-m", "wattline", "centre", "run", str(settings)], core=1)
    deadline = time.monotonic() + 30
    while "centre.started" not in (folder / "log").read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the centre does not start:\n{(folder / 'log').read_text()[-3000:]}")
        time.sleep(0.05)
    return process


def _await(watcher: "subprocess.Popen[str]", word: str, within_s: float, folder: Path) -> None:
    if (said := line_of(watcher, within_s)) != word:
        raise SystemExit(f"waited for {word!r}, heard {said!r}; the log:\n{(folder / 'log').read_text()[-3000:]}")


def _lost(database: Path, expected: int) -> int:
    """Of `expected` readings, those the store has not; it may take in the last ones for some seconds yet."""
    deadline = time.monotonic() + 30
    while True:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
            ((stored,),) = store.execute("SELECT value FROM total WHERE name = 'readings'").fetchall()
        if stored >= expected or time.monotonic() > deadline:
            return int(expected - stored)
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
