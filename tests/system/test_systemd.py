"""The shipped units under a real systemd: what an operator would see on a gateway, from the first start to a clean stop.

One container for all tests: a broker with a password, a simulated meter, the agent and the centre from the built wheel.
"""

import gzip
import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Generator
from pathlib import Path

import pytest

from support.influx_grammar import is_line
from support.installed import ROOT, make_environment
from support.nspawn import Machine, booted, unavailable

_PYTHON = "/usr/bin/python3"  # one that the sandboxed service can see
_PASSWORD = "a password with spaces and a \\"
_AGENT, _CENTRE = "wattline-agent", "wattline-centre"


def _missing() -> str | None:
    if reason := unavailable():
        return reason
    if shutil.which("mosquitto", path="/usr/bin:/usr/sbin") is None:
        return "mosquitto is not installed"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    asked = subprocess.run([_PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True)
    return None if asked.stdout.decode().strip() == version else f"{_PYTHON} is not Python {version}, as the tests are"


_REASON = _missing()
pytestmark = [
    pytest.mark.root,
    pytest.mark.mosquitto,
    pytest.mark.skipif(_REASON is not None, reason=str(_REASON)),
]

_FILES = {
    "etc/wattline/agent.yaml": """
        site: works
        gateway: gate
        broker: {url: "mqtt://127.0.0.1:1883", username: gate, password: {credential: mqtt-password}}
        spool: {directory: /var/lib/wattline, seal_interval: 1s}
        buses:
          - name: substation
            tcp: 127.0.0.1:15020
            devices:
              - {name: incomer, unit: 1, profile: schneider-pm5100, every: 1s}
              - {name: ghost, unit: 9, profile: schneider-pm5100, every: 1s}
        """,
    "etc/wattline/centre.yaml": """
        listen: 127.0.0.1:8080
        broker: {url: "mqtt://127.0.0.1:1883", username: centre, password: {credential: mqtt-password}}
        store: {sqlite: /var/lib/wattline-centre/centre.db}
        plants:
          - site: works
            name: {en: Works, zh: 工厂}
            zone: Asia/Shanghai
            region: CN-Chongqing
            tree:
              id: plant
              name: {en: Plant, zh: 全厂}
              meters: [{device: incomer, carrier: electricity, flow: import}]
        """,
    "etc/wattline/plant.yaml": """
        site: works
        zone: Asia/Shanghai
        seed: 1
        voltage: 400
        frequency: 50
        shifts: {always: {idle: 1.0}}
        loads:
          press: {carrier: electricity, rated: 50, shift: always}
        nodes:
          incomer: {feeds: [press], loss: 0.01}
        endpoints:
          - name: substation
            listen: 127.0.0.1:15020
            meters:
              - {name: incomer, unit: 1, profile: schneider-pm5100, measures: incomer, start: 1000}
        """,
    "etc/wattline/mosquitto.conf": """
        listener 1883 127.0.0.1
        allow_anonymous false
        password_file /etc/wattline/mosquitto.passwords
        user root
        """,
    "etc/systemd/system/broker.service": """
        [Service]
        ExecStart=/usr/sbin/mosquitto -c /etc/wattline/mosquitto.conf
        """,
    "etc/systemd/system/meters.service": """
        [Service]
        ExecStart=/opt/wattline/bin/wattline simulate /etc/wattline/plant.yaml
        """,
}


def _lay_out(root: Path) -> None:
    """Install as docs/install.md says, plus a broker and a meter."""
    make_environment(
        root / "opt/wattline", extras=["centre"], python=_PYTHON, seen_as=Path("/opt/wattline")
    )  # fmt: skip
    for unit in (_AGENT, _CENTRE):
        shutil.copy(ROOT / f"deploy/systemd/{unit}.service", root / "etc/systemd/system")
    for name, text in _FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(textwrap.dedent(text))
    passwords = root / "etc/wattline/mosquitto.passwords"
    passwords.touch()
    for user, credential in (("gate", "mqtt-password"), ("centre", "centre-mqtt-password"), ("reader", "reader")):
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), user, _PASSWORD], check=True, capture_output=True)
        secret = root / "etc/wattline" / credential
        secret.write_text(f"{_PASSWORD}\n")
        secret.chmod(0o600)


@pytest.fixture(scope="module")
def machine() -> Generator[Machine]:
    with booted(_lay_out) as machine:
        machine.run("systemctl", "start", "broker", "meters")
        machine.wait("the broker listens", lambda: "1883" in machine.run("ss", "-Hltn"))
        machine.run("systemctl", "start", _AGENT)
        yield machine


def _subscribe(machine: Machine, topic: str, *options: str) -> bytes:
    """What a plain consumer gets, as bytes."""
    script = f"mosquitto_sub -u reader -P '{_PASSWORD}' -t '{topic}' -N -W 20 {' '.join(options)} | base64 -w0"
    encoded = machine.run("sh", "-c", script)
    return subprocess.run(["base64", "-d"], input=encoded.encode(), capture_output=True, check=True).stdout


def _journal(machine: Machine, unit: str) -> list[dict[str, str]]:
    lines = machine.run("journalctl", "--unit", unit, "--output", "json", "--no-pager").splitlines()
    return [json.loads(line) for line in lines]


