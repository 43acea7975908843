"""The ledger gives the same intervals in whatever order and in however many parts the readings arrive."""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.intervals import Interval, cut, merge
from centre.accounting.quality import flag_shares
from centre.accounting.registers import Flag, RegisterRule, Sample, deltas
from centre.accounting.zones import day_bounds, local_day
from centre.figures import Figures
from centre.ledger import Ledger
from centre.store.base import Grain, SeriesKey
from centre.store.sqlite import SqliteStore
from centre.thinning import thinned
from metering.sweep import Sweep
from support.centre_plant import PLANT, centre_of, inventory
from support.standing_clock import StandingClock
from support.store_contract import EVER, PRESS, parcel, status

D = Decimal
MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = date(2026, 3, 2)
START, END = day_bounds(DAY, PLANT.zone)
LINE = SeriesKey("works", "line-1", "energy_active_import_total")


class Books:
    """A store with a ledger on it."""

    def __init__(self, store: SqliteStore, figures: Figures, ledger: Ledger, clock: StandingClock) -> None:
        self.store, self.figures, self.ledger, self.clock = store, figures, ledger, clock
        self._seq = 0

    async def add(self, samples: list[Sample], series: SeriesKey = LINE) -> None:
        self._seq += 1
        sweeps = [
            Sweep(device=series.device, taken_at=at, values={series.point: float(value)}, faults={})
            for at, value in samples
        ]
        await self.store.write([parcel(self._seq, *sweeps)], received_at=self.clock.now)

    async def intervals(self, grain: Grain, series: SeriesKey = LINE) -> list[Interval]:
        return [bucket.interval for bucket in await self.store.read_rollup(series, grain, 0, EVER)]


def keep_books(check: Callable[[Books], Awaitable[None]], *, interval_s: int = 60, now: int = END) -> None:
    async def main(folder: Path) -> None:
        async with SqliteStore(folder / "centre.db", inline=True) as store:
            clock = StandingClock(now)
            await store.write_status(PRESS, status(devices=inventory(interval_s)), received_at=now)
            await check(Books(store, *centre_of(store, clock), clock))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def steady(first_minute: int, last_minute: int, kw: int = 500, every: int = 1) -> list[Sample]:
    """Readings of a register under constant load, each `every` minutes of DAY."""
    return [
        Sample(START + minute * MINUTE, D(1000) + D(kw) * minute / 60)
        for minute in range(first_minute, last_minute + 1, every)
    ]


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(min_value=1, max_value=12), st.booleans())
def test_order_and_portions_of_arrival_do_not_matter(dice: random.Random, portions: int, spoiled: bool) -> None:
    minutes = sorted(dice.sample(range(600), 120))
    value, samples = D(0), []
    for minute in minutes:
        value += D(dice.randrange(0, 500)) / 100
        samples.append(Sample(START + minute * MINUTE + dice.randrange(MINUTE), value))
    if spoiled:
        for place in range(0, 110, 25):
            samples[place] = Sample(samples[place].at, D(dice.choice([0, 999_999])))
    samples = [Sample(at, D(repr(float(value)))) for at, value in samples]
    rule = RegisterRule(modulus=D(10**6), limit=D(1000))
    end = samples[-1].at - samples[-1].at % (15 * MINUTE) + 15 * MINUTE
    expected = cut(deltas(samples, rule), samples, start=START, end=end, max_gap_ns=126 * 10**9)
    shuffled = dice.sample(samples, len(samples))

    async def check(books: Books) -> None:
        for place in range(portions):
            await books.add(shuffled[place::portions])
            await books.ledger.cycle()
        found = {interval.start: interval for interval in await books.intervals(Grain.QUARTER)}
        known = [interval for interval in expected if interval.readings or interval.known_ns]
        assert [found.get(interval.start) for interval in known] == known
        (day,) = await books.intervals(Grain.DAY)
        assert day.amount == sum((interval.amount or D(0) for interval in known), D(0))
        hours = await books.intervals(Grain.HOUR)
        assert sum((hour.amount or D(0) for hour in hours), D(0)) == day.amount
        assert await books.store.dirty(10) == []
        assert await books.ledger.cycle() == 0

    keep_books(check)


