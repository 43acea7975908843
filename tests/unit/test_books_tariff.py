"""Tariffs as dated data: bands at any minute of any local clock, and files that say what is wrong with them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.metered import Amount
from centre.accounting.tariff import DayType, Tariff
from centre.accounting.tariff_file import load_tariff, tariff_of
from centre.accounting.time_of_use import Piece, energy_by_band, pieces
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.strict_yaml import load_text

NS = 1_000_000_000
MINUTE = 60 * NS
SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")

PLAIN = """
id: plain
name: {en: Plain, zh: 平}
currency: CNY
calendar: {holidays: ["2026-10-01"], workdays: ["2026-10-10"], critical: ["2026-07-15"]}
versions:
  - valid_from: "2026-01-01"
    source: test
    confirmed: true
    schedules:
      - {days: [critical], bands: {"00:00": peak}}
      - {days: [weekend, holiday], bands: {"00:00": valley, "02:30": flat}}
      - {bands: {"00:00": valley, "08:30": peak, "22:15": flat}}
    items:
      energy: {name: {en: Energy, zh: 电量}, prices: {peak: 1.2, flat: 0.8, valley: 0.4}}
  - valid_from: "2026-07-01"
    source: test
    confirmed: true
    schedules: [{bands: {"00:00": flat}}]
    items:
      energy: {name: {en: Energy, zh: 电量}, price: 0.9}
