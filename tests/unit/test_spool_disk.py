"""The spool's file: what is committed stays, what is damaged is counted and costs no start."""

import asyncio
import random
import sqlite3
import tempfile
from functools import lru_cache
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from agent.spool_disk import Change, DiskFailed, SpoolTaken, SqliteDisk, Stored
from agent.spool_file import SpoolFile
from agent.spool_pages import rows
from agent.spool_rows import key_of, parcel_of
from metering.parcel import Parcel, ParcelId
from support.other_journal import OLDER, other_journal

LAST = 1 << 62
BUDGET = 64 * 1024 * 1024


def parcel(seq: int, *, epoch: int = 7, size: int = 600, readings: int = 10) -> Parcel:
    body = random.Random(seq).randbytes(size)
    return Parcel(id=ParcelId(epoch=epoch, seq=seq), first_at=seq, last_at=seq + 1, readings=readings, body=body)


def parcels(first: int, last: int, **how: int) -> list[Parcel]:
    return [parcel(seq, **how) for seq in range(first, last + 1)]


def everything(file: SpoolFile) -> list[Parcel]:
    return list(file.read(0, LAST, 1_000_000, 1 << 40).parcels)


def made(path: Path, count: int, *, size: int = 600) -> list[Parcel]:
    """A closed spool file of `count` parcels, checkpointed into its main file."""
    kept = parcels(1, count, size=size)
    file = SpoolFile(path, budget=BUDGET)
    file.commit(Change(epoch=7, insert=kept))
    file.close()
    return kept


def mended(path: Path) -> tuple[Stored, list[Parcel]]:
    """Open what may be damaged, the way the agent does, and read all of it."""

    async def look() -> tuple[Stored, list[Parcel]]:
        disk = SqliteDisk(path.parent, budget=BUDGET)
        try:
            first = await disk.open()
            read = await disk.read(0, LAST, 1_000_000, 1 << 40)
            await disk.commit(Change(epoch=8, insert=[parcel(1, epoch=8)]))
            last = await disk.commit(Change(epoch=8, delete=[ParcelId(epoch=8, seq=1)]))
            return (first if first.mended else last), list(read.parcels)
        finally:
            await disk.close()

    return asyncio.run(look())


def test_what_is_committed_is_read_back_in_order_after_reopening(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "spool.sqlite3", budget=BUDGET)
    file.commit(Change(epoch=7, insert=parcels(1, 50)))
    file.commit(Change(epoch=7, insert=parcels(51, 60), delete=[ParcelId(epoch=7, seq=n) for n in (1, 2, 3, 9)]))
    file.close()
    stored = file.open()
    assert (stored.epoch, stored.parcels, stored.readings, stored.dropped) == (7, 56, 560, 0)
    assert everything(file) == [p for p in parcels(1, 60) if p.id.seq not in (1, 2, 3, 9)]
    file.close()


def test_a_commit_that_is_made_twice_counts_once(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "spool.sqlite3", budget=BUDGET)
    file.commit(Change(epoch=7, insert=parcels(1, 5)))
    assert file.commit(Change(epoch=7, insert=parcels(1, 5))).parcels == 5
    file.close()


def test_a_read_stops_at_its_limits_and_says_that_there_is_more(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "spool.sqlite3", budget=BUDGET)
    file.commit(Change(epoch=7, insert=parcels(1, 10)))
    assert not file.read(0, LAST, 3, 1 << 30).complete
    assert len(file.read(0, LAST, 100, 1000).parcels) == 2
    assert file.read(0, LAST, 10, 1 << 30).complete
    file.close()


def test_the_budget_drops_the_oldest_and_counts_it_in_the_same_commit(tmp_path: Path) -> None:
    budget = 2 * 1024 * 1024
    file = SpoolFile(tmp_path / "spool.sqlite3", budget=budget)
    for first in range(1, 400, 10):
        stored = file.commit(Change(epoch=7, insert=parcels(first, first + 9, size=20_000)))
        assert stored.bytes <= budget
    left = everything(file)
    assert left == parcels(left[0].id.seq, 400, size=20_000)
    assert stored.dropped == 10 * (left[0].id.seq - 1)
    assert (stored.parcels, stored.readings) == (len(left), 10 * len(left))
    assert (tmp_path / "spool.sqlite3").stat().st_size <= budget + 64 * 4096
    file.close()


