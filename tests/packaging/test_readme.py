"""Every command a user can type is in the README."""

import pytest

from support.installed import ROOT
from wattline import cli

_README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", cli._COMMANDS)
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"wattline {name}" in _README


@pytest.mark.parametrize("script", ["setup", "demo", "test", "check"])
def test_every_script_is_there_and_is_executable(script: str) -> None:
    assert (ROOT / "scripts" / script).stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize("script", ["demo", "test"])
def test_the_two_commands_that_set_all_up_are_in_the_readme(script: str) -> None:
    assert f"scripts/{script}" in _README
