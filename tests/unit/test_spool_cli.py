"""`wattline spool` on real spools: at rest, damaged, and in use by another process."""

import csv
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.spool_cli import main
from agent.spool_file import Change, SpoolFile
from metering.faults import Fault
from metering.parcel import Parcel, ParcelId, seal
from metering.sweep import Sweep
from support import spool_victim
from support.virtual_time import START_NS
from wattline.clock import NS

MINUTE = 60 * NS
BUDGET = 64 * 1024 * 1024


def sweep(at_ns: int) -> Sweep:
    values = {"power_active_total": 1200.5, "energy_active_import_total": at_ns % 1000 + 0.25}
    return Sweep(device="incomer", taken_at=at_ns, values=values, faults={"frequency": Fault.SENTINEL})


def parcel(seq: int) -> Parcel:
    """Two sweeps of minute `seq`."""
    sweeps = [sweep(START_NS + seq * MINUTE), sweep(START_NS + seq * MINUTE + 30 * NS)]
    return seal(sweeps, site="s", gateway="g", parcel_id=ParcelId(epoch=7, seq=seq), dropped=3)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The directory of a spool of parcels 1 to 5, after 3 readings were lost."""
    directory = tmp_path / "spool"
    file = SpoolFile(directory / "spool.sqlite3", budget=BUDGET)
    file.commit(Change(epoch=7, insert=[parcel(seq) for seq in range(1, 6)], dropped=3))
    file.close()
    return directory


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Path]:
    """The directory of a spool that another process commits to ten times a second."""
    directory = tmp_path / "spool"
    victim = subprocess.Popen(
        [sys.executable, "-P", spool_victim.__file__, str(directory), "10", "0.1"], stdout=subprocess.PIPE
    )
    assert victim.stdout is not None
    for _ in range(10):
        victim.stdout.readline()
    drain = subprocess.Popen(["cat"], stdin=victim.stdout, stdout=subprocess.DEVNULL)
    try:
        yield directory
    finally:
        victim.kill()
        victim.wait()
        victim.stdout.close()
        drain.wait()


def told(directory: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main(["status", "--json", str(directory)]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_status_says_what_waits_and_what_was_lost(spool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(spool, capsys)
    assert (found["parcels"], found["readings"], found["dropped"], found["epoch"]) == (5, 20, 3, 7)
    assert (found["oldest"], found["newest"]) == (START_NS + MINUTE, START_NS + 5 * MINUTE + 30 * NS)
    assert (found["damaged"], found["how"]) == (0, "")
    assert main(["status", str(spool)]) == 0
    assert "5 parcels, 20 readings" in capsys.readouterr().out


def test_status_says_what_is_kept_of_what_the_centre_has(spool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {"parcels": 0, "readings": 0, "bytes": 0, "since": None, "until": None}
    assert told(spool, capsys)["history"] == nothing
    file = SpoolFile(spool / "spool.sqlite3", budget=BUDGET, history_ns=7 * 24 * 60 * MINUTE)
    file.commit(Change(epoch=7, delete=[parcel(1).id, parcel(2).id], confirmed=True))
    file.close()
    found = told(spool, capsys)
    size = len(parcel(1).body) + len(parcel(2).body)
    assert found["history"] == {
        "parcels": 2, "readings": 8, "bytes": size, "since": START_NS + MINUTE, "until": START_NS + 2 * MINUTE + 30 * NS,
    }  # fmt: skip
    assert (found["parcels"], found["readings"]) == (3, 12)
    assert main(["status", str(spool)]) == 0
    assert f"history   2 parcels, 8 readings, {size:,} bytes" in capsys.readouterr().out


def test_the_spool_is_found_through_the_settings_too(spool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = spool.parent / "agent.yaml"
    settings.write_text(
        "site: s\ngateway: g\nbroker: {url: 'mqtt://127.0.0.1:1883'}\n"
        f"spool: {{directory: {spool}}}\n"
        "buses:\n  - name: b\n    tcp: 127.0.0.1:502\n    devices:\n"
        "      - {name: incomer, unit: 1, profile: schneider-pm5100, every: 1s}\n"
    )
    assert main(["status", str(settings)]) == 0
    assert "5 parcels" in capsys.readouterr().out


def test_list_shows_each_parcel_of_the_time_asked_for(spool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = datetime.fromtimestamp((START_NS + 2 * MINUTE) / NS, UTC)
    assert main(["list", str(spool), "--from", start.isoformat(), "--to", "2026-01-01T00:04"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[:3] for row in rows] == [["7", "2", "4"], ["7", "3", "4"]]
    assert rows[0][-2:] == ["2026-01-01T00:02:00Z", "2026-01-01T00:02:30Z"]


def test_line_protocol_holds_every_sweep_once_and_nothing_is_deleted(
    spool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(spool)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 10
    assert lines[0] == (
        "meter,site=s,gateway=g,device=incomer power_active_total=1200.5,energy_active_import_total=0.25"
        f" {START_NS + MINUTE}"
    )
    assert told(spool, capsys)["parcels"] == 5


def test_csv_names_value_and_fault_and_keeps_to_the_time_asked_for(
    spool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = spool.parent / "out.csv"
    asked = ["--format", "csv", "--from", "2026-01-01T08:01:30+08:00", "--to", "2026-01-01T00:02:30"]
    assert main(["export", str(spool), *asked, "--output", str(output)]) == 0
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert [row["time"] for row in rows[::3]] == ["2026-01-01T00:01:30Z", "2026-01-01T00:02:00Z"]
    assert [(row["point"], row["value"], row["fault"]) for row in rows[:3]] == [
        ("power_active_total", "1200.5", ""),
        ("energy_active_import_total", "0.25", ""),
        ("frequency", "", "sentinel"),
    ]
    assert main(["export", str(spool), "--output", str(output)]) == 1, "an old file is not written over"
    assert "exists" in capsys.readouterr().err


def test_purge_counts_what_it_deletes_as_lost(spool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["purge", str(spool), "--to", "2026-01-01T00:03:00", "--yes"]) == 0
    assert "deleted 2 parcels, 8 readings" in capsys.readouterr().out
    found = told(spool, capsys)
    assert (found["parcels"], found["readings"], found["dropped"]) == (3, 12, 3 + 8)


def test_purge_without_a_yes_deletes_nothing(
    spool: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # no terminal: nobody was asked
    assert main(["purge", str(spool)]) == 1
    assert "--yes" in capsys.readouterr().out
    assert told(spool, capsys)["parcels"] == 5


def test_a_directory_without_a_spool_is_told_and_none_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("status", "list", "export", "purge"):
        assert main([command, str(tmp_path)]) == 1
        assert "holds no spool" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_while_an_agent_runs_a_copy_is_shown_and_purge_is_refused(
    busy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        found = told(busy, capsys)
        assert isinstance(found["parcels"], int)
        assert found["parcels"] > 0
        assert found["damaged"] == 0
        assert found["how"] == "a copy: an agent has the spool open"
    assert main(["purge", str(busy), "--yes"]) == 1
    assert "stop it first" in capsys.readouterr().err


def test_a_damaged_spool_is_shown_as_far_as_it_can_be_read_and_left_as_it_is(
    spool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = spool / "spool.sqlite3"
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
    before = path.read_bytes()
    found = told(spool, capsys)
    assert str(found["how"]).startswith("what can be read of a damaged file")
    assert path.read_bytes() == before
    assert sorted(each.name for each in spool.iterdir()) == ["ballast", "spool.sqlite3", "spool.sqlite3-journal"]


def test_a_damaged_parcel_is_counted_and_left_out_of_an_export(spool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(spool / "spool.sqlite3") as db:
        db.execute("UPDATE parcel SET body = x'00' WHERE id = (SELECT min(id) FROM parcel)")
    db.close()
    found = told(spool, capsys)
    assert (found["damaged"], found["parcels"]) == (1, 4)
    assert main(["export", str(spool)]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2 * 8
    assert "1 damaged" in shown.err
