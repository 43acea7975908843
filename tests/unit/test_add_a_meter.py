"""docs/add-a-meter.md keeps its word: the example loads, the plan and the message are the ones it prints."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from drivers.modbus import catalogue
from drivers.modbus.plan import plan
from drivers.modbus.profile_file import build_profile, load_profile
from drivers.modbus.profile_schema import schema
from metering.quantities import QUANTITIES
from wattline.errors import ConfigError
from wattline.strict_yaml import load_text

PAGE = (Path(__file__).parent.parent.parent / "docs" / "add-a-meter.md").read_text()
(EXAMPLE,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
FILE = "meters/nordwerk-nz3.yaml"


def test_the_example_is_a_profile_with_the_plan_the_page_prints() -> None:
    profile = build_profile(load_text(EXAMPLE, FILE))
    points = profile.points
    assert (points["voltage_l1_n"].address, points["serial_number"].address) == (0, 200)
    blocks = [str(block) for block in plan(profile.standard_points, profile.limits, points.values())]
    assert all(f"`{block}`" in PAGE for block in blocks)
    assert len(blocks) == 3


def test_the_mistake_on_the_page_gets_the_message_on_the_page() -> None:
    wrong = EXAMPLE.replace("unit: W, scale: 10", "unit: kW, scale: 0.01")
    with pytest.raises(ConfigError) as caught:
        build_profile(load_text(wrong, FILE))
    assert f"    {caught.value}\n" in PAGE


def _keys(schema: Any) -> set[str]:
    """Every key a profile may have, as the schema knows them."""
    if not isinstance(schema, dict):
        return set[str]().union(*map(_keys, schema)) if isinstance(schema, list) else set()
    own = set(schema["properties"]) if schema.get("type") == "object" and "properties" in schema else set()
    return own.union(*(_keys(each) for each in schema.values()))


def test_every_key_and_every_quantity_is_on_the_page() -> None:
    code = " ".join(re.findall(r"`([^`\n]+)`", PAGE))
    assert not [name for name in (*sorted(_keys(schema())), *QUANTITIES) if not re.search(rf"\b{name}\b", code)]


def test_the_sibling_on_the_page_is_a_profile(tmp_path: Path) -> None:
    (tmp_path / "nordwerk-nz3.yaml").write_text(EXAMPLE)
    sibling = textwrap.dedent(
        PAGE[PAGE.index("    id: nordwerk-nz4") : PAGE.index("`modbus`, `limits`, `points`, `computed`")]
    )
    (tmp_path / "nordwerk-nz4.yaml").write_text(sibling)
    profile = load_profile(tmp_path / "nordwerk-nz4.yaml")
    assert (profile.model, profile.limits.max_registers, profile.limits.timeout_s) == ("NZ4", 125, 0.3)
    assert profile.points["voltage_l1_n"].address == 300
    assert "serial_number" not in profile.points


ROWS = re.findall(r"^\| (\d+)\. .*? \| (.*?) \| (.*?) \|$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize(("number", "keys", "profiles"), ROWS)
def test_every_quirk_of_a_meter_has_a_key_and_a_profile_that_uses_it(number: str, keys: str, profiles: str) -> None:
    texts = [catalogue.find(profile_id.strip("`")).read_text() for profile_id in profiles.split(", ")]
    for key in keys.replace("`", "").split(", "):
        assert key in _keys(schema()), number
        used = any(re.search(rf"(^|[{{, ]){key}:", text, flags=re.MULTILINE) for text in texts)
        assert used or key == "address_offset", f"{number}: {key}"


def test_the_table_of_quirks_is_whole() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 22))


def test_every_shipped_profile_is_named_on_the_page() -> None:
    assert not [profile_id for profile_id in catalogue.names() if f"`{profile_id}`" not in PAGE]
    assert f"{len(catalogue.names())} profiles are shipped" in PAGE
