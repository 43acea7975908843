"""The folder of messages that no one could read stays bounded and tells why."""

from errno import ENOSPC
from pathlib import Path
from typing import IO

import pytest

from centre import dead_letters
from centre.dead_letters import DeadLetters


def test_the_same_message_is_kept_once(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "dead")
    first = letters.put("wattline/v1/works/press/readings", b"x", "why", 10**18)
    assert letters.put("wattline/v1/works/press/readings", b"x", "why", 2 * 10**18) == first
    assert first.name.startswith("20010909T014640-works-press-")
    assert first.with_suffix(".txt").read_text() == "topic: wattline/v1/works/press/readings\nreason: why\n"


@pytest.mark.parametrize(("most", "limit"), [("MAX_FILES", 3), ("MAX_BYTES", 300)])
def test_the_oldest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str, limit: int) -> None:
    monkeypatch.setattr(dead_letters, most, limit)
    letters = DeadLetters(tmp_path)
    for second in range(10):
        letters.put("somewhere", bytes([second]) * 100, "why", second * 10**9)
    kept = sorted(tmp_path.glob("*.payload"))
    assert [path.read_bytes()[0] for path in kept] == [7, 8, 9]
    assert len(list(tmp_path.iterdir())) == 6


def test_a_letter_that_the_disk_took_in_part_is_none_and_is_written_whole_when_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters, said = DeadLetters(tmp_path), b"x" * 100
    write = Path.open

    def full(path: Path, mode: str = "r") -> IO[bytes]:
        file: IO[bytes] = write(path, mode)
        if path.suffix != ".txt":
            file.write(said[:10])
            file.close()
            raise OSError(ENOSPC, "no space left on device")
        return file

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="no space"):
        letters.put("somewhere", said, "why", 10**18)
    monkeypatch.undo()
    assert letters.newest() == ()
    assert letters.put("somewhere", said, "why", 10**18).read_bytes() == said
    assert len(list(tmp_path.iterdir())) == 2


def test_a_topic_never_chooses_the_path(tmp_path: Path) -> None:
    path = DeadLetters(tmp_path).put("wattline/v1/../../x/readings", b"x", "why", 0)
    assert path.parent == tmp_path
    assert "unknown" in path.name
