"""Two centres as processes with a mosquitto between them: readings below, a park above, and a kill between."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from subprocess import run
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from centre.accounting.calendar import Month, month_bounds
from metering.parcel import ParcelId, seal
from metering.status import encode_status
from metering.sweep import Sweep
from metering.topics import Topics
from support.centre_process import CentreProcess
from support.mosquitto import Mosquitto
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


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def centres(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[tuple[CentreProcess, CentreProcess]]:
    broker = {"url": f"mqtt://127.0.0.1:{mosquitto.port}"}
    place = {"site": "works", "zone": "Asia/Shanghai", "region": "CN-Chongqing"}
    meters = [{"device": "incomer", "carrier": "electricity", "flow": "import"}]
    tree = {"id": "plant", "name": NAMES, "meters": meters}
    lower = CentreProcess(
        tmp_path / "lower",
        broker=broker,
        upper={"name": "works-centre", "broker": broker, "raw": {"devices": ["incomer"], "longest": "40d"}},
        plants=[{**place, "name": NAMES, "tree": tree}],
    )
    upper = CentreProcess(
        tmp_path / "upper",
        broker=broker | {"client_id": "the-upper-centre"},
        entities="entities.yaml",
        levels={"members": [place]},
    )
    (tmp_path / "upper" / "entities.yaml").write_text(json.dumps(ENTITIES), encoding="utf-8")
    yield lower, upper
    lower.clean_up()
    upper.clean_up()


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


def park(upper: CentreProcess) -> Any:
    return upper.get(f"/api/v1/levels/park?month={MONTH}")["figures"]


def raw_on_request(lower: CentreProcess, upper: CentreProcess) -> None:
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
        [sys.executable, "-P", "-m", "wattline", "centre", "raw", "export", str(upper.settings), made[1]],
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
    centres: tuple[CentreProcess, CentreProcess], mosquitto: Mosquitto
) -> None:
    lower, upper = centres
    lower.start()
    asyncio.run(publish(mosquitto.port, 1, range(HOURS + 2), 5))
    lower.wait(lambda: lower.get("/api/v1/forwarding")["waiting"] >= HOURS)
    lower.end(signal.SIGKILL)
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
