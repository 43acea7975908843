"""The room a spool leaves on its file system: a floor that stays free, and a ballast to give up when others fill it.

A full file system takes no transaction, not even one that deletes, unless the journal has grown large enough before.
The ballast is the room for that.
"""

import errno
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

_FLOOR_PART: Final = 20
_FLOOR_MOST: Final = 64 * 1024 * 1024
JOURNAL: Final = 1024 * 1024  # bytes of the rollback journal that stay, as far as they are not there yet
_BALLAST: Final = 1024 * 1024
NAME: Final = "ballast"


def is_full(err: BaseException) -> bool:
    """True when there was no room, and everything else is well."""
    if isinstance(err, OSError):
        return err.errno in {errno.ENOSPC, errno.EDQUOT}
    return getattr(err, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


class Room:
    """Of the file system that holds the spool's file at `path`. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._journal = path.with_name(path.name + "-journal")
        self._ballast = path.with_name(NAME)

    def bytes(self) -> int:
        """How much the file may grow so that the floor stays free: 5 % of the file system, at most 64 MiB."""
        usage = shutil.disk_usage(self._ballast.parent)
        floor = min(usage.total // _FLOOR_PART, _FLOOR_MOST)
        journal = self._journal.stat().st_size if self._journal.exists() else 0
        return max(0, usage.free - floor - max(0, min(JOURNAL, usage.total // 4) - journal))

    @property
    def tight(self) -> bool:
        """True from when the ballast was given up until it is back."""
        return not self._ballast.exists()

    def give_up(self) -> bool:
        """Free the ballast; False when it is gone already."""
        try:
            self._ballast.unlink()
        except FileNotFoundError:
            return False
        return True

    def make(self) -> None:
        """The ballast, when it is gone and there is room for it above the floor."""
        if not self.tight or self.bytes() < 2 * _BALLAST:
            return
        handle = os.open(self._ballast, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, _BALLAST)
        except OSError:
            self.give_up()
            raise
        finally:
            os.close(handle)
