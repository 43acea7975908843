"""Settings of the centre: what is accepted, and how mistakes are told."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from centre.carriers import Carrier, Flow
from centre.settings import load_setup
from wattline.errors import ConfigError
from wattline.resources import config_dir

MINIMAL: dict[str, Any] = {
    "broker": {"url": "mqtt://127.0.0.1:1883"},
    "store": {"sqlite": "centre.db"},
    "plants": [
        {
            "site": "works",
            "name": {"en": "Works", "zh": "工厂"},
            "zone": "Asia/Shanghai",
            "region": "CN-Chongqing",
            "tree": {
                "id": "plant",
                "name": {"en": "Plant", "zh": "全厂"},
                "meters": [{"device": "incomer", "carrier": "electricity", "flow": "import", "limit": 0.1}],
                "children": [{"id": "hall", "name": {"en": "Hall", "zh": "车间"}, "meters": [], "children": []}],
            },
        }
    ],
}


def write(folder: Path, change: Callable[[Any], object] = lambda settings: None) -> Path:
    settings = json.loads(json.dumps(MINIMAL))
    change(settings)
    path = folder / "centre.yaml"
    path.write_text(json.dumps(settings, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def test_the_example_loads() -> None:
    setup = load_setup(config_dir() / "centre.example.yaml")
    (plant,) = setup.plants
    assert plant.region == "CN-Chongqing"
    assert {node.id for node in plant.tree.walk()} == {"plant", "workshop-1", "line-1", "line-2", "utilities"}
    assert plant.tree.meters[0].limit == 2500
    assert setup.settings.host == "127.0.0.1"


def test_paths_are_relative_to_the_file_and_numbers_exact(tmp_path: Path) -> None:
    setup = load_setup(write(tmp_path))
    assert setup.store == tmp_path / "centre.db"
    assert setup.plants[0].tree.meters[0].limit == Decimal("0.1")
    assert setup.settings.port == 8080
    assert (setup.plants[0].tree.meters[0].carrier, setup.plants[0].tree.meters[0].flow) == (
        Carrier.ELECTRICITY,
        Flow.IMPORT,
    )


def tree(settings: Any) -> Any:
    return settings["plants"][0]["tree"]


def meter(settings: Any) -> Any:
    return tree(settings)["meters"][0]


def second(settings: Any, **changes: str) -> None:
    tree(settings)["children"][0]["meters"] = [
        {"device": "other", "carrier": "electricity", "flow": "import"} | changes
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.update(listn="x"), "listn: "),
        (lambda s: s.update(listen="localhost:80"), "listen: must begin with an IP address"),
        (lambda s: s.update(listen="127.0.0.1"), "listen: must be ADDRESS:PORT"),
        (lambda s: s["store"].update(postgres="x"), "store.postgres: "),
        (lambda s: s.update(plants=[]), "plants: "),
        (lambda s: s["plants"].append(s["plants"][0] | {}), "plants.1.site: works stands here a second time"),
        (lambda s: s["plants"][0].update(zone="Asia/Chongqing-City"), "plants.0.zone: is no time zone"),
        (lambda s: s["plants"][0].update(zone="../../etc/passwd"), "plants.0.zone: is no time zone"),
        (lambda s: s["plants"][0].update(region="Chongqing"), "plants.0.region: "),
        (lambda s: s["plants"][0]["name"].pop("zh"), "plants.0.name.zh: is missing"),
        (
            lambda s: tree(s)["children"][0].update(id="plant"),
            "children.0.id: plant is the id of another node, in line",
        ),
        (lambda s: second(s, device="incomer"), "incomer is counted as electricity import in line"),
        (lambda s: second(s, carrier="electrcity"), "carrier: "),
        (lambda s: second(s, flow="both"), "flow: "),
        (
            lambda s: second(s, carrier="fresh_water", flow="generation"),
            "flow: generation is counted for compressed_air, electricity, heat only",
        ),
        (lambda s: second(s, carrier="heat", flow="export"), "flow: export of this carrier needs the `point`"),
        (lambda s: second(s, point="power_active_total"), "point: is no counter"),
        (lambda s: second(s, device="a/b"), "device: "),
        (lambda s: meter(s).update(limit=0), "limit: "),
        (lambda s: s.update(names=["http://energy.example.com/"]), "names.0: "),
        (
            lambda s: meter(s).update(replaced=[{"at": "2026-03-01T10:00:00", "final": 1, "initial": 0}]),
            "replaced.0.at: needs its offset",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path: Path, change: Callable[[Any], object], says: str) -> None:
    path = write(tmp_path, change)
    with pytest.raises(ConfigError) as failed:
        load_setup(path)
    (line, *_) = [text for text in str(failed.value).splitlines() if says in text]
    place = line.removeprefix(f"{path}:").split(":")[0]
    assert place.isdigit(), line


def test_all_mistakes_of_a_tree_are_told_at_once(tmp_path: Path) -> None:
    def change(settings: Any) -> None:
        settings["plants"][0].update(zone="Nowhere/Land", region="Mars")
        second(settings, device="incomer")

    with pytest.raises(ConfigError) as failed:
        load_setup(write(tmp_path, change))
    assert len(str(failed.value).splitlines()) == 3


def test_the_same_device_may_count_import_and_export(tmp_path: Path) -> None:
    setup = load_setup(write(tmp_path, lambda s: second(s, device="incomer", flow="export")))
    assert [found.flow for found in setup.plants[0].meters()] == [Flow.IMPORT, Flow.EXPORT]


def test_a_missing_factor_table_is_a_configuration_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_setup(write(tmp_path, lambda s: s.update(factors="none.csv")))


def test_a_replaced_meter_is_read_with_its_time(tmp_path: Path) -> None:
    change = [{"at": "2026-03-01T10:00:00+08:00", "final": 50240, "initial": 3, "factor": 2}]
    setup = load_setup(write(tmp_path, lambda s: meter(s).update(replaced=change)))
    (replaced,) = setup.plants[0].tree.meters[0].replaced
    assert replaced.at == 1_772_330_400 * 10**9
    assert (replaced.final, replaced.initial, replaced.factor) == (50240, 3, 2)


def test_several_workers_need_the_protocol_that_shares_subscriptions(tmp_path: Path) -> None:
    def change(settings: Any) -> None:
        settings["ingest"] = {"workers": 2}
        settings["broker"]["protocol"] = "3.1.1"

    with pytest.raises(ConfigError, match=r"ingest.*workers.*several workers need `protocol: 5`"):
        load_setup(write(tmp_path, change))


@pytest.mark.parametrize("workers", [0, 9, "two"])
def test_a_number_of_workers_that_makes_no_sense_is_refused(tmp_path: Path, workers: object) -> None:
    with pytest.raises(ConfigError, match="workers"):
        load_setup(write(tmp_path, lambda settings: settings.update(ingest={"workers": workers})))


def test_a_plant_sets_its_own_alarm_limits_over_the_shipped_ones(tmp_path: Path) -> None:
    own = {"unmetered_percent": {"side": "above", "limit": 5, "clear": 4, "delay": "2h", "owner": "Li Na"}}
    setup = load_setup(write(tmp_path, lambda settings: settings["plants"][0].update(alarms=own)))
    shipped = load_setup(write(tmp_path)).rules["works"].management(date(2026, 1, 1)).alarms
    rules = setup.rules["works"].management(date(2026, 1, 1)).alarms
    assert (rules["unmetered_percent"].limit, rules["unmetered_percent"].delay_ns) == (5, 7200 * 10**9)
    assert rules["unmetered_percent"].owner == "Li Na"
    assert rules["leak"] == shipped["leak"]


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"happiness": {"side": "above", "limit": 5, "clear": 4}}, r"centre.yaml:\d+: .*alarms"),
        ({"leak": {"side": "above", "limit": 1, "clear": 2}}, r"centre.yaml:\d+: .*leak.*clear"),
    ],
)
def test_an_alarm_that_cannot_be_is_told_with_its_place(tmp_path: Path, own: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_setup(write(tmp_path, lambda settings: settings["plants"][0].update(alarms=own)))


def contracts(*given: dict[str, Any]) -> Callable[[Any], object]:
    return lambda settings: settings["plants"][0].update(contract=list(given))


OLD = {"method": "contract_demand", "contract_kw": 600, "confirmed": False, "valid_to": "2026-10-31"}
NEW = {"method": "contract_demand", "contract_kw": 900, "demand": "sliding", "valid_from": "2026-11-01"}


def test_the_contract_of_a_day_is_the_one_that_holds_on_it(tmp_path: Path) -> None:
    terms = load_setup(write(tmp_path, contracts(OLD, NEW))).rules["works"].terms
    before, after = terms.contract(date(2026, 10, 31)), terms.contract(date(2026, 11, 1))
    assert before is not None
    assert after is not None
    assert (before.contract_kw, after.contract_kw) == (600, 900)
    assert (terms.unconfirmed(date(2026, 10, 31)), terms.unconfirmed(date(2026, 11, 1))) == (("contract",), ())
    assert (before.demand, after.demand) == ("fixed_block", "sliding")
    ended = load_setup(write(tmp_path, contracts(OLD))).rules["works"].terms
    assert ended.contract(date(2026, 11, 1)) is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((OLD, {**NEW, "valid_from": "2026-10-31"}), "one must end .valid_to. before the next begins"),
        ((NEW, OLD), "one must end .valid_to. before the next begins"),
        ((OLD, {**NEW, "metering_day": 2}), "all must have the same metering_day"),
        (({**OLD, "valid_from": "2026-11-02"},), "valid_to must not be before valid_from"),
        (({"method": "capacity"},), "capacity needs capacity_kva"),
    ],
)
def test_contracts_that_contradict_each_other_are_refused(
    tmp_path: Path, given: tuple[dict[str, Any], ...], told: str
) -> None:
    with pytest.raises(ConfigError, match=rf"centre.yaml:\d+: .*contract: {told}"):
        load_setup(write(tmp_path, contracts(*given)))
