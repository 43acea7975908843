"""Faults of the service as a whole: its settings' file, its resources, its loop, commands, an update; see README.md."""

import asyncio
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from configparser import RawConfigParser
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from agent.spool_disk import FILE, Change, SqliteDisk, Stored
from agent.spool_file import SpoolFile
from metering.parcel import Parcel, ParcelId, open_parcel, seal
from metering.replay import ReplayRequest, encode_replay
from metering.sweep import Sweep
from metering.topics import Committed, encode_committed
from support.chain import Chain, eventually
from support.delivering import TOPICS, client, delivering
from support.mosquitto import Mosquitto

ROOT = Path(__file__).parents[2]
BAD = 78
SETTINGS = """\
site: works
gateway: press-shop
broker: {url: "mqtt://127.0.0.1:1"}
spool: {directory: spool}
buses:
  - name: substation
    tcp: 127.0.0.1:1
    devices:
      - {name: incomer, unit: 1, profile: eastron-sdm120, every: 1s}
"""


def unit() -> RawConfigParser:
    """The unit as it is shipped."""
    parser = RawConfigParser(strict=False)
    parser.read(ROOT / "deploy" / "systemd" / "wattline-agent.service")
    return parser


# --- settings -------------------------------------------------------------------------------------------------


def a_folder(path: Path) -> None:
    path.mkdir()


def a_bad_block(path: Path) -> None:
    path.symlink_to("/proc/self/mem")  # whose first byte no one can read: EIO


def torn(path: Path) -> None:
    path.write_text(SETTINGS[: SETTINGS.index("unit: 1")])


def zeros(path: Path) -> None:
    path.write_bytes(bytes(4096))  # what a power cut leaves of a file that was being written


@pytest.mark.parametrize("make", [a_folder, a_bad_block, torn, zeros])
def test_row_62_settings_that_cannot_be_read_end_the_service_once_and_are_named(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "agent.yaml")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "wattline", "run", "agent.yaml"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == BAD
    assert "agent.yaml" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert not (tmp_path / "spool").exists(), "nothing was begun"
    assert str(BAD) in unit()["Service"]["RestartPreventExitStatus"].split(), "no storm of restarts"


# --- resources ------------------------------------------------------------------------------------------------


@pytest.mark.mosquitto
def test_row_63_an_agent_without_a_file_to_open_polls_on_and_delivers_when_it_has_some_again(tmp_path: Path) -> None:
    def log() -> str:
        return chain.agent.log.read_text()

    with Chain(tmp_path, broker_persistent=False) as chain:
        chain.poll_on(1)
        eventually(lambda: '"broker.connected"' in log(), "the agent is connected")
        pid = chain.agent.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        chain.broker.kill()
        eventually(lambda: "Too many open files" in log(), "the cause is told")
        chain.poll_on(2)
        assert chain.agent.pid == pid, "it runs"
        chain.broker.start()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        eventually(lambda: log().count('"broker.connected"') == 2, "the agent is back")
        wanted = chain.told
        assert wanted <= chain.settle(wanted)
        assert log().count('"broker.unreachable"') <= 2, "told once a cause, not once an attempt"
    assert unit()["Service"]["MemoryMax"] == "256M", "and what takes all memory ends this service alone"
    assert unit()["Service"]["TasksMax"] == "64"


# --- the event loop -------------------------------------------------------------------------------------------

STALLING = """
import asyncio, sys, time
from pathlib import Path
from agent import cli
from agent.poller import Poller

async def run(self):
    while not Path("stall").exists():
        await asyncio.sleep(0.02)
    a_loop_that_stalls()

def a_loop_that_stalls():
    Path("stalled").touch()
    while True:
        time.sleep(0.1)

Poller.run = run
sys.exit(cli.run(["agent.yaml"]))
"""
WATCHDOG_S = 0.2