def test_what_is_larger_than_the_whole_budget_is_dropped_and_counted(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "spool.sqlite3", budget=1024 * 1024)
    stored = file.commit(Change(epoch=7, insert=parcels(1, 30, size=100_000), dropped=5))
    left = everything(file)
    assert 0 < len(left) < 30
    assert left[-1].id.seq == 30
    assert stored.dropped == 5 + 10 * (30 - len(left))
    file.close()


def test_a_budget_that_was_lowered_is_reached_in_steps_and_all_that_goes_is_counted(tmp_path: Path) -> None:
    """A backlog of days is not thinned and dropped in one commit, which would take minutes."""
    file = SpoolFile(tmp_path / "spool.sqlite3", budget=BUDGET)
    before = file.commit(Change(epoch=7, insert=parcels(1, 150, size=100_000)))
    file.close()
    file, budget, step = SpoolFile(tmp_path / "spool.sqlite3", budget=1024 * 1024), 1024 * 1024, 4 * 1024 * 1024
    steps = 0
    while before.bytes > budget:
        steps += 1
        stored = file.commit(Change(epoch=7, insert=parcels(150 + steps, 150 + steps, size=10_000)))
        assert before.bytes - step - 2 * 100_000 < stored.bytes < before.bytes
        left = everything(file)
        assert stored.dropped == 10 * (150 + steps - len(left))
        assert left[-1].id.seq == 150 + steps
        before = stored
    assert steps == 4
    file.close()


def test_a_second_agent_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    first, second = (SpoolFile(tmp_path / "spool.sqlite3", budget=BUDGET, patience_s=0.1) for _ in range(2))
    first.commit(Change(epoch=7, insert=parcels(1, 3)))
    with pytest.raises(SpoolTaken, match="another process"):
        second.open()
    assert first.commit(Change(epoch=7, insert=parcels(4, 5))).parcels == 5
    first.close()
    assert second.open().parcels == 5
    second.close()


def test_a_second_agent_is_refused_before_the_first_has_written_anything(tmp_path: Path) -> None:
    made(tmp_path / "spool.sqlite3", 3)
    first, second = (SpoolFile(tmp_path / "spool.sqlite3", budget=BUDGET, patience_s=0.1) for _ in range(2))
    before = (tmp_path / "spool.sqlite3").read_bytes()
    first.open()
    with pytest.raises(SpoolTaken, match="another process"):
        second.open()
    assert (tmp_path / "spool.sqlite3").read_bytes() == before
    first.close()


def test_a_place_that_cannot_be_written_is_a_failed_disk_and_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    async def main() -> None:
        disk = SqliteDisk(tmp_path / "file" / "spool", budget=BUDGET)
        with pytest.raises(DiskFailed):
            await disk.open()
        await disk.close()

    asyncio.run(main())


def test_synchronous_full_is_checked_and_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.spool_file._PRAGMAS", (("synchronous", "NORMAL", 2),))
    with pytest.raises(sqlite3.OperationalError, match="not durable"):
        SpoolFile(tmp_path / "spool.sqlite3", budget=BUDGET).open()


def test_a_row_whose_bytes_changed_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    kept = made(path, 40)
    data = path.read_bytes()
    at = data.index(kept[20].body[100:140])
    path.write_bytes(data[:at] + b"\0" + data[at + 1 :])
    file = SpoolFile(path, budget=BUDGET)
    read = file.read(0, LAST, 1000, 1 << 30)
    file.close()
    assert list(read.parcels) == kept[:20] + kept[21:]
    assert read.damaged == ((kept[20].id, 10),)


@pytest.mark.parametrize("slice_of_pages", range(4))
def test_noise_over_any_page_never_stops_the_start_and_never_gives_garbage(tmp_path: Path, slice_of_pages: int) -> None:
    source = tmp_path / "source.sqlite3"
    kept = made(source, 120, size=1500)
    data = source.read_bytes()
    pages = len(data) // 4096
    for page in range(slice_of_pages, pages, 4):
        home = tmp_path / f"page-{page}"
        home.mkdir()
        noise = random.Random(page).randbytes(4096)
        path = home / "spool.sqlite3"
        path.write_bytes(data[: page * 4096] + noise + data[(page + 1) * 4096 :])
        stored, left = mended(path)
        assert set(left) <= set(kept), f"page {page}: garbage"
        assert len(left) >= len(kept) - 12, f"page {page}: {len(left)} left"
        assert stored.dropped in (0, 10 * (len(kept) - len(left)))
        if stored.mended:
            assert (home / "spool.sqlite3.corrupt").exists()


