"""Installs the built wheel the way a user would, without the network: what it depends on is copied from here."""

import atexit
import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("wattline", "metering", "drivers", "agent", "centre")


@functools.cache
def wheel() -> Path:
    """The wheel under test: the one scripts/test built, else one built now."""
    if given := os.environ.get("WATTLINE_TESTED_WHEEL"):
        return Path(given)
    into = Path(tempfile.mkdtemp(prefix="wattline-wheel-"))
    atexit.register(shutil.rmtree, into)
    command = [sys.executable, "-P", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(into), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(into.glob("*.whl"))


def make_environment(
    folder: Path, *, extras: Iterable[str] = (), python: str = sys.executable, seen_as: Path | None = None
) -> Path:
    """A virtual environment with the wheel and exactly what it and `extras` require; returns its `wattline`.

    `seen_as` is the path the environment will have where it runs, for example in a container.
    """
    # without the PYTHONPATH of scripts/test, which shows pip a wattline that is not in the new environment
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True, env=bare)
    site = next(folder.glob("lib/python3.*/site-packages"))
    for distribution in _closure(Requirement("wattline"), frozenset(extras)):
        _copy(distribution, site)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel())], check=True, env=bare)
    command = folder / "bin" / "wattline"
    if seen_as is not None:
        command.write_text(command.read_text().replace(str(folder), str(seen_as)))
    return command


def _closure(root: Requirement, extras: frozenset[str]) -> list[metadata.Distribution]:
    """The distributions that `root` with `extras` requires on this platform, without itself."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [(root.name, extras)]
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, wanted = waiting.pop()
        key = canonicalize_name(name)
        if (key, wanted) in done:
            continue
        done.add((key, wanted))
        distribution = metadata.distribution(name)
        found[key] = distribution
        for text in distribution.requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in {"", *wanted}):
                waiting.append((needed.name, frozenset(needed.extras)))
    found.pop(canonicalize_name(root.name))
    return list(found.values())


def _copy(distribution: metadata.Distribution, site: Path) -> None:
    home = Path(sysconfig.get_path("purelib")).resolve()
    for file in distribution.files or ():
        source = Path(str(distribution.locate_file(file))).resolve()
        if source.is_relative_to(home) and source.suffix != ".pyc":
            target = site / source.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
