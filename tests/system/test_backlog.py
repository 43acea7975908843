"""Opening a spool costs the same however much waits in it; the measurement of a backlog itself works, in small."""

import json
import subprocess
import sys
from pathlib import Path

from agent.spool_file import Change, SpoolFile
from support import spool_victim
from support.installed import ROOT

NEWEST = 1 << 62


def bytes_to_the_first_parcel(directory: Path, parcels: int) -> int:
    """What a start reads of a spool of so many parcels, by the kernel's count, until the first can be sent."""
    directory.mkdir()
    path = directory / "spool.sqlite3"
    file = SpoolFile(path, budget=1 << 30)
    for first in range(1, parcels, 50):
        file.commit(Change(epoch=1, insert=[spool_victim.parcel(1, first + n) for n in range(50)]))
    file.close()
    before = _read_bytes()
    file = SpoolFile(path, budget=1 << 30)
    assert file.open().parcels == parcels
    file.commit(Change(epoch=2))
    assert len(file.read(0, NEWEST, 1, 1 << 30).parcels) == 1
    after = _read_bytes()
    file.close()
    return after - before


def _read_bytes() -> int:
    lines = Path("/proc/thread-self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar:"))


def test_what_a_start_reads_does_not_grow_with_the_backlog(tmp_path: Path) -> None:
    small = bytes_to_the_first_parcel(tmp_path / "small", 100)
    large = bytes_to_the_first_parcel(tmp_path / "large", 3000)
    assert (tmp_path / "large" / "spool.sqlite3").stat().st_size > 20 * (
        tmp_path / "small/spool.sqlite3"
    ).stat().st_size
    assert large <= small + 4 * 4096, "a level of the tree on each side, no more"


def test_a_small_backlog_is_made_measured_and_drained() -> None:
    command = [sys.executable, str(ROOT / "bench/backlog_main.py"), "--readings", "100000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["readings"] >= 100_000
    assert found["left"] == 0
    assert found["first_s"] <= found["drain_s"]
    assert 1 < found["disk_bytes"] < 20
    assert 0 < found["rss_mib"] < 32
