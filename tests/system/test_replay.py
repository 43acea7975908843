"""A range is sent again, with real processes: a store that lost readings, then a centre restored from its backup."""

import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.chain import UNITS, Chain, Told, eventually

LONG_AGO = "2020-01-01T00:00+00:00"


def confirmed(chain: Chain) -> Told:
    """What the meters told, when the centre has all of it."""
    told = chain.told
    eventually(lambda: told <= chain.served(), "the centre has what was told")
    return told


def replay(chain: Chain) -> str:
    """All that is kept; returns what the command says. (The agent takes one request a minute; it is started anew.)"""
    chain.agent.stop()
    chain.agent.start()
    before = datetime.now(UTC).isoformat()
    command = [sys.executable, "-P", "-m", "wattline", "centre", "replay", str(chain.folder / "centre.yaml")]
    done = subprocess.run(
        [*command, "works/hall-1", "--from", LONG_AGO, "--to", before],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.mosquitto
def test_what_a_store_lost_and_what_a_backup_never_had_is_there_again_once(tmp_path: Path) -> None:
    chain = Chain(tmp_path, broker_persistent=False)
    settings = tmp_path / "agent.yaml"
    settings.write_text(settings.read_text().replace("seal_interval: 500ms", "seal_interval: 500ms, history: 1d"))
    folder = tmp_path / "centre"
    with chain:
        eventually(lambda: '"broker.connected"' in chain.centre.log.read_text(), "the centre is there")
        eventually(lambda: '"agent.started"' in chain.agent.log.read_text(), "the agent is there")
        chain.agent.stop()  # what it sent before there was anybody to take it, it sends at once when it is back
        chain.agent.start()
        chain.poll_on(3)
        first = confirmed(chain)
        chain.centre.stop()
        shutil.copytree(folder, tmp_path / "backup")
        with sqlite3.connect(folder / "centre.db") as db:  # and it goes on believing that it has all parcels
            db.execute("DELETE FROM raw")
        db.close()
        chain.centre.start()
        assert not first <= chain.served()
        assert "; 0 to come" in replay(chain)
        chain.poll_on(3)
        second = confirmed(chain)
        assert first < second
        chain.centre.stop()
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "backup", folder)
        chain.centre.start()
        assert "; 0 to come" in replay(chain)
        chain.poll_on(2)
        wanted = chain.told
        stored = chain.settle(wanted)
        assert second < wanted <= stored
        assert {device for device, _ in stored} == {f"meter-{unit}" for unit in UNITS}
