"""Pollutants: means of hours and days as the rules weight them, limits by date, mass, alarms; out of a real store."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.calendar import Month
from centre.accounting.gauge_sums import HOUR_NS, Reading, by_flow, by_time, pieces
from centre.accounting.pollutants import (
    NO_FLOW,
    NO_FLOW_METER,
    NOT_ENOUGH,
    NOT_ENOUGH_HOURS,
    STOPPED,
    Averaging,
    Hour,
    Limit,
    Medium,
    mean_day,
    mean_hour,
    summed,
)
from centre.accounting.pollutants_file import Pollutant, load_pollutants, pollutants_of
from centre.accounting.zones import day_bounds
from centre.books.file import Books
from centre.closing_figures import outlets_of as outlets_of_month
from centre.emitted import POLLUTANT_DAY, POLLUTANT_HOUR, Emissions
from centre.errors import FigureError
from centre.outlet_readings import OutletReadings
from centre.outlets import Outlet, OutletSettings, outlet_mistakes, outlets_of
from centre.period import Period
from centre.points import Directory
from centre.report.pollutants import pollutant_table
from centre.report.writers import load_words
from centre.statements import Statements
from centre.store.base import Reading as Stored
from centre.store.base import SeriesKey
from centre.store.sqlite import SqliteStore
from centre.trace import Rule as TraceRule
from centre.trace import check
from centre.web_i18n import load_words as load_page_words
from centre.web_ledgers import pollutant_rows
from centre.web_why import why_view
from centre.why import why
from metering.faults import Fault
from metering.parcel import ParcelId, Received
from metering.sweep import Sweep
from support.books_plant import StoppedClock, setup
from support.centre_plant import PLANT
from wattline.clock import NS
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.strict_yaml import load_text

D = Decimal
MINUTE = 60 * NS
DAY = date(2026, 11, 2)
AIR = Averaging(
    medium=Medium.AIR, valid_from=date(2018, 3, 1), hold_ns=10 * MINUTE, least_minutes=45, least_hours=20,
    stopped_oxygen=D(19), source="", confirmed=False,
)  # fmt: skip
WATER = replace(AIR, medium=Medium.WATER, hold_ns=120 * MINUTE, stopped_oxygen=None)
LIMIT = Limit(
    id="own", unit="mg/m3", hour=D(50), day=D(40), oxygen=None, source="", confirmed=False
)  # fmt: skip
MGL = replace(LIMIT, unit="mg/L")


def series(*values: str | None, every: int = 10, start: int = 0) -> list[Reading]:
    """A reading each so many minutes."""
    return [
        Reading(start + place * every * MINUTE, None if value is None else D(value))
        for place, value in enumerate(values)
    ]


def hour(
    values: Sequence[str | None], flow: Sequence[str | None] | None = None, oxygen: Sequence[str | None] | None = None,
    rule: Averaging = AIR, limit: Limit = LIMIT,
) -> Hour:  # fmt: skip
    held, through, content = (
        None if of is None else pieces(series(*of), 0, HOUR_NS, rule.hold_ns) for of in (values, flow, oxygen)
    )
    weighted = rule.medium is Medium.WATER and through is not None
    return mean_hour(
        0,
        by_flow(held or (), through or ()) if weighted else by_time(held or ()),
        flow=None if through is None else by_time(through),
        oxygen=None if content is None else by_time(content),
        rule=rule,
        limit=limit,
    )


def test_air_is_weighted_by_time_and_its_mass_is_mean_times_volume() -> None:
    found = hour(["30", "30", "30", "60", "60", "60"], ["1000"] * 6)
    assert (found.mean, found.volume_m3, found.mass_kg) == (D(45), D(1000), D("0.045"))  # 45 mg/m3 x 1000 m3
    assert (found.valid, found.over) == (True, False)


def test_water_is_weighted_by_flow() -> None:
    # 20 mg/L in 30 m3/h for half an hour, 80 mg/L in 10 m3/h for the other: (20 x 15 + 80 x 5) / 20 = 35 mg/L
    found = hour(["20"] * 3 + ["80"] * 3, ["30"] * 3 + ["10"] * 3, rule=WATER, limit=MGL)
    assert (found.mean, found.volume_m3, found.mass_kg) == (D(35), D(20), D("0.7"))  # 35 g/m3 x 20 m3


def test_a_limit_stated_at_an_oxygen_content_is_compared_there_and_the_mass_is_as_measured() -> None:
    found = hour(["40"] * 6, ["1000"] * 6, ["6"] * 6, limit=replace(LIMIT, oxygen=D("3.5")))
    assert found.mean == D("46.666667")  # 40 x (21 - 3.5) / (21 - 6)
    assert found.mass_kg == D("0.04")
    stopped = hour(["40"] * 6, None, ["20"] * 6, limit=replace(LIMIT, oxygen=D("3.5")))
    assert (stopped.mean, stopped.reason, stopped.over) == (None, STOPPED, False)
    unknown = hour(["40"] * 6, None, [None] * 6, limit=replace(LIMIT, oxygen=D("3.5")))
    assert unknown.reason == f"oxygen: {NOT_ENOUGH}"


def test_a_reading_holds_until_the_next_and_no_longer_than_the_rule_allows() -> None:
    held = pieces([Reading(0, D(1)), Reading(30 * MINUTE, None), Reading(40 * MINUTE, D(3))], 0, HOUR_NS, 10 * MINUTE)
    assert [(piece.start, piece.end) for piece in held] == [(0, 10 * MINUTE), (40 * MINUTE, 50 * MINUTE)]
    before = pieces([Reading(-5 * MINUTE, D(1)), Reading(20 * MINUTE, D(2))], 0, HOUR_NS, 10 * MINUTE)
    assert [(piece.start, piece.end) for piece in before] == [(0, 5 * MINUTE), (20 * MINUTE, 30 * MINUTE)]


def test_less_than_45_valid_minutes_make_no_mean_and_no_mass() -> None:
    found = hour(["30", "30", "30", "30", None, None], ["1000"] * 6)
    assert (found.valid, found.mean, found.mass_kg, found.reason) == (False, None, None, NOT_ENOUGH)
    assert found.valid_ns == 40 * MINUTE


def test_an_hour_without_flow_is_valid_and_its_mass_is_nothing() -> None:
    found = hour(["30"] * 6, ["0"] * 6, rule=WATER, limit=MGL)
    assert (found.valid, found.mean, found.mass_kg, found.reason) == (True, None, D(0), NO_FLOW)


def hours(*means: str | None, volume: str | None = None) -> list[Hour]:
    return [
        Hour(
            start=place * HOUR_NS, valid_ns=HOUR_NS if mean else 0, valid=mean is not None,
            mean=None if mean is None else D(mean), volume_m3=None if volume is None else D(volume) * (place + 1),
            mass_kg=None if mean is None else D(1), limit=D(50), reason=None if mean else NOT_ENOUGH,
        )
        for place, mean in enumerate(means)
    ]  # fmt: skip


def test_a_day_needs_20_valid_hours() -> None:
    assert mean_day(DAY, hours(*["40"] * 20, *[None] * 4), AIR, LIMIT).mean == D(40)
    short = mean_day(DAY, hours(*["40"] * 19, *[None] * 5), AIR, LIMIT)
    assert (short.mean, short.valid_hours, short.reason) == (None, 19, NOT_ENOUGH_HOURS)


def test_a_day_of_water_is_weighted_by_what_flowed() -> None:
    rule = replace(WATER, least_hours=2)
    found = mean_day(DAY, hours("10", "40", volume="1"), rule, MGL)
    assert (found.mean, found.over) == (D(30), False)  # (10 x 1 + 40 x 2) / 3
    assert mean_day(DAY, hours("10", "40"), rule, MGL).mean == D(25)  # flow not measured: by time


def test_a_period_counts_what_is_over_and_tells_how_much_is_known() -> None:
    found = hours("60", "50", None, "51")
    whole = summed(found, [mean_day(DAY, found, replace(AIR, least_hours=3), LIMIT)], flow=True)
    assert (whole.hours, whole.valid_hours, whole.valid_share, whole.hours_over) == (4, 3, D("0.75"), 2)
    assert (whole.mass_kg, whole.mass_hours, whole.highest, whole.days_over) == (D(3), 3, D(60), 1)
    assert summed([], [], flow=False).reason == NO_FLOW_METER


values = st.lists(st.none() | st.integers(0, 200).map(str), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(values, values, st.sampled_from([AIR, WATER]))
def test_a_mean_lies_among_what_was_read_and_mass_is_mean_times_volume(
    found: list[str | None], flow: list[str | None], rule: Averaging
) -> None:
    made = hour(found, flow, rule=rule, limit=MGL)
    known = [D(value) for value in found if value is not None]
    if made.mean is not None:
        assert min(known) <= made.mean <= max(known)
        if made.volume_m3 is not None and made.mass_kg is not None:
            assert abs(Fraction(made.mass_kg) - Fraction(made.mean) * Fraction(made.volume_m3) / 1000) < Fraction(
                1, 500
            )
    assert made.valid == (made.valid_ns >= 45 * MINUTE)
    assert made.mean is not None or made.reason


@settings(max_examples=60, deadline=None)
@given(values)
def test_hours_cut_anywhere_hold_what_the_whole_holds(found: list[str | None]) -> None:
    readings = series(*found)
    whole = pieces(readings, 0, 2 * HOUR_NS, AIR.hold_ns)
    parts = [piece for at in (0, HOUR_NS) for piece in pieces(readings, at, at + HOUR_NS, AIR.hold_ns)]
    assert sum((p.end - p.start) * p.value for p in whole) == sum((p.end - p.start) * p.value for p in parts)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 200).map(str), min_size=20, max_size=24), st.integers(0, 50))
def test_a_higher_concentration_gives_no_lower_mean(found: list[str], more: int) -> None:
    higher = [str(int(value) + more) for value in found]
    assert (mean_day(DAY, hours(*higher), AIR, LIMIT).mean or 0) >= (mean_day(DAY, hours(*found), AIR, LIMIT).mean or 0)


# --- the tables and the settings


def test_a_limit_holds_on_its_days_and_a_new_one_leaves_the_past_as_it_was() -> None:
    text = (config_dir() / "pollutants.yaml").read_text("utf-8")
    old = load_pollutants(config_dir() / "pollutants.yaml")
    new = pollutants_of(
        load_text(
            f"{text}\n  - {{id: gb13271-2014-gas, medium: air, valid_from: 2027-01-01, oxygen: 3.5,"
            " limits: {nox: {hour: 50}}, source: x, confirmed: false}\n",
            "p.yaml",
        )
    )
    asked = ("gb13271-2014-gas", Pollutant.NOX)
    assert old.limit_on(*asked, DAY) == new.limit_on(*asked, DAY)
    later = new.limit_on(*asked, date(2027, 1, 1))
    assert later is not None
    assert later.hour == D(50)
    assert old.limit_on("gb13271-2014-gas", Pollutant.NOX, date(2014, 1, 1)) is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "limits: {so2: {hour: 50}",
            "limits: {cod: {hour: 50}",
            r"standards\.0\.limits\.cod: cod is a pollutant of water",
        ),
        ("least_minutes: 45 ", "least_minutes: 61 ", r"averaging\.0\.least_minutes"),
        ("id: gb13271-2014-coal", "id: gb13271-2014-gas", r"standards\.1\.valid_from: must be later"),
    ],
)
def test_a_mistake_in_the_tables_names_file_line_and_key(old: str, new: str, told: str) -> None:
    text = (config_dir() / "pollutants.yaml").read_text("utf-8")
    assert old in text
    with pytest.raises(ConfigError, match=rf"p\.yaml:\d+: {told}"):
        pollutants_of(load_text(text.replace(old, new, 1), "p.yaml"))


STACK: dict[str, Any] = {
    "id": "stack",
    "name": {"en": "Stack", "zh": "烟囱"},
    "node": "hall-1",
    "medium": "air",
    "flow": {"device": "cems", "point": "flow_volume_base"},
    "oxygen": {"device": "cems", "point": "oxygen"},
    "pollutants": [
        {"pollutant": "nox", "device": "cems", "standard": "gb13271-2014-gas"},
        {"pollutant": "so2", "device": "cems"},
    ],
}
DRAIN: dict[str, Any] = {
    "id": "drain",
    "name": {"en": "Drain", "zh": "总排口"},
    "node": "plant",
    "medium": "water",
    "flow": {"device": "weir", "point": "flow_volume"},
    "pollutants": [{"pollutant": "cod", "device": "lab", "standard": "gb8978-1996-1"}],
}


def outlets(*given: dict[str, Any]) -> tuple[Outlet, ...]:
    return outlets_of([OutletSettings.model_validate(one) for one in given], load_text("a: 1", "c.yaml"), ("a",))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"medium": "water"}, "nox is no pollutant of water"),
        ({"flow": {"device": "cems", "point": "oxygen"}}, "oxygen is no gauge in m3/h"),
        (
            {"pollutants": [{"pollutant": "nox", "device": "c", "standard": "x"}]},
            "x has no limit of nox; these do: gb13271",
        ),
        ({"pollutants": [{"pollutant": "nox", "device": "c"}] * 2}, "nox stands here a second time"),
    ],
)
def test_an_outlet_that_cannot_be_is_told(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        outlets({**STACK, **change})


def test_outlets_have_a_node_and_an_id_of_their_own() -> None:
    given = [OutletSettings.model_validate({**STACK, "node": "nix"}), OutletSettings.model_validate(STACK)]
    wrong = outlet_mistakes(given, ["hall-1"], ("a",), load_text("a: 1", "c.yaml"))
    assert [str(one).split(": ", 1)[1] for one in wrong] == [
        "a.0.node: nix is no node of the tree: hall-1", "a.1.id: stack stands here a second time",
    ]  # fmt: skip


# --- out of a store


async def month(folder: Path, now_hours: int) -> tuple[Emissions, SqliteStore]:
    """Two days of readings each 5 min: NOx 100 mg/m3, from 10 h of the second day on 400; one hour without readings."""
    start = day_bounds(DAY, PLANT.zone)[0]
    store = SqliteStore(folder / "centre.db", inline=True)
    await store.__aenter__()
    sweeps: list[Sweep] = []
    for at in range(start, start + 48 * HOUR_NS, 5 * MINUTE):
        through = (at - start) // HOUR_NS
        nox = 400 if through >= 34 else 100
        if through != 3:
            values = {"concentration_nox": nox, "concentration_so2": 7, "oxygen": 3.5, "flow_volume_base": 2000}
            sweeps.append(Sweep(device="cems", taken_at=at, values=values, faults={}))
        sweeps.append(Sweep(device="lab", taken_at=at, values={"concentration_cod": 90}, faults={}))
        sweeps.append(Sweep(device="weir", taken_at=at, values={"flow_volume": 5.5}, faults={}))
    parcel = Received(
        site="works", gateway="gw", id=ParcelId(epoch=1, seq=1), readings=sum(len(one.values) for one in sweeps),
        dropped=0, sweeps=tuple(sweeps),
    )  # fmt: skip
    await store.write([parcel], received_at=start)
    return Emissions(store=store, clock=StoppedClock(start + now_hours * HOUR_NS + 2 * MINUTE)), store


def test_a_month_out_of_the_store_has_means_mass_and_what_is_over(tmp_path: Path) -> None:
    async def main() -> None:
        emissions, store = await month(tmp_path, 36)
        nox, so2, cod = await emissions.of(PLANT, outlets(STACK, DRAIN), Period(year=2026, month=11))
        assert (nox.whole.hours, nox.whole.valid_hours, nox.whole.hours_over) == (
            60,
            35,
            2,
        )  # the first of the month has no readings
        assert nox.whole.mass_kg == D(33) * D("0.2") + D(2) * D("0.8")  # 100 and 400 mg/m3 in 2000 m3/h
        assert [(day.mean, day.reason) for day in nox.days] == [(None, NOT_ENOUGH_HOURS), (D(100), None)]
        assert (so2.limit.hour, so2.whole.hours_over, so2.whole.highest) == (None, 0, D(7))
        assert cod.whole.mass_kg == D(36) * D("0.495")  # 90 mg/L in 5.5 m3/h
        assert (cod.days[1].mean, cod.days[1].limit, cod.days[1].over) == (D(90), D(100), False)
        signed = outlets_of_month((nox, so2, cod))
        assert (signed["drain/cod/mass"], signed["stack/nox/hours_over"]) == ((D("17.82"), "kg"), (D(2), "h"))
        table = pollutant_table((nox, so2, cod))
        known = load_words()["en"]
        assert len(table.rows) == 3
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert all(known(column) for column in table.columns)
        shown = pollutant_rows((nox, so2, cod), PLANT.zone, load_page_words()["en"])
        assert (shown[0].hours.highest, shown[0].hours.limit, shown[0].hours.over) == ("400", "200\u202fmg/m3", "2")
        assert [shown[0].why, shown[0].hours.why] == ["emitted/stack/nox", "emitted/stack/nox/2026-11-03T11"]
        assert [(row.bad, row.unverified) for row in shown] == [(True, True), (False, False), (False, True)]
        assert (shown[2].pollutant, shown[2].mass, shown[2].days.over) == (
            "chemical oxygen demand", "17.8\u202fkg", "0",
        )  # fmt: skip
        await store.__aexit__(None, None, None)

    asyncio.run(main())


def test_signs_are_the_last_full_hour_and_day_in_percent_of_their_limits(tmp_path: Path) -> None:
    async def main() -> None:
        emissions, store = await month(tmp_path, 36)
        found = {sign.id: sign.measured for sign in await emissions.signs(PLANT, outlets(STACK, DRAIN))}
        assert set(found) == {
            f"{POLLUTANT_HOUR}:works/hall-1/stack/nox", f"{POLLUTANT_DAY}:works/plant/drain/cod",
        }  # fmt: skip
        high = found[f"{POLLUTANT_HOUR}:works/hall-1/stack/nox"]
        assert (high.value, high.basis) == (D(200), "400.000000 of 200 mg/m3, gb13271-2014-gas/nox/2014-07-01")
        assert found[f"{POLLUTANT_DAY}:works/plant/drain/cod"].value == D(90)
        silent = Emissions(store=store, clock=StoppedClock(day_bounds(date(2026, 11, 10), PLANT.zone)[0]))
        unknown = await silent.signs(PLANT, outlets(STACK))
        assert [(sign.measured.value, sign.measured.basis) for sign in unknown] == [(None, NOT_ENOUGH)]
        await store.__aexit__(None, None, None)

    asyncio.run(main())


# --- kept hours


class Watched(SqliteStore):
    """Tells which readings were asked for."""

    asked: list[tuple[str, int, int]]

    async def read(self, series: SeriesKey, t0: int, t1: int, *, limit: int) -> Sequence[Stored]:
        self.asked.append((series.point, t0, t1))
        return await super().read(series, t0, t1, limit=limit)


def test_kept_hours_are_those_of_the_readings_and_late_ones_make_only_what_they_touch_anew(tmp_path: Path) -> None:
    async def main() -> None:
        emissions, first = await month(tmp_path, 36)
        await first.__aexit__(None, None, None)
        asked = (PLANT, outlets(STACK, DRAIN), Period(year=2026, month=11))
        start = day_bounds(DAY, PLANT.zone)[0]
        store = Watched(tmp_path / "centre.db", inline=True)
        store.asked = []
        async with store, Books(tmp_path / "books.db", emissions.clock, inline=True) as books:
            kept = replace(emissions, store=store, books=books)
            plain = replace(emissions, store=store)
            assert await kept.of(*asked) == await plain.of(*asked)
            store.asked.clear()
            once = await kept.of(*asked)
            assert store.asked == []
            late = Sweep(device="cems", taken_at=start + 3 * HOUR_NS + 58 * MINUTE,
                         values={"concentration_nox": 300, "flow_volume_base": 2000}, faults={})  # fmt: skip
            doubted = Sweep(device="cems", taken_at=start + 5 * HOUR_NS, values={},
                            faults={"concentration_nox": Fault.SUSPECT})  # fmt: skip
            parcel = Received(site="works", gateway="gw", id=ParcelId(epoch=1, seq=2), readings=2, dropped=0,
                              sweeps=(late, doubted))  # fmt: skip
            await store.write([parcel], received_at=start + 40 * HOUR_NS)
            again = await kept.of(*asked)
            touched = {(t0, t1) for point, t0, t1 in store.asked if point == "concentration_nox"}
            assert touched == {(start + 3 * HOUR_NS - AIR.hold_ns, start + 7 * HOUR_NS)}  # what they reach
            assert again == await plain.of(*asked)
            assert again[0] != once[0]
            assert again[2] == once[2]
            other = outlets({**STACK, "pollutants": [{"pollutant": "nox", "device": "cems"}]})
            store.asked.clear()
            assert (await kept.of(PLANT, other, asked[2]))[0].whole.hours_over == 0
            assert store.asked == []  # a limit is no part of what is kept

    asyncio.run(main())


def test_months_of_which_outlets_were_read_are_told_once() -> None:
    (rules,) = setup().rules.values()
    rules = replace(rules, terms=replace(rules.terms, outlets=outlets(STACK)))
    noted = OutletReadings(plants={"works": PLANT}, rules={"works": rules})
    end = day_bounds(date(2026, 12, 1), PLANT.zone)[0]

    def parcel(*read: tuple[str, int]) -> Received:
        sweeps = tuple(Sweep(device=device, taken_at=at, values={"oxygen": 3}, faults={}) for device, at in read)
        return Received(site="works", gateway="gw", id=ParcelId(epoch=1, seq=1), readings=1, dropped=0, sweeps=sweeps)

    noted.note([parcel(("press", end)), replace(parcel(("cems", end)), site="elsewhere")])
    assert noted.take() == set()
    noted.note([parcel(("cems", end - MINUTE), ("cems", end - 20 * HOUR_NS))])
    assert noted.take() == {("works", Month(2026, 11)), ("works", Month(2026, 12))}  # its last reading holds
    assert noted.take() == set()


# --- why this number


def test_masses_and_means_are_computed_again_from_hours_readings_and_the_limit(tmp_path: Path) -> None:
    async def main() -> None:
        emissions, store = await month(tmp_path, 49)
        (rules,) = setup().rules.values()
        rules = replace(rules, terms=replace(rules.terms, outlets=outlets(STACK, DRAIN)))
        service = Statements(
            store=store, clock=emissions.clock, plants={"works": PLANT}, rules={"works": rules},
            directory=Directory(store, emissions.clock),
        )  # fmt: skip
        november = Period(year=2026, month=11)
        drain = "emitted/drain/cod"
        figures = ("emitted/stack/nox", drain, "emitted/stack/nox/2026-11-03T11", "emitted/stack/nox/2026-11-03",
                   f"{drain}/2026-11-03", f"{drain}/2026-11-03T11", "emitted/stack/so2/2026-11-02T03")  # fmt: skip
        traces = {figure: await why(service, "works", november, figure) for figure in figures}
        assert {figure: check(trace) for figure, trace in traces.items()} == dict.fromkeys(figures, ())
        values = {figure: trace.steps[trace.root].value for figure, trace in traces.items()}
        nox, _, cod = await emissions.of(PLANT, outlets(STACK, DRAIN), november)
        assert values["emitted/stack/nox"] == nox.whole.mass_kg
        assert values[drain] == cod.whole.mass_kg
        assert (values["emitted/stack/nox/2026-11-03"], values[f"{drain}/2026-11-03"]) == (
            nox.days[2].mean, cod.days[2].mean,
        )  # fmt: skip
        silent = traces["emitted/stack/so2/2026-11-02T03"]
        assert (silent.steps[silent.root].value, silent.steps[silent.root].reason) == (None, NOT_ENOUGH)
        over = traces["emitted/stack/nox/2026-11-03T11"]
        (limit,) = [step.factor for step in over.steps.values() if step.factor is not None]
        assert (limit.id, limit.value, limit.confirmed) == ("gb13271-2014-gas/nox/2014-07-01", D(200), False)
        assert sum(step.rule is TraceRule.READING for step in over.steps.values()) == 2 * 12  # of two gauges
        wrong = next(step for step in over.steps.values() if step.rule is TraceRule.READING and step.value == D(400))
        changed = {**over.steps, wrong.id: replace(wrong, value=D(401))}
        assert check(replace(over, steps=changed))
        view = why_view(over, None, load_page_words()["zh"])
        assert (view.mistakes, view.factors[0].id) == ((), "gb13271-2014-gas/nox/2014-07-01/hour")
        assert "\u00f7" in {part.sign for part in view.root.parts}
        year = Period(year=2026)
        for figure, told in (("emitted/stack/nox", nox), (drain, cod)):
            trace = await why(service, "works", year, figure)
            assert (check(trace), trace.steps[trace.root].value) == ((), told.whole.mass_kg)
            assert [part.id.rpartition("/")[2] for part in trace.steps[trace.root].parts] == ["2026-11"]
        with pytest.raises(FigureError, match="in a month"):
            await why(service, "works", year, "emitted/stack/nox/2026-11-03")
        for mistaken in ("emitted/stack/dust", "emitted/stack/nox/2026-11-30", "emitted/nowhere/nox"):
            with pytest.raises(FigureError):
                await why(service, "works", november, mistaken)
        await store.__aexit__(None, None, None)

    asyncio.run(main())