def test_the_agent_is_active_and_says_in_one_line_what_it_does(machine: Machine) -> None:
    assert machine.show(_AGENT, "ActiveState") == "active"
    machine.wait("a status line", lambda: machine.show(_AGENT, "StatusText") != "")
    assert "Status: " in machine.run("systemctl", "status", "--no-pager", _AGENT)


def test_readings_reach_a_plain_consumer_as_line_protocol(machine: Machine) -> None:
    lines = gzip.decompress(_subscribe(machine, "wattline/v1/works/gate/readings", "-C 1")).decode().splitlines()
    assert all(map(is_line, lines))
    assert any(line.startswith("meter,site=works,gateway=gate,device=incomer ") for line in lines)


def test_the_journal_has_the_events_with_native_fields(machine: Machine) -> None:
    machine.wait(
        "an event about the device that is not there",
        lambda: any(entry.get("DEVICE") == "ghost" for entry in _journal(machine, _AGENT)),
    )
    entry = next(entry for entry in _journal(machine, _AGENT) if entry.get("DEVICE") == "ghost")
    assert entry["EVENT"].startswith("device.")
    assert entry["BUS"] == "substation"
    assert entry["PRIORITY"] == "4"
    assert entry["SYSLOG_IDENTIFIER"] == "wattline"


def test_the_agent_runs_without_rights_and_without_a_listening_socket(machine: Machine) -> None:
    pid = machine.show(_AGENT, "MainPID")
    status = dict(line.split(":", 1) for line in machine.run("cat", f"/proc/{pid}/status").splitlines())
    assert status["Uid"].split()[0] != "0"
    assert (int(status["CapEff"], 16), status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == (0, "1", "2")
    assert f"pid={pid}," not in machine.run("ss", "-Hlnptu")


def test_the_secret_is_in_no_argument_environment_or_journal_entry(machine: Machine) -> None:
    pid = machine.show(_AGENT, "MainPID")
    seen = machine.run("cat", f"/proc/{pid}/cmdline", f"/proc/{pid}/environ") + str(_journal(machine, _AGENT))
    assert "a password with spaces" not in seen


def test_the_centre_stores_the_readings_and_answers(machine: Machine) -> None:
    machine.run("systemctl", "start", _CENTRE)
    assert machine.show(_CENTRE, "ActiveState") == "active"
    ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/api/v1/totals').read().decode())"

    def stored() -> bool:
        return json.loads(machine.run("/opt/wattline/bin/python", "-c", ask))["readings"] > 0

    machine.wait("readings in the store", stored)
    assert b'"epochs"' in _subscribe(machine, "wattline/v1/works/gate/committed", "-C 1")
    # the centre's own socket shows that such a socket of the agent would have been seen
    assert f"pid={machine.show(_CENTRE, 'MainPID')}," in machine.run("ss", "-Hlnptu")
    machine.run("systemctl", "stop", _CENTRE)
    assert machine.show(_CENTRE, "Result") == "success"


def test_a_killed_agent_is_started_again_and_goes_on(machine: Machine) -> None:
    machine.run("kill", "-9", machine.show(_AGENT, "MainPID"))
    # first the restart, then the state: until systemd has seen the death, the state is that of the dead one
    machine.wait("a restart", lambda: machine.show(_AGENT, "NRestarts") == "1")
    machine.wait("the agent runs again", lambda: machine.show(_AGENT, "ActiveState") == "active")
    # the first parcel after a subscription may be of the dead agent's spool: what counts is that they come
    assert _subscribe(machine, "wattline/v1/works/gate/readings", "-C 2")


def test_a_stop_is_clean_and_says_good_bye(machine: Machine) -> None:
    machine.run("systemctl", "stop", _AGENT)
    assert machine.show(_AGENT, "Result") == "success"
    assert machine.show(_AGENT, "ExecMainStatus") == "0"
    status = json.loads(_subscribe(machine, "wattline/v1/works/gate/status", "-C 1"))
    assert status["state"] == "stopped"


def test_wrong_settings_end_the_unit_with_the_line_and_no_restarts(machine: Machine) -> None:
    settings = machine.root / "etc/wattline/agent.yaml"
    right = settings.read_text()
    settings.write_text(right.replace("gateway: gate", "gatway: gate"))
    machine.run("systemctl", "start", _AGENT, check=False)
    settings.write_text(right)
    assert machine.show(_AGENT, "ActiveState") == "failed"
    assert machine.show(_AGENT, "ExecMainStatus") == "78"
    assert any("agent.yaml:3: gatway" in str(entry.get("MESSAGE")) for entry in _journal(machine, _AGENT))


def test_a_missing_credential_is_told_and_not_tried_for_ever(machine: Machine) -> None:
    secret = machine.root / "etc/wattline/mqtt-password"
    kept = secret.rename(secret.with_suffix(".kept"))
    machine.run("systemctl", "reset-failed", _AGENT)
    machine.run("systemctl", "start", _AGENT, check=False)
    kept.rename(secret)
    assert machine.show(_AGENT, "ActiveState") == "failed"
    assert machine.show(_AGENT, "ExecMainStatus") == "243"
