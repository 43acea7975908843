"""A gateway installs the wheel without extras: it must work, and import nothing that is the centre's."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from support.installed import ROOT, make_environment

_NOT_ON_A_GATEWAY = {"centre", "starlette", "uvicorn", "jinja2", "iotcore", "pymodbus", "numpy", "influxdb_client"}
_EXAMPLE = "import sys; from wattline.resources import config_dir; print(config_dir() / 'agent.example.yaml')"
_LOADED = """
import atexit, json, sys
atexit.register(lambda: open({log!r}, "w").write(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}}))))
from wattline.cli import main
sys.exit(main({args!r}))
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_environment(tmp_path_factory.mktemp("gateway") / "venv")


def _python(command: Path, code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(command.parent / "python"), "-c", code], cwd=cwd, env=bare, capture_output=True, text=True, timeout=60
    )


def test_check_of_the_shipped_example_works_and_imports_nothing_of_the_centre(command: Path, tmp_path: Path) -> None:
    example = _python(command, _EXAMPLE, tmp_path).stdout.strip()
    assert Path(example).is_relative_to(command.parent.parent)
    log = tmp_path / "modules.json"
    done = _python(command, _LOADED.format(log=str(log), args=["check", example]), tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(log.read_text()))
    assert {"wattline", "agent", "drivers", "metering"} <= loaded
    assert not loaded & _NOT_ON_A_GATEWAY


def test_the_running_agent_imports_nothing_of_the_centre_or_the_simulator(command: Path, tmp_path: Path) -> None:
    code = "import json, sys, agent.cli, wattline.cli; print(json.dumps(sorted(sys.modules)))"
    done = _python(command, code, tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert not {name.partition(".")[0] for name in loaded} & _NOT_ON_A_GATEWAY
    assert not {name for name in loaded if name.startswith("drivers.simulation")}
    assert not loaded & {"pydantic", "pydantic_settings", "yaml"}, "settings are read apart, see decision 6"
    assert "agent.app" in loaded


def test_the_centre_without_its_extra_says_what_to_install(command: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(command), "centre", "run", str(ROOT / "config" / "centre.example.yaml")],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    )  # fmt: skip
    assert done.returncode not in {0, -15}
    assert "wattline[centre]" in done.stderr
    assert "Traceback" not in done.stderr
