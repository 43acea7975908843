"""A look into a spool from outside the agent: at the file, or at a copy where an agent runs or nothing may be written.

The copy is consistent although the agent goes on writing. The journal is copied after the main file: of a commit under
way it holds all that this has overwritten, and SQLite takes that back in the copy. Each commit begins the journal with
a random number, by which the checksum of its first page is another one for good. When the beginning of the journal has
changed meanwhile, the copy is made again. (The same holds of the write-ahead log of an older agent that still runs.)
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.spool_disk import FILE
from agent.spool_file import Read, SpoolFile, SpoolTaken, Stored
from agent.spool_rows import Damaged, key_of
from agent.spool_salvage import LOGS
from agent.spool_space import PAGE

UNBOUNDED: Final = 1 << 43  # bytes, of a spool that is only read or emptied
_NEWEST: Final = 1 << 62
_READ_PARCELS: Final = 256
_READ_BYTES: Final = 4 * 1024 * 1024
_COPIES: Final = 10
_PIECE: Final = 4 * 1024 * 1024
_HEAD: Final = 512 + 4 + PAGE + 4  # the journal's header, and its first page with number and checksum


class CannotLook(Exception):
    """There is no spool, or it changes too fast to be copied."""


@dataclass(frozen=True, slots=True)
class Look:
    """An open spool and what is known of it; `how` says what is looked at when it is not the file itself."""

    file: SpoolFile
    stored: Stored
    how: str

    def reads(self) -> Iterator[Read]:
        """All of it, oldest first, in pieces of some MiB."""
        after, complete = 0, False
        while not complete:
            read = self.file.read(after, _NEWEST, _READ_PARCELS, _READ_BYTES)
            complete = read.complete
            after = max((key_of(parcel.id) for parcel in read.parcels), default=after)
            yield read


@contextmanager
def looking(directory: Path) -> Generator[Look]:
    """The spool in `directory`, not changed by looking at it; raises CannotLook, OSError, sqlite3.Error."""
    path = directory / FILE
    if not path.exists():
        raise CannotLook(f"{directory} holds no spool: there is no {FILE}")
    file = SpoolFile(path, budget=UNBOUNDED, patience_s=0.2)
    try:
        try:
            stored, why = file.open(), ""
        except SpoolTaken:
            stored, why = None, "a copy: an agent has the spool open"
        except Damaged as err:
            stored, why = None, f"what can be read of a damaged file ({err}); the agent mends it when it starts"
        except (sqlite3.Error, OSError) as err:
            stored, why = None, f"a copy: {err}"
        if stored is not None:
            yield Look(file, stored, why)
            return
    finally:
        file.close()
    with tempfile.TemporaryDirectory(prefix="wattline-spool-") as folder:
        _copy(path, Path(folder) / FILE)
        copy = SpoolFile(Path(folder) / FILE, budget=UNBOUNDED)
        try:
            try:
                stored = copy.open()
            except Damaged as err:
                copy.salvage(str(err))
                stored = copy.open()
            yield Look(copy, stored, why)
        finally:
            copy.close()


def _copy(path: Path, target: Path) -> None:
    for _ in range(_COPIES):
        heads = _heads(path)
        with path.open("rb") as source, target.open("wb") as copy:
            # given up as soon as it is in vain: then the next one has the whole time until the next commit
            while _heads(path) == heads and (piece := source.read(_PIECE)):
                copy.write(piece)
        for suffix, head in zip(LOGS, heads, strict=True):
            log, its = (each.with_name(each.name + suffix) for each in (path, target))
            its.unlink(missing_ok=True)
            if head:
                with suppress(FileNotFoundError):
                    shutil.copyfile(log, its)
        if _heads(path) == heads:
            return
    raise CannotLook(f"{path} changes faster than it can be copied: stop the agent first")


def _heads(path: Path) -> list[bytes]:
    """The beginning of each log, empty when there is none."""
    heads: list[bytes] = []
    for suffix in LOGS:
        try:
            with path.with_name(path.name + suffix).open("rb") as log:
                heads.append(log.read(_HEAD))
        except FileNotFoundError:
            heads.append(b"")
    return heads