@pytest.mark.parametrize(
    ("table", "at", "bit"),
    [
        ("parcel", 1, 128),  # the row's number: rows are out of order
        ("parcel", 7, 8),  # no count of readings
        ("parcel", 14, 1),  # a body that is text
        ("meta", 3, 128),  # no counts
        ("meta", 4, 1),  # an epoch of six bytes
        ("meta", 4, 16),  # an epoch that is text
    ],
)
def test_a_flipped_bit_in_the_head_of_a_row_costs_its_neighbours_at_most_and_no_start(
    tmp_path: Path, table: str, at: int, bit: int
) -> None:
    path = tmp_path / "spool.sqlite3"
    kept = made(path, 12)
    file = SpoolFile(path, budget=BUDGET)
    file.commit(Change(epoch=1_700_000_000, dropped=5))
    file.close()
    db = sqlite3.connect(path)
    leaf = db.execute("SELECT min(pageno) FROM dbstat WHERE name = ? AND pagetype = 'leaf'", (table,)).fetchone()[0]
    db.close()
    data = bytearray(path.read_bytes())
    start = 4096 * (leaf - 1)
    middle = start + 8 + 2 * (int.from_bytes(data[start + 3 : start + 5], "big") // 2)
    data[start + int.from_bytes(data[middle : middle + 2], "big") + at] ^= bit
    path.write_bytes(data)

    async def drain() -> tuple[Stored, list[Parcel]]:
        """Read and release it the way the agent does."""
        disk, read = SqliteDisk(tmp_path, budget=BUDGET), list[Parcel]()
        stored = await disk.open()
        while (some := await disk.read(key_of(read[-1].id) if read else 0, LAST, 2, BUDGET)).parcels:
            read += some.parcels
            gone = [parcel_id for parcel_id, _ in some.damaged] + [each.id for each in some.parcels]
            stored = await disk.commit(Change(epoch=8, delete=gone))
        await disk.close()
        return stored, read

    stored, left = asyncio.run(drain())
    assert (len(left), set(left)) == (len(set(left)), set(left) & set(kept))
    assert len(left) >= len(kept) - 2
    assert 0 <= stored.epoch < 1 << 32
    assert stored.dropped >= 0


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b"TABLE meta", b"TABL\xff meta"),  # no text
        (b"parcel (id INTEGER PRIMARY KEY", b"parcel (id INTEGER PRIMARX KEY"),  # no error, and no row has an id
    ],
)
def test_a_damaged_schema_costs_no_parcel(tmp_path: Path, was: bytes, now: bytes) -> None:
    path = tmp_path / "spool.sqlite3"
    kept = made(path, 12)
    assert was in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(was, now))
    assert mended(path)[1] == kept


