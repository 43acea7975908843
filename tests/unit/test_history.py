"""The history of the spool's file: what is kept of what was confirmed, for how long, and what it never costs."""

import sqlite3
from pathlib import Path
from random import Random

import pytest

from agent.spool_changes import Change, Stored
from agent.spool_file import SpoolFile
from agent.spool_rows import id_of, key_of
from metering.parcel import Parcel, ParcelId, seal
from metering.replay import MAX_BYTES, ReplayRequest, decode_replay, encode_replay
from metering.sweep import Sweep

DAY = 86400 * 10**9
MINUTE = 60 * 10**9
BUDGET = 256 * 1024
ALL = ReplayRequest(number=1)


def parcel(seq: int, epoch: int = 7) -> Parcel:
    """Of minute `seq`: a thousand readings of noise, some 6 kB."""
    chance = Random(seq)
    values = {f"power_active_l{n}": chance.random() for n in range(500)}
    sweeps = [Sweep(device="d", taken_at=seq * MINUTE + n * 10**9, values=values, faults={}) for n in (0, 30)]
    return seal(sweeps, site="s", gateway="g", parcel_id=ParcelId(epoch=epoch, seq=seq), dropped=0)


def waited(file: SpoolFile, *seqs: int) -> Stored:
    """Parcels that were on disk before they were confirmed."""
    file.commit(Change(epoch=7, insert=[parcel(seq) for seq in seqs]))
    return file.commit(Change(epoch=7, delete=[parcel(seq).id for seq in seqs], confirmed=True))


def seqs(file: SpoolFile, request: ReplayRequest = ALL) -> list[int]:
    return [id_of(key).seq for key in file.find(request).keys]


def opened(folder: Path, days: int | None = 7, budget: int = BUDGET) -> SpoolFile:
    return SpoolFile(folder / "spool.sqlite3", budget=budget, history_ns=None if days is None else days * DAY)


def test_what_is_confirmed_stays_is_found_by_range_and_comes_back_byte_by_byte(tmp_path: Path) -> None:
    file = opened(tmp_path)
    waited(file, 1, 2, 3)
    stored = file.commit(Change(epoch=7, keep=[parcel(4), parcel(5)]))
    assert (stored.parcels, stored.readings, stored.kept_since) == (0, 0, parcel(1).last_at)
    file.close()
    assert seqs(file) == [1, 2, 3, 4, 5]
    assert list(file.recall(file.find(ALL).keys)) == [parcel(seq) for seq in range(1, 6)]
    assert seqs(file, ReplayRequest(number=1, start=2 * MINUTE, end=4 * MINUTE)) == [2, 3]
    assert seqs(file, ReplayRequest(number=1, epochs={7: ((1, 2), (4, 4)), 8: ((3, 3),)})) == [1, 2, 4]
    assert seqs(file, ReplayRequest(number=1, start=2 * MINUTE, epochs={7: ((1, 2), (4, 9))})) == [2, 4, 5]
    assert file.find(ALL).readings == 5 * parcel(1).readings
    assert not file.read(0, 1 << 62, 100, 1 << 30).parcels, "none of it waits"
    file.close()


def test_without_the_setting_the_file_is_what_it_always_was(tmp_path: Path) -> None:
    file = opened(tmp_path, days=0)
    waited(file, 1, 2)
    file.commit(Change(epoch=7, keep=[parcel(3)]))
    assert (seqs(file), file.recall([key_of(parcel(1).id)])) == ([], ())
    file.close()
    with sqlite3.connect(tmp_path / "spool.sqlite3") as db:
        assert {name for (name,) in db.execute("SELECT name FROM sqlite_master")} == {"parcel", "meta", "tally"}
    db.close()


