"""The wheel holds our packages, what they read, and nothing else; and the tests run against it."""

import importlib
import os
import subprocess
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from support.installed import PACKAGES, ROOT, wheel

_SHIPPED = {"wattline/config": "config", "wattline/systemd": "deploy/systemd"}


@pytest.fixture(scope="module")
def names() -> set[str]:
    with zipfile.ZipFile(wheel()) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def test_the_wheel_has_exactly_our_packages_at_its_top(names: set[str]) -> None:
    tops = {PurePosixPath(name).parts[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_every_file_of_a_package_that_git_knows_is_in_the_wheel(names: set[str]) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *PACKAGES, *_SHIPPED.values()],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    wanted: set[str] = set()
    for file in filter(None, listed.stdout.split("\0")):
        if not (ROOT / file).exists():
            continue
        name = file
        for inside, outside in _SHIPPED.items():
            if file.startswith(f"{outside}/"):
                name = inside + file.removeprefix(outside)
        wanted.add(name)
    assert wanted - names == set()
    assert {name for name in names - wanted if ".dist-info/" not in name} == set()


def test_each_package_tells_type_checkers_that_it_is_typed(names: set[str]) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_the_licence_travels_with_the_wheel(names: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


@pytest.mark.skipif("WATTLINE_TESTED_WHEEL" not in os.environ, reason="only scripts/test promises to test the wheel")
@pytest.mark.parametrize("package", PACKAGES)
def test_the_tests_import_the_installed_wheel_and_not_the_tree(package: str) -> None:
    origin = Path(str(importlib.import_module(package).__file__)).resolve()
    site = ROOT / "build" / "site"
    assert origin.is_relative_to(site.resolve())
    assert not origin.is_relative_to((ROOT / package).resolve())