def test_row_64_a_loop_that_stalls_no_longer_feeds_the_watchdog_and_its_end_names_the_place(tmp_path: Path) -> None:
    """The test is the service manager: it hears the notifications and does what the unit says."""
    (tmp_path / "agent.yaml").write_text(SETTINGS)
    (tmp_path / "stalling.py").write_text(STALLING)
    name = f"wattline-test-{os.getpid()}"
    environment = {**os.environ, "NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}

    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", "stalling.py"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
        )

    def hear(word: str) -> None:
        while word not in manager.recv(4096).decode().split("\n"):
            pass

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(60)
        with start() as agent:
            hear("READY=1")
            hear("WATCHDOG=1")
            (tmp_path / "stall").touch()
            eventually((tmp_path / "stalled").exists, "the loop stalls")
            manager.settimeout(0)
            with suppress(BlockingIOError):
                while True:  # what was sent before
                    manager.recv(4096)
            manager.settimeout(3 * WATCHDOG_S)
            with pytest.raises(TimeoutError):
                manager.recv(4096)
            agent.send_signal(signal.SIGABRT)  # as systemd does then
            _, told = agent.communicate(timeout=60)
        assert agent.returncode == -signal.SIGABRT
        assert "in a_loop_that_stalls" in told
        assert (unit()["Service"]["WatchdogSec"], unit()["Service"]["Restart"]) == ("30s", "on-failure")
        (tmp_path / "stall").unlink()
        manager.settimeout(60)
        with start() as agent:
            hear("READY=1")
            agent.terminate()
            _, told = agent.communicate(timeout=60)
        assert agent.returncode == 0
        assert '"spool.opened"' in told


# --- commands -------------------------------------------------------------------------------------------------


@pytest.mark.mosquitto
def test_row_72_no_command_whatever_it_is_reaches_an_agent_that_listens_to_none(tmp_path: Path) -> None:
    """There are no commands over MQTT: without a history the agent subscribes to the store's word and to nothing else."""
    replayed = b'{"write": {"device": "d", "point": "relay", "value": 1}, "nonce": 1}'
    commands = [replayed, replayed, b"", bytes(1024 * 1024), b'{"write"' * 1000]

    async def main() -> None:
        async with client(mosquitto.port, "attacker").connect() as attacker:
            await attacker.publish(TOPICS.command, replayed, retain=True)
            async with delivering(tmp_path, client(mosquitto.port), client(mosquitto.port, "centre")) as delivery:
                await delivery.until(lambda: delivery.centre.heard)
                for command in commands:
                    await attacker.publish(TOPICS.command, command, retain=True)
                await delivery.acquires(20)
                assert {each["event"] for each in delivery.events} <= {"spool.opened", "broker.connected"}
                await delivery.drains()

    with Mosquitto(tmp_path) as mosquitto:
        asyncio.run(asyncio.wait_for(main(), 50))
    told = mosquitto.log.read_text()
    assert f"gateway 1 {TOPICS.committed}" in told
    assert f"'{TOPICS.command}'" not in "".join(line for line in told.splitlines() if "to gateway" in line)


@pytest.mark.mosquitto
def test_row_72_where_a_history_is_kept_only_a_well_formed_replay_request_does_anything(tmp_path: Path) -> None:
    """It has what is kept sent once more. Nothing is written, deleted or released by it, however it was forged."""
    forged = encode_replay(ReplayRequest(number=1))
    absurd = [
        b"",
        bytes(1024 * 1024),
        b"[" * 60_000,
        b'{"write": {"device": "d", "point": "relay", "value": 1}}',
        forged[:-1] + b',"write":{"device":"d"}}',
        forged[:-1] + b',"delete":true}',
        forged.replace(b'"from":0', b'"from":-1'),
        encode_committed(Committed(epochs={1 << 31: ((1, 1 << 30),)})),
    ]

    async def main() -> None:
        async with (
            client(mosquitto.port, "attacker").connect() as attacker,
            delivering(
                tmp_path, client(mosquitto.port), client(mosquitto.port, "centre"), history_s=3600.0
            ) as delivery,
        ):
            await delivery.acquires(20)
            await attacker.publish(TOPICS.command, absurd[3])
            for payload in absurd:
                await attacker.publish(TOPICS.replay, payload)
            await delivery.until(lambda: delivery.told("replay.refused"))
            await delivery.acquires(100)
            heard = delivery.centre.heard
            kept = max(Counter(heard).values())
            assert kept == 1, "nothing was sent again"
            delivery.centre.awake = False  # what is acquired now waits
            await delivery.acquires(20)
            for number in range(1, 6):
                await attacker.publish(TOPICS.replay, encode_replay(ReplayRequest(number=number)))
            await delivery.until(lambda: delivery.told("replay.begun"))
            await asyncio.sleep(0.5)
            assert delivery.spool.stats().parcels_pending > 0, "nothing that waits is released by it"
            delivery.centre.awake = True
            await delivery.drains()
            await delivery.until(lambda: delivery.told("replay.done"))
            assert len(delivery.told("replay.begun")) == 1
            assert {each["event"] for each in delivery.events} == {
                "spool.opened", "broker.connected", "replay.refused", "replay.begun", "replay.done"
            }  # fmt: skip

    with Mosquitto(tmp_path) as mosquitto:
        asyncio.run(asyncio.wait_for(main(), 50))
    asked = [line for line in mosquitto.log.read_text().splitlines() if " gateway 1 wattline/" in line]
    assert {line.rsplit(" ", 1)[1] for line in asked} == {TOPICS.committed, TOPICS.replay}