def test_a_file_whose_first_pages_are_gone_keeps_its_parcels_and_its_counts(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    file = SpoolFile(path, budget=BUDGET)
    file.commit(Change(epoch=7, insert=parcels(1, 90, size=9000), dropped=30))
    file.commit(Change(epoch=9, insert=parcels(1, 9, epoch=9, size=20_000)))
    kept = everything(file)
    file.close()
    with path.open("r+b") as stream:
        stream.write(random.Random(3).randbytes(2 * 4096))
    stored, left = mended(path)
    assert left == kept
    assert (stored.epoch, stored.dropped, stored.parcels, stored.readings) == (9, 30, 99, 990)


def test_a_damaged_root_brings_nothing_back_that_was_released(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    kept = made(path, 90, size=3000)
    file = SpoolFile(path, budget=BUDGET)
    file.commit(Change(epoch=7, delete=[each.id for each in kept[:60]]))
    file.close()
    root = sqlite3.connect(path)
    page = root.execute("SELECT rootpage FROM sqlite_master WHERE name = 'parcel'").fetchone()[0]
    root.close()
    with path.open("r+b") as stream:
        stream.seek((page - 1) * 4096)
        stream.write(random.Random(3).randbytes(4096))
    stored, left = mended(path)
    assert left == kept[60:]
    assert (stored.dropped, stored.parcels, stored.readings) == (0, 30, 300)


def killed_older(path: Path) -> list[Parcel]:
    """What an older Wattline leaves that is killed: 20 of 60 parcels stand in its write-ahead log alone."""
    kept = made(path, 40)
    with other_journal(*OLDER):
        file = SpoolFile(path, budget=BUDGET)
        file.commit(Change(epoch=9, insert=parcels(41, 60), dropped=3))
    log = path.with_name("spool.sqlite3-wal")
    main, written = path.read_bytes(), log.read_bytes()
    file.close()
    path.write_bytes(main)
    log.write_bytes(written)
    return kept + parcels(41, 60)


def test_what_stands_in_the_log_of_an_older_wattline_alone_is_found_without_the_tree(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    kept = killed_older(path)
    found = {parcel_of(row) for row in rows(path) if len(row) == 6}
    assert found == set(kept)


def test_a_spool_of_an_older_wattline_is_taken_over_with_all_that_stands_in_its_log(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    kept = killed_older(path)
    for _ in range(2):
        file = SpoolFile(path, budget=BUDGET)
        stored = file.open()
        assert (stored.epoch, stored.dropped, stored.parcels, stored.mended) == (9, 3, 60, None)
        assert everything(file) == kept
        file.close()
        assert sorted(each.name for each in tmp_path.glob("spool.*")) == ["spool.sqlite3", "spool.sqlite3-journal"]


def test_a_damaged_page_of_an_older_spool_costs_its_parcels_and_they_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    kept = killed_older(path)
    data = path.read_bytes()
    at = data.index(kept[10].body) // 4096 * 4096
    path.write_bytes(data[:at] + random.Random(1).randbytes(4096) + data[at + 4096 :])
    stored, left = mended(path)
    assert set(left) < set(kept)
    assert len(left) >= 60 - 12
    assert stored.dropped == 3 + 10 * (60 - len(left))


@given(st.lists(st.tuples(st.integers(0, 40_000), st.binary(min_size=1, max_size=8)), min_size=1))
def test_whatever_stands_in_its_pages_a_file_is_read_without_an_error(patches: list[tuple[int, bytes]]) -> None:
    data = bytearray(_small_file())
    for at, noise in patches:
        data[at % len(data) : at % len(data) + len(noise)] = noise
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spool.sqlite3"
        path.write_bytes(data)
        found = {parcel_of(row) for row in rows(path) if len(row) == 6} - {None}
    assert found <= set(parcels(1, 12, size=2500))


@lru_cache
def _small_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder) / "spool.sqlite3", 12, size=2500)
        return (Path(folder) / "spool.sqlite3").read_bytes()


def test_a_file_that_grew_in_an_outage_gives_its_disk_back_when_it_is_drained(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    file = SpoolFile(path, budget=BUDGET)
    waiting = parcels(1, 800, size=30_000)
    for first in range(0, 800, 40):
        stored = file.commit(Change(epoch=7, insert=waiting[first : first + 40], dropped=1))
    grown = path.stat().st_size
    assert grown > 20 * 1024 * 1024
    for first in range(0, 780, 60):
        assert path.stat().st_size >= grown, "nothing is moved while much waits"
        stored = file.commit(Change(epoch=7, delete=[each.id for each in waiting[first : first + 60]]))
    assert sum(each.stat().st_size for each in tmp_path.glob("spool.sqlite3*")) < 2 * 1024 * 1024
    assert everything(file) == waiting[780:]
    assert (stored.epoch, stored.dropped, stored.parcels, stored.readings) == (7, 20, 20, 200)
    file.commit(Change(epoch=7, insert=parcels(801, 810)))
    file.close()
    assert file.open().parcels == 30
    file.close()


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    path.write_bytes(b"not a database" * 1000)
    stored, left = mended(path)
    assert (left, stored.parcels) == ([], 0)
    assert stored.mended is not None
    assert "unknown" in stored.mended
    assert (tmp_path / "spool.sqlite3.corrupt").read_bytes().startswith(b"not a database")


def test_salvage_that_was_cut_short_is_finished_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    kept = made(path, 20)
    path.rename(tmp_path / "spool.sqlite3.new")
    for log in ("-journal", "-wal"):
        (tmp_path / f"spool.sqlite3{log}").write_bytes(b"of the damaged file")
    _, left = mended(path)
    assert left == kept
    for log in ("-journal", "-wal"):
        assert (tmp_path / f"spool.sqlite3.corrupt{log}").read_bytes() == b"of the damaged file"
