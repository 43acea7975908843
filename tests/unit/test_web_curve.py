"""The load curve on days of every length."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from centre.accounting.registers import Flag
from centre.accounting.zones import day_bounds
from centre.views import Load, LoadPoint
from centre.web_curve import curve, peak, span
from centre.web_i18n import load_words
from support.page_figures import PLANT
from wattline.clock import NS

WORDS = load_words()["en"]
BERLIN = replace(PLANT, zone=ZoneInfo("Europe/Berlin"))


def _load(day: date, values: list[str | None], zone: ZoneInfo) -> Load:
    start, end = day_bounds(day, zone)
    points = tuple(
        LoadPoint(
            start_ns=start + place * 900 * NS,
            kw=None if kw is None else Decimal(kw),
            quality=Flag.MISSING if kw is None else Flag.MEASURED,
            open=place == len(values) - 1,
        )
        for place, kw in enumerate(values)
    )
    return Load(site=PLANT.site, day=day, start_ns=start, end_ns=end, step_s=900, nodes={"plant": points})


@pytest.mark.parametrize(
    ("day", "count"), [(date(2026, 3, 29), 92), (date(2026, 10, 25), 100), (date(2026, 11, 20), 96)]
)
def test_a_day_has_as_many_intervals_as_its_clock_gives_it(day: date, count: int) -> None:
    drawn = curve(BERLIN, _load(day, ["1.5", "2"], BERLIN.zone), PLANT.tree, WORDS)
    assert len(drawn["values"]) == len(drawn["kinds"]) == count
    assert len(drawn["labels"]) == count + 1
    assert (drawn["labels"][0], drawn["labels"][-1]) == ("00:00", "24:00")


def test_a_gap_is_null_and_the_running_interval_is_called_so() -> None:
    drawn = curve(PLANT, _load(date(2026, 11, 20), ["10", None, "12", "13"], PLANT.zone), PLANT.tree, WORDS)
    assert drawn["values"][:5] == [10.0, None, 12.0, 13.0, None]
    assert drawn["kinds"][:5] == ["measured", "gap", "measured", "running", "ahead"]


def test_large_loads_are_drawn_in_megawatts() -> None:
    drawn = curve(PLANT, _load(date(2026, 11, 20), ["12000", "9000"], PLANT.zone), PLANT.tree, WORDS)
    assert (drawn["unit"], drawn["values"][:2]) == ("MW", [12.0, 9.0])


def test_the_peak_is_the_first_highest_closed_interval() -> None:
    load = _load(date(2026, 11, 20), ["10", "30", "30", "99"], PLANT.zone)
    highest = peak(load.nodes["plant"])
    assert highest is not None
    assert span(highest, load.step_s, PLANT) == ("00:15", "00:30")


def test_a_day_without_power_says_so_instead_of_drawing_zero() -> None:
    drawn = curve(PLANT, _load(date(2026, 11, 20), [None, None], PLANT.zone), PLANT.tree, WORDS)
    assert drawn["empty"] == WORDS("load.empty")
    assert set(drawn["values"]) == {None}
