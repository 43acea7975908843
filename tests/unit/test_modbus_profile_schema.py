"""The JSON schema of profiles is the one the model makes, lets every shipped profile pass, and stops a slip."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from drivers.modbus import catalogue
from drivers.modbus.profile_schema import SCHEMA_FILE, text
from support.json_schema import mistakes
from wattline.strict_yaml import load_file

SCHEMA: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
PAGE = (Path(__file__).parent.parent.parent / "docs" / "add-a-meter.md").read_text()


def written(profile_id: str) -> Any:
    return copy.deepcopy(load_file(catalogue.find(profile_id)).data)


def test_the_file_is_what_the_model_makes() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == text(), "run: python -m drivers.modbus.profile_schema"


@pytest.mark.parametrize("profile_id", catalogue.names())
def test_every_shipped_profile_fits_the_schema(profile_id: str) -> None:
    assert mistakes(SCHEMA, written(profile_id)) == []


def test_a_slip_does_not_fit() -> None:
    def slip(*keys: str, value: object) -> list[str]:
        data = at = written("siemens-pac3200")
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = value
        return mistakes(SCHEMA, data)

    assert slip("modbuss", value={})
    assert slip("medium", value="steam")
    assert slip("limits", "max_registers", value=126)
    assert slip("limits", "timeout", value="fast")
    assert slip("points", "voltage_l1_n", "adress", value=1)
    assert slip("points", "voltage_l1_n", "address", value="12h")
    assert slip("points", "voltage_l1_n", "scale", value="0.1 V")
    assert slip("points", "voltage_l1_n", "word_order", value="middle")
    assert slip("identify", value={"model_code": 1.5})
    assert not slip("points", "voltage_l1_n", "address", value="0x12")


def test_only_a_file_that_extends_another_may_leave_out_what_a_profile_needs() -> None:
    assert mistakes(SCHEMA, {"id": "x"})
    assert not mistakes(SCHEMA, {"id": "x", "extends": "abb-b23", "points": {"voltage_l1_n": None}})


def test_the_line_for_editors_is_on_the_page() -> None:
    assert "# yaml-language-server: $schema=" in PAGE
