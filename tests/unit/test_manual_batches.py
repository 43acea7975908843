"""Batches as lines publish them: what is one and what is none, its revisions, and how it comes into force."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.calendar import Month
from centre.books import audit
from centre.books.file import Books
from centre.books.forms import State
from centre.manual import Manual
from centre.manual_batches import WrongBatch, read_batch
from centre.manual_forms import Entry
from centre.office import open_office
from centre.points import Directory
from centre.settings import load_setup
from centre.store.sqlite import SqliteStore
from support.books_manual import BATCH as TOLD
from support.books_manual import BATCH_TOPIC as TOPIC
from support.books_manual import KNOWN, with_manual
from support.books_manual import batch_payload as payload
from wattline.clock import SystemClock
from wattline.errors import ConfigError

OCTOBER = [Month(2026, 10)]


async def produced(manual: Manual) -> list[tuple[str, ...]]:
    entries = await manual.entries("works", "production", [Month(2026, 9), Month(2026, 11)])
    return [tuple(entry.values[name] for name in ("batch", "node", "month", "produced")) for entry in entries]


def test_a_batch_is_a_row_of_the_form_in_the_month_in_which_it_ends() -> None:
    found = read_batch(TOPIC, payload(scrap=2, mass_kg=100000, value_cny=9.5), KNOWN)
    [entry] = found.filled.entries
    assert (found.author, found.batch) == ("mqtt:works/mes-1", "B17")
    assert entry.key == ("works", "line-1", "2026-10", "gear", "B17")
    assert [entry.values[name] for name in ("produced", "scrap", "mass_kg", "value_cny")] == [
        "120.5",
        "2",
        "100000",
        "9.5",
    ]
    later = read_batch(TOPIC, payload(to="2026-11-01T00:00:01+08:00"), KNOWN)
    assert later.filled.entries[0].period == "2026-11"


def test_a_batch_after_the_metering_day_is_one_of_the_month_that_has_begun() -> None:
    known = replace(KNOWN, plants={"works": replace(KNOWN.plants["works"], metering_day=15)})
    found = read_batch(TOPIC, payload(to="2026-11-16T00:00:00+08:00"), known)
    assert found.filled.entries[0].period == "2026-12"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b"[]", "not a JSON object with batch"),
        (b" " * 20_000, "at most"),
        (b'{"batch": "a", "batch": "b"}', "stands there twice"),
        (payload(batch=None), "batch: is missing"),
        (payload(batch=17), "batch: must be text"),
        (payload(batch=""), "batch: must not be empty"),
        (payload(batch="\ud800"), "batch: only printable"),
        (payload(quantity="120"), "quantity: must be a number"),
        (payload(quantity=True), "quantity: must be a number"),
        (payload(quantity=-1), "quantity: -1 is below 0"),
        (payload(quantity=float("nan")), "quantity: 'NaN' is no number"),
        (payload(shift="night"), "'shift': is no field of a batch"),
        (payload(unit="piece"), "unit: 'piece' is not one of these"),
        (payload(node="line-9"), "node: 'line-9' is not a node of the site"),
        (payload(to="2026-10-31T20:00:00"), "to: '2026-10-31T20:00:00' is no time with its offset"),
        (payload(to="2026-12-31T20:00:00+08:00"), "lies in the future"),
        (payload(to="2026-12-31\ud80020:00:00+08:00"), "lies in the future"),
        (payload(to="0001-01-01T00:00:00+14:00"), "to: '0001-01-01T00:00:00+14:00' lies before 2000"),
        (payload(to=TOLD["from"]), "to: end lies after begin"),
        (payload(revision=1.5), "revision: must be a whole number"),
    ],
)
def test_what_is_no_batch_is_refused_with_the_field_that_is_wrong(content: bytes, says: str) -> None:
    with pytest.raises(WrongBatch) as refused:
        read_batch(TOPIC, content, KNOWN)
    assert says in str(refused.value)
    assert "month" not in str(refused.value)
    str(refused.value).encode()


@pytest.mark.parametrize(
    "topic", ["works/production", "wattline/v1/wo rks/m/production", "wattline/v1/other/m/production"]
)
def test_a_topic_of_no_plant_is_refused(topic: str) -> None:
    with pytest.raises(WrongBatch):
        read_batch(topic, payload(), KNOWN)


def test_a_batch_waits_for_approval_and_comes_in_once_however_often_it_is_sent(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        batch = read_batch(TOPIC, payload(), manual.known())
        first = await manual.take_batch(batch, approved=False)
        assert (first.state, first.made_by, await produced(manual)) == (State.SUBMITTED, "mqtt:works/mes-1", [])
        assert await manual.take_batch(batch, approved=False) == first
        await manual.approve(first.id, author="wang", reason="checked")
        assert await produced(manual) == [("B17", "line-1", "2026-10", "120.5")]
        assert (await manual.take_batch(batch, approved=True)).id == first.id
        assert [row.revision for row in await manual.batches()] == [1]

    with_manual(tmp_path, work)


def test_a_changed_batch_is_a_new_revision_even_on_another_line_and_in_another_month(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        for fields in ({}, {"quantity": 121}, {"node": "line-2", "to": "2026-11-01T02:00:00+08:00"}, {}):
            await manual.take_batch(read_batch(TOPIC, payload(**fields), manual.known()), approved=True)
        assert await produced(manual) == [("B17", "line-2", "2026-11", "120.5")]  # the last was only sent again
        await manual.take_batch(read_batch(TOPIC, payload(revision=4), manual.known()), approved=True)
        assert await produced(manual) == [("B17", "line-1", "2026-10", "120.5")]
        rows = await manual.batches()
        assert [(row.revision, row.form.state) for row in rows] == [
            (4, "approved"), (3, "superseded"), (2, "superseded"), (1, "superseded"),
        ]  # fmt: skip
        rows_of_audit = await manual.books.read(audit.rows)
        assert {row.author for row in rows_of_audit if row.subject == "manual:4"} == {"mqtt:works/mes-1"}

    with_manual(tmp_path, work)


def test_a_revision_takes_the_place_of_one_that_was_not_approved_yet(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        old = await manual.take_batch(read_batch(TOPIC, payload(), manual.known()), approved=False)
        new = await manual.take_batch(read_batch(TOPIC, payload(quantity=7), manual.known()), approved=False)
        states = {row.form.id: row.form.state for row in await manual.batches()}
        assert states == {old.id: State.SUPERSEDED, new.id: State.SUBMITTED}
        await manual.approve(new.id, author="wang", reason="checked")
        assert await produced(manual) == [("B17", "line-1", "2026-10", "7")]

    with_manual(tmp_path, work)


def test_batches_of_two_sources_and_a_row_of_a_file_about_the_same_are_one(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        for topic, quantity in ((TOPIC, 1), (TOPIC.replace("mes-1", "mes-2"), 2)):
            batch = read_batch(topic, payload(quantity=quantity), manual.known())
            assert batch.author == f"mqtt:works/mes-{quantity}"
            await manual.take_batch(batch, approved=True)
        assert await produced(manual) == [("B17", "line-1", "2026-10", "2")]

    with_manual(tmp_path, work)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=8))
def test_what_counts_is_the_newest_content_however_often_each_is_sent(sent: list[int]) -> None:
    async def work(manual: Manual) -> None:
        for quantity in sent:
            await manual.take_batch(read_batch(TOPIC, payload(quantity=quantity), manual.known()), approved=True)
        newest = list(dict.fromkeys(sent))[-1]
        assert await produced(manual) == [("B17", "line-1", "2026-10", str(newest))]
        assert len(await manual.batches()) == len(set(sent))

    with tempfile.TemporaryDirectory() as folder:
        with_manual(Path(folder), work)


def test_what_would_come_into_a_closed_month_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_connection: object, _site: str, month: str) -> object:
        return object() if month == "2026-10" else None

    monkeypatch.setattr("centre.books.closings.in_force", closed)

    async def work(manual: Manual) -> None:
        row = await manual.take_batch(read_batch(TOPIC, payload(), manual.known()), approved=True)
        assert (row.state, await produced(manual)) == (State.SUBMITTED, [])

    with_manual(tmp_path, work)


def test_an_entry_tells_its_form(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        row = await manual.take_batch(read_batch(TOPIC, payload(), manual.known()), approved=True)
        found: tuple[Entry, ...] = await manual.entries("works", "production", OCTOBER)
        assert [(entry.number, entry.place) for entry in found] == [(row.id, 1)]

    with_manual(tmp_path, work)


@pytest.mark.parametrize(("told", "listens", "approval"), [
    ("", False, None), ("production: {}\n", True, True), ("production: {approval: none}\n", True, False),
])  # fmt: skip
def test_the_settings_tell_whether_lines_are_listened_to_and_who_approves(
    tmp_path: Path, told: str, listens: bool, approval: bool | None
) -> None:
    path = tmp_path / "centre.yaml"
    path.write_text(told + SETTINGS, encoding="utf-8")
    found, clock = load_setup(path), SystemClock()
    store, books = SqliteStore(found.store), Books(found.books, clock)
    plants = {plant.site: plant for plant in found.plants}
    office = open_office(
        setup=found, plants=plants, store=store, books=books, clock=clock, directory=Directory(store, clock)
    )
    assert ("batches" in office.work) == listens
    assert (None if office.batches is None else office.batches.approval) == approval
    if listens:
        path.write_text("production: {approval: maybe}\n" + SETTINGS, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"centre\.yaml:1: production\.approval"):
            load_setup(path)


SETTINGS = """\
broker: {url: "mqtt://127.0.0.1:1883"}
store: {sqlite: centre.db}
plants:
  - site: works
    name: {en: Works, zh: 工厂}
    zone: Asia/Shanghai
    region: CN-Chongqing
    tree: {id: plant, name: {en: Plant, zh: 全厂}}
"""
