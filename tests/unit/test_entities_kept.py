"""Entities in the books: taken over from the settings, changed through the API by version, all of it audited."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from centre import cli
from centre.api_entities import entity_routes
from centre.books.file import Books
from centre.entities import Membership, entities_of
from centre.entities_kept import EntityBook
from centre.settings import load_setup
from wattline.clock import SystemClock
from wattline.errors import ConfigError
from wattline.events import EventLog
from wattline.resources import config_dir

DEMO = config_dir() / "demo" / "centre.yaml"
demo = cache(partial(load_setup, DEMO))
SAID = {"author": "li", "reason": "press moved"}
PRESS = "/entities/jiangjin-1/press-1"
Ask = Callable[..., Awaitable[Any]]


def with_book(folder: Path, work: Callable[[EntityBook, Ask], Awaitable[None]]) -> None:
    setup = demo()

    async def main() -> None:
        async with Books(folder / "books.db", SystemClock(), inline=True) as books:
            book = EntityBook(books, SystemClock(), setup.plants)
            await book.take_over(setup.entities, EventLog())
            await book.refresh()
            app = httpx.ASGITransport(app=Starlette(routes=entity_routes(book)))
            async with httpx.AsyncClient(transport=app, base_url="http://centre/api/v1") as client:

                async def ask(
                    method: str, path: str, status: int = 200, version: int | None = None, **body: Any
                ) -> Any:
                    headers = {} if version is None else {"If-Match": f'"{version}"'}
                    answer = await client.request(method, path, headers=headers, json=body or None)
                    assert answer.status_code == status, answer.text
                    return answer.json() if "json" in answer.headers["content-type"] else answer.text

                await work(book, ask)

    asyncio.run(main())


def test_the_settings_are_taken_over_once_and_again_when_they_change(tmp_path: Path) -> None:
    async def work(book: EntityBook, ask: Ask) -> None:
        setup = demo()
        assert (await book.kept()).version == 1
        assert list((await book.kept()).entities) == list(setup.entities)
        await book.take_over(setup.entities, EventLog())
        assert (await book.kept()).version == 1
        changed = entities_of(tuple(replace(one, cost_centre="7") for one in setup.entities))
        assert (await book.take_over(changed, EventLog())).version == 2
        rows = (await ask("GET", "/audit?subject=entity:jiangjin-1/press-1"))["rows"]
        assert [(row["author"], row["after"]["id"]) for row in rows] == [("settings", "press-1")] * 2
        await book.replace_all(setup.entities, author="li", reason="by hand", expected=2)
        other = entities_of(tuple(replace(one, cost_centre="8") for one in setup.entities))
        assert (await book.take_over(other, EventLog())).entities.by_key["jiangjin-1/office"].cost_centre is None

    with_book(tmp_path, work)


def test_a_press_is_moved_through_the_api(tmp_path: Path) -> None:
    async def work(book: EntityBook, ask: Ask) -> None:
        read = await ask("GET", PRESS)
        moved = read["entity"] | {
            "in": [{"of": "workshop-2", "until": "2026-07-11"}, {"of": "workshop-1", "since": "2026-07-11"}]
        }
        assert await ask("PUT", PRESS, version=read["version"], **SAID, entity=moved) == {"version": 2}
        assert (await ask("GET", PRESS))["entity"] == moved
        for day, hall in (("2026-07-10", "workshop-2"), ("2026-07-11", "workshop-1")):
            tree = (await ask("GET", f"/trees/jiangjin-1/plant?day={day}"))["tree"]
            assert [node["id"] for node in tree["children"] if "press-1" in json.dumps(node)] == [hall]
        (row,) = (await ask("GET", "/audit?limit=1"))["rows"]
        assert (row["author"], row["reason"], row["subject"]) == ("li", "press moved", "entity:jiangjin-1/press-1")
        assert (row["before"]["in"], row["after"]["in"]) == ("workshop-2", moved["in"])
        plant = book.today["jiangjin-1"]
        assert {node.id for node in plant.tree.walk()} == {node.id for node in demo().plants[0].tree.walk()}

    with_book(tmp_path, work)


def test_who_was_slower_is_told_so_and_changes_nothing(tmp_path: Path) -> None:
    async def work(book: EntityBook, ask: Ask) -> None:
        entity = (await ask("GET", PRESS))["entity"]
        await ask("PUT", PRESS, version=1, **SAID, entity=entity | {"cost_centre": "1"})
        refusal = await ask("PUT", PRESS, 412, version=1, **SAID, entity=entity | {"cost_centre": "2"})
        assert refusal["error"]["code"] == "changed_meanwhile"
        assert (await ask("PUT", PRESS, 428, **SAID, entity=entity))["error"]["code"] == "no_version"
        assert (await ask("GET", PRESS))["entity"]["cost_centre"] == "1"

    with_book(tmp_path, work)


def test_an_entity_is_added_and_taken_out(tmp_path: Path) -> None:
    async def work(_book: EntityBook, ask: Ask) -> None:
        new = {"id": "press-3", "kind": "equipment", "name": {"en": "Press 3", "zh": "三号压机"}, "in": "workshop-2"}
        await ask("PUT", "/entities/jiangjin-1/press-3", version=1, **SAID, entity=new)
        await ask("DELETE", "/entities/jiangjin-1/press-3", version=2, **SAID)
        await ask("GET", "/entities/jiangjin-1/press-3", 404)
        await ask("DELETE", "/entities/jiangjin-1/press-3", 404, version=3, **SAID)
        out, added = (await ask("GET", "/audit?subject=entity:jiangjin-1/press-3"))["rows"]
        assert (added["before"], added["after"], out["before"], out["after"]) == (None, new, new, None)

    with_book(tmp_path, work)


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"in": "nowhere"}, 422, "jiangjin-1/press-1: in.0.of: jiangjin-1/nowhere is no entity here"),
        ({"kind": "city"}, 422, "stands above plants"),
        ({"id": "press-9"}, 400, "entity.id: is not 'press-1'"),
        ({"colour": "red"}, 400, "entity.colour: "),
        (
            {"meters": [{"device": "furnace", "carrier": "electricity", "flow": "import"}]},
            422,
            "counted as electricity import twice",
        ),
        (
            {"virtual": [{"id": "v", "carrier": "fresh_water", "expression": "[furnace]"}]},
            422,
            "gives kWh, but fresh_water",
        ),
    ],
)
def test_a_wrong_entity_is_refused_with_its_key(tmp_path: Path, change: dict[str, Any], status: int, says: str) -> None:
    async def work(book: EntityBook, ask: Ask) -> None:
        entity = (await ask("GET", PRESS))["entity"]
        refusal = await ask("PUT", PRESS, status, version=1, **SAID, entity=entity | change)
        assert says in refusal["error"]["message"]
        assert (await book.kept()).version == 1

    with_book(tmp_path, work)


def test_what_is_exported_can_be_imported_and_mistakes_have_a_line(tmp_path: Path) -> None:
    async def work(book: EntityBook, ask: Ask) -> None:
        text = await ask("GET", "/entities.yaml")
        assert await ask("POST", "/entities.yaml", version=1, **SAID, yaml=text) == {"version": 1}
        wrong = await ask(
            "POST", "/entities.yaml", 422, version=1, **SAID, yaml=text.replace("in: workshop-2", "in: x", 1)
        )
        assert "is no entity here" in wrong["error"]["message"]
        assert wrong["error"]["message"].startswith("entities.yaml:")
        whole = await ask("GET", "/entities")
        whole.pop("version")
        renamed = json.loads(json.dumps(whole).replace('"cost_centre": "1110"', '"cost_centre": "1111"'))
        assert await ask("PUT", "/entities", version=1, **SAID, entities=renamed) == {"version": 2}
        assert [row["subject"] for row in (await ask("GET", "/audit?limit=1"))["rows"]] == ["entity:jiangjin-1/line-1"]
        nothing = await ask("PUT", "/entities", 400, version=2, **SAID, entities={})
        assert "a plant of the settings would have no entity" in nothing["error"]["message"]

    with_book(tmp_path, work)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/audit?limit=5000", "limit must be 1 to 1000"),
        ("/audit?below=x", "below must be a whole number"),
        ("/trees/jiangjin-1/plant?day=x", "day must be YYYY-MM-DD"),
        ("/trees/jiangjin-1/plant", "day must be YYYY-MM-DD"),
    ],
)
def test_a_question_that_cannot_be_understood_is_told(tmp_path: Path, path: str, message: str) -> None:
    async def work(_book: EntityBook, ask: Ask) -> None:
        assert (await ask("GET", path, 400))["error"] == {"code": "bad_parameter", "message": message}

    with_book(tmp_path, work)


def test_the_tree_of_today_follows_dated_membership(tmp_path: Path) -> None:
    async def work(book: EntityBook, _ask: Ask) -> None:
        kept = await book.kept()
        entity = kept.entities.by_key["jiangjin-1/press-1"]
        gone = replace(entity, memberships=(Membership(parent="jiangjin-1/workshop-2", until=date(2020, 1, 1)),))
        await book.put(gone, author="li", reason="scrapped", expected=1)
        plant = book.today["jiangjin-1"]
        assert "press-1" not in {node.id for node in plant.tree.walk()}
        assert "press-1" not in {meter.device for meter in plant.meters()}
        ever = book.ever["jiangjin-1"]
        assert sorted(meter.device for meter in ever.meters()) == sorted(
            meter.device for meter in demo().plants[0].meters()
        )

    with_book(tmp_path, work)


def test_the_command_checks_exports_and_imports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("centre.yaml", "entities.yaml"):
        (tmp_path / name).write_bytes(DEMO.with_name(name).read_bytes())
    settings = ["--settings", str(tmp_path / "centre.yaml")]
    file = tmp_path / "out.yaml"
    assert cli.main(["entities", "check", str(DEMO.with_name("entities.yaml"))]) == 0
    assert capsys.readouterr().out.endswith("; 20 meters\n")
    assert cli.main(["entities", "export", str(file), *settings]) == 0
    said = ["--author", "li", "--reason", "new cost centre"]
    assert cli.main(["entities", "import", str(file), *settings, *said]) == 0
    assert capsys.readouterr().out.endswith("; 20 meters; version 1\n")
    file.write_text(file.read_text("utf-8").replace("'1110'", "'1119'"), "utf-8")
    assert cli.main(["entities", "import", str(file), *settings, *said]) == 0
    assert capsys.readouterr().out.endswith("; version 2\n")
    assert cli.main(["entities", "export", "-", *settings]) == 0
    assert "'1119'" in capsys.readouterr().out
    file.write_text("sites: {jiangjin-1: [{id: a}]}", "utf-8")
    with pytest.raises(ConfigError, match=r"out.yaml:1: sites.jiangjin-1.0.kind: is missing"):
        cli.main(["entities", "check", str(file)])
    file.write_text("sites: {}", "utf-8")
    assert cli.main(["entities", "import", str(file), *settings, *said]) == 1
    assert "would have no entity" in capsys.readouterr().err