def test_v4_and_v5_an_outage_is_estimated_until_the_late_batch_arrives() -> None:
    async def check(books: Books) -> None:
        await books.add([*steady(0, 60), *steady(420, 1440)])
        await books.ledger.cycle()
        hours = await books.intervals(Grain.HOUR)
        assert [hour.flag for hour in hours[:8]] == [Flag.MEASURED, *[Flag.ESTIMATED] * 6, Flag.MEASURED]
        assert sum(hour.amount or 0 for hour in hours[1:7]) == 3000
        before = await books.figures.energy("works", DAY)
        (line,) = [meter for meter in before.meters if meter.device == "line-1"]
        assert (line.quantity, line.shares, line.revision) == (D(12000), {"M": D("0.7500"), "E": D("0.2500")}, 1)

        await books.add(steady(61, 419))
        await books.ledger.cycle()
        hours = await books.intervals(Grain.HOUR)
        assert {hour.flag for hour in hours[:24]} == {Flag.MEASURED}
        after = await books.figures.energy("works", DAY)
        (line,) = [meter for meter in after.meters if meter.device == "line-1"]
        assert (line.quantity, line.shares, line.revision) == (D(12000), {"M": D(1)}, 2)
        assert line.completeness == 1

    keep_books(check, now=END + 60 * MINUTE)


def test_the_running_interval_is_open_up_to_the_last_reading() -> None:
    async def check(books: Books) -> None:
        await books.add(steady(0, 20))
        await books.ledger.cycle()
        load = await books.figures.load("works", DAY)
        first, running = load.nodes["line-1"]
        assert (first.kw, first.open, first.quality) == (D(500), False, Flag.MEASURED)
        assert (running.kw, running.open) == (D(500), True)
        assert load.nodes["office"] == ()
        await books.add(steady(21, 35))
        await books.ledger.cycle()
        buckets = await books.store.read_rollup(LINE, Grain.QUARTER, 0, EVER)
        assert [(bucket.interval.open, bucket.revision) for bucket in buckets] == [(False, 1), (False, 1), (True, 1)]

    keep_books(check, now=START + 20 * MINUTE)


def test_an_inventory_that_arrives_after_the_readings_brings_their_intervals() -> None:
    async def check(books: Books) -> None:
        await books.store.write_status(PRESS, status(devices=()), received_at=START)
        await books.add(steady(0, 60))
        await books.ledger.cycle()
        assert await books.intervals(Grain.QUARTER) == []
        await books.store.write_status(PRESS, status(devices=inventory()), received_at=START)
        await books.ledger.cycle()
        assert sum(interval.amount or 0 for interval in await books.intervals(Grain.QUARTER)) == 500

    keep_books(check)


def test_a_gap_of_years_is_bridged_without_losing_energy() -> None:
    async def check(books: Books) -> None:
        late = START - 800 * 24 * HOUR
        await books.add([Sample(late, D(0)), Sample(START, D(100)), Sample(START + MINUTE, D(101))])
        await books.ledger.cycle()
        days = await books.intervals(Grain.DAY)
        assert sum(day.amount or 0 for day in days) == 101
        assert len(days) == 801

    keep_books(check)


def test_months_of_the_billing_calendar_sum_up_their_days_with_the_shares_of_their_flags() -> None:
    async def check(books: Books) -> None:
        await books.add([*steady(0, 60), *steady(420, 1440), *steady(40 * 1440, 40 * 1440 + 10)])
        await books.ledger.cycle()
        days, found = await books.intervals(Grain.DAY), await books.intervals(Grain.MONTH)
        assert [local_day(month.start, PLANT.zone) for month in found] == [date(2026, 3, 1), date(2026, 4, 1)]
        for month in found:
            inside = [day for day in days if month.start <= day.start < month.end]
            assert month == merge(inside, start=month.start, end=month.end)
        assert round(sum(month.amount or 0 for month in found), 6) == round(D(500) * 24 * 40 + D(500) / 6, 6)
        assert [month.open for month in found] == [False, True]
        before = await books.store.read_rollup(LINE, Grain.MONTH, 0, EVER)
        await books.add(steady(61, 419))
        await books.ledger.cycle()
        after = await books.store.read_rollup(LINE, Grain.MONTH, 0, EVER)
        assert [bucket.revision for bucket in (*before, *after)] == [1, 1, 2, 1]
        assert after[0].interval.amount == before[0].interval.amount
        assert dict(flag_shares([after[0].interval]))["E"] < dict(flag_shares([before[0].interval]))["E"]

    keep_books(check)


