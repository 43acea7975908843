"""A disk that logs every write and flush: a FUSE file under a loop device. Needs root, /dev/fuse, libfuse and mfusepy.

    python power_disk.py MOUNTPOINT IMAGE LOG

serves MOUNTPOINT/disk, which begins as IMAGE, until it is unmounted. A record is in the log before the kernel hears
that the write or flush is done, so whatever the size of the log was when fdatasync returned covers that flush.
"""

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from ctypes.util import find_library
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from violence.power_log import flush_record, write_record

_PATIENCE_S = 20
_FILE = "/disk"


def unfit() -> str | None:
    """Why the rig cannot run on this machine; None when it can."""
    if os.geteuid() != 0:
        return "a power cut takes root: it mounts file systems"
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not Path(path).exists():
            return f"a power cut takes {path}, which is not here"
    if find_library("fuse") is None and find_library("fuse3") is None:
        return "a power cut takes libfuse: scripts/setup test"
    if importlib.util.find_spec("mfusepy") is None:
        return "a power cut takes mfusepy: scripts/setup test"
    missing = [name for name in ("mkfs.ext4", "losetup", "mount") if shutil.which(name) is None]
    return f"a power cut takes {missing[0]}, which is not here" if missing else None


@contextmanager
def logging_disk(folder: Path, image: Path, log: Path) -> Generator[Path]:
    """An ext4 on a disk that begins as `image` and logs to `log`; gives the folder where it is mounted."""
    fuse, mounted = folder / "fuse", folder / "mounted"
    fuse.mkdir(exist_ok=True)
    mounted.mkdir(exist_ok=True)
    log.write_bytes(b"")
    server = subprocess.Popen([sys.executable, "-P", __file__, str(fuse), str(image), str(log)])
    try:
        disk = fuse / _FILE[1:]
        until = time.monotonic() + _PATIENCE_S
        while not disk.exists():
            if server.poll() is not None or time.monotonic() > until:
                raise SystemExit("the logging disk does not start")
            time.sleep(0.01)
        mount(disk, mounted)
        try:
            yield mounted
        finally:
            unmount(disk, mounted)
    finally:
        subprocess.run(["umount", "--lazy", fuse], check=False)
        server.wait(_PATIENCE_S)


def mount(image: Path, at: Path) -> None:
    run("mount", "-t", "ext4", "-o", "loop,noatime", image, at)


def unmount(image: Path, at: Path) -> None:
    """Return when the loop device has let go of the image too: the kernel does that a little later."""
    run("umount", at)
    until = time.monotonic() + _PATIENCE_S
    while str(image) in _behind_loops():
        if time.monotonic() > until:
            raise SystemExit(f"{image} stays busy")
        time.sleep(0.005)


def _behind_loops() -> set[str]:
    found: set[str] = set()
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):  # it has just gone
            found.add(file.read_text().strip())
    return found


def run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def _serve(mountpoint: str, image: Path, log: Path) -> None:
    import mfusepy  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]  this process alone needs it

    content = bytearray(image.read_bytes())
    file = os.open(log, os.O_WRONLY | os.O_APPEND)

    class Disk(mfusepy.Operations):
        """One file, always of the same size."""

        use_ns = True

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            if path == _FILE:
                return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": len(content)}
            return super().getattr(path, fh)

        def open(self, path: str, flags: int) -> int:
            return 0

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return bytes(content[offset : offset + size])

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            os.write(file, write_record(offset, data))
            content[offset : offset + len(data)] = data
            return len(data)

        def fsync(self, path: str, datasync: int, fh: int) -> int:
            os.write(file, flush_record())
            return 0

    mfusepy.FUSE(Disk(), mountpoint, foreground=True, nothreads=True, direct_io=True)


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
