"""Entities: the door of their file, the tree on a day, and dated membership that splits sums exactly."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre.carriers import Carrier, Flow
from centre.entities import Entities, Entity, EntityKind, EntityMeter, Membership, entities_of
from centre.entities_file import entities_in, to_yaml
from centre.entities_rules import mistakes
from centre.entities_tree import entities_of_tree, members, meter_spans, tree_on
from centre.settings import load_setup
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.strict_yaml import load_text

NAME = {"en": "N", "zh": "名"}
MOVED = date(2026, 7, 11)
FILE: dict[str, Any] = {
    "upper": [
        {"id": "city", "kind": "city", "name": NAME},
        {"id": "park", "kind": "park", "name": NAME, "in": "city"},
    ],
    "sites": {
        "works": [
            {
                "id": "plant", "kind": "plant", "name": NAME, "in": "park", "industry": "C3670", "products": ["gearbox"],
                "meters": [
                    {
                        "device": "incomer", "carrier": "electricity", "flow": "import", "level": 1, "accuracy": 0.5,
                        "calibration_due": "2027-03-01",
                        "epochs": [
                            {"serial": "0001", "ct": 40, "pt": 100, "digits": 6, "unit": "kWh", "factor": 4000},
                            {"since": "2026-03-01T10:00:00+08:00", "serial": "A7", "final": 50240, "initial": 3},
                        ],
                    }
                ],
                "virtual": [{"id": "rest", "carrier": "electricity", "expression": "[incomer] - [press:import]"}],
            },
            {"id": "hall-1", "kind": "workshop", "name": NAME, "in": "plant", "cost_centre": "4711"},
            {"id": "hall-2", "kind": "workshop", "name": NAME, "in": "plant"},
            {
                "id": "press", "kind": "equipment", "name": NAME,
                "in": [{"of": "hall-1", "until": "2026-07-11"}, {"of": "hall-2", "since": "2026-07-11"}],
                "meters": [{"device": "press", "carrier": "electricity", "flow": "import", "level": 3}],
            },
        ]
    },
}  # fmt: skip


def load(change: Callable[[Any], object] = lambda file: None) -> Entities:
    data = json.loads(json.dumps(FILE))
    change(data)
    return entities_in(load_text(json.dumps(data, indent=1, ensure_ascii=False), "entities.yaml"))


def works(file: Any) -> Any:
    return file["sites"]["works"]


def test_a_file_holds_all_that_is_asked_of_an_entity() -> None:
    entities = load()
    assert list(entities.by_key) == ["city", "park", "works/plant", "works/hall-1", "works/hall-2", "works/press"]
    plant = entities.plant("works")
    assert plant is not None
    assert (plant.industry, plant.products, plant.memberships) == ("C3670", ("gearbox",), (Membership(parent="park"),))
    (meter,) = plant.meters
    assert (meter.level, meter.accuracy, meter.calibration_due) == (1, Decimal("0.5"), date(2027, 3, 1))
    assert [epoch.serial for epoch in meter.epochs] == ["0001", "A7"]
    assert [(change.at, change.factor) for change in meter.meter.replaced] == [(0, 4000), (1_772_330_400 * 10**9, 1)]


def test_what_is_exported_reads_back_as_the_same() -> None:
    entities = load()
    again = entities_in(load_text(to_yaml(entities), "again.yaml"))
    assert again == entities
    assert to_yaml(again) == to_yaml(entities)


def test_one_model_stands_behind_the_tree_of_the_settings_too() -> None:
    setup = load_setup(config_dir() / "centre.example.yaml")
    (plant,) = setup.plants
    assert setup.entities == entities_of(entities_of_tree(plant))
    assert entities_in(load_text(to_yaml(setup.entities), "exported.yaml")) == setup.entities
    assert tree_on(setup.entities, f"{plant.site}/{plant.tree.id}", date(2026, 1, 1)) == plant.tree


def test_a_moved_press_is_where_it_was_on_each_day() -> None:
    entities = load()
    for day, hall in ((MOVED - timedelta(days=1), "hall-1"), (MOVED, "hall-2")):
        (found,) = [
            node.id
            for node in tree_on(entities, "city", day).walk()
            if node.children and node.children[0].id == "press"
        ]
        assert found == hall
    spans = members(entities, "works/hall-1", date(2026, 7, 1), date(2026, 8, 1))
    assert [(span.key, span.start.day, span.end.day) for span in spans] == [
        ("works/hall-1", 1, 1),
        ("works/press", 1, 11),
    ]


def test_a_move_in_mid_month_splits_its_sum_exactly() -> None:
    entities, start, end = load(), date(2026, 7, 1), date(2026, 8, 1)
    halves = [meter_spans(entities, f"works/{hall}", Carrier.ELECTRICITY, start, end) for hall in ("hall-1", "hall-2")]
    assert [[(span.meter.device, span.start, span.end) for span in found] for found in halves] == [
        [("press", start, MOVED)], [("press", MOVED, end)],
    ]  # fmt: skip
    (own,) = meter_spans(entities, "park", Carrier.ELECTRICITY, start, end)
    assert (own.meter.device, own.start, own.end) == ("incomer", start, end)


def meters(file: Any, place: int) -> Any:
    return works(file)[place]["meters"]


def formula(file: Any, text: str) -> None:
    works(file)[0]["virtual"][0]["expression"] = text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: works(f)[1].update(colour="red"), "sites.works.1.colour: is not a key"),
        (lambda f: works(f)[1].update(id="hall-2"), "sites.works.2.id: hall-2 is the id of another entity"),
        (lambda f: works(f)[1].update(kind="shed"), "sites.works.1.kind: "),
        (lambda f: works(f)[1].update(kind="park"), "sites.works.1.kind: a park stands above plants"),
        (lambda f: works(f)[1].update({"in": "nowhere"}), "sites.works.1.in.0.of: works/nowhere is no entity here"),
        (lambda f: works(f)[1].update({"in": "press"}), "sites.works.1.in.0.of: a workshop cannot be part of"),
        (lambda f: works(f)[1].update({"in": "city"}), "works/city is no entity here"),
        (lambda f: works(f)[1].update({"in": "hall-2"}) or works(f)[2].update({"in": "hall-1"}), "contains itself: "),
        (lambda f: works(f)[1].pop("in"), "sites.works.1.in: is missing"),
        (lambda f: works(f)[3]["in"][1].update(since="2026-07-10"), "sites.works.3.in.1: from 2026-07-10 on there are two"),
        (lambda f: works(f)[3]["in"][1].pop("since"), "from the beginning on there are two"),
        (lambda f: works(f)[3]["in"][0].update(since="2026-07-11"), "sites.works.3.in.0: until must be after since"),
        (lambda f: works(f)[3]["in"][0].update(until=1783728000), "sites.works.3.in.0.until: must be a day"),
        (lambda f: works(f)[0].update(industry="steel"), "sites.works.0.industry: "),
        (lambda f: works(f)[1].update(kind="plant", **{"in": "park"}), "is the plant of this site"),
        (lambda f: works(f).pop(0), "is no entity here"),
        (lambda f: meters(f, 3)[0].update(device="incomer"), "incomer is counted as electricity import twice"),
        (lambda f: meters(f, 3)[0].update(level=4), "sites.works.3.meters.0.level: "),
        (lambda f: meters(f, 3)[0].update(flow="export", carrier="heat"), "sites.works.3.meters.0.flow: export of this"),
        (lambda f: meters(f, 0)[0]["epochs"][0].update(unit="m3"), "epochs: m3 does not measure electricity"),
        (lambda f: meters(f, 0)[0]["epochs"][1].pop("final"), "epochs: a changed meter needs `final`"),
        (lambda f: meters(f, 0)[0]["epochs"][1].update(since="2026-03-01T10:00:00"), "since: needs its offset"),
        (lambda f: meters(f, 0)[0]["epochs"][1].update(since="0001-01-01T00:00:00+08:00"), "since: must lie between"),
        (lambda f: meters(f, 0)[0]["epochs"][1].update(since="9999-12-31T23:00:00-08:00"), "since: must lie between"),
        (lambda f: meters(f, 0)[0]["epochs"][1].update(since=1783728000), "since: must be a time such as"),
        (lambda f: meters(f, 0)[0]["epochs"][1].update(ct="1e-9999999"), "epochs.1.ct: "),
        (lambda f: meters(f, 0)[0]["epochs"].reverse(), "epochs: only the first may be without since"),
        (lambda f: formula(f, "[incomer] - [pres]"), "sites.works.0.virtual.0.expression: [pres] is no meter"),
        (lambda f: formula(f, "[rest] + 0"), "virtual.0.expression: refers to itself"),
        (lambda f: formula(f, "1 +"), "virtual.0.expression: "),
        (lambda f: works(f)[0]["virtual"][0].update(id="press"), "virtual.0.id: press is another meter"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_line_and_key(change: Callable[[Any], object], says: str) -> None:
    with pytest.raises(ConfigError) as failed:
        load(change)
    assert any(
        says in line and line.removeprefix("entities.yaml:").split(":")[0].isdigit()
        for line in str(failed.value).splitlines()
    ), str(failed.value)


def test_a_meter_may_move_to_another_place_with_its_day() -> None:
    def change(file: Any) -> None:
        moved = {"device": "press", "carrier": "electricity", "flow": "import", "since": "2026-09-01"}
        meters(file, 3)[0]["until"] = "2026-09-01"
        works(file)[1]["meters"] = [moved]

    entities = load(change)
    spans = meter_spans(entities, "works/hall-1", Carrier.ELECTRICITY, date(2026, 7, 1), date(2026, 10, 1))
    assert [(span.start, span.end) for span in spans] == [
        (date(2026, 7, 1), MOVED),
        (date(2026, 9, 1), date(2026, 10, 1)),
    ]


def test_a_circle_of_virtual_meters_is_refused() -> None:
    def change(file: Any) -> None:
        formula(file, "[other] - [press]")
        works(file)[1]["virtual"] = [{"id": "other", "carrier": "electricity", "expression": "2 * [rest]"}]

    with pytest.raises(ConfigError, match="refers to itself: "):
        load(change)


def test_a_plant_of_the_settings_has_its_tree_in_one_place(tmp_path: Path) -> None:
    text = (config_dir() / "demo" / "centre.yaml").read_text("utf-8")
    (tmp_path / "centre.yaml").write_text(text, "utf-8")
    (tmp_path / "entities.yaml").write_text(to_yaml(load()), "utf-8")
    with pytest.raises(ConfigError, match=r"centre.yaml:\d+: plants.0.tree: the tree of jiangjin-1 has no entry here"):
        load_setup(tmp_path / "centre.yaml")
    tree = "    tree: {id: plant, name: {en: P, zh: 厂}}\n"
    (tmp_path / "centre.yaml").write_text(text + tree, "utf-8")
    setup = load_setup(tmp_path / "centre.yaml")
    assert [entity.key for entity in setup.entities][-1] == "jiangjin-1/plant"
    (tmp_path / "entities.yaml").write_text((config_dir() / "demo" / "entities.yaml").read_text("utf-8"), "utf-8")
    with pytest.raises(ConfigError, match=r"plants.0.tree: the tree of jiangjin-1 stands there already"):
        load_setup(tmp_path / "centre.yaml")


DAYS = st.integers(0, 59).map(lambda number: date(2026, 1, 1) + timedelta(days=number))


@given(
    st.lists(DAYS, min_size=1, max_size=5, unique=True), st.lists(st.integers(0, 2), min_size=6, max_size=6), DAYS, DAYS
)
def test_every_day_of_a_meter_counts_in_exactly_one_place(
    moves: list[date], halls: list[int], one: date, other: date
) -> None:
    edges: list[date | None] = [None, *sorted(moves), None]
    places = tuple(
        Membership(parent=f"s/h{hall}", since=since, until=until)
        for (since, until), hall in zip(pairwise(edges), halls, strict=False)
    )
    meter = EntityMeter(device="m", carrier=Carrier.ELECTRICITY, flow=Flow.IMPORT)
    found = (
        Entity(site="s", id="p", kind=EntityKind.PLANT, name=NAME),
        *(
            Entity(site="s", id=f"h{n}", kind=EntityKind.WORKSHOP, name=NAME, memberships=(Membership(parent="s/p"),))
            for n in range(3)
        ),
        Entity(site="s", id="e", kind=EntityKind.EQUIPMENT, name=NAME, memberships=places, meters=(meter,)),
    )
    assert not mistakes(found)
    entities = entities_of(found)
    start, end = min(one, other), max(one, other) + timedelta(days=1)
    counted = [
        span.start + timedelta(days=day)
        for hall in range(3)
        for span in meter_spans(entities, f"s/h{hall}", Carrier.ELECTRICITY, start, end)
        for day in range((span.end - span.start).days)
    ]
    assert sorted(counted) == [start + timedelta(days=day) for day in range((end - start).days)]
    (whole,) = meter_spans(entities, "s/p", Carrier.ELECTRICITY, start, end)
    assert (whole.start, whole.end) == (start, end)