# --- an update ------------------------------------------------------------------------------------------------

FIRST = """
    CREATE TABLE parcel (id INTEGER PRIMARY KEY, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
                         readings INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, dropped INTEGER NOT NULL,
                       parcels INTEGER NOT NULL, readings INTEGER NOT NULL);
    INSERT INTO meta VALUES (1, 0, 0, 0, 0);
    PRAGMA user_version = 1;
"""
LATER = """
    ALTER TABLE parcel ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE more (name TEXT PRIMARY KEY, value INTEGER);
    PRAGMA user_version = 2;
"""
BUDGET = 256 * 1024


def full(path: Path) -> None:
    """Commit a parcel a minute until the budget makes the spool thin old parcels and drop one."""
    file, chance, seq = SpoolFile(path, budget=BUDGET), Random(73), 0
    while file.open().dropped == file.open().thinned:
        seq += 1
        values = {f"power_active_l{n}": chance.random() for n in range(500)}
        sweeps = [Sweep(device="d", taken_at=(60 * seq + n) * 10**9, values=values, faults={}) for n in range(5)]
        parcel = seal(sweeps, site="works", gateway="press-shop", parcel_id=ParcelId(epoch=5, seq=seq), dropped=0)
        file.commit(Change(epoch=5, insert=(parcel,)))
    file.close()


def kept(directory: Path) -> tuple[set[int], Stored]:
    """(times of the sweeps that are in the spool, what the spool says of itself), as a starting agent finds them."""

    async def look() -> tuple[tuple[Parcel, ...], Stored]:
        disk = SqliteDisk(directory, budget=BUDGET)
        stored = await disk.open()
        read = await disk.read(0, 1 << 62, 1_000_000, 1 << 40)
        await disk.close()
        return read.parcels, stored

    parcels, stored = asyncio.run(look())
    return {sweep.taken_at for parcel in parcels for sweep in open_parcel(parcel.body).sweeps}, stored


@pytest.mark.mosquitto
@pytest.mark.parametrize("way", ["update", "rollback"])
def test_row_73_a_full_spool_of_an_older_or_a_newer_version_is_delivered_whole(tmp_path: Path, way: str) -> None:
    path = tmp_path / FILE
    if way == "update":
        with sqlite3.connect(path, isolation_level=None) as db:
            db.execute("PRAGMA page_size = 4096")
            db.executescript(FIRST)
        db.close()
    full(path)
    before, stored = kept(tmp_path)
    assert before
    assert stored.dropped > stored.thinned > 0
    if way == "rollback":
        with sqlite3.connect(path, isolation_level=None) as db:
            db.executescript(LATER)
        db.close()
    after, found = kept(tmp_path)
    assert (after, found.dropped, found.thinned) == (before, stored.dropped, stored.thinned)
    assert found.epoch == stored.epoch
    assert (found.mended is not None) == (way == "rollback"), "told as spool.salvaged"

    async def main() -> None:
        async with delivering(tmp_path, client(mosquitto.port), client(mosquitto.port, "centre")) as delivery:
            delivery.feeding = False
            await delivery.until(lambda: before <= delivery.centre.readings)
            await delivery.until(lambda: delivery.spool.stats().parcels_pending == 0)
            [opened] = delivery.told("spool.opened")
            assert opened["parcels"] > 0
            assert opened["durable"]
            assert delivery.spool.stats().dropped == stored.dropped

    with Mosquitto(tmp_path) as mosquitto:
        asyncio.run(asyncio.wait_for(main(), 50))
