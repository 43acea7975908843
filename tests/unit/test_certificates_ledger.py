"""The certificates ledger at work: booked whole, kept in order, never used twice, refusals as 409."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from centre.accounting.certificates import Issue, Retire, Validity
from centre.api_certificates import routes
from centre.books import audit, entities
from centre.books.certificates import enter, ledger, retired_of
from centre.books.file import Books
from centre.entities import Entity, EntityKind, entities_of
from centre.errors import FigureError
from support.books_manual import Fixed

SAID = {"author": "li", "reason": "statement of the exchange"}
ISSUE = {**SAID, "entry": "I-1", "ids": ["G1", "G2", "G3"], "holder": "works", "plant": "pv-1", "generated": "2026-09"}
RETIRE = {**SAID, "entry": "R-1", "ids": ["G1", "G2"], "holder": "works", "node": "works/plant", "month": "2026-10"}
OCTOBER = date(2026, 10, 1)
TWO_YEARS = (Validity(since=None, months=24, until=None, source="", confirmed=False),)


def with_api(folder: Path, work: Callable[[httpx.AsyncClient, Books], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Books(folder / "books.db", Fixed(), inline=True) as books:
            transport = httpx.ASGITransport(app=Starlette(routes=routes(books, TWO_YEARS)))
            async with httpx.AsyncClient(transport=transport, base_url="http://centre/api/v1") as api:
                await work(api, books)

    asyncio.run(main())


async def post(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    answer = await api.post(f"/certificates{path}", json=body)
    found = answer.json()
    return answer.status_code, found.get("error", found).get("code", found)


def test_what_is_retired_is_given_to_its_month_once(tmp_path: Path) -> None:
    async def work(api: httpx.AsyncClient, books: Books) -> None:
        assert (await post(api, "/issue", ISSUE))[0] == 200
        assert (await post(api, "/retire", RETIRE))[0] == 200
        assert await books.read(lambda of: retired_of(of, "works/plant", OCTOBER)) == ("G1", "G2")
        assert (await api.get("/certificates/retired?node=works/plant&month=2026-10")).json() == {"ids": ["G1", "G2"]}
        assert await post(api, "/retire", RETIRE | {"entry": "R-2", "month": "2026-11"}) == (409, "already_retired")
        assert await books.read(lambda of: retired_of(of, "works/plant", date(2026, 11, 1))) == ()
        [third] = [
            one
            for one in (await api.get("/certificates?holder=works")).json()["certificates"]
            if one["retired_by"] is None
        ]
        assert (third["id"], third["valid_until"]) == ("G3", "2028-08-01")

    with_api(tmp_path, work)


def test_the_same_entry_again_changes_nothing_and_another_of_its_number_is_refused(tmp_path: Path) -> None:
    async def work(api: httpx.AsyncClient, books: Books) -> None:
        for _ in range(2):
            assert (await post(api, "/issue", ISSUE))[0] == 200
        assert len(await books.read(audit.rows)) == 1
        assert await post(api, "/issue", ISSUE | {"ids": ["G9"]}) == (409, "entry_differs")

    with_api(tmp_path, work)


@pytest.mark.parametrize(
    ("path", "change", "status", "code"),
    [
        ("/transfer", {"to": "other", "holder": "stranger"}, 409, "not_the_holder"),
        ("/transfer", {"to": "works"}, 409, "same_holder"),
        ("/transfer", {"to": "other", "ids": ["G9"]}, 409, "unknown_certificate"),
        ("/transfer", {"to": "other", "ids": ["G1", "G1"]}, 409, "named_twice"),
        ("/transfer", {"to": "other", "ids": []}, 400, "bad_parameter"),
        ("/transfer", {}, 400, "bad_parameter"),
        ("/retire", {"node": "works/plant", "month": "2026-08"}, 409, "before_generation"),
        ("/retire", {"node": "works/plant", "month": "10/2026"}, 400, "bad_parameter"),
    ],
)
def test_an_entry_is_refused_whole_with_its_reason(
    tmp_path: Path, path: str, change: dict[str, Any], status: int, code: str
) -> None:
    async def work(api: httpx.AsyncClient, books: Books) -> None:
        await post(api, "/issue", ISSUE)
        before = await books.read(ledger)
        body = {**SAID, "entry": "T-1", "ids": ["G1", "G2"], "holder": "works"} | change
        assert await post(api, path, body) == (status, code)
        assert await books.read(ledger) == before

    with_api(tmp_path, work)


def test_the_ledger_is_the_same_after_a_restart(tmp_path: Path) -> None:
    found: list[object] = []

    async def write(api: httpx.AsyncClient, books: Books) -> None:
        await post(api, "/issue", ISSUE)
        await post(api, "/transfer", {**SAID, "entry": "T-1", "ids": ["G3"], "holder": "works", "to": "other"})
        await post(api, "/retire", RETIRE)
        found.append(await books.read(ledger))

    async def look(_api: httpx.AsyncClient, books: Books) -> None:
        found.append(await books.read(ledger))

    with_api(tmp_path, write)
    with_api(tmp_path, look)
    assert found[0] == found[1]


def test_a_certificate_that_expired_is_not_retired(tmp_path: Path) -> None:
    async def work(_api: httpx.AsyncClient, books: Books) -> None:
        issue = Issue(entry="I-1", ids=("G1",), holder="works", plant="pv-1", generated=date(2024, 10, 1))
        late = Retire(entry="R-1", ids=("G1",), holder="works", node="works/plant", month=OCTOBER)
        await books.change("li", "sale", lambda to: enter(to, issue, TWO_YEARS))
        with pytest.raises(FigureError, match="G1: expired"):
            await books.change("li", "claim", lambda to: enter(to, late, TWO_YEARS))

    with_api(tmp_path, work)


def test_a_certificate_is_not_used_up_for_a_node_that_is_none(tmp_path: Path) -> None:
    plant = Entity(site="works", id="plant", kind=EntityKind.PLANT, name={"en": "Plant", "zh": "全厂"})

    async def work(api: httpx.AsyncClient, books: Books) -> None:
        await books.change("li", "tree", lambda to: entities.put(to, entities_of((plant,)), expected=0))
        assert (await post(api, "/issue", ISSUE))[0] == 200
        for node in ("works/plnat", "works", "plant"):
            assert await post(api, "/retire", RETIRE | {"node": node}) == (400, "bad_parameter")
        assert await books.read(lambda of: retired_of(of, "works/plnat", OCTOBER)) == ()
        assert (await post(api, "/retire", RETIRE))[0] == 200

    with_api(tmp_path, work)
