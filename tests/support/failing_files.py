"""Every write, flush, truncation, deletion and renaming of SQLite's files and our own, counted, and the n-th one failed.

SQLite's are caught where SQLite hands them to the operating system: in the methods of its files, replaced in the
library that Python itself has loaded. So the real SQLite sees the error, and what is on disk is what it had written.
"""

import ctypes
import errno
import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_IOERR = 10
_WRITE, _FSYNC, _TRUNCATE, _DELETE = (_IOERR | kind << 8 for kind in (3, 4, 6, 10))
_FULL = 13

_Open = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_Delete = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
_Write = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_Truncate = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _Methods(ctypes.Structure):
    """sqlite3_io_methods: https://www.sqlite.org/c3ref/io_methods.html."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", ctypes.c_void_p),
        ("read", ctypes.c_void_p),
        ("write", ctypes.c_void_p),
        ("truncate", ctypes.c_void_p),
        ("sync", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 13),
    )


class _System(ctypes.Structure):
    """The head of sqlite3_vfs: https://www.sqlite.org/c3ref/vfs.html."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("path_size", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
        ("delete", ctypes.c_void_p),
    )


class FailingFiles:
    """Counts what is done; `fails(n)` fails the n-th of it, or, with `dead`, it and all that follows.

    A write that fails has written its first half. `full` says no room instead of an error of the device.
    """

    def __init__(self) -> None:
        self.done = 0
        self.on_next: Callable[[str], None] = lambda _: None  # hears of each: write, flush, truncate, ...
        self._fails_at = 0
        self._dead = self._full = False

    def fails(self, n: int, *, dead: bool = False, full: bool = False) -> None:
        self.done, self._fails_at, self._dead, self._full = 0, n, dead, full

    def mended(self) -> None:
        self._fails_at = 0

    def next(self, what: str) -> bool:
        """Whether the operation that begins now is to fail."""
        self.done += 1
        self.on_next(what)
        return bool(self._fails_at) and (self.done == self._fails_at or (self._dead and self.done > self._fails_at))

    @property
    def dies(self) -> bool:
        return self._dead and self.done > self._fails_at

    def code(self, code: int) -> int:
        return _FULL if self._full and code == _WRITE else code

    def check(self, what: str) -> None:
        if self.next(what):
            raise OSError(errno.ENOSPC if self._full else errno.EIO, f"{what} fails")


@contextmanager
def failing_files(directory: Path) -> Generator[FailingFiles]:
    """While it is entered, whatever SQLite opens anew, and what Python does below `directory`, is counted and may fail."""
    files = FailingFiles()
    system = _system()
    real_open, real_delete = _Open(system.open), _Delete(system.delete)
    kept: list[object] = []
    made: dict[int, _Methods] = {}

    def opened(vfs: int, name: int, file: int, flags: int, out: int) -> int:
        code: int = real_open(vfs, name, file, flags, out)
        first = ctypes.c_void_p.from_address(file)
        if code == 0 and first.value:
            if first.value not in made:
                made[first.value] = _watched(first.value, files, kept)
            first.value = ctypes.addressof(made[first.value])
        return code

    def deleted(vfs: int, name: bytes, sync: int) -> int:
        return _DELETE if files.next("delete") else int(real_delete(vfs, name, sync))

    our_open, our_delete = _Open(opened), _Delete(deleted)
    before = system.open, system.delete
    system.open, system.delete = (ctypes.cast(each, ctypes.c_void_p).value for each in (our_open, our_delete))
    calls = {name: getattr(os, name) for name in ("replace", "unlink", "fsync", "posix_fallocate")}
    for name, real in calls.items():
        setattr(os, name, _checked(name, real, files, directory))
    try:
        yield files
    finally:
        system.open, system.delete = before
        for name, real in calls.items():
            setattr(os, name, real)
        _ALIVE.extend((kept, made, our_open, our_delete, real_open, real_delete))


_ALIVE: list[object] = []  # what SQLite may still call through a file that is open


def _system() -> _System:
    library = ctypes.CDLL(_library())
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_System)
    system: _System = library.sqlite3_vfs_find(None).contents
    return system


def _library() -> str:
    """The SQLite that Python has loaded: a library of its own, or a part of the module."""
    sqlite3.connect(":memory:").close()
    mapped = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "sqlite3" in line]
    return min(mapped, key=lambda path: "libsqlite3" not in path)


def _watched(methods: int, files: FailingFiles, kept: list[object]) -> _Methods:
    real = _Methods.from_address(methods)
    ours = _Methods.from_buffer_copy(real)
    write, truncate, sync = _Write(real.write), _Truncate(real.truncate), _Sync(real.sync)

    def written(file: int, data: int, size: int, offset: int) -> int:
        if not files.next("write"):
            return int(write(file, data, size, offset))
        if not files.dies:
            write(file, data, size // 2, offset)
        return files.code(_WRITE)

    def truncated(file: int, size: int) -> int:
        return _TRUNCATE if files.next("truncate") else int(truncate(file, size))

    def synced(file: int, flags: int) -> int:
        return _FSYNC if files.next("flush") else int(sync(file, flags))

    callbacks = _Write(written), _Truncate(truncated), _Sync(synced)
    ours.write, ours.truncate, ours.sync = (ctypes.cast(each, ctypes.c_void_p).value for each in callbacks)
    kept.extend((write, truncate, sync, *callbacks))
    return ours


def _checked(name: str, real: Callable[..., Any], files: FailingFiles, directory: Path) -> Callable[..., Any]:
    def checked(first: Any, *others: Any, **named: Any) -> Any:
        if isinstance(first, int) or directory in Path(os.fsdecode(first)).parents:
            files.check(name)
        return real(first, *others, **named)

    return checked
