"""The file of the books: one transaction with its audit, or nothing."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from centre.books import audit, file
from centre.books.audit import first_broken, rows
from centre.books.file import Books, Writing
from centre.errors import BadQuestion
from centre.store.base import StoreError, StoreUnusable
from wattline.clock import SystemClock

TABLES = "CREATE TABLE IF NOT EXISTS thing (name TEXT PRIMARY KEY, value TEXT NOT NULL);"


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "TABLES", audit.TABLES + TABLES)
    monkeypatch.setattr(file, "MODULES", ("centre.books.audit",))


def in_books(path: Path, work: Callable[[Books], Awaitable[object]], *, inline: bool = False) -> None:
    async def main() -> None:
        async with Books(path / "books.db", SystemClock(), inline=inline) as books:
            await work(books)

    asyncio.run(main())


def put(name: str, value: str) -> Callable[[Writing], str]:
    def work(connection: Writing) -> str:
        old = connection.execute("SELECT value FROM thing WHERE name = ?", (name,)).fetchone()
        connection.execute("INSERT OR REPLACE INTO thing VALUES (?, ?)", (name, value))
        connection.note(f"thing:{name}", None if old is None else {"value": old[0]}, {"value": value})
        return value

    return work


def things(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, value FROM thing").fetchall())


@pytest.mark.parametrize("inline", [True, False])
def test_a_change_is_kept_with_who_when_why_and_from_what_to_what(tmp_path: Path, inline: bool) -> None:
    async def work(books: Books) -> None:
        assert await books.change(" Li ", "first reading", put("a", "1")) == "1"
        await books.change("Wang", "a correction", put("a", "2"))
        assert await books.read(things) == {"a": "2"}

    in_books(tmp_path, work, inline=inline)

    async def later(books: Books) -> None:
        new, old = await books.read(rows)
        assert (old.author, old.reason, old.subject, old.before, old.after) == (
            "Li", "first reading", "thing:a", None, {"value": "1"},
        )  # fmt: skip
        assert (new.author, new.before, new.after, new.at >= old.at) == ("Wang", {"value": "1"}, {"value": "2"}, True)

    in_books(tmp_path, later, inline=inline)


def test_a_change_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fails(connection: Writing) -> None:
        put("a", "1")(connection)
        raise BadQuestion("no")

    async def work(books: Books) -> None:
        with pytest.raises(BadQuestion):
            await books.change("Li", "try", fails)
        with pytest.raises(RuntimeError, match="without a note"):
            await books.change("Li", "try", lambda connection: connection.execute("INSERT INTO thing VALUES (1, 2)"))
        with pytest.raises(StoreError, match="no such table"):
            await books.change("Li", "try", lambda connection: connection.execute("INSERT INTO elsewhere VALUES (1)"))
        assert await books.read(things) == {}
        assert await books.read(rows) == ()
        await books.change("Li", "now", put("a", "1"))  # the connection is as good as new
        assert await books.read(things) == {"a": "1"}

    in_books(tmp_path, work)


def test_a_change_that_changes_nothing_leaves_no_row(tmp_path: Path) -> None:
    async def work(books: Books) -> None:
        await books.change("Li", "now", put("a", "1"))
        await books.change("Li", "again", put("a", "1"))
        assert len(await books.read(rows)) == 1

    in_books(tmp_path, work)


@pytest.mark.parametrize(("author", "reason"), [("", "why"), ("Li", " "), ("Li", "x" * 1001), ("Li\n", "a\0b")])
def test_a_change_needs_author_and_reason(tmp_path: Path, author: str, reason: str) -> None:
    async def work(books: Books) -> None:
        with pytest.raises(BadQuestion, match="a change needs its"):
            await books.change(author, reason, put("a", "1"))

    in_books(tmp_path, work)


def test_progress_is_kept_without_audit_and_a_reader_cannot_write(tmp_path: Path) -> None:
    async def work(books: Books) -> None:
        await books.keep(lambda connection: connection.execute("INSERT INTO thing VALUES ('a', '1')"))
        assert await books.read(rows) == ()
        with pytest.raises(StoreError, match="readonly"):
            await books.read(lambda connection: connection.execute("DELETE FROM thing"))
        assert await books.read(things) == {"a": "1"}

    in_books(tmp_path, work)


def test_the_audit_is_found_by_subject_and_page(tmp_path: Path) -> None:
    async def work(books: Books) -> None:
        for name in ("a", "ab", "b", "a"):
            await books.change("Li", "now", put(name, f"{name}!"))
            await books.change("Li", "now", put(name, name))
        found = await books.read(lambda connection: rows(connection, subject="thing:a"))
        assert [row.id for row in found] == [8, 7, 2, 1]
        assert len(await books.read(lambda connection: rows(connection, subject="thing:"))) == 8
        page = await books.read(lambda connection: rows(connection, below=8, limit=2))
        assert [row.id for row in page] == [7, 6]

    in_books(tmp_path, work)


def test_an_audit_row_can_neither_be_changed_nor_vanish_unseen(tmp_path: Path) -> None:
    async def work(books: Books) -> None:
        for name in ("a", "b", "c"):
            await books.change("Li", "now", put(name, "1"))
        for statement in ("UPDATE audit SET author = 'x'", "DELETE FROM audit"):
            with pytest.raises(StoreError, match="the audit is never"):
                await books.keep(lambda connection, text=statement: connection.execute(text))
        assert await books.read(first_broken) is None

    in_books(tmp_path, work)
    with sqlite3.connect(tmp_path / "books.db") as forger:
        forger.execute("DROP TRIGGER audit_is_not_changed")
        forger.execute("UPDATE audit SET author = 'Wang' WHERE id = 2")
    forger.close()

    async def later(books: Books) -> None:
        assert await books.read(first_broken) == 2

    in_books(tmp_path, later)


@pytest.mark.parametrize("what", ["CREATE TABLE other (x)", "PRAGMA user_version = 99", "PRAGMA application_id = 7"])
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, what: str) -> None:
    connection = sqlite3.connect(tmp_path / "books.db")
    if "user_version" in what:
        connection.execute(f"PRAGMA application_id = {0x57424F4F}")
    connection.execute(what)
    connection.commit()
    connection.close()
    with pytest.raises(StoreUnusable):
        in_books(tmp_path, lambda books: books.read(things))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="cannot be opened"):
        in_books(tmp_path / "file" / "below", lambda books: books.read(things))
