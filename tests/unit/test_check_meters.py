"""A check meter stands in where the meter beside it has a pause or knows nothing: marked S, total kept, in any order."""

import asyncio
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.intervals import Interval
from centre.accounting.registers import Flag, Sample
from centre.accounting.zones import day_bounds
from centre.carriers import Carrier, Flow
from centre.ledger import Ledger
from centre.plant import Meter
from centre.points import Directory, resolve
from centre.readings_check import ReadingsCheck
from centre.readings_list import Kind, listed
from centre.store.base import Bucket, Grain, SeriesKey
from centre.store.sqlite import SqliteStore
from centre.trace_registers import CHECKED, PAUSE_CHECKED, stretches
from metering.sweep import Sweep
from support.books_plant import StoppedClock
from support.centre_plant import PLANT, inventory
from support.store_contract import EVER, PRESS, parcel, status

D = Decimal
MINUTE = 60 * 10**9
QUARTER = 15 * MINUTE
START, END = day_bounds(date(2026, 3, 2), PLANT.zone)
MIDNIGHT, FROM, UNTIL, LAST = 240, 125, 485, 610  # minutes; the pause lies over midnight
MAIN, CHECK = (SeriesKey("works", f"line-{n}", "energy_active_import_total") for n in (1, 2))
METERS = tuple(
    Meter(
        device=device,
        carrier=Carrier.ELECTRICITY,
        flow=Flow.IMPORT,
        limit=D(1000),
        check="line-2" if device == "line-1" else None,
    )
    for device in ("line-1", "line-2")
)
ONE = replace(PLANT, tree=replace(PLANT.tree, meters=METERS, children=()))
Readings = Mapping[SeriesKey, Sequence[Sample]]


def at(minute: int) -> int:
    return END + (minute - MIDNIGHT) * MINUTE


def load(minute: int) -> Decimal:
    """kWh in the minute: much in some quarters, little in others."""
    return D(1 + minute // 15 % 7) / 4


def readings(jump: int = 0) -> Readings:
    """The check meter counts 2 % more; `jump` is added to the register of the main one in its pause."""
    main, check = D(900_000), D(5000)
    found: dict[SeriesKey, list[Sample]] = {MAIN: [], CHECK: []}
    for minute in range(LAST):
        main += load(minute) + (jump if minute == 300 else 0)
        check += load(minute) * D("1.02")
        if not FROM < minute < UNTIL:
            found[MAIN].append(Sample(at(minute), main))
        found[CHECK].append(Sample(at(minute), check))
    return found


async def kept(store: SqliteStore, parts: Sequence[Readings]) -> dict[Grain, list[Interval]]:
    clock = StoppedClock(at(LAST))
    ledger = Ledger(store=store, clock=clock, plants=[ONE], directory=Directory(store, clock))
    await store.write_status(PRESS, status(devices=inventory(60)), received_at=at(0))
    for number, part in enumerate(parts, 1):
        sweeps = [
            Sweep(device=series.device, taken_at=sample.at, values={series.point: float(sample.value)}, faults={})
            for series, samples in part.items()
            for sample in samples
        ]
        await store.write([parcel(number, *sweeps)], received_at=at(LAST))
        await ledger.cycle()
    assert await store.dirty(10) == []
    return {grain: [one.interval for one in await store.read_rollup(MAIN, grain, 0, EVER)] for grain in Grain}


def of_parts(*parts: Readings) -> dict[Grain, list[Interval]]:
    async def main(folder: Path) -> dict[Grain, list[Interval]]:
        async with SqliteStore(folder / "centre.db", inline=True) as store:
            return await kept(store, parts)

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(main(Path(folder)))


def only(found: Readings, series: SeriesKey) -> Readings:
    return {series: found[series]}


def in_pause(found: Mapping[Grain, Sequence[Interval]]) -> list[Interval]:
    """The quarters that lie in the pause whole."""
    return [one for one in found[Grain.QUARTER] if at(FROM) <= one.start and one.end <= at(UNTIL)]


def test_a_pause_has_the_shape_of_the_check_meter_and_the_total_of_its_own_register() -> None:
    told = readings()
    found = of_parts(told)
    pause = in_pause(found)
    assert [one.flag for one in pause] == [Flag.SUBSTITUTED] * len(pause)
    truth = [sum((load(minute) for minute in range(LAST) if one.start < at(minute) <= one.end), D(0)) for one in pause]
    assert all(abs((one.amount or 0) - true) < D("1e-6") for one, true in zip(pause, truth, strict=True))
    main = told[MAIN]
    assert sum(one.amount or 0 for one in found[Grain.DAY]) == main[-1].value - main[0].value
    assert not any(one.estimated for one in found[Grain.DAY])


def test_where_the_register_knows_nothing_the_check_meter_counts() -> None:
    found = of_parts(readings(-250_000))
    pause = in_pause(found)
    assert [one.flag for one in pause] == [Flag.SUBSTITUTED] * len(pause)
    for one in pause:
        true = sum((load(minute) for minute in range(LAST) if one.start < at(minute) <= one.end), D(0))
        assert abs((one.amount or 0) - true * D("1.02")) < D("1e-6")


def test_without_the_check_meter_nothing_is_substituted() -> None:
    pause = in_pause(of_parts(only(readings(), MAIN)))
    assert {one.flag for one in pause} == {Flag.ESTIMATED}


@settings(max_examples=4, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([0, -250_000]))
def test_the_order_in_which_both_meters_arrive_does_not_matter(dice: random.Random, jump: int) -> None:
    told = readings(jump)
    parts: list[dict[SeriesKey, list[Sample]]] = [{MAIN: [], CHECK: []} for _ in range(3)]
    for series, samples in told.items():
        for first in range(0, len(samples), 40):
            dice.choice(parts)[series] += samples[first : first + 40]
    assert of_parts(*[part for part in parts if any(part.values())]) == of_parts(told)
    assert of_parts(only(told, CHECK), only(told, MAIN)) == of_parts(only(told, MAIN), only(told, CHECK))


@pytest.mark.parametrize(("jump", "words"), [(0, PAUSE_CHECKED), (-250_000, PAUSE_CHECKED)])
def test_what_was_substituted_is_told_by_trace_and_list_and_adds_up(jump: int, words: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with SqliteStore(tmp_path / "centre.db", inline=True) as store:
            await kept(store, [readings(jump)])
            (points, _) = resolve(ONE, await store.inventory("works"))
            days: Sequence[Bucket] = await store.read_rollup(MAIN, Grain.DAY, 0, EVER)
            for some in (days[:1], days[1:], days):
                amount = sum(day.interval.amount or D(0) for day in some)
                found = await stretches(store, points, some)
                assert sum(one.amount for one in found) == amount
                events = [event.what for one in found for event in one.events]
                assert events == ([words] if len(some) == 1 else [CHECKED] if jump else [])
            for first, last in ((0, END), (END, EVER), (0, EVER)):
                quarters = [one.interval for one in await store.read_rollup(MAIN, Grain.QUARTER, first, last)]
                seen = ReadingsCheck(meter="line-1")
                flags: set[str] = set()
                async for line in listed(store, points, quarters):
                    seen.take(line)
                    flags |= {line.flag} if line.kind is not Kind.INTERVAL else set()
                assert (seen.wrong, seen.mistakes) == (0, [])
                assert Flag.SUBSTITUTED in flags

    asyncio.run(main())
