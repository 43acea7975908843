"""The systemd units as files: systemd finds no fault in them, and little that a taken-over service could reach."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.installed import ROOT

_UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
_THRESHOLD = 15  # tenths: an exposure of 1.5

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def _unit(path: Path, into: Path) -> Path:
    """The unit with a program that exists here, so that `verify` can look at everything else."""
    copy = into / path.name
    copy.write_text(path.read_text().replace("/opt/wattline/bin/wattline", sys.executable))
    return copy


def test_the_agent_and_the_centre_have_a_unit() -> None:
    assert [unit.name for unit in _UNITS] == ["wattline-agent.service", "wattline-centre.service"]


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_no_fault_in_the_unit(unit: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", str(_unit(unit, tmp_path))], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def _exposure(unit: Path) -> tuple[int, float]:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={_THRESHOLD}", "--no-pager", str(unit)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    score = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert score, done.stdout + done.stderr
    return done.returncode, float(score[1])


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.name)
def test_the_exposure_of_the_unit_is_small(unit: Path) -> None:
    assert _exposure(unit)[0] == 0


@pytest.mark.parametrize("example", ["agent-serial", "agent-network", "agent-credentials"])
def test_the_agent_stays_as_small_with_each_example_drop_in(example: str, tmp_path: Path) -> None:
    unit = shutil.copy(ROOT / "deploy/systemd/wattline-agent.service", tmp_path)
    drop_in = tmp_path / "wattline-agent.service.d" / f"{example}.conf"
    drop_in.parent.mkdir()
    shutil.copy(ROOT / f"deploy/systemd/examples/{example}.conf", drop_in)
    assert _exposure(Path(unit))[0] == 0
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(_unit(ROOT / "deploy/systemd/wattline-agent.service", tmp_path))],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (verified.returncode, verified.stderr) == (0, "")