"""


def plain(text: str = PLAIN) -> Tariff:
    return tariff_of(load_text(text, "plain.yaml"))


def at(zone: ZoneInfo, *when: int) -> int:
    return int(datetime(*when, tzinfo=zone).timestamp()) * NS  # type: ignore[arg-type,misc]


def bands(found: tuple[Piece, ...], zone: ZoneInfo) -> list[tuple[str, str, int]]:
    return [
        (f"{datetime.fromtimestamp(p.start // NS, zone):%d %H:%M}", p.band, (p.end - p.start) // MINUTE) for p in found
    ]


def test_v6_an_interval_from_0830_has_the_price_of_the_band_that_begins_at_0830() -> None:
    start = at(SHANGHAI, 2026, 3, 4, 8, 30)
    half_hour = Amount(start=start, end=start + 30 * MINUTE, amount=Decimal(250))
    (found,) = energy_by_band([half_hour], pieces(plain(), SHANGHAI, start, start + 30 * MINUTE))
    assert (found.band, found.amount, found.split) == ("peak", Decimal(250), Decimal(0))


def test_v6_the_half_hour_before_has_the_price_before_it() -> None:
    start = at(SHANGHAI, 2026, 3, 4, 8, 0)
    half_hour = Amount(start=start, end=start + 30 * MINUTE, amount=Decimal(250))
    (found,) = energy_by_band([half_hour], pieces(plain(), SHANGHAI, start, start + 30 * MINUTE))
    assert found.band == "valley"


def test_an_interval_across_a_boundary_is_shared_by_time_and_says_so() -> None:
    start = at(SHANGHAI, 2026, 3, 4, 8, 20)
    cut = pieces(plain(), SHANGHAI, start, start + 30 * MINUTE)
    found = {
        line.band: line
        for line in energy_by_band([Amount(start=start, end=start + 30 * MINUTE, amount=Decimal(100))], cut)
    }
    assert found["valley"].amount == Decimal("33.333333333")
    assert found["peak"].amount == Decimal("66.666666667")
    assert found["peak"].split == found["peak"].amount


def test_day_types_go_critical_holiday_shifted_workday_weekend() -> None:
    calendar = plain().calendar
    assert calendar.day_type(date(2026, 7, 15)) is DayType.CRITICAL
    assert calendar.day_type(date(2026, 10, 1)) is DayType.HOLIDAY
    assert calendar.day_type(date(2026, 10, 10)) is DayType.WORKDAY  # a Saturday
    assert calendar.day_type(date(2026, 10, 11)) is DayType.WEEKEND


def test_the_night_the_clock_goes_back_has_the_bands_of_that_hour_twice() -> None:
    found = pieces(plain(), BERLIN, at(BERLIN, 2026, 3, 28), at(BERLIN, 2026, 3, 29))
    assert sum(length for *_, length in bands(found, BERLIN)) == 1440
    tariff = plain(PLAIN.replace('"2026-07-01"', '"2027-01-01"'))
    found = pieces(tariff, BERLIN, at(BERLIN, 2026, 10, 25), at(BERLIN, 2026, 10, 26))
    assert bands(found, BERLIN) == [
        ("25 00:00", "valley", 150),
        ("25 02:30", "flat", 30),
        ("25 02:00", "valley", 30),
        ("25 02:30", "flat", 1290),
    ]


def test_the_night_the_clock_goes_forward_lacks_them() -> None:
    found = pieces(plain(), BERLIN, at(BERLIN, 2026, 3, 29), at(BERLIN, 2026, 3, 30))
    assert bands(found, BERLIN) == [("29 00:00", "valley", 120), ("29 03:00", "flat", 1260)]


def test_versions_change_at_local_midnight_and_before_the_first_there_is_none() -> None:
    found = pieces(plain(), SHANGHAI, at(SHANGHAI, 2026, 6, 30, 23), at(SHANGHAI, 2026, 7, 1, 1))
    assert [(piece.version, piece.band) for piece in found] == [
        ("plain/2026-01-01", "flat"),
        ("plain/2026-07-01", "flat"),
    ]
    (none,) = pieces(plain(), SHANGHAI, at(SHANGHAI, 2025, 6, 30, 23), at(SHANGHAI, 2025, 7, 1, 1))
    assert none.version == ""
    assert plain('ends: "2026-12-31"\n' + PLAIN).version_on(date(2027, 1, 1)) is None


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    zone=st.sampled_from([SHANGHAI, BERLIN, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/New_York")]),
    first=st.dates(date(2025, 12, 20), date(2026, 12, 20)),
    minutes=st.integers(1, 3 * 1440),
)
def test_bands_cover_every_instant_once_and_the_energy_is_conserved_in_any_order(
    data: st.DataObject, zone: ZoneInfo, first: date, minutes: int
) -> None:
    start = int(datetime(first.year, first.month, first.day, 5, 7, tzinfo=UTC).timestamp()) * NS
    end = start + minutes * MINUTE
    cut = pieces(plain(), zone, start, end)
    assert cut[0].start == start
    assert cut[-1].end == end
    assert all(a.end == b.start for a, b in pairwise(cut))
    step = data.draw(st.integers(1, 95)) * MINUTE
    intervals = [
        Amount(
            start=a,
            end=min(a + step, end),
            amount=data.draw(st.none() | st.decimals(-1000, 100000, places=3)) if n < 30 else Decimal(7),
        )
        for n, a in enumerate(range(start, end, step))
    ]
    found = energy_by_band(intervals, cut)
    assert sum(line.amount for line in found) == sum(i.amount for i in intervals if i.amount is not None)
    assert sum(line.known_ns + line.missing_ns for line in found) == end - start
    assert sum(line.missing_ns for line in found) == sum(i.end - i.start for i in intervals if i.amount is None)
    assert (
        energy_by_band(data.draw(st.permutations(intervals)) if len(intervals) < 50 else intervals[::-1], cut) == found
    )


@settings(max_examples=40, deadline=None)
@given(minute=st.integers(0, 366 * 1440), zone=st.sampled_from([SHANGHAI, BERLIN, ZoneInfo("Australia/Lord_Howe")]))
def test_an_instant_has_the_band_that_a_clock_on_the_wall_shows(minute: int, zone: ZoneInfo) -> None:
    instant = at(ZoneInfo("UTC"), 2026, 1, 2) + minute * MINUTE
    (piece,) = pieces(plain(), zone, instant, instant + MINUTE)
    wall = datetime.fromtimestamp(instant // NS, zone)
    version = plain().version_on(wall.date())
    assert version is not None
    schedule = version.schedule_for(wall.month, plain().calendar.day_type(wall.date()))
    assert piece.band == schedule.band_at(60 * wall.hour + wall.minute)


@pytest.mark.parametrize("path", sorted((config_dir() / "tariffs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_tariff_loads_and_says_whether_it_was_confirmed(path: Path) -> None:
    tariff = load_tariff(path)
    assert tariff.id == path.stem
    assert all(version.source for version in tariff.versions)


def test_prices_are_exactly_what_the_file_says() -> None:
    assert plain().versions[0].items[0].prices == {
        "peak": Decimal("1.2"),
        "flat": Decimal("0.8"),
        "valley": Decimal("0.4"),
    }
    assert plain().versions[1].items[0].prices == {"flat": Decimal("0.9")}


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ('"08:30": peak', '"8:30": peak', "plain.yaml:13: versions.0.schedules.2.bands.8:30: must be a time of day"),
        ('"22:15": flat', '"08:00": flat', "plain.yaml:13: versions.0.schedules.2.bands.08:00: must be later"),
        ('{"00:00": peak}', '{"01:00": peak}', "plain.yaml:11: versions.0.schedules.0.bands: the first band must begin"),
        ("- {days: [critical]", "- {days: [workday]", "plain.yaml:10: versions.0.schedules: no schedule for month"),
        (", bands: {\"00:00\": peak}}", ", months: [13], bands: {\"00:00\": peak}}", "plain.yaml:11: versions.0.schedules.0.months.0"),
        ("flat: 0.8, ", "", "plain.yaml:15: versions.0.items.energy.prices: has no price for flat"),
        ("flat: 0.8,", "flat: 0.8, deep: 0.1,", "plain.yaml:15: versions.0.items.energy.prices.deep: is a band of no schedule"),
        ("price: 0.9", "prise: 0.9", "plain.yaml:21: versions.1.items.energy.prise: is not a key"),
        ("price: 0.9", "price: 0.9, prices: {flat: 1}", "plain.yaml:21: versions.1.items.energy: must have either"),
        ('"2026-07-01"', '"2026-01-01"', "plain.yaml:16: versions.1.valid_from: must be later"),
        ('workdays: ["2026-10-10"]', 'workdays: ["2026-10-01"]', "plain.yaml:5: calendar.workdays: 2026-10-01 stands"),
        ("{days: [critical], ", "{", "plain.yaml:12: versions.0.schedules.1: never counts"),
        ("id: plain", 'ends: "2026-03-01"\nid: plain', "plain.yaml:2: ends: must not be before"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_line_and_key(wrong: str, right: str, message: str) -> None:
    text = PLAIN.replace(wrong, right)
    assert text != PLAIN
    if "no schedule" in message:
        text = text.replace(
            '- {bands: {"00:00": valley, "08:30"', '- {days: [workday], bands: {"00:00": valley, "08:30"'
        )
        text = text.replace('- {days: [workday], bands: {"00:00": peak}}\n      ', "")
    with pytest.raises(ConfigError) as caught:
        plain(text)
    assert message in str(caught.value)
