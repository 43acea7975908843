"""The command: exit codes, no tracebacks, safe against stray folders; and one real agent started and stopped."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wattline import __version__
from wattline.resources import config_dir

EXAMPLE = str(config_dir() / "agent.example.yaml")
CANARY = "canary-51c0de"


def wattline(
    *args: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "wattline", *args],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    assert "Traceback" not in done.stderr
    assert CANARY not in done.stdout + done.stderr
    return done


def test_help_and_version_are_answered() -> None:
    assert wattline("--version").stdout == f"wattline {__version__}\n"
    for args in (["--help"], ["run", "--help"], ["check", "--help"]):
        done = wattline(*args)
        assert (done.returncode, done.stderr) == (0, "")
        assert "wattline" in done.stdout
    assert "schneider-pm5100" in wattline("run", "--help").stdout, "help shows an example"


@pytest.mark.parametrize("args", [[], ["rum"], ["run", "--no-such-option"], ["check", "a", "b"]])
def test_wrong_usage_is_exit_2(args: list[str]) -> None:
    assert wattline(*args).returncode == 2


@pytest.mark.parametrize("command", ["run", "check"])
def test_bad_settings_are_exit_78_with_file_and_line(command: str, tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(f"site: a\ngateway: b\nbroker: {{url: 'mqtt://x', username: u, password: {CANARY}}}\nbuses: 010\n")
    done = wattline(command, str(path))
    assert done.returncode == 78
    assert done.stderr.startswith(f"{path}:4: buses: 010 is ambiguous")
    assert wattline(command, str(tmp_path / "gone.yaml")).returncode == 78


def test_a_plan_no_bus_can_carry_is_exit_78(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(
        "site: a\ngateway: b\nbroker: {url: 'mqtt://127.0.0.1'}\nspool: {directory: spool}\nbuses:\n"
        "  - name: bus\n    tcp: 127.0.0.1:1\n    gap: 500ms\n    devices:\n"
        "      - {name: m, unit: 1, profile: schneider-pm5100, every: 1s}\n"
    )
    done = wattline("check", str(path))
    assert done.returncode == 78
    assert "agent.yaml:6: " in done.stderr
    assert "bus bus: its reads need 2.5 s of each 1 s" in done.stderr
    assert "`every: 3s` would fit" in done.stderr


@pytest.mark.parametrize(
    ("command", "every", "fits"), [(["run"], "1s", "10s"), (["check", "--reply", "300ms"], "10s", "20s")]
)
def test_a_plan_that_does_not_fit_names_the_line_of_its_bus_and_what_would_fit(
    command: list[str], every: str, fits: str, tmp_path: Path
) -> None:
    path = tmp_path / "agent.yaml"
    meters = "".join(
        f"      - {{name: m{n}, unit: {n}, profile: eastron-sdm630, every: {every}}}\n" for n in range(1, 9)
    )
    path.write_text(
        'site: a\ngateway: b\nbroker: {url: "mqtt://127.0.0.1:1"}\nspool: {directory: spool}\n'
        f"buses:\n  - name: line\n    serial: {{port: /dev/ttyS9, line: 9600 8N1}}\n    devices:\n{meters}"
    )
    done = wattline(*command, str(path))
    assert done.returncode == 78
    assert re.search(rf"agent\.yaml:6: .*need .* of each .*`every: {fits}` would fit", done.stderr)
    assert "Traceback" not in done.stderr


def test_a_missing_credential_is_exit_78_before_anything_is_opened(tmp_path: Path) -> None:
    done = wattline(
        "run", EXAMPLE, env={"WATTLINE_SPOOL__DIRECTORY": str(tmp_path / "spool"), "CREDENTIALS_DIRECTORY": ""}
    )
    assert done.returncode == 78
    assert "credential mqtt-password" in done.stderr
    assert not (tmp_path / "spool").exists()


def test_check_shows_plan_topics_and_points_without_colour_in_a_pipe() -> None:
    done = wattline("check", EXAMPLE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\033" not in done.stdout
    for text in (
        "wattline/v1/jiangjin-1/press-shop/readings",
        "boiler-gas",
        "holding 10+20",
        "power_active_total [W]",
        "* not verified",
    ):
        assert text in done.stdout


def test_check_speaks_json() -> None:
    plan = json.loads(wattline("check", "--json", EXAMPLE, env={"WATTLINE_BROKER__PASSWORD": CANARY}).stdout)
    (bus,) = plan["buses"]
    incomer, gas, line = bus["devices"]
    assert [poll["every"] for poll in line["polls"]] == ["1s", "1min"]
    assert gas["polls"][0]["registers"] == 20
    assert {"name": "frequency", "unit": "Hz", "kind": "gauge", "verified": True} in incomer["points"]


def test_a_stray_folder_cannot_stand_in_for_ours(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "__init__.py").write_text(f"raise SystemExit('{CANARY}')\n")
    assert wattline("check", EXAMPLE, cwd=tmp_path).returncode == 0, "-P: the current folder is not on the path"
    done = wattline("check", EXAMPLE, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 78
    assert f"{tmp_path}/agent" in done.stderr
    assert "hides Wattline's package" in done.stderr


@pytest.mark.parametrize("args", [f"check --json {EXAMPLE}", "--help", "run --help"])
def test_a_reader_that_has_seen_enough_is_no_error(args: str) -> None:
    script = f"{sys.executable} -P -m wattline {args} | true"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_agent_is_ready_without_broker_and_meters_and_stops_in_order(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = {
            **os.environ,
            "WATTLINE_SPOOL__DIRECTORY": str(tmp_path / "spool"),
            "WATTLINE_BROKER__URL": "mqtt://127.0.0.1:9",
            "WATTLINE_BROKER__PASSWORD": CANARY,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "60000000",
            "WATTLINE_BUSES": json.dumps(
                [{"name": "bus", "tcp": "127.0.0.1:9", "devices": [
                    {"name": "incomer", "unit": 1, "profile": "schneider-pm5100", "every": "1s"}]}]
            ),
        }  # fmt: skip
        agent = subprocess.Popen(
            [sys.executable, "-P", "-m", "wattline", "run", EXAMPLE], env=environment, stderr=subprocess.PIPE, text=True
        )
        heard: list[str] = []
        status = "STATUS=1 devices, 0 answering; busiest bus 0%; broker away; 0 parcels waiting"
        while status not in heard or "READY=1" not in heard:
            assert len(heard) < 60, heard
            heard.append(manager.recv(4096).decode())
        agent.send_signal(signal.SIGTERM)
        _, errors = agent.communicate(timeout=30)
        heard.append(manager.recv(4096).decode())
    assert agent.returncode == 0, errors
    assert "WATCHDOG=1" in heard
    assert heard[-1] == "STOPPING=1"
    assert CANARY not in errors
    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert events[0] == "spool.opened"
    assert events[-1] == "agent.stopped"
    assert (tmp_path / "spool" / "spool.sqlite3").is_file()


def test_a_second_agent_on_one_spool_is_exit_1(tmp_path: Path) -> None:
    environment = {
        "WATTLINE_SPOOL__DIRECTORY": str(tmp_path / "spool"),
        "WATTLINE_BROKER__URL": "mqtt://127.0.0.1:9",
        "WATTLINE_BROKER__PASSWORD": CANARY,
    }
    first = subprocess.Popen(
        [sys.executable, "-P", "-m", "wattline", "run", EXAMPLE],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert first.stderr is not None
    assert "spool.opened" in first.stderr.readline()
    second = wattline("run", EXAMPLE, env=environment)
    first.send_signal(signal.SIGINT)
    assert first.wait(timeout=30) == 0
    first.stderr.close()
    assert second.returncode == 1
    assert "wattline run: " in second.stderr
