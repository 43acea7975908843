"""The embedded store passes the contract of every store, and keeps its file in order."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from centre.store.base import Store, StoreError, StoreUnusable
from centre.store.schema import open_reader, open_writer
from centre.store.sqlite import SqliteStore
from support.store_contract import EVER, POWER, PRESS, T0, StoreContract, parcel, sweep

SCHEMA_1 = """
CREATE TABLE gateway (
    id INTEGER PRIMARY KEY, site TEXT NOT NULL, name TEXT NOT NULL, state TEXT, since INTEGER,
    last_seen INTEGER NOT NULL, software TEXT, epoch INTEGER, dropped INTEGER NOT NULL DEFAULT 0,
    counters TEXT NOT NULL DEFAULT '{}', UNIQUE (site, name));
CREATE TABLE parcel (
    gateway INTEGER NOT NULL REFERENCES gateway, epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (gateway, epoch, first)) WITHOUT ROWID;
CREATE TABLE device (
    id INTEGER PRIMARY KEY, site TEXT NOT NULL, name TEXT NOT NULL, gateway TEXT, info TEXT,
    readings INTEGER NOT NULL DEFAULT 0, UNIQUE (site, name));
CREATE TABLE series (
    id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES device, point TEXT NOT NULL, counter INTEGER NOT NULL,
    fingerprint TEXT, UNIQUE (device, point));
CREATE TABLE raw (
    series INTEGER NOT NULL, at INTEGER NOT NULL, value NOT NULL, PRIMARY KEY (series, at)) WITHOUT ROWID;
CREATE TABLE fault (
    series INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (series, at)) WITHOUT ROWID;
CREATE TABLE rollup (
    series INTEGER NOT NULL, grain TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, amount TEXT,
    estimated TEXT NOT NULL, known_ns INTEGER NOT NULL, estimated_ns INTEGER NOT NULL, readings INTEGER NOT NULL,
    suspects INTEGER NOT NULL, breaks INTEGER NOT NULL, open INTEGER NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (series, grain, start)) WITHOUT ROWID;
CREATE TABLE dirty (
    series INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, mark INTEGER NOT NULL,
    since INTEGER NOT NULL);
CREATE TABLE total (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO gateway (id, site, name, last_seen) VALUES (1, 'works', 'press-shop', 5);
INSERT INTO parcel VALUES (1, 7, 1, 4);
INSERT INTO device (id, site, name, readings) VALUES (1, 'works', 'incomer', 1);
INSERT INTO series (id, device, point, counter) VALUES (1, 1, 'power_active_total', 0);
INSERT INTO raw VALUES (1, 1767225600000000000, 1.5);
"""


class TestSqliteStore(StoreContract):
    inline = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> Iterator[None]:
        self.path = tmp_path / "new" / "centre.db"
        yield
        with sqlite3.connect(self.path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()

    def open(self) -> AbstractAsyncContextManager[Store]:
        return SqliteStore(self.path, inline=self.inline)


class TestInlineSqliteStore(TestSqliteStore):
    inline = True


def open_and_close(path: Path) -> None:
    async def main() -> None:
        async with SqliteStore(path):
            pass

    asyncio.run(main())


def test_readings_are_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "centre.db"

    async def write() -> None:
        async with SqliteStore(path) as store:
            await store.write([parcel(1, sweep(0, {"power_active_total": 1.5}))], received_at=T0)

    async def read() -> int:
        async with SqliteStore(path) as store:
            assert len(await store.read(POWER, 0, EVER, limit=10)) == 1
            return (await store.write([parcel(1, sweep(0, {"power_active_total": 1.5}))], received_at=T0)).ignored

    asyncio.run(write())
    assert asyncio.run(read()) == 1


def test_a_file_of_version_1_is_brought_up_to_date_with_all_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "centre.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA_1 + "PRAGMA application_id = 1463899220; PRAGMA user_version = 1;")
    connection.close()

    async def look() -> None:
        async with SqliteStore(path) as store:
            assert (await store.committed())[PRESS].epochs == {7: ((1, 4),)}
            assert [reading.value for reading in await store.read(POWER, 0, EVER, limit=9)] == [1.5]
            assert (await store.tallies("works", 0, EVER))["incomer"][T0].received == 1
            await store.write([parcel(5, sweep(5, {"power_active_total": 2.5}))], received_at=T0)
            assert (await store.committed())[PRESS].epochs == {7: ((1, 5),)}

    asyncio.run(look())
    asyncio.run(look_again(path))


async def look_again(path: Path) -> None:
    async with SqliteStore(path) as store:
        assert len(await store.gateways()) == 1


def test_a_file_of_a_newer_wattline_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "centre.db"
    open_and_close(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="newer Wattline"):
        open_and_close(path)
    assert path.read_bytes() == before


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(StoreUnusable, match="another program"):
        open_and_close(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "centre.db"
    path.write_bytes(b"not a database, surely" * 100)
    with pytest.raises(StoreUnusable, match="cannot be opened"):
        open_and_close(path)


def test_a_write_that_fails_changes_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    path = tmp_path / "centre.db"

    async def main() -> None:
        async with SqliteStore(path) as store:
            blocker = sqlite3.connect(path)
            blocker.execute("CREATE TRIGGER full BEFORE INSERT ON raw BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
            blocker.commit()
            new = parcel(1, sweep(0, {"power_active_total": 1.0}), gateway="new")
            with pytest.raises(StoreError, match="disk is full"):
                await store.write([new], received_at=T0)
            assert await store.committed() == {}
            assert await store.series("works") == {}
            blocker.execute("DROP TRIGGER full")
            blocker.commit()
            blocker.close()
            assert (await store.write([new], received_at=T0)).readings == 1

    asyncio.run(main())


def test_the_database_is_safe_against_power_cuts_by_its_settings(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "centre.db")) as writer, closing(open_reader(tmp_path / "centre.db")) as reader:
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
        assert reader.execute("PRAGMA query_only").fetchone() == (1,)
