"""The loop device of `bench/flash` counts what reaches it; its figures are judged by people."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.installed import ROOT

_COUNT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from flash_main import flash
with flash() as card:
    before = card.count()
    idle = card.count()
    (card.folder / "file").write_bytes(os.urandom(1 << 20))
    after = card.count()
print(idle.written - before.written, after.written - idle.written)
"""


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/loop-control").exists(),
    reason="a device of its own takes root and loop devices",
)
def test_the_device_counts_a_file_with_its_metadata_and_nothing_else() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", _COUNT, str(ROOT / "bench")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    idle, written = map(int, done.stdout.split())
    assert idle == 0
    assert 1 << 20 < written < 1.2 * (1 << 20)


def test_the_command_explains_itself() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench/flash_main.py"), "--help"], capture_output=True, text=True, timeout=60
    )
    assert "usage: bench/flash" in done.stdout
