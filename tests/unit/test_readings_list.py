"""All readings behind a quantity: they make every interval of the demo plant's month to the last digit."""

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from centre.accounting.zones import day_bounds
from centre.carriers import Carrier, Flow
from centre.ledger import Ledger
from centre.period import Period
from centre.points import Directory
from centre.readings_check import ReadingsCheck
from centre.readings_list import DROPPED, Kind, Line, listed
from centre.store.base import GatewayKey
from centre.store.sqlite import SqliteStore
from centre.trace import check
from centre.trace_registers import PAUSE
from centre.why import why
from metering import quantities
from metering.parcel import ParcelId, Received
from metering.status import State, Status
from metering.sweep import DeviceInfo, PointInfo, Sweep
from support.books_plant import RESETS, ROLLS, SILENT, SPIKES, StoppedClock, filled, setup, statements
from support.page_figures import ZONE
from wattline.clock import NS

POINT = "energy_active_import_total"
MONTH = Period(year=2026, month=11)


class Found:
    lines: dict[str, list[Line]]
    checks: dict[str, ReadingsCheck]
    amounts: dict[str, Decimal | None]
    stored: dict[str, int]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    async def make() -> Found:
        made = Found()
        made.lines, made.checks, made.amounts, made.stored = {}, {}, {}, {}
        async with await filled(tmp_path_factory) as store:
            service = statements(store, setup())
            for record in (await service.records(setup().plants[0], MONTH)).values():
                device, counter = record.points.meter.device, record.points.counter
                assert counter is not None
                intervals = [bucket.interval for bucket in record.quarters]
                made.lines[device] = [line async for line in listed(store, record.points, intervals)]
                seen = ReadingsCheck(meter=device)
                for line in made.lines[device]:
                    seen.take(line)
                made.checks[device], made.amounts[device] = seen, record.amount
                span = await store.span(counter, 0, 2**63 - 1)
                made.stored[device] = 0 if span is None else span.readings
        return made

    return asyncio.run(make())


def test_the_readings_of_every_meter_make_every_interval_of_the_month(found: Found) -> None:
    for device, seen in found.checks.items():
        assert seen.mistakes == [], device
        assert seen.total == found.amounts[device]
        assert seen.intervals > 300 or device == SILENT


def test_every_reading_of_the_month_is_listed_once(found: Found) -> None:
    for device, lines in found.lines.items():
        times = [line.at for line in lines if line.kind is Kind.READING]
        assert len(times) == len(set(times))
        assert times == sorted(times)
        assert found.stored[device] - 12 <= len(times) <= found.stored[device]  # an hour lies in the month before


def test_what_a_register_did_is_told_where_it_did_it(found: Found) -> None:
    def told(device: str) -> list[str]:
        return [line.what for line in found.lines[device] if line.what][1:]

    assert told(ROLLS) == ["the register rolled over at 1000000"]
    assert told(RESETS) == ["the register was reset: what it shows since it began at 0"]
    assert told(SPIKES) == [DROPPED]
    assert told("line-2") == []


@pytest.mark.parametrize("device", ["line-2", ROLLS, SILENT, RESETS])
def test_a_changed_or_lost_reading_is_found(found: Found, device: str) -> None:
    lines = found.lines[device]
    places = [place for place, line in enumerate(lines) if line.kind is Kind.READING and not line.what][5::301]
    for place in places:
        line = lines[place]
        assert isinstance(line.value, Decimal)
        for wrong in ([line._replace(value=line.value + Decimal("0.001"))], []):
            seen = ReadingsCheck(meter=device)
            for kept in (*lines[:place], *wrong, *lines[place + 1 :]):
                seen.take(kept)
            assert seen.wrong


LINE = "line-1"
EDGE = day_bounds(date(2026, 12, 1), ZONE)[0]
HOUR = 3600 * NS


def line_sweeps() -> tuple[Sweep, ...]:
    """Eleven days before and three after the end of November, of a load that changes by the hour; a pause between."""
    count = Decimal(5000)
    found: list[Sweep] = []
    for at in range(EDGE - 11 * 24 * HOUR + 7 * NS, EDGE + 72 * HOUR, 300 * NS):
        count += Decimal(1 + at // HOUR % 24) / 10
        if not EDGE - 5 * HOUR < at < EDGE + 4 * HOUR:
            found.append(Sweep(device=LINE, taken_at=at, values={POINT: count}, faults={}))
    return tuple(found)


def test_a_pause_over_the_end_of_a_month_adds_up_in_both(tmp_path: Path) -> None:
    """It has the shape of the weekdays before: no straight line between the readings at its ends."""

    async def main() -> None:
        found = setup()
        plant, clock = found.plants[0], StoppedClock(EDGE + 72 * HOUR)
        async with SqliteStore(tmp_path / "centre.db") as store:
            told = DeviceInfo(
                name=LINE, bus="b", profile="p", interval_s=Decimal(300), asset=None,
                points=(PointInfo(name=POINT, unit="kWh", kind=quantities.Kind.COUNTER),),
            )  # fmt: skip
            status = Status(state=State.ONLINE, software="0", epoch=1, at=EDGE, counters={}, devices=(told,))
            await store.write_status(GatewayKey(plant.site, "gw"), status, received_at=EDGE)
            sweeps = line_sweeps()
            parcel = Received(
                site=plant.site, gateway="gw", id=ParcelId(epoch=1, seq=1), dropped=0, sweeps=sweeps,
                readings=len(sweeps),
            )  # fmt: skip
            await store.write([parcel], received_at=EDGE)
            directory = Directory(store, clock)
            await Ledger(store=store, clock=clock, plants=found.plants, directory=directory).cycle()
            service = replace(statements(store, found), clock=clock, directory=directory)
            amounts = Decimal(0)
            for month in (11, 12):
                period = Period(year=2026, month=month)
                trace = await why(service, plant.site, period, f"{LINE}:quantity/electricity")
                assert check(trace) == ()
                assert [step.words for step in trace.steps.values() if step.id.startswith("event:")] == [PAUSE]
                record = (await service.records(plant, period))[LINE, Carrier.ELECTRICITY, Flow.IMPORT]
                seen = ReadingsCheck(meter=LINE)
                async for line in listed(store, record.points, [bucket.interval for bucket in record.quarters]):
                    seen.take(line)
                assert seen.wrong == 0
                assert seen.intervals < len(record.quarters)  # those of the pause are one
                amounts += record.amount or 0
            first, last = sweeps[0].values[POINT], sweeps[-1].values[POINT]
            assert isinstance(first, Decimal)
            assert isinstance(last, Decimal)
            assert amounts == last - first

    asyncio.run(main())
