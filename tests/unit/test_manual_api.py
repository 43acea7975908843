"""Manual data through the API and the command line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from centre import cli
from centre.api_manual import routes
from centre.dead_letters import DeadLetters
from centre.manual import Manual
from support.books_manual import PRODUCTION, with_manual

SAID = {"author": "li", "reason": "monthly"}
CSV = {"Content-Type": "text/csv"}
SETTINGS = """\
broker: {url: "mqtt://127.0.0.1:1883"}
store: {sqlite: centre.db}
plants:
  - site: works
    name: {en: Works, zh: 工厂}
    zone: Asia/Shanghai
    region: CN-Chongqing
    tree:
      id: plant
      name: {en: Plant, zh: 全厂}
      children: [{id: line-1, name: {en: Line 1, zh: 一号线}}, {id: line-2, name: {en: Line 2, zh: 二号线}}]
"""


def client(manual: Manual) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=Starlette(routes=routes(manual, DeadLetters(Path("nowhere"))))),
        base_url="http://centre/api/v1",
    )


async def post(api: httpx.AsyncClient, path: str, body: Mapping[str, object], status: int = 200) -> Any:
    answer = await api.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_form_goes_its_way_through_the_api(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        async with client(manual) as api:
            row = {"site": "works", "node": "plant", "month": "2026-10", "value_added": "7", "unit": "CNY"}
            made = await post(api, "/manual/forms", SAID | {"form": "value_added", "rows": [row]})
            number = made["id"]
            await post(api, f"/manual/forms/{number}/submit", SAID)
            refusal = await post(api, f"/manual/forms/{number}/approve", SAID, 409)
            assert refusal["error"]["code"] == "own_work"
            await post(api, f"/manual/forms/{number}/return", {"author": "wang", "reason": "unit?"})
            await post(api, f"/manual/forms/{number}/submit", SAID)
            assert (await api.get("/plants/works/manual/value_added?from=2026-10")).json() == {"entries": []}
            done = await post(api, f"/manual/forms/{number}/approve", {"author": "wang", "reason": "checked"})
            assert done["state"] == "approved"
            [entry] = (await api.get("/plants/works/manual/value_added?from=2026-10")).json()["entries"]
            assert entry["value_added"] == "7"
            assert (await api.get(f"/manual/forms/{number}")).json()["entries"] == [entry]
            assert [form["id"] for form in (await api.get("/manual/forms?state=approved")).json()["forms"]] == [number]
            assert "meter_reading" in json.dumps((await api.get("/manual/columns")).json())

    with_manual(tmp_path, work)


def test_a_csv_file_is_the_body(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        async with client(manual) as api:
            where = "/manual/csv?name=p.csv&author=li&reason=monthly"
            assert (await api.post(where, content=PRODUCTION, headers=CSV)).json()["rows"] == 3
            wrong = await api.post(where, content=PRODUCTION.replace(b"33", b"x"), headers=CSV)
            assert wrong.status_code == 400
            assert wrong.json()["error"]["message"].startswith("p.csv:4:6: produced: 'x' is no number")
            assert (await api.post("/manual/csv?name=p.csv", content=PRODUCTION, headers=CSV)).status_code == 400

    with_manual(tmp_path, work)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"author": "li"}', "application/json", 400),
        (b'{"author": "", "reason": ""}', "application/json", 400),
        (b" " * (4 * 1024 * 1024 + 1), "application/json", 413),
    ],
)
def test_a_body_that_cannot_be_taken_is_a_clear_error(tmp_path: Path, content: bytes, kind: str, status: int) -> None:
    async def work(manual: Manual) -> None:
        await manual.take_csv(PRODUCTION, "p.csv", author="li", reason="monthly")
        async with client(manual) as api:
            answer = await api.post("/manual/forms/1/submit", content=content, headers={"Content-Type": kind})
            assert answer.status_code == status, answer.text
            assert (await api.get("/manual/forms/7")).json()["error"]["code"] == "unknown_form"

    with_manual(tmp_path, work)


def test_the_command_takes_a_file_and_another_approves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "centre.yaml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "p.csv").write_bytes(PRODUCTION)
    settings = ["--settings", str(tmp_path / "centre.yaml")]
    assert cli.main(["import", str(tmp_path / "p.csv"), *settings, "--author", "li", "--submit"]) == 0
    assert capsys.readouterr().out == "form 1: production, 3 rows, submitted\n"
    assert cli.main(["import", "--approve", "1", *settings, "--author", "li", "--reason", "ok"]) == 1
    with pytest.raises(SystemExit) as refused:
        cli.main(["import", "--approve", "9" * 25, *settings, "--author", "wang", "--reason", "ok"])
    assert refused.value.code == 2
    assert "somebody else" in capsys.readouterr().err
    assert cli.main(["import", "--approve", "1", *settings, "--author", "wang", "--reason", "ok"]) == 0
    assert cli.main(["import", str(tmp_path / "p.csv"), *settings, "--author", "li", "--submit"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "form 1: production, 3 rows, approved"
    (tmp_path / "p.csv").write_bytes(PRODUCTION + b"works,line-3,2026-10,gear,,1,t\n")
    assert cli.main(["import", str(tmp_path / "p.csv"), *settings, "--author", "li"]) == 1
    assert capsys.readouterr().err.startswith("p.csv:5:2: node: 'line-3' is not a node of the site: line-1, line-2")
