"""kill -9 of the agent, of the centre and of the broker in the middle of a run: real processes, real mosquitto.

The meters count their replies, so the ledger is independent of our code: what was told, what lay in the spool when it
was killed, and what the store holds at the end.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from agent.spool_file import SpoolFile
from centre.store.base import SeriesKey
from centre.store.sqlite import SqliteStore
from metering.parcel import open_parcel
from support.counting_meters import CountingMeters
from support.mosquitto import Mosquitto
from support.ports import free_ports

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]

UNITS = (1, 2, 3)
POINTS = ("energy_active_import_total", "energy_active_export_total")
Told = set[tuple[str, int]]
"""(device, number of the reply)."""

AGENT = """
site: works
gateway: hall-1
broker: {{url: "mqtt://127.0.0.1:{broker}"}}
spool: {{directory: {folder}/spool, commit_interval: 1s, seal_interval: 500ms}}
buses:
  - name: hall
    tcp: 127.0.0.1:{meters}
    devices:
"""
DEVICE = "      - {{name: meter-{unit}, unit: {unit}, profile: eastron-sdm120, every: 500ms, points: [{points}]}}\n"
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

    def __init__(self, folder: Path, *, broker_persistent: bool) -> None:
        self.folder = folder
        (folder / "centre").mkdir()
        self.meters = CountingMeters()
        self.broker = Mosquitto(folder, persistent=broker_persistent)
        self.port = free_ports(1)[0]
        agent, centre = folder / "agent.yaml", folder / "centre.yaml"
        names = {"broker": self.broker.port, "meters": self.meters.port, "folder": folder, "port": self.port}
        devices = "".join(DEVICE.format(unit=unit, points=", ".join(POINTS)) for unit in UNITS)
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
        copy = self.folder / f"spool-{time.monotonic_ns()}"
        shutil.copytree(self.folder / "spool", copy)
        file = SpoolFile(copy / "spool.sqlite3", budget=1 << 30)
        bodies = [parcel.body for parcel in file.read(0, 1 << 62, 1_000_000, 1 << 40).parcels]
        file.close()
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
    until = time.monotonic() + 100
    while not true():
        assert time.monotonic() < until, f"not in time: {what}"
        time.sleep(0.2)


def but_last(told: Told) -> Told:
    """Without the last reply of each meter: its poll may have been cut off by the end of the agent."""
    last = {device: max(n for other, n in told if other == device) for device, _ in told}
    return {(device, n) for device, n in told if n != last[device]}


@pytest.fixture(params=[False, True], ids=["broker-forgets", "broker-persists"])
def chain(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Chain]:
    with Chain(tmp_path, broker_persistent=request.param) as running:
        running.poll_on(6)
        yield running


def test_an_agent_killed_again_and_again_keeps_what_it_had_spooled(chain: Chain) -> None:
    durable: Told = set()
    chain.broker.kill()
    for _ in range(3):
        chain.poll_on(8)
        chain.agent.kill()
        spooled = chain.spooled()
        assert spooled >= durable, "an earlier agent's readings left the spool though nobody stored them"
        durable |= spooled
        chain.agent.start()
    assert len(durable) >= 30
    chain.broker.start()
    chain.poll_on(8)
    chain.agent.kill()  # in the middle of the drain, perhaps
    durable |= chain.spooled()
    chain.agent.start()
    chain.poll_on(4)
    stored = chain.settle(durable)
    assert durable <= stored <= chain.told
    lost = but_last(chain.told) - stored - chain.spooled()
    assert len(lost) <= 4 * len(UNITS) * 6, f"a kill may cost the commit interval and the poll under way: {lost}"


def test_a_centre_killed_again_and_again_has_every_reading_once(chain: Chain) -> None:
    for _ in range(3):
        chain.centre.kill()
        chain.poll_on(3)
        chain.centre.start()
        chain.poll_on(5)
    stored = chain.settle(but_last(chain.told))
    assert stored <= chain.told
    assert but_last(chain.told) <= stored | chain.spooled()


def test_a_broker_killed_again_and_again_costs_no_reading(chain: Chain) -> None:
    for _ in range(3):
        chain.broker.kill()
        chain.poll_on(3)
        chain.broker.start()
        chain.poll_on(5)
    stored = chain.settle(but_last(chain.told))
    assert stored <= chain.told
    assert but_last(chain.told) <= stored | chain.spooled()
