"""The whole chain as real processes that can be killed: counting meters, agent, mosquitto, centre with its store."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.spool_file import SpoolFile
from centre.store.base import SeriesKey
from centre.store.sqlite import SqliteStore
from drivers.simulation.demo_files import free_ports
from metering.parcel import open_parcel
from support.counting_meters import CountingMeters
from support.mosquitto import Mosquitto

UNITS = (1, 2, 3)
COMMIT_S = 1.0
POINTS = ("energy_active_import_total", "energy_active_export_total")
Told = set[tuple[str, int]]
"""(device, number of the reply)."""

AGENT = """
site: works
gateway: hall-1
broker: {{url: "mqtt://127.0.0.1:{broker}"}}
spool: {{directory: {folder}/spool, commit_interval: {commit}, seal_interval: 500ms{side}}}
buses:
  - name: hall
    tcp: 127.0.0.1:{meters}
    devices:
"""
DEVICE = "      - {{name: meter-{unit}, unit: {unit}, profile: eastron-sdm120, every: {every}, points: [{points}]}}\n"
CENTRE = """
listen: 127.0.0.1:{port}
broker: {{url: "mqtt://127.0.0.1:{broker}"}}
store: {{sqlite: {folder}/centre/centre.db}}
plants:
  - site: works
    name: {{en: Works, zh: 工厂}}
    zone: Asia/Shanghai
    region: CN-Chongqing
    tree:
      id: plant
      name: {{en: Plant, zh: 全厂}}
      meters: [{{device: meter-1, carrier: electricity, flow: import}}]
"""


class Program:
    """`wattline ...` as a process that can be killed and started again; its log is one file."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        self._command = [sys.executable, "-P", "-m", "wattline", *arguments]
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stderr=log, stdout=log, env={**os.environ})

    @property
    def pid(self) -> int:
        """Of the running process; asserts that it runs."""
        assert self._process is not None
        assert self._process.poll() is None, f"had ended by itself: {self.log.read_text()[-2000:]}"
        return self._process.pid

    def kill(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, f"had ended by itself: {self.log.read_text()[-2000:]}"
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(30) == 0, self.log.read_text()[-2000:]
        self._process = None

    def clean_up(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Chain:
    """Meters, agent, broker and centre, running."""

    def __init__(
        self,
        folder: Path,
        *,
        broker_persistent: bool,
        every: str = "500ms",
        commit: str = f"{COMMIT_S:g}s",
        side_directory: Path | None = None,
    ) -> None:
        self.folder = folder
        (folder / "centre").mkdir()
        self.meters = CountingMeters()
        self.broker = Mosquitto(folder, persistent=broker_persistent)
        self.port = free_ports(1)[0]
        agent, centre = folder / "agent.yaml", folder / "centre.yaml"
        names = {
            "broker": self.broker.port,
            "meters": self.meters.port,
            "folder": folder,
            "port": self.port,
            "commit": commit,
            "side": "" if side_directory is None else f", side_directory: {side_directory}",
        }
        devices = "".join(DEVICE.format(unit=unit, every=every, points=", ".join(POINTS)) for unit in UNITS)
        agent.write_text(AGENT.format(**names) + devices)
        centre.write_text(CENTRE.format(**names), encoding="utf-8")
        self.agent = Program(folder, "agent", "run", str(agent))
        self.centre = Program(folder, "centre", "centre", "run", str(centre))

    def __enter__(self) -> Self:
        self.meters.__enter__()
        self.broker.start()
        self.centre.start()
        self.agent.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.agent.clean_up()
        self.centre.clean_up()
        self.broker.kill()
        self.meters.__exit__(None, None, None)

    @property
    def told(self) -> Told:
        return {(f"meter-{unit}", n) for unit in UNITS for n in range(1, self.meters.told[unit] + 1)}

    def poll_on(self, replies: int) -> None:
        """Return when each meter has been read `replies` times more."""
        goal = {unit: self.meters.told[unit] + replies for unit in UNITS}
        eventually(lambda: all(self.meters.told[unit] >= goal[unit] for unit in UNITS), "the meters are polled")

    def spooled(self) -> Told:
        """What a dead agent's spool holds, read from a copy."""
        copy = self.folder / "spool-copy"
        if not (self.folder / "spool" / "spool.sqlite3").exists():
            return set()
        shutil.copytree(self.folder / "spool", copy)
        file = SpoolFile(copy / "spool.sqlite3", budget=1 << 30)
        bodies = [parcel.body for parcel in file.read(0, 1 << 62, 1_000_000, 1 << 40).parcels]
        file.close()
        shutil.rmtree(copy)
        return {
            (sweep.device, int(float(sweep.values[POINTS[0]])))
            for body in bodies
            for sweep in open_parcel(body).sweeps
            if sweep.values
        }

    def stored(self) -> Told:
        """What the store holds; asserts that no value is there twice and that all points of a sweep are."""

        async def read() -> Told:
            found: Told = set()
            async with SqliteStore(self.folder / "centre" / "centre.db", inline=True) as store:
                for unit in UNITS:
                    series = [SeriesKey("works", f"meter-{unit}", point) for point in POINTS]
                    first, second = [await store.read(key, 0, 1 << 62, limit=1_000_000) for key in series]
                    assert first == second
                    numbers = [int(float(reading.value)) for reading in first]
                    assert numbers == sorted(set(numbers)), f"doubled or out of order: {numbers}"
                    found |= {(f"meter-{unit}", number) for number in numbers}
            return found

        return asyncio.run(read())

    def served(self) -> Told:
        """What the running centre says it has."""
        found: Told = set()
        for unit in UNITS:
            url = f"http://127.0.0.1:{self.port}/api/v1/series/works/meter-{unit}/{POINTS[0]}?from=0&to={1 << 62}"
            try:
                with urllib.request.urlopen(url, timeout=5) as reply:
                    found |= {(f"meter-{unit}", int(value)) for _, value in json.load(reply)["points"]}
            except OSError:  # starting, or it knows no such series yet
                continue
        return found

    def settle(self, wanted: Told) -> Told:
        """Stop agent and centre once the centre serves all that is wanted; returns what is in the store."""
        eventually(lambda: wanted <= self.served(), "the centre has all it must have")
        self.agent.stop()
        self.centre.stop()
        return self.stored()


def eventually(true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 200  # both may be in a back-off of a minute
    while not true():
        assert time.monotonic() < until, f"not in time: {what}"
        time.sleep(0.2)