def test_f18_a_long_gap_takes_the_shape_of_earlier_weekdays_and_follows_when_these_become_known_late() -> None:
    """Two weeks of a plant that works from 8 to 16 h; the first comes last, the second has a gap of 12 hours."""
    week, hour = 7 * 96, 4

    def reading(quarter: int) -> Sample:
        days, inside = divmod(quarter, 96)
        return Sample(START + quarter * 15 * MINUTE, D(days * 800 + 25 * min(max(inside - 8 * hour, 0), 8 * hour)))

    first = [reading(quarter) for quarter in range(week)]
    second = [reading(quarter) for quarter in [*range(week, week + 6 * hour), *range(week + 18 * hour, 3 * week)]]

    async def check(books: Books, batches: list[list[Sample]]) -> list[Interval]:
        for batch in batches:
            await books.add(batch)
            await books.ledger.cycle()
        return await books.intervals(Grain.HOUR)

    async def compare(books: Books) -> None:
        late = await check(books, [second, first])
        shape = [hour.amount for hour in late[7 * 24 : 8 * 24]]
        assert shape == [D(100 if 8 <= clock < 16 else 0) for clock in range(24)]
        assert [hour.flag for hour in late[7 * 24 + 4 : 7 * 24 + 19]] == [
            Flag.MEASURED, *[Flag.ESTIMATED] * 13, Flag.MEASURED,
        ]  # fmt: skip
        found.append(late)

    async def straight(books: Books) -> None:
        only = await check(books, [second])
        assert {round(hour.amount or D(0), 6) for hour in only[6:18]} == {round(D(800) * 4 / 49, 6)}
        in_order = await check(books, [first[:50], first[50:]])
        found.append(in_order)
        day = next(iter(await books.store.read_rollup(LINE, Grain.DAY, START + 7 * 24 * HOUR, EVER)))
        assert day.interval.amount == 800

    found: list[list[Interval]] = []
    for one in (compare, straight):
        keep_books(one, interval_s=900, now=START + 3 * 7 * 24 * HOUR)
    assert found[0] == found[1]


def test_f3_a_meter_that_tells_only_its_power_is_counted_by_its_integral() -> None:
    power = SeriesKey("works", "line-1", "power_active_total")

    async def check(books: Books) -> None:
        only = tuple(
            replace(info, points=tuple(point for point in info.points if point.name == power.point))
            if info.name == "line-1" else info
            for info in inventory()
        )  # fmt: skip
        await books.store.write_status(PRESS, status(devices=only), received_at=END)
        await books.ledger.cycle()
        load = [Sample(START + minute * MINUTE, D(90_000)) for minute in range(1441)]
        await books.add(load[::2], power)
        await books.ledger.cycle()
        await books.add(load[1:600:2], power)
        await books.add([*load[601:700:2], *load[901::2]], power)
        await books.ledger.cycle()
        assert sum(part.amount or 0 for part in await books.intervals(Grain.QUARTER, power)) == D(90) * 24
        energy = await books.figures.energy("works", DAY)
        (line,) = [meter for meter in energy.meters if meter.device == "line-1"]
        assert (line.quantity, line.unit, line.shares) == (D(2160), "kWh", {"C": D(1)})

    keep_books(check)


registers = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from(["0", "0", "0.1", "0.3", "1", "2.5", "40", "-5", "-900000"])),
    min_size=8, max_size=120,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(registers, st.sampled_from([None, "500", "9000"]), st.booleans(), st.booleans())
def test_readings_left_out_change_no_interval(
    steps: list[tuple[int, str]], limit: str | None, healthy: bool, whole: bool
) -> None:
    at, value, times, values = START - 7, D(5000), [], []
    for seconds, amount in steps:
        at += seconds * 10**9
        value += abs(D(amount)) // (1000 if whole else 1) if healthy else D(amount)
        times.append(at)
        values.append(float(value))
    rule = RegisterRule(limit=None if limit is None else D(limit), modulus=D(10**6))
    samples = [Sample(at, D(repr(value))) for at, value in zip(times, values, strict=True)]
    end = (at // (15 * MINUTE) + 1) * 15 * MINUTE
    bounds = {"start": START - 15 * MINUTE, "end": end, "max_gap_ns": 21 * 10**9}
    plain = cut(deltas(samples, rule), samples, **bounds)
    found = thinned(times, values, rule)
    if found is not None:
        assert cut(*found, **bounds, times=times) == plain
        assert len(found[1]) <= 2 * (end - START) // (15 * MINUTE) + 4
    elif limit is None:
        assert values[0] < 0 or any(b < a for a, b in pairwise(values))
