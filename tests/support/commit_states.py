"""The spool's file and its journal as they are at each flush of a commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from agent.spool_file import Change, SpoolFile
from support.failing_files import failing_files

SECTOR = 512


@dataclass(frozen=True, slots=True)
class State:
    """The bytes of both files; a journal that begins with zeros holds nothing to take back."""

    main: bytes
    journal: bytes

    @classmethod
    def of(cls, path: Path) -> "State":
        return cls(path.read_bytes(), _journal(path).read_bytes())

    @property
    def hot(self) -> bool:
        return any(self.journal[:8])

    def put(self, path: Path) -> None:
        """In the place of all that lies beside `path`."""
        for old in path.parent.iterdir():
            old.unlink()
        path.write_bytes(self.main)
        _journal(path).write_bytes(self.journal)

    def torn(self, later: "State", chance: Random) -> "State":
        """What a power cut may leave: all of this state, and any sectors of what was written since."""
        return State(_mixed(self.main, later.main, chance), _mixed(self.journal, later.journal, chance))


def states(folder: Path, before: Sequence[Change], change: Change, *, budget: int) -> list[State]:
    """Before the commit of `change`, at each flush of it with all that was written by then, and when it has returned."""
    path = folder / "spool.sqlite3"
    found: list[State] = []

    def look(what: str) -> None:
        if what == "flush":
            found.append(State.of(path))

    with failing_files(folder) as files:
        file = SpoolFile(path, budget=budget)
        for each in before:
            file.commit(each)
        found.append(State.of(path))
        files.on_next = look
        file.commit(change)
        files.on_next = lambda _: None
        found.append(State.of(path))
        file.close()
    return found


def _journal(path: Path) -> Path:
    return path.with_name(path.name + "-journal")


def _mixed(one: bytes, other: bytes, chance: Random) -> bytes:
    size = max(len(one), len(other)) if chance.random() < 0.5 else len(one)
    share = chance.random()
    pieces: list[bytes] = []
    for at in range(0, size, SECTOR):
        source = other if chance.random() < share else one.ljust(size, b"\0")
        pieces.append(source[at : at + SECTOR])
    return b"".join(pieces)
