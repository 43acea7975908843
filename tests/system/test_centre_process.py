"""The centre as its user runs it: a process beside a real mosquitto, killed, stopped and started again."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from metering.parcel import ParcelId, seal
from metering.status import encode_status
from metering.topics import Committed, Topics, decode_committed
from support.centre_process import CentreProcess
from support.mosquitto import Mosquitto
from support.store_contract import device, status, sweep
from wattline.mqtt import Address, PahoBroker

pytestmark = pytest.mark.mosquitto

TOPICS = Topics("works", "press-shop")
NOW = time.time_ns()


def body(seq: int) -> bytes:
    """A parcel of 20 readings, one a second."""
    sweeps = [sweep(0, {"power_active_total": float(n), "energy_active_import_total": n / 10}) for n in range(10)]
    moved = [
        type(one)(device=one.device, taken_at=NOW - 3600 * 10**9 + (seq * 10 + n) * 10**9, values=one.values, faults={})
        for n, one in enumerate(sweeps)
    ]
    return seal(moved, site="works", gateway="press-shop", parcel_id=ParcelId(epoch=7, seq=seq), dropped=0).body


def of_works(folder: Path, broker_port: int) -> CentreProcess:
    """With one plant, in `folder`."""
    names = {"en": "Works", "zh": "工厂"}
    meters = [{"device": "incomer", "carrier": "electricity", "flow": "import"}]
    place = {"site": "works", "name": names, "zone": "Asia/Shanghai", "region": "CN-Chongqing"}
    plant = {**place, "tree": {"id": "plant", "name": names, "meters": meters}}
    return CentreProcess(folder, broker={"url": f"mqtt://127.0.0.1:{broker_port}"}, plants=[plant])


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker", ["max_queued_messages 10000"]) as broker:
        yield broker


@pytest.fixture
def centre(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[CentreProcess]:
    found = of_works(tmp_path, mosquitto.port)
    yield found
    found.clean_up()


async def publish(port: int, seqs: range, pause_s: float = 0.0) -> None:
    async with PahoBroker(Address(host="127.0.0.1", port=port, client_id="gateway")).connect() as connection:
        await connection.publish(TOPICS.status, encode_status(status(devices=(device(),))), retain=True)
        for seq in seqs:
            await connection.publish(TOPICS.readings, body(seq))
            await asyncio.sleep(pause_s)


async def session_kept(mosquitto: Mosquitto, client_id: str) -> bool:
    """Whether the broker keeps a session for this client, which is away."""
    address = Address(host="127.0.0.1", port=mosquitto.port, client_id=client_id)
    async with PahoBroker(address, persistent=True).connect():
        greetings = [line for line in mosquitto.log.read_text().splitlines() if f"CONNACK to {client_id} (" in line]
    return greetings[-1].endswith("(1, 0)")


async def committed(port: int, seq: int) -> Committed:
    """The retained message, once its watermark is at `seq`: several workers store in any order."""
    async with (
        asyncio.timeout(20),
        PahoBroker(Address(host="127.0.0.1", port=port, client_id="watcher")).connect() as connection,
    ):
        await connection.subscribe(TOPICS.committed)
        async for message in connection.messages():
            message.ack()
            found = decode_committed(message.payload)
            if found.watermark(7) >= seq:
                return found
    raise AssertionError("the stream of messages ended")


def test_parcels_reach_store_watermark_and_api(centre: CentreProcess, mosquitto: Mosquitto) -> None:
    centre.start()
    asyncio.run(publish(mosquitto.port, range(1, 21)))
    assert asyncio.run(committed(mosquitto.port, 20)).watermark(7) == 20
    centre.wait(lambda: centre.get("/api/v1/totals")["ledger_pending"] == 0)
    totals = centre.get("/api/v1/totals")
    assert (totals["readings"], totals["parcels"], totals["refused_messages"]) == (400, 20, 0)
    assert centre.get("/api/v1/plants")["plants"][0]["site"] == "works"
    foreign = httpx.get(f"http://127.0.0.1:{centre.port}/api/v1/plants", headers={"Host": "evil.example"}, timeout=5)
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (421, "unknown_host")
    energy = centre.get("/api/v1/plants/works/energy")
    assert energy["meters"][0]["device"] == "incomer"
    with httpx.stream("GET", f"http://127.0.0.1:{centre.port}/api/v1/plants/works/events", timeout=5) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: live"
        assert json.loads(next(lines).removeprefix("data: "))["site"] == "works"
        assert centre.end(signal.SIGTERM) == 0
    names = [event["event"] for event in centre.log]
    assert names[-2:] == ["centre.stopping", "centre.stopped"]
    assert "traceback" not in (centre.folder / "log").read_text().lower()


def test_a_killed_centre_stores_every_reading_once_after_its_restart(
    centre: CentreProcess, mosquitto: Mosquitto
) -> None:
    centre.start()

    async def disturb() -> None:
        sending = asyncio.create_task(publish(mosquitto.port, range(1, 401), 0.005))
        for _ in range(3):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(centre.end, signal.SIGKILL)
            await asyncio.to_thread(centre.start)
        await sending

    asyncio.run(disturb())
    assert asyncio.run(committed(mosquitto.port, 400)).watermark(7) == 400
    totals = centre.get("/api/v1/totals")
    assert (totals["readings"], totals["parcels"]) == (8000, 400)
    assert centre.end(signal.SIGINT) == 0


def test_two_workers_share_the_parcels_of_the_one_before_them(centre: CentreProcess, mosquitto: Mosquitto) -> None:
    centre.start()
    asyncio.run(publish(mosquitto.port, range(1, 6)))
    asyncio.run(committed(mosquitto.port, 5))
    assert centre.end(signal.SIGTERM) == 0
    centre.settings.write_text(centre.settings.read_text() + "ingest: {workers: 2}\n")
    centre.start()
    centre.wait(lambda: centre.get("/healthz")["workers"] == "2 of 2 connected")
    asyncio.run(publish(mosquitto.port, range(6, 26)))
    assert asyncio.run(committed(mosquitto.port, 25)).watermark(7) == 25
    totals = centre.get("/api/v1/totals")
    assert (totals["readings"], totals["parcels"], totals["redelivered_parcels"]) == (500, 25, 0)
    log = mosquitto.log.read_text()
    for worker in (1, 2):
        assert f"wattline-centre-{worker} 1 $share/wattline/wattline/v1/+/+/readings" in log
        assert f"Sending PUBLISH to wattline-centre-{worker} " in log


def test_the_session_of_the_worker_that_was_alone_is_ended_when_several_take_over(
    centre: CentreProcess, mosquitto: Mosquitto
) -> None:
    centre.start()
    assert centre.end(signal.SIGTERM) == 0
    assert asyncio.run(session_kept(mosquitto, "wattline-centre"))
    centre.settings.write_text(centre.settings.read_text() + "ingest: {workers: 2}\n")
    centre.start()
    kept, anew = (f"CONNACK to wattline-centre ({present}, 0)" for present in (1, 0))
    centre.wait(lambda: anew in mosquitto.log.read_text().rpartition(kept)[2])
    assert centre.end(signal.SIGTERM) == 0
    assert asyncio.run(session_kept(mosquitto, "wattline-centre-1"))
    assert not asyncio.run(session_kept(mosquitto, "wattline-centre"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broker_that_is_killed_is_noticed_and_all_workers_come_back(
    centre: CentreProcess, mosquitto: Mosquitto, workers: int
) -> None:
    def connected(count: int) -> None:
        centre.wait(lambda: centre.get("/healthz")["workers"] == f"{count} of {workers} connected")

    centre.settings.write_text(centre.settings.read_text() + f"ingest: {{workers: {workers}}}\n")
    centre.start()
    connected(workers)
    mosquitto.kill()
    connected(0)
    mosquitto.start()
    connected(workers)
    asyncio.run(publish(mosquitto.port, range(1, 5)))
    assert asyncio.run(committed(mosquitto.port, 4)).watermark(7) == 4
    events = [event["event"] for event in centre.log]
    assert (events.count("broker.lost"), events.count("broker.connected")) == (workers, 2 * workers)


def test_a_taken_address_and_a_wrong_file_are_told_without_a_traceback(tmp_path: Path) -> None:
    centre = of_works(tmp_path, 1)
    command = [sys.executable, "-P", "-m", "wattline", "centre", "run"]
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", centre.port))
        holder.listen()
        found = subprocess.run(
            [*command, str(centre.settings)], capture_output=True, text=True, timeout=20, check=False
        )
    assert found.returncode == 1
    assert "listen: 127.0.0.1" in found.stderr
    assert "Traceback" not in found.stderr
    centre.settings.write_text("listen: 127.0.0.1:8080\nlisten: 1\n")
    found = subprocess.run([*command, str(centre.settings)], capture_output=True, text=True, timeout=20, check=False)
    assert found.returncode == 78
    assert ":2: listen: stands here a second time" in found.stderr
    found = subprocess.run([*command[:-1], "--help"], capture_output=True, text=True, timeout=20, check=False)
    assert found.returncode == 0
    assert "centre.example.yaml" in found.stdout
