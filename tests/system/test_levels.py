"""Two centres as processes with a mosquitto between them: readings below, a park above, and a kill between."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from subprocess import Popen, run
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from centre.accounting.calendar import Month, month_bounds
from metering.parcel import ParcelId, seal
from metering.status import encode_status
from metering.sweep import Sweep
from metering.topics import Topics
from support.mosquitto import Mosquitto, free_port
from support.store_contract import device, status
from wattline.clock import NS
from wattline.mqtt import Address, PahoBroker

pytestmark = pytest.mark.mosquitto

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = datetime.now(UTC).astimezone(ZONE).date()
MONTH = Month(TODAY.year, TODAY.month).plus(-2)
START, END = month_bounds(MONTH, ZONE)
HOURS = (END - START) // (3600 * NS)
NAMES = {"en": "Works", "zh": "工厂"}
POINT = "energy_active_import_total"
ENTITIES: dict[str, Any] = {
    "upper": [{"id": "park", "kind": "park", "name": NAMES}],
    "sites": {"works": [{"id": "plant", "kind": "plant", "name": NAMES, "in": "park"}]},
}


class Centre:
    """A process with its settings in a folder of its own; a port that stays."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        folder.mkdir()
        self.folder, self.port = folder, free_port()
        self.file = folder / "centre.yaml"
        told = {"listen": f"127.0.0.1:{self.port}", "store": {"sqlite": "centre.db"}, **settings}
        self.file.write_text(json.dumps(told), encoding="utf-8")  # which is YAML, too
        self.process: Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = Popen([sys.executable, "-P", "-m", "wattline", "centre", "run", str(self.file)], stderr=log)
        self.wait(lambda: self.get("/healthz")["broker"] == "connected")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(15)

    def get(self, path: str) -> Any:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5).raise_for_status().json()

    def wait(self, what: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while True:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                if what():
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.1)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def centres(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[tuple[Centre, Centre]]:
    broker = {"url": f"mqtt://127.0.0.1:{mosquitto.port}"}
    place = {"site": "works", "zone": "Asia/Shanghai", "region": "CN-Chongqing"}
    meters = [{"device": "incomer", "carrier": "electricity", "flow": "import"}]
    tree = {"id": "plant", "name": NAMES, "meters": meters}
    lower = Centre(
        tmp_path / "lower",
        broker=broker,
        upper={"name": "works-centre", "broker": broker, "raw": {"devices": ["incomer"], "longest": "40d"}},
        plants=[{**place, "name": NAMES, "tree": tree}],
    )
    upper = Centre(
        tmp_path / "upper",
        broker=broker | {"client_id": "the-upper-centre"},
        entities="entities.yaml",
        levels={"members": [place]},
    )
    (tmp_path / "upper" / "entities.yaml").write_text(json.dumps(ENTITIES), encoding="utf-8")
    yield lower, upper
    lower.kill()
    upper.kill()


async def publish(port: int, seq: int, hours: range, per_hour: int) -> None:
    """The register, once an hour."""
    topics = Topics("works", "gateway")
    sweeps = [
        Sweep(device="incomer", taken_at=START + hour * 3600 * NS, values={POINT: float(hour * per_hour)}, faults={})
        for hour in hours
    ]
    async with PahoBroker(Address(host="127.0.0.1", port=port, client_id="gateway")).connect() as connection:
        await connection.publish(topics.status, encode_status(status(devices=(device(),))), retain=True)
        parcel = seal(sweeps, site="works", gateway="gateway", parcel_id=ParcelId(epoch=7, seq=seq), dropped=0)
        await connection.publish(topics.readings, parcel.body)


def park(upper: Centre) -> Any:
    return upper.get(f"/api/v1/levels/park?month={MONTH}")["figures"]


def raw_on_request(lower: Centre, upper: Centre) -> None:
    """Asked above, given below where it may be; else the reason."""
    base = f"http://127.0.0.1:{upper.port}/api/v1/raw-requests"
    told = {"author": "li", "reason": "audit", "site": "works"}
    span = {name: datetime.fromtimestamp(at // NS, UTC).isoformat() for name, at in (("start", START), ("end", END))}
    ask = {**told, **span, "device": "incomer"}
    asks = [{**ask, "start": "2020-01-01T00:00:00+08:00"}, {**ask, "device": None, "node": "plant"}]
    made = [httpx.post(base, json=one, timeout=5).raise_for_status().json()["id"] for one in asks]
    upper.wait(lambda: all(upper.get(f"/api/v1/raw-requests/{one}")["state"] != "open" for one in made))
    found = upper.get("/api/v1/raw-requests")["requests"]
    assert {one["id"]: (one["state"], one["refused"], one["readings"]) for one in found} == {
        made[0]: ("refused", "time_too_long", 0),
        made[1]: ("complete", None, HOURS),
    }
    rows = httpx.get(f"{base}/{made[1]}/readings", timeout=5).text.splitlines()
    assert rows[:2] == ["device,point,taken_at,value,suspect", f"incomer,{POINT},{START},0,"]
    assert rows[-1] == f"incomer,{POINT},{END - 3600 * NS},{5 * (HOURS - 1)},"
    exported = run(
        [sys.executable, "-P", "-m", "wattline", "centre", "raw", "export", str(upper.file), made[1]],
        check=True,
        capture_output=True,
        text=True,
    )
    assert exported.stdout.splitlines() == rows
    answers = lower.get("/api/v1/raw-answers")["answers"]
    assert {(one["ask"]["author"], one["refused"]) for one in answers} == {("li", None), ("li", "time_too_long")}
    assert httpx.post(base, json={**ask, "site": "other"}, timeout=5).status_code == 404
    assert httpx.post(base, json={**ask, "end": "2026-01-01"}, timeout=5).status_code == 400
    gone = httpx.post(f"{base}/{made[1]}/withdraw", json={"author": "li", "reason": "seen"}, timeout=5).json()
    assert gone["state"] == "withdrawn"
    assert len(httpx.get(f"{base}/{made[1]}/readings", timeout=5).text.splitlines()) == 1


def test_a_month_of_a_plant_is_a_month_of_its_park_through_a_kill_and_its_readings_come_on_request(
    centres: tuple[Centre, Centre], mosquitto: Mosquitto
) -> None:
    lower, upper = centres
    lower.start()
    asyncio.run(publish(mosquitto.port, 1, range(HOURS + 2), 5))
    lower.wait(lambda: lower.get("/api/v1/forwarding")["waiting"] >= HOURS)
    lower.kill()
    upper.start()
    assert park(upper)["carriers"][0]["taken"]["total"] is None
    assert park(upper)["carbon"]["total"]["missing"] != []
    lower.start()
    lower.wait(lambda: lower.get("/api/v1/forwarding")["waiting"] == 0)
    found = park(upper)
    assert Decimal(found["carriers"][0]["taken"]["total"]) == 5 * HOURS
    assert found["carbon"]["total"]["missing"] == []
    assert Decimal(found["carbon"]["total"]["value"]) > 0
    assert upper.get("/api/v1/levels")["levels"][0]["key"] == "park"
    statistics = upper.get(f"/api/v1/levels/park/statistics?month={MONTH}")
    assert (statistics["total"]["value"], statistics["incomplete"]) == (None, 1)
    assert httpx.get(f"http://127.0.0.1:{upper.port}/api/v1/levels/park", timeout=5).status_code == 400
    assert httpx.get(f"http://127.0.0.1:{upper.port}/", timeout=5).status_code < 500
    raw_on_request(lower, upper)
