"""Faults of the settings, and of a task of the agent, each through the real command; see README.md."""

import json
import os
import subprocess
import sys
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BAD = 78
GOOD = """\
site: jiangjin-1
gateway: press-shop
broker: {url: "mqtt://127.0.0.1:1883"}
spool: {directory: spool}
profiles: profiles
buses:
  - name: substation
    tcp: 127.0.0.1:1
    devices:
      - {name: incomer, unit: 1, profile: own, every: 1s}
"""
PROFILE = """\
id: own
extends: eastron-sdm120
model: own
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it took."""

    status: int
    out: str
    err: str
    cpu_s: float
    rss_mb: float


def ran(*command: str, cwd: Path) -> Ran:
    """Run python with these arguments to its end."""
    with (cwd / "out").open("w+") as out, (cwd / "err").open("w+") as err:
        child = subprocess.Popen([sys.executable, "-P", *command], stdout=out, stderr=err, cwd=cwd)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    cpu_s = used.ru_utime + used.ru_stime
    return Ran(child.returncode, (cwd / "out").read_text(), (cwd / "err").read_text(), cpu_s, used.ru_maxrss / 1024)


def check(folder: Path, settings: str = GOOD, profile: str = PROFILE) -> Ran:
    """`wattline check` of these settings, in `folder`."""
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / "own.yaml").write_text(profile)
    (folder / "agent.yaml").write_text(settings)
    return ran("-m", "wattline", "check", "--json", "agent.yaml", cwd=folder)


def test_the_settings_that_the_rows_spoil_are_good(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("gateway:", "gatway:", "agent.yaml:2"),
        ("every: 1s", "evry: 1s", "agent.yaml:10"),
        ("profile: own", "profile: eastron-sdm12", "did you mean eastron-sdm120"),
        ("profiles: profiles", "profiles: nowhere", "there is no folder nowhere"),
    ],
)
def test_row_67_a_typo_an_unknown_key_or_a_missing_file_is_refused_with_its_line(
    right: str, wrong: str, told: str, tmp_path: Path
) -> None:
    done = check(tmp_path, GOOD.replace(right, wrong))
    assert done.status == BAD
    assert told in done.err
    assert "Traceback" not in done.err


def test_row_67_settings_that_are_not_there_are_refused_by_name(tmp_path: Path) -> None:
    done = ran("-m", "wattline", "check", "agent.yaml", cwd=tmp_path)
    assert done.status == BAD
    assert "agent.yaml" in done.err
    assert "No such file" in done.err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("site: other\n", "agent.yaml:11"),
        ("      - {name: incomer, unit: 2, profile: own, every: 1s}\n", "incomer"),
        ("      - {name: line-1, unit: 1, unit: 2, profile: own, every: 1s}\n", "agent.yaml:11"),
    ],
)
def test_row_68_a_name_or_key_that_is_there_twice_is_refused(more: str, told: str, tmp_path: Path) -> None:
    done = check(tmp_path, GOOD + more)
    assert done.status == BAD
    assert told in done.err


@pytest.mark.parametrize("unit", ["010", "0x0A", "1_0", "1e1"])
def test_row_69_a_number_that_readers_take_differently_is_refused(unit: str, tmp_path: Path) -> None:
    done = check(tmp_path, GOOD.replace("unit: 1,", f"unit: {unit},"))
    assert done.status == BAD
    assert "agent.yaml:10" in done.err


@pytest.mark.parametrize("scale", [".nan", "nan", ".inf", "0"])
def test_row_69_a_scale_that_is_no_number_is_refused(scale: str, tmp_path: Path) -> None:
    point = f"points:\n  current_l2: {{address: 8, type: f32, unit: A, scale: {scale}}}\n"
    done = check(tmp_path, profile=PROFILE + point)
    assert done.status == BAD
    assert "own.yaml:5" in done.err


def test_row_70_an_alias_bomb_is_refused_at_no_cost(tmp_path: Path) -> None:
    usual = check(tmp_path, GOOD.replace("gateway:", "gatway:"))
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20))
    done = check(tmp_path, bomb + GOOD)
    assert done.status == BAD
    assert "agent.yaml:2: an alias" in done.err
    assert done.cpu_s < 3 * usual.cpu_s + 1
    assert done.rss_mb < usual.rss_mb + 20


def test_row_70_a_file_of_100_mib_is_refused_unread(tmp_path: Path) -> None:
    usual = check(tmp_path, GOOD.replace("gateway:", "gatway:"))
    with (tmp_path / "agent.yaml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    done = ran("-m", "wattline", "check", "agent.yaml", cwd=tmp_path)
    assert done.status == BAD
    assert done.cpu_s < 3 * usual.cpu_s + 1
    assert done.rss_mb < usual.rss_mb + 20


def test_row_71_ten_thousand_points_load_in_little_time_and_memory(tmp_path: Path) -> None:
    wanted = "points: [voltage, current, power_active, power_reactive, power_apparent, power_factor, frequency]"
    head, _ = GOOD.split("      - {name")
    device = "      - {{name: line-{0}-{1}, unit: {1}, profile: schneider-pm5100, every: 15s, {2}}}\n"
    bus = "  - name: bus-{0}\n    tcp: 10.0.0.{0}:502\n    devices:\n"
    head = head[: head.index("  - name")]
    plant = head + "".join(
        bus.format(b) + "".join(device.format(b, unit, wanted) for unit in range(1, 26)) for b in range(1, 21)
    )
    one = check(tmp_path, head + bus.format(1) + device.format(1, 1, wanted))
    done = check(tmp_path, plant)
    assert (done.status, done.err) == (0, "")
    points = sum(len(d["points"]) for b in json.loads(done.out)["buses"] for d in b["devices"])
    assert points >= 10_000
    assert done.cpu_s < 5 * one.cpu_s + 4
    assert done.rss_mb < one.rss_mb + 60


DYING = """
import sys
from agent import cli
from agent.poller import Poller

async def run(self):
    raise RuntimeError("a bug in a task")

Poller.run = run
sys.exit(cli.run(["agent.yaml"]))
"""


def test_row_65_a_task_that_dies_ends_the_process_and_the_supervisor_starts_it_again(tmp_path: Path) -> None:
    check(tmp_path)
    (tmp_path / "dying.py").write_text(DYING)
    done = ran("dying.py", cwd=tmp_path)
    unit = RawConfigParser(strict=False)
    unit.read(ROOT / "deploy" / "systemd" / "wattline-agent.service")
    assert done.status not in {0, BAD}
    assert unit["Service"]["Restart"] == "on-failure"
    assert str(done.status) not in unit["Service"]["RestartPreventExitStatus"].split()
    assert unit["Unit"]["StartLimitIntervalSec"] == "0", "however often it dies"
    assert "RuntimeError: a bug in a task" in done.err, "and the journal has the cause"
