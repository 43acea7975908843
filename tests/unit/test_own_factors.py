"""A calorific value that a plant measured itself stands in place of the default one, on its days and nowhere else."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from centre.accounting.coal_equivalent import EnergyLine, comprehensive_energy
from centre.accounting.emissions import combustion
from centre.accounting.factor_choice import FactorBook, ReportDates
from centre.accounting.terms import Input
from centre.settings import load_setup
from centre.statement_lines import declared
from wattline.errors import ConfigError

D = Decimal
OWN = {"fuel": "diesel", "mj": 42, "per": "kg", "valid_from": "2026-03-01", "valid_to": "2026-06-30", "source": "lab 7"}


def written(folder: Path, *given: dict[str, Any]) -> Path:
    """The settings of one plant with these values."""
    names = {"en": "Works", "zh": "工厂"}
    meter = {"device": "incomer", "carrier": "electricity", "flow": "import"}
    plant = {
        "site": "works", "name": names, "zone": "Asia/Shanghai", "region": "CN-Chongqing",
        "calorific_values": given, "tree": {"id": "plant", "name": names, "meters": [meter]},
    }  # fmt: skip
    settings = {"broker": {"url": "mqtt://127.0.0.1:1883"}, "store": {"sqlite": "centre.db"}, "plants": [plant]}
    path = folder / "centre.yaml"
    path.write_text(json.dumps(settings, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


@pytest.mark.parametrize(("day", "own"), [(date(2026, 4, 30), True), (date(2026, 7, 31), False)])
def test_the_plants_own_value_makes_tce_and_co2_on_its_days(tmp_path: Path, day: date, own: bool) -> None:
    rules = load_setup(written(tmp_path, OWN)).rules["works"]
    dates = ReportDates(made_on=date(2026, 12, 1), run_on=date(2026, 12, 1))
    energy, carbon = (
        FactorBook(rows=rules.factors, policy=named.policy, dates=dates, region="CN-Chongqing")
        for named in (rules.terms.energy, rules.terms.carbon)
    )
    amount, nothing = Input(id="m", value=D(10), unit="t"), declared("no_stock", "t")
    line = EnergyLine(carrier="diesel", purchased=amount, stock_begin=nothing, stock_end=nothing, sold=nothing)
    [tce] = comprehensive_energy([line], energy, day).calorific.terms
    co2 = combustion("diesel", "diesel", amount, carbon, day)
    sets = {choice.row.factor_set for found in (tce, co2) for choice in found.choices if choice.row is not None}
    assert tce.value is not None
    assert co2.value is not None
    assert ("measured" in sets) is own
    assert tce.value.quantize(D("0.001")) == (D("14.331") if own else D("14.571"))  # 420000 MJ / 29307.6
    # V12: 30.959 t by the default 42.652 GJ/t
    assert co2.value.quantize(D("0.001")) == (D("30.486") if own else D("30.959"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fuel": "disel"}, "fuel: the factor table has no fuel disel by kg"),
        ({"per": "m3"}, "fuel: the factor table has no fuel diesel by m3"),
        ({"valid_to": "2026-01-01"}, "valid_to: must not be before valid_from"),
    ],
)
def test_a_value_that_could_not_count_is_a_mistake_with_its_line(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=rf"centre.yaml:\d+: plants.0.calorific_values.0.{says}"):
        load_setup(written(tmp_path, {**OWN, **change}))
