"""`wattline profiles`: the models there are, one model, and whether files are sound, told by file and line."""

import json
import subprocess
import sys
from pathlib import Path

from drivers.modbus import catalogue
from drivers.modbus.catalogue import SHIPPED

OWN = """\
id: own-meter
manufacturer: Nordwerk
model: NZ3
medium: electricity
manual: {title: manual}
sources: [on site]
points:
  voltage_l1_n: {address: 0, type: u16, unit: V}
  power_active_total: {address: 1, type: i16, unit: kW}
"""


def wattline(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "wattline", "profiles", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_all_shipped_profiles_are_sound_and_the_doubtful_points_are_counted() -> None:
    done = wattline("test")
    assert (done.returncode, done.stderr) == (0, "")
    every = [point for name in catalogue.names() for point in catalogue.load(name).points.values()]
    computed = [point for name in catalogue.names() for point in catalogue.load(name).computed.values()]
    unverified = sum(not point.verified for point in (*every, *computed))
    assert (
        f"{len(catalogue.names())} profiles are sound. {unverified} of {len(every) + len(computed)} points"
        in done.stdout
    )


def test_list_finds_models_by_words() -> None:
    done = wattline("list", "gavazzi", "em24")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[1:3]] == [
        "carlo-gavazzi-em24",
        "carlo-gavazzi-em24-e1",
    ]
    assert "2 models" in done.stdout
    assert wattline("list", "no such meter").returncode == 1


def test_list_as_json_has_every_model_and_the_plants_own(tmp_path: Path) -> None:
    (tmp_path / "own-meter.yaml").write_text(OWN.replace("unit: kW", "unit: W"))
    rows = {row["id"]: row for row in json.loads(wattline("list", "--json", "--profiles", tmp_path).stdout)}
    assert set(rows) == {*catalogue.names(), "own-meter"}
    assert rows["own-meter"] == {
        "id": "own-meter", "manufacturer": "Nordwerk", "model": "NZ3", "medium": "electricity", "serial": None,
        "points": 2, "unverified": 0, "requests": 1, "own": True,
    }  # fmt: skip


def test_show_tells_register_unit_and_doubt_of_each_point() -> None:
    text = wattline("show", "carlo-gavazzi-em24-e1").stdout
    assert "must read: cfg_application = 7, else no value counts; written where it differs" in text
    assert "voltage_l1_n" in text
    assert "input 0 i32, low word first x 0.1" in text
    told = json.loads(wattline("show", "tq-em300", "--json").stdout)
    points = {point["name"]: point for point in told["every_point"]}
    assert points["power_active_total"]["plus"] == ["power_active_import_total"]
    assert points["power_active_import_total"]["table"] == "holding"
    assert wattline("show", "abb-b32").returncode == 78
    assert "did you mean abb-b23?" in wattline("show", "abb-b32").stderr


def test_a_wrong_profile_is_told_by_file_and_line_with_exit_78(tmp_path: Path) -> None:
    path = tmp_path / "own-meter.yaml"
    path.write_text(OWN)
    (tmp_path / "good.yaml").write_text(OWN.replace("own-meter", "good").replace("unit: kW", "unit: W"))
    message = f"{path}:9: points.power_active_total.unit: this point is measured in W"
    for which in (tmp_path, path):
        done = wattline("test", which)
        assert done.returncode == 78
        assert done.stderr.startswith(message)
    (wrong,) = [each for each in json.loads(wattline("test", path, "--json").stdout) if not each["passed"]]
    assert wrong["mistakes"][0].startswith(message)
    done = wattline("test", tmp_path / "good.yaml")
    assert (done.returncode, done.stdout.splitlines()[-1][:20]) == (0, "1 profile is sound. ")


def test_a_profile_of_the_plant_goes_before_the_shipped_one_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "abb-b23.yaml").write_text("id: abb-b23\nextends: abb-b23\nmodel: B23 of hall 3\n")
    assert "abb-b23: ABB B23 of hall 3" in wattline("show", "abb-b23", "--profiles", tmp_path).stdout
    assert (SHIPPED / "abb-b23.yaml").is_file()


def test_what_is_not_there_is_told() -> None:
    for args in (
        ["test", "no-such-folder/x.yaml"],
        ["list", "--profiles", "no-such-folder"],
        ["test", "nothing-like-it"],
    ):
        assert wattline(*args).returncode == 78
    assert wattline().returncode == 2
