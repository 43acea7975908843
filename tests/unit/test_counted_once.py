"""A product counts once: batches or a month's total, not both; and many batches are approved at once, each audited."""

import tempfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from centre.accounting.calendar import Month
from centre.api_manual import routes
from centre.books import audit
from centre.books.forms import State
from centre.dead_letters import DeadLetters
from centre.errors import FigureError
from centre.manual import Manual
from centre.manual_batches import read_batch
from support.books_manual import BATCH_TOPIC as TOPIC
from support.books_manual import batch_payload as payload
from support.books_manual import with_manual

ROW = {"site": "works", "node": "line-1", "month": "2026-10", "product": "gear", "unit": "t"}
Told = dict[str, str]


async def approved(manual: Manual, *rows: Told) -> None:
    """Rows of one form, handed in and approved."""
    form = await manual.take_rows("production", [ROW | row for row in rows], author="li", reason="monthly")
    if form.state is State.DRAFT:
        await manual.submit(form.id, author="li", reason="monthly")
    if form.state is not State.APPROVED:
        await manual.approve(form.id, author="wang", reason="checked")


async def in_force(manual: Manual) -> dict[str, str]:
    found = await manual.entries("works", "production", [Month(2026, 10)])
    here = [entry.values for entry in found if entry.key[1] == "line-1" and entry.key[3] == "gear"]
    return {values["batch"]: values["produced"] for values in here}


async def refused(manual: Manual, *rows: Told) -> None:
    before = await in_force(manual)
    with pytest.raises(FigureError, match="counted beside") as caught:
        await approved(manual, *rows)
    assert caught.value.code == "counted_twice"
    assert await in_force(manual) == before


def test_a_total_beside_batches_is_refused_in_either_order_and_within_one_form(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        await refused(manual, {"produced": "5"}, {"produced": "3", "batch": "B1"})
        await approved(manual, {"produced": "3", "batch": "B1"})
        await refused(manual, {"produced": "5"})
        await approved(manual, {"produced": "5", "node": "line-2"}, {"produced": "5", "product": "shaft"})
        await approved(manual, {"produced": "0", "batch": "B1"})
        await approved(manual, {"produced": "5"})
        await refused(manual, {"produced": "4", "batch": "B2"})
        await approved(manual, {"produced": "0"}, {"produced": "4", "batch": "B2"})
        assert await in_force(manual) == {"B1": "0", "": "0", "B2": "4"}

    with_manual(tmp_path, work)


def test_a_form_of_many_totals_looks_over_its_month_once(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        await approved(manual, *({"product": f"p{n}", "batch": "B1", "produced": "1"} for n in range(300)))
        asked: list[str] = []
        await manual.books.change("li", "counts", lambda to: to.set_trace_callback(asked.append))
        await approved(manual, *({"product": f"q{n}", "produced": "1"} for n in range(300)))
        assert sum("json_extract" in statement for statement in asked) == 1
        await refused(manual, *({"product": f"p{n}", "produced": "1"} for n in range(299, 300)))

    with_manual(tmp_path, work)


def test_a_line_s_batch_beside_a_total_waits_also_where_nobody_approves(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        await approved(manual, {"produced": "100"})
        row = await manual.take_batch(read_batch(TOPIC, payload(), manual.known()), approved=True)
        assert (row.state, await in_force(manual)) == (State.SUBMITTED, {"": "100"})
        await approved(manual, {"produced": "0"})
        await manual.approve(row.id, author="wang", reason="batches from now on")
        assert await in_force(manual) == {"": "0", "B17": "120.5"}
        moved = read_batch(TOPIC, payload(node="line-2"), manual.known())
        assert (await manual.take_batch(moved, approved=True)).state is State.APPROVED
        await approved(manual, {"produced": "7"})

    with_manual(tmp_path, work)


ROWS = st.tuples(st.sampled_from(["", "B1", "B2"]), st.integers(0, 2))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(ROWS, min_size=1, max_size=3, unique_by=lambda row: row[0]), min_size=1, max_size=5))
def test_whatever_is_approved_in_any_order_no_product_counts_by_batch_and_in_total(
    asked: Sequence[Sequence[tuple[str, int]]],
) -> None:
    async def work(manual: Manual) -> None:
        for rows in asked:
            before = await in_force(manual)
            told = [{"batch": batch, "produced": str(produced)} for batch, produced in rows]
            after = before | {row["batch"]: row["produced"] for row in told}
            twice = bool(Decimal(after.get("", "0"))) and any(Decimal(after[batch]) for batch in after if batch)
            if twice:
                await refused(manual, *told)
            else:
                await approved(manual, *told)
                assert await in_force(manual) == after

    with tempfile.TemporaryDirectory() as folder:
        with_manual(Path(folder), work)


async def post(manual: Manual, body: Mapping[str, object]) -> tuple[int, Any]:
    app = Starlette(routes=routes(manual, DeadLetters(Path("nowhere"))))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://centre/api/v1") as api:
        answer = await api.post("/manual/approve", json=body)
        return answer.status_code, answer.json()


def test_all_batches_of_a_month_are_approved_at_once_and_each_is_in_the_audit(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        ids = [
            (await manual.take_batch(read_batch(TOPIC, payload(**fields), manual.known()), approved=False)).id
            for fields in (
                {}, {"batch": "B18"}, {"batch": "B19"}, {"batch": "B20", "to": "2026-11-02T00:00:00+08:00"},
            )
        ]  # fmt: skip
        said = {"author": "wang", "reason": "shift book of October"}
        status, found = await post(manual, said | {"site": "works", "month": "2026-10"})
        assert (status, [row["id"] for row in found["approved"]], found["refused"]) == (200, ids[:3], [])
        assert set(await in_force(manual)) == {"B17", "B18", "B19"}
        told = [row for row in await manual.books.read(audit.rows) if row.author == "wang"]
        assert sorted(row.subject for row in told) == [f"manual:{number}" for number in ids[:3]]
        status, found = await post(manual, said | {"forms": [ids[3], ids[0], 999]})
        assert [row["id"] for row in found["approved"]] == [ids[3]]
        assert [(row["form"], row["code"]) for row in found["refused"]] == [
            (ids[0], "wrong_state"), (999, "unknown_form"),
        ]  # fmt: skip
        status, found = await post(manual, said | {"site": "works", "month": "2026-10"})
        assert found == {"approved": [], "refused": []}

    with_manual(tmp_path, work)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"month": "October", "site": "works"}, 400),
        ({"month": "2026-10", "site": "nix"}, 404),
        ({"forms": [0]}, 400),
        ({"forms": [1] * 1001}, 400),
        ({"forms": [1], "author": ""}, 400),
    ],
)
def test_an_approval_of_nothing_in_particular_is_refused(tmp_path: Path, body: dict[str, object], status: int) -> None:
    async def work(manual: Manual) -> None:
        said: dict[str, object] = {"author": "wang", "reason": "r"}
        found = await post(manual, said | body)
        assert found[0] == status, found

    with_manual(tmp_path, work)
