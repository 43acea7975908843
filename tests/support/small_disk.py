"""A real small file system that a test may fill up or make read-only; needs root."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "logs"

    @property
    def free(self) -> int:
        usage = os.statvfs(self.path)
        return usage.f_bavail * usage.f_frsize

    def fill(self, but: int = 0) -> None:
        """Take all room there is but so many bytes, like a log that runs away."""
        handle = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            with suppress(OSError):
                while self.free > but:
                    os.write(handle, bytes(4096))
        finally:
            os.close(handle)

    def clear(self) -> None:
        """Give back what `fill` took."""
        self._filler.unlink()

    def remount(self, how: str) -> None:
        """`ro` or `rw`; nothing may be open for writing when it becomes read-only."""
        subprocess.run(["mount", "-o", f"remount,{how}", self.path], check=True)


@contextmanager
def small_disk(path: Path, megabytes: int) -> Generator[SmallDisk]:
    """A file system of `megabytes` MiB at `path`."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", path], check=True)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", path], check=True)
