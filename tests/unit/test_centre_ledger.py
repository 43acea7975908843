"""The ledger gives the same intervals in whatever order and in however many parts the readings arrive."""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.intervals import Interval, cut
from centre.accounting.registers import Flag, RegisterRule, Sample, deltas
from centre.accounting.zones import day_bounds
from centre.figures import Figures
from centre.ledger import Ledger
from centre.store.base import Grain, SeriesKey
from centre.store.sqlite import SqliteStore
from metering.sweep import Sweep
from support.centre_plant import PLANT, centre_of, inventory
from support.store_contract import EVER, PRESS, parcel, status
from wattline.clock import sleep_until

D = Decimal
MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = date(2026, 3, 2)
START, END = day_bounds(DAY, PLANT.zone)
LINE = SeriesKey("works", "line-1", "energy_active_import_total")


class FixedClock:
    """A clock that stands where it is put; its monotonic time runs on, so that nothing is taken from a cache."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._ticks = 0.0

    def now_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        self._ticks += 100.0
        return self._ticks

    async def sleep_until(self, due_ns: int) -> None:
        await sleep_until(self, due_ns)


class Books:
    """A store with a ledger on it."""

    def __init__(self, store: SqliteStore, figures: Figures, ledger: Ledger, clock: FixedClock) -> None:
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
            clock = FixedClock(now)
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


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(min_value=1, max_value=12), st.booleans())
def test_order_and_portions_of_arrival_do_not_matter(dice: random.Random, portions: int, spoiled: bool) -> None:
    minutes = sorted(dice.sample(range(600), 120))
    value, samples = D(0), []
    for minute in minutes:
        value += D(dice.randrange(0, 500)) / 100
        samples.append(Sample(START + minute * MINUTE + dice.randrange(MINUTE), value))
    if spoiled:
        for place in range(10, 110, 25):
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
