"""Rows 56, 58, 59, 60: the n-th write, flush, truncation, deletion or renaming of the spool's files fails, for every n."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from agent.spool_disk import Change, DiskFailed, SqliteDisk, Stored
from agent.spool_file import SpoolFile
from metering.parcel import Parcel, ParcelId
from support.failing_files import FailingFiles, failing_files
from support.other_journal import OLDER, other_journal
from support.virtual_time import VirtualClock, run

BUDGET = 1 << 24
TRIES = 3
ALL = (0, 1 << 62, 1000, 1 << 40)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be: thousands of flushes of a real disk show nothing more, and take their time."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def small_files_shrink_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.spool_shrink._LARGE", 48)
    monkeypatch.setattr("agent.spool_shrink._PART", 4)
    monkeypatch.setattr("agent.spool_salvage._MISSES", 64)  # what it looks for in vain takes most of the time


def parcel(seq: int, size: int = 3000) -> Parcel:
    body = Random(seq).randbytes(size)
    return Parcel(id=ParcelId(epoch=7, seq=seq), first_at=seq, last_at=seq, readings=10, body=body)


def ids(*seqs: int) -> tuple[ParcelId, ...]:
    return tuple(ParcelId(epoch=7, seq=seq) for seq in seqs)


CHANGES = (
    Change(epoch=7),
    Change(epoch=7, insert=[parcel(1), parcel(2), parcel(3)]),
    Change(epoch=7, insert=[parcel(4, 150_000), parcel(5, 30_000)], delete=ids(2)),
    Change(epoch=7, insert=[parcel(6)], delete=ids(4, 5)),  # and the file shrinks
    Change(epoch=7, insert=[parcel(7)], delete=ids(1)),
)
KEPT = {parcel(seq) for seq in (3, 6, 7)}


async def outage(disk: SqliteDisk) -> list[Change]:
    """The life of a spool, each step tried again as the spool does; returns the steps that were confirmed."""
    confirmed: list[Change] = []
    try:
        for change in CHANGES:
            for _ in range(TRIES):
                try:
                    await disk.commit(change)
                except DiskFailed:
                    continue
                confirmed.append(change)
                break
            else:
                break
    finally:
        await disk.close()
    return confirmed


def found(path: Path) -> tuple[set[Parcel], Stored]:
    """What a new process finds. Raises Damaged when an error of the disk was made into damage."""
    file = SpoolFile(path, budget=BUDGET)
    stored = file.open()
    read = file.read(*ALL)
    file.close()
    assert not read.damaged
    assert (stored.parcels, stored.readings) == (len(read.parcels), sum(each.readings for each in read.parcels))
    return set(read.parcels), stored


def lived(directory: Path, files: FailingFiles) -> list[Change]:
    confirmed: list[Change] = []

    async def main(_: VirtualClock) -> None:
        confirmed.extend(await outage(SqliteDisk(directory, budget=BUDGET)))

    run(main)
    files.mended()
    return confirmed


def every_operation(folder: Path) -> Iterator[tuple[int, Path]]:
    """A number and a new directory for each operation of an undisturbed life."""
    with failing_files(folder) as files:
        assert len(lived(folder / "undisturbed", files)) == len(CHANGES)
        count = files.done
    assert count > 100
    for n in range(1, count + 1):
        yield n, folder / str(n)
        shutil.rmtree(folder / str(n), ignore_errors=True)  # a ballast each


@pytest.mark.parametrize("full", [False, True], ids=["error", "full"])
def test_row_59_whichever_operation_fails_once_nothing_is_lost_doubled_or_damaged(folder: Path, full: bool) -> None:
    for n, directory in every_operation(folder):
        if full and n % 4:
            continue  # a full disk is another word for most of them
        with failing_files(directory) as files:
            files.fails(n, full=full)
            assert len(lived(directory, files)) == len(CHANGES), f"operation {n}: it does not recover by itself"
        kept, stored = found(directory / "spool.sqlite3")
        assert kept == KEPT, f"operation {n}"
        assert (stored.epoch, stored.dropped) == (7, 0), f"operation {n}"


def test_row_56_whichever_operation_is_the_last_one_what_was_confirmed_is_there(folder: Path) -> None:
    for n, directory in every_operation(folder):
        with failing_files(directory) as files:
            files.fails(n, dead=True)
            confirmed = lived(directory, files)
        going = CHANGES[len(confirmed)] if len(confirmed) < len(CHANGES) else Change(epoch=7)
        durable = {each for change in confirmed for each in change.insert}
        deleted = {each for change in confirmed for each in change.delete}
        kept, _ = found(directory / "spool.sqlite3")
        left = {each for each in durable if each.id not in deleted}
        after = {each for each in left | set(going.insert) if each.id not in going.delete}
        assert kept in (left, after), f"operation {n}: a commit is there whole or not at all"


@pytest.mark.parametrize("dead", [False, True], ids=["once", "for good"])
def test_row_56_whichever_operation_of_taking_over_an_older_spool_fails_the_next_start_finds_every_parcel(
    folder: Path, dead: bool
) -> None:
    older = folder / "older" / "spool.sqlite3"
    kept = [parcel(seq, 900) for seq in range(1, 21)]
    with other_journal(*OLDER):
        source = SpoolFile(older, budget=BUDGET)
        source.commit(Change(epoch=7, insert=kept))
        shutil.copytree(older.parent, folder / "killed")
        source.close()

    def started(n: int) -> tuple[list[Parcel], int]:
        """What a start finds whose n-th operation fails, and how many there were."""
        shutil.copytree(folder / "killed", folder / str(n))
        with failing_files(folder / str(n)) as files:
            files.fails(n, dead=dead)
            return run(lambda _: start(folder / str(n))), files.done

    left, count = started(0)
    assert left == kept
    assert count > 10
    for n in range(1, count + 1):
        started(n)
        assert run(lambda _, n=n: start(folder / str(n))) == kept, f"operation {n}"
        assert not (folder / str(n) / "spool.sqlite3-wal").exists()
        shutil.rmtree(folder / str(n))


@pytest.mark.parametrize("dead", [False, True], ids=["once", "for good"])
def test_row_60_whichever_operation_of_a_salvage_fails_the_next_start_finds_every_parcel(
    folder: Path, dead: bool
) -> None:
    source = SpoolFile(folder / "spool.sqlite3", budget=BUDGET)
    kept = [parcel(seq, 900) for seq in range(1, 41)]
    source.commit(Change(epoch=7, insert=kept))
    source.close()
    data = bytearray((folder / "spool.sqlite3").read_bytes())
    data[4096:8192] = Random(2).randbytes(4096)

    def started(n: int) -> tuple[list[Parcel], int]:
        """What a start finds whose n-th operation fails, and how many there were."""
        path = folder / str(n) / "spool.sqlite3"
        path.parent.mkdir()
        path.write_bytes(data)
        with failing_files(path.parent) as files:
            files.fails(n, dead=dead)
            return run(lambda _: start(path.parent)), files.done

    left, count = started(0)
    assert left == kept
    assert count > 20
    for n in range(1, count + 1):
        started(n)
        assert run(lambda _, n=n: start(folder / str(n))) == kept, f"operation {n}"
        shutil.rmtree(folder / str(n))


async def start(directory: Path) -> list[Parcel]:
    """All that a start finds; nothing when the disk fails."""
    disk = SqliteDisk(directory, budget=BUDGET)
    try:
        await disk.open()
        return list((await disk.read(*ALL)).parcels)
    except DiskFailed:
        return []
    finally:
        await disk.close()
