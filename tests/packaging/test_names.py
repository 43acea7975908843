"""Our packages have flat names: nothing else may have them, and a stray folder may not stand in for one."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from support.installed import PACKAGES, ROOT, make_environment


def test_no_module_of_the_standard_library_has_a_name_of_ours() -> None:
    assert not set(PACKAGES) & sys.stdlib_module_names


def test_no_locked_package_installs_a_module_with_a_name_of_ours() -> None:
    locked = {
        canonicalize_name(name)
        for name in re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE)
    }
    assert len(locked) > 30
    for module, owners in metadata.packages_distributions().items():
        if module in PACKAGES:
            assert not locked & {canonicalize_name(owner) for owner in owners}, module


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_environment(tmp_path_factory.mktemp("names") / "venv")


def _run(command: list[str], cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, cwd=cwd, env={**bare, **extra}, capture_output=True, text=True, timeout=60)


def _litter(folder: Path) -> None:
    """A working directory as a user may have it: folders named like our packages, and a stray module."""
    for name in PACKAGES:
        (folder / f"{name}.py").write_text("raise SystemExit('the stray module ran')\n")
    for name in ("agent", "centre", "drivers", "metering"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('the stray package ran')\n")
        (folder / name / "cli.py").write_text("raise SystemExit('the stray package ran')\n")


def test_the_command_runs_ours_in_a_folder_full_of_namesakes(command: Path, tmp_path: Path) -> None:
    _litter(tmp_path)
    done = _run([str(command), "check", "--help"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "usage: wattline check" in done.stdout


def test_a_namesake_on_the_import_path_is_refused_with_its_place(command: Path, tmp_path: Path) -> None:
    (tmp_path / "drivers").mkdir()
    (tmp_path / "drivers" / "__init__.py").touch()
    done = _run([str(command), "check", "--help"], tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 78
    assert str(tmp_path / "drivers") in done.stderr
    assert "Traceback" not in done.stderr