def test_what_is_older_than_is_kept_goes_and_so_does_all_when_the_setting_is_taken_back(tmp_path: Path) -> None:
    file = opened(tmp_path, days=1)
    waited(file, 1, 2, 1500)
    assert seqs(file) == [1500]
    file.close()
    idle = opened(tmp_path, days=None)
    idle.commit(Change(epoch=7))
    assert seqs(idle) == [], "who does not look after the history neither reads nor changes it"
    idle.close()
    off = opened(tmp_path, days=0)
    waited(off, 1501)
    assert seqs(off) == []
    off.close()
    off.open()
    off.close()
    with sqlite3.connect(tmp_path / "spool.sqlite3") as db:
        assert "history" not in {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    db.close()


def test_the_history_gives_way_to_what_waits_before_a_reading_is_thinned_or_dropped(tmp_path: Path) -> None:
    file = opened(tmp_path)
    for first in range(1, 51, 10):
        waited(file, *range(first, first + 10))
    stored = waited(file, *range(51, 61))
    kept = seqs(file)
    assert 1 < kept[0] < kept[-1] == 60, "of the history itself the oldest goes"
    assert (stored.dropped, stored.bytes <= BUDGET) == (0, True)
    seq = 60
    while stored.dropped == 0:
        seq += 1
        stored = file.commit(Change(epoch=7, insert=[parcel(seq)]))
        assert stored.readings + stored.dropped == (seq - 60) * parcel(1).readings
        assert stored.bytes <= BUDGET
    assert seqs(file) == [], "nothing is lost while there is a history to give up"
    assert seq > 75
    file.close()


def test_a_salvage_keeps_what_waits_counts_nothing_and_leaves_the_history_behind(tmp_path: Path) -> None:
    file = opened(tmp_path)
    waited(file, 1, 2, 3)
    file.commit(Change(epoch=7, insert=[parcel(4)]))
    file.salvage("for the test")
    stored = file.open()
    assert (stored.parcels, stored.dropped, stored.kept_since) == (1, 0, 0)
    file.close()


def test_a_damaged_parcel_of_the_history_is_not_given_out(tmp_path: Path) -> None:
    file = opened(tmp_path)
    waited(file, 1, 2)
    file.close()
    with sqlite3.connect(tmp_path / "spool.sqlite3") as db:
        db.execute("UPDATE history SET body = zeroblob(length(body)) WHERE id = ?", (key_of(parcel(1).id),))
    db.close()
    assert list(file.recall(file.find(ALL).keys)) == [parcel(2)]
    file.close()


@pytest.mark.parametrize(
    "request_",
    [ALL, ReplayRequest(number=5, start=3, end=9), ReplayRequest(number=5, epochs={7: ((1, 3), (5, 5)), 9: ((2, 2),)})],
)
def test_a_request_is_read_as_it_was_written(request_: ReplayRequest) -> None:
    assert decode_replay(encode_replay(request_)) == request_


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"version": 2, "request": 1, "from": 0, "to": 1}',
        b'{"version": 1, "request": 1, "from": 0}',
        b'{"version": 1, "request": true, "from": 0, "to": 1}',
        b'{"version": 1, "request": 1, "from": 0, "to": 1e3}',
        b'{"version": 1, "request": 1, "from": 5, "to": 5}',
        b'{"version": 1, "request": 0, "from": 0, "to": 1}',
        b'{"version": 1, "request": 1, "from": -1, "to": 1}',
        b'{"version": 1, "request": 1, "from": 0, "to": 99999999999999999999}',
        b'{"version": 1, "request": 1, "from": 0, "to": 1, "write": {"relay": 1}}',
        b'{"version": 1, "request": 1, "from": 0, "to": 1, "epochs": []}',
        b'{"version": 1, "request": 1, "from": 0, "to": 1, "epochs": {"x": []}}',
        b'{"version": 1, "request": 1, "from": 0, "to": 1, "epochs": {"7": [[5, 1]]}}',
        b'{"version": 1, "request": 1, "from": 0, "to": 1, "epochs": {"7": [[0, 1]]}}',
        b'{"version": 1, "request": 1, "from": 0, "to": 1, "epochs": {"7": [[1, "2"]]}}',
        b'{"version": 1, "request": 1, "from": 0, "to": 1, "epochs": {"7": 1}}',
        b"[" * 50_000,
        b"9" * 50_000,
        b" " * MAX_BYTES + b'{"version": 1, "request": 1, "from": 0, "to": 1}',
    ],
)
def test_what_is_no_request_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_replay(payload)
