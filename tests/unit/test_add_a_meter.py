"""docs/add-a-meter.md keeps its word: the example loads, the plan and the message are the ones it prints."""

import re
from pathlib import Path

import pytest

from drivers.modbus import catalogue
from drivers.modbus.plan import plan
from drivers.modbus.point_file import PointModel
from drivers.modbus.profile_file import build_profile
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


def test_every_key_of_a_point_and_every_quantity_is_on_the_page() -> None:
    missing = [name for name in (*PointModel.model_fields, *QUANTITIES) if f"`{name}" not in PAGE]
    assert not missing


def test_every_shipped_profile_is_named_on_the_page() -> None:
    for profile_id in catalogue.names():
        model = catalogue.load(profile_id).model
        assert any(word in PAGE for word in re.split(r"[ -]", model)), profile_id
