"""SIGKILL at any instant of one spool that lives on: what a commit returned from is there, whole, once."""

import subprocess
import sys
import time
from pathlib import Path
from random import Random

from agent.spool_file import SpoolFile
from metering.parcel import ParcelId
from support import spool_victim

KILLS = 20


def test_twenty_kills_of_one_spool_cost_nothing_that_was_committed(tmp_path: Path) -> None:
    chance = Random(7)
    kept: set[ParcelId] = set()
    going: set[ParcelId] = set()
    for kill in range(KILLS):
        victim = subprocess.Popen(
            [sys.executable, "-P", spool_victim.__file__, str(tmp_path), str(kill)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert victim.stdout is not None
        said = [victim.stdout.readline()]
        time.sleep(chance.uniform(0.0, 0.15))
        victim.kill()
        said += victim.stdout.read().splitlines(keepends=True)
        victim.wait()
        victim.stdout.close()
        for line in said:
            if line.endswith("\n"):
                what, epoch, seq = line.split()
                (kept if what == "kept" else going).add(ParcelId(epoch=int(epoch), seq=int(seq)))
        file = SpoolFile(tmp_path / "spool.sqlite3", budget=1 << 30)
        read = file.read(0, 1 << 62, 1_000_000, 1 << 40)
        stored = file.open()
        file.close()
        present = {parcel.id for parcel in read.parcels}
        assert not read.damaged
        assert kept - going <= present
        assert all(parcel == spool_victim.parcel(parcel.id.epoch, parcel.id.seq) for parcel in read.parcels)
        assert stored.parcels == len(present)
        assert stored.readings == sum(parcel.readings for parcel in read.parcels)
        assert stored.epoch == kill + 1
    assert len(kept) > KILLS
