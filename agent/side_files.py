"""Side files: records in a folder in RAM (tmpfs), where a write survives the end of its process, but not the machine's.

One file is written at a time; the caller says which are needed no longer. A folder that is full or fails
costs nothing but the protection, and is told once a spell.
"""

import errno
import fcntl
import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wattline.events import EventLog

_HEAD: Final = struct.Struct("<II")  # length and CRC-32 of the record that follows
_SUFFIX: Final = ".side"
_MOST_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a process that was killed left in one file: the records that verify; `cut` bytes after them do not."""

    number: int
    records: tuple[bytes, ...]
    cut: int


class SideFiles:
    """`<directory>/<number>.side`, together at most `bound` bytes. No method raises OSError."""

    def __init__(self, directory: Path, events: EventLog, *, bound: int = _MOST_BYTES) -> None:
        self._directory, self._events, self._bound = directory, events, bound
        self._sizes: dict[int, int] = {}  # of all files there are, by number
        self._number = 0  # of the file under way, or of the last one
        self._fd: int | None = None
        self._lock: int | None = None
        self._failing = self._told = False  # until the file under way ends; until one was written well

    def open(self) -> list[int]:
        """The files that an earlier process left, oldest first. When another one uses them, nothing is ever written."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._directory, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            files = [path for path in self._directory.glob(f"*{_SUFFIX}") if path.stem.isdecimal()]
            self._sizes = {int(path.stem): path.stat().st_size for path in files}
        except OSError as err:
            self._fail(err)
            self.close()
            return []
        self._number = max(self._sizes, default=0)
        return sorted(self._sizes)

    def read(self, number: int) -> Left:
        """What verifies of a file that was there when it was opened."""
        content = b""
        try:
            with self._path(number).open("rb") as file:
                content = file.read(self._bound)  # nobody of ours wrote more
        except OSError as err:
            self._fail(err)
        records: list[bytes] = []
        at = 0
        while len(content) - at >= _HEAD.size:
            length, crc = _HEAD.unpack_from(content, at)
            record = content[at + _HEAD.size : at + _HEAD.size + length]
            if len(record) < length or zlib.crc32(record) != crc:
                break
            records.append(record)
            at += _HEAD.size + length
        return Left(number=number, records=tuple(records), cut=len(content) - at)

    def write(self, record: bytes) -> None:
        """Add a record to the file under way, or to a new one; after a failure not before the next `end`."""
        if self._failing or self._lock is None:
            return
        data = _HEAD.pack(len(record), zlib.crc32(record)) + record
        try:
            if sum(self._sizes.values()) + len(data) > self._bound:
                raise OSError(errno.EFBIG, f"more than {self._bound} bytes wait")
            if self._fd is None:
                self._begin()
            assert self._fd is not None
            written = os.write(self._fd, data)
            self._sizes[self._number] += written
            if written < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as err:
            self._fail(err)

    def _begin(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = os.open(self._path(self._number + 1), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._number += 1
        self._sizes[self._number] = 0

    def end(self) -> int | None:
        """End the file under way; its number, None when there is none."""
        if self._fd is None:
            self._failing = False
            return None
        if self._told and not self._failing:
            self._told = False
            self._events.info("spool.side_back")
        self._failing = False
        os.close(self._fd)
        self._fd = None
        return self._number

    def delete(self, number: int) -> None:
        self._sizes.pop(number, None)
        with suppress(OSError):
            self._path(number).unlink(missing_ok=True)

    def close(self) -> None:
        """The files stay."""
        self.end()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _fail(self, err: OSError) -> None:
        self._failing = True
        if not self._told:
            self._told = True
            self._events.warning("spool.side_failed", error=str(err))

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:08}{_SUFFIX}"
