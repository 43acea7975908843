"""Side files: what verifies is found again in its order, and a folder that fails costs nothing but the protection."""

import os
from pathlib import Path
from typing import Any

import pytest

from agent.side_files import SideFiles
from wattline.events import EventLog, capture_events


def side(folder: Path, **how: Any) -> SideFiles:
    files = SideFiles(folder, EventLog(), **how)
    files.open()
    return files


def found(folder: Path) -> list[tuple[tuple[bytes, ...], int]]:
    """(records, bytes cut) of each file, as the next process sees them."""
    files = SideFiles(folder, EventLog())
    left = [files.read(number) for number in files.open()]
    files.close()
    return [(each.records, each.cut) for each in left]


def written(folder: Path, *records: bytes) -> Path:
    files = side(folder)
    for record in records:
        files.write(record)
    files.close()
    return max(folder.glob("*.side"))


def test_each_file_is_found_with_its_records_in_order(tmp_path: Path) -> None:
    written(tmp_path / "a" / "b", b"one", b"", b"three")
    written(tmp_path / "a" / "b", b"four")
    assert found(tmp_path / "a" / "b") == [((b"one", b"", b"three"), 0), ((b"four",), 0)]


def test_a_file_torn_at_any_offset_gives_the_records_before(tmp_path: Path) -> None:
    path = written(tmp_path, b"one", b"second")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        records = () if length < 11 else (b"one",)
        assert found(tmp_path) == [(records, length - 11 * len(records))]


def test_a_byte_that_is_wrong_anywhere_makes_no_record(tmp_path: Path) -> None:
    path = written(tmp_path, b"one", b"second")
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        records = () if at < 11 else (b"one",)
        assert found(tmp_path) == [(records, len(whole) - 11 * len(records))]


def test_when_the_bound_is_reached_it_is_told_once_and_over_when_a_whole_file_was_written(tmp_path: Path) -> None:
    with capture_events() as events:
        files = side(tmp_path, bound=100)
        for _ in range(5):
            files.write(bytes(40))
        first = files.end()
        files.write(bytes(40))
        assert (first, files.end()) == (1, None)
        files.delete(1)
        files.write(bytes(40))
        files.end()
        files.close()
    assert [event["event"] for event in events] == ["spool.side_failed", "spool.side_back"]
    assert found(tmp_path) == [((bytes(40),), 0)]


@pytest.mark.parametrize("room", [0, 5])
def test_a_full_folder_costs_the_rest_of_one_file(tmp_path: Path, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def write_some(fd: int, data: bytes) -> int:
        return write(fd, data[:room])

    files = side(tmp_path)
    files.write(b"one")
    with capture_events() as events, monkeypatch.context() as full:
        full.setattr(os, "write", write_some)
        files.write(b"two")
        full.undo()
        files.write(b"three")  # behind what may be half a record
        files.end()
        files.write(b"four")
    files.close()
    assert [event["event"] for event in events] == ["spool.side_failed"]
    assert found(tmp_path) == [((b"one",), room), ((b"four",), 0)]


def test_what_another_process_uses_is_left_alone(tmp_path: Path) -> None:
    one = side(tmp_path)
    one.write(b"one")
    with capture_events() as events:
        other = SideFiles(tmp_path, EventLog())
        assert other.open() == []
        other.write(b"two")
        assert other.end() is None
        other.close()
    one.close()
    assert [event["event"] for event in events] == ["spool.side_failed"]
    assert found(tmp_path) == [((b"one",), 0)]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with capture_events() as events:
        files = side(tmp_path / "file")
        files.write(b"one")
        files.close()
    assert [event["event"] for event in events] == ["spool.side_failed"]
