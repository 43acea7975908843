"""Four weeks of a simulated plant with all that happens to meters, in any order of arrival; scripts/plant-year runs a year.

A failing example is run again by `scripts/plant-year --seed N` with the size that stands here.
"""

import asyncio
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from centre.store.base import Grain
from support.plant_year import DAY, LEAD, Change, Event, Outage, Size, Year, plan
from support.plant_year_books import Books, books, differences
from support.plant_year_delivery import Order
from support.plant_year_files import setup
from support.plant_year_registers import Register, registers
from support.plant_year_truth import LIMIT, deviations, headlines, lost_or_made

FEBRUARY = Size(first=date(2026, 2, 1), days=28, meters=7, every=5)
HANDFUL = Size(first=date(2026, 6, 29), days=2, meters=6, every=30)


def _quiet(_text: str) -> None:
    pass


async def _identical(year: Year, found: tuple[Register, ...], folder: Path, *ways: tuple[Order, int, int]) -> None:
    """Books kept in each way (order, its seed, looks of the ledger) are those of the sorted arrivals."""
    rules = setup(year, found, folder)
    async with books(year, rules, folder / "sorted.db") as in_order:
        readings = await in_order.keep(found, Order.SORTED, 0, 0, _quiet)
        assert await lost_or_made(in_order, found) == []
        for place, (order, seed, looks) in enumerate(ways):
            async with books(year, rules, folder / f"{place}.db") as other:
                assert await other.keep(found, order, seed, looks, _quiet) == readings
                assert await differences(in_order, other) == []
        if year.size == FEBRUARY:
            await _near_the_truth(in_order, found)


async def _near_the_truth(made: Books, found: tuple[Register, ...]) -> None:
    for grain, deviation in (await deviations(made, found)).items():
        assert deviation.measured
        assert deviation.worst_beyond <= LIMIT
        if grain in {Grain.DAY, Grain.MONTH}:
            assert deviation.worst <= LIMIT
        assert set(deviation.flags) == {"M", "E", "Q"}
    told = await headlines(made, found)
    assert [line.name for line in told] == ["kWh", "tCO2", "CNY"]
    assert all(line.measured and line.off <= LIMIT for line in told)
    (month,) = made.months()
    first, again = [await made.statement(month, run_later=days) for days in (0, 400)]
    assert first.nodes[0].scope2 == again.nodes[0].scope2  # what was published since does not change it


def test_four_weeks_are_the_same_in_any_order_conserved_and_near_the_truth(tmp_path: Path) -> None:
    year = plan(0, FEBRUARY)
    assert {event.change for event in year.events.values()} == set(Change) - {Change.ROLLS}
    assert year.rolls
    found = registers(year)
    asyncio.run(_identical(year, found, tmp_path, (Order.SHUFFLED, 1, 1)))


@settings(max_examples=3, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 3))
def test_order_portions_and_repetition_of_arrival_do_not_matter(seed: int, order: int, looks: int) -> None:
    year = plan(seed, HANDFUL)
    with tempfile.TemporaryDirectory() as folder:
        ways = ((Order.SHUFFLED, order, looks), (Order.NATURAL, order, looks))
        asyncio.run(_identical(year, registers(year), Path(folder), *ways))


async def _as_if_in_time(year: Year, folder: Path, gateway: str, *minutes: int) -> None:
    """The parcels of these minutes come when everything else was accounted."""
    found = registers(year)
    rules = setup(year, found, folder)
    async with books(year, rules, folder / "a.db") as in_order, books(year, rules, folder / "b.db") as late:
        await in_order.keep(found, Order.SORTED, 0, 0, _quiet)
        await late.keep_late(found, gateway, *minutes)
        assert await differences(in_order, late) == []


def test_late_parcels_count_in_a_day_whose_evening_was_shaped_after_earlier_weeks(tmp_path: Path) -> None:
    size = Size(first=date(2026, 3, 1), days=17, meters=3, every=60)
    noon = LEAD + 8 * DAY + 11 * 60
    evening = Outage(gateway="substation", first=noon, last=noon + 8 * 60, late=None)
    year = replace(plan(1, size), outages=(evening,), events={}, misreads={})
    asyncio.run(_as_if_in_time(year, tmp_path, "substation", LEAD, noon - 1))


def test_late_parcels_tell_when_a_meter_was_changed_that_a_serial_number_told_before(tmp_path: Path) -> None:
    size = Size(first=date(2026, 3, 1), days=3, meters=3, every=20)
    swap = Event(change=Change.SERIAL, out=DAY + 900, back=DAY + 930, initial=5000, factor=1)
    year = replace(plan(1, size), outages=(), events={"line-1": swap}, misreads={})
    asyncio.run(_as_if_in_time(year, tmp_path, "hall-1", swap.out))


def test_a_plan_hangs_on_its_seed_alone() -> None:
    assert plan(7, FEBRUARY) == plan(7, FEBRUARY)
    assert plan(7, FEBRUARY) != plan(8, FEBRUARY)
