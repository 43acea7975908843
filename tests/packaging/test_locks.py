"""The lock files: every package with hashes, no index, each file a part of the next, and pyproject.toml satisfied."""

import re
import tomllib
from collections.abc import Iterable

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.installed import ROOT

_FILES = ("agent", "centre", "demo", "dev", "uv")


def _locked(name: str) -> dict[str, str]:
    """Package to version; fails on a line that pins nothing."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", "")
    versions: dict[str, str] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([a-z0-9-]+)==([^ ;]+)(?: ; [^#]*?)?((?: +--hash=sha256:[0-9a-f]{64})+)", line)
        assert match, line[:120]
        versions[match[1]] = match[2]
    return versions


@pytest.mark.parametrize("name", _FILES)
def test_every_locked_package_has_hashes_and_names_no_index(name: str) -> None:
    assert _locked(name)
    assert "://" not in (ROOT / "requirements" / f"{name}.txt").read_text()


def test_each_lock_file_is_a_part_of_the_next() -> None:
    agent, centre, demo, dev = (_locked(name) for name in ("agent", "centre", "demo", "dev"))
    assert agent.items() <= centre.items() <= demo.items() <= dev.items()


def _unmet(wanted: Iterable[str], locked: dict[str, str]) -> list[str]:
    needs = [Requirement(text) for text in wanted]
    return [
        str(need)
        for need in needs
        if canonicalize_name(need.name) != "wattline"
        and not need.specifier.contains(locked.get(canonicalize_name(need.name), "0"))
    ]


def test_the_lock_files_satisfy_what_the_project_asks_for() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras, groups = asked["project"]["optional-dependencies"], asked["dependency-groups"]
    dev = [need for need in groups["dev"] if isinstance(need, str)]
    for name, wanted in {
        "agent": asked["project"]["dependencies"],
        "centre": extras["centre"],
        "demo": extras["demo"] + groups["build"],
        "dev": dev,
    }.items():
        assert _unmet(wanted, _locked(name)) == [], (
            f"run scripts/lock: requirements/{name}.txt is behind pyproject.toml"
        )
