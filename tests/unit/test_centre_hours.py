"""The completeness ledger: right in whatever order, portions and number of copies the readings arrive."""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.hours import HOUR_NS, LATE_NS, DeviceHour, Plan, Tally, Window, device_hours
from centre.json_views import plain
from centre.store.sqlite import SqliteStore
from metering.faults import ALL_POINTS, Fault
from metering.parcel import TimeQuality
from metering.quantities import IDENTITY, Kind
from metering.status import State, Status
from metering.sweep import DeviceInfo, PointInfo, Sweep
from support.centre_plant import centre_of, inventory
from support.standing_clock import StandingClock
from support.store_contract import PRESS, T0, parcel, status
from wattline.clock import NS

MINUTE = 60 * NS
GAUGES = ("power_active_total", "frequency")
INFO = DeviceInfo(
    name="line-1", bus="b", profile="p", interval_s=Decimal(60), asset=None,
    points=(
        *(PointInfo(name=name, unit="", kind=Kind.GAUGE, interval_s=Decimal(15)) for name in GAUGES),
        PointInfo(name="energy_active_import_total", unit="kWh", kind=Kind.COUNTER),
        PointInfo(name=IDENTITY, unit="", kind=Kind.STATE, interval_s=Decimal(900)),
    ),
)  # fmt: skip
AN_HOUR = 2 * 240 + 60
PLAN = Plan(T0, "press-shop", INFO)


def with_store(plot: Callable[[SqliteStore], Awaitable[None]]) -> None:
    async def main(folder: Path) -> None:
        async with SqliteStore(folder / "centre.db", inline=True) as store:
            await plot(store)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def polls(minutes: range, delay_ns: int = 50_000_000) -> list[Sweep]:
    """Every answer of the device of INFO in these minutes, `delay_ns` after it was due."""
    found: list[Sweep] = []
    for quarter in range(4 * minutes.start, 4 * minutes.stop):
        points = (*GAUGES, *(("energy_active_import_total",) if quarter % 4 == 0 else ()))
        found.append(
            Sweep(
                device="line-1",
                taken_at=T0 + quarter * 15 * NS + delay_ns,
                values=dict.fromkeys(points, 1.0),
                faults={},
            )
        )
    return found


faults = st.sampled_from([Fault.TIMEOUT, Fault.SENTINEL, Fault.SUSPECT])
sweeps = st.builds(
    lambda device, at, values, faulty, whole, fault: Sweep(
        device=device, taken_at=T0 + at * 20 * MINUTE, values={} if whole else dict.fromkeys(values, 1.0),
        faults={ALL_POINTS: Fault.BACKOFF} if whole else dict.fromkeys(faulty, fault),
    ),
    st.sampled_from(["a", "b"]), st.integers(0, 12), st.sets(st.sampled_from(GAUGES)), st.sets(st.sampled_from(GAUGES)), st.booleans(), faults,
)  # fmt: skip


def counted(those: list[Sweep], received_at: int) -> dict[tuple[str, int], Tally]:
    """What each device and hour holds, each reading and each fault once, counted plainly."""
    values = {(one.device, one.taken_at, point) for one in those for point in one.values}
    told: dict[tuple[str, int, str], str] = {}
    for one in those:
        for point, fault in one.faults.items():
            told.setdefault((one.device, one.taken_at, point), str(fault))
    found: dict[tuple[str, int], Tally] = {}
    for device, hour in {(device, at // HOUR_NS * HOUR_NS) for device, at, _ in [*values, *told]}:
        here = [at for name, at, _ in values if (name, at // HOUR_NS * HOUR_NS) == (device, hour)]
        kinds: dict[bool, dict[str, int]] = {True: {}, False: {}}
        for (name, at, point), fault in told.items():
            if (name, at // HOUR_NS * HOUR_NS) == (device, hour):
                scope = kinds[point == ALL_POINTS]
                scope[fault] = scope.get(fault, 0) + 1
        late = sum(received_at - at > LATE_NS for at in here)
        found[device, hour] = Tally(received=len(here), late=late, points=kinds[False], sweeps=kinds[True])
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(sweeps, max_size=25), st.randoms(use_true_random=False), st.integers(1, 6))
def test_order_portions_and_copies_of_arrival_do_not_matter(
    those: list[Sweep], dice: random.Random, portions: int
) -> None:
    unique = list({(one.device, one.taken_at): one for one in those}.values())
    received_at = T0 + 2 * HOUR_NS + 7
    copies = [*unique, *dice.choices(unique, k=10)] if unique else []
    dice.shuffle(copies)

    async def check(store: SqliteStore) -> None:
        for seq in range(portions):
            await store.write([parcel(seq + 1, *copies[seq::portions])], received_at=received_at)
        tallies = await store.tallies("works", 0, 2**62)
        found = {(device, hour): tally for device, hours in tallies.items() for hour, tally in hours.items()}
        assert found == counted(unique, received_at)

    with_store(check)


def test_a_reading_is_late_by_when_it_came_first() -> None:
    async def check(store: SqliteStore) -> None:
        (one, *_) = polls(range(1))
        await store.write([parcel(1, one)], received_at=one.taken_at + LATE_NS)
        await store.write([parcel(1, one)], received_at=one.taken_at + LATE_NS + 1)
        assert (await store.tallies("works", 0, 2**62))["line-1"][T0].late == 0

    with_store(check)


def lines(
    those: list[Sweep], *windows: Window, plans: tuple[Plan, ...] = (PLAN,), minutes: int = 180
) -> tuple[DeviceHour, ...]:
    tallies = {hour: tally for (_, hour), tally in counted(those, T0).items()}
    return device_hours(plans, tallies, windows, start=T0, end=T0 + minutes * MINUTE, now=T0 + minutes * MINUTE)


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 14.9])
def test_when_every_poll_was_answered_nothing_is_missing_however_late_in_its_interval(delay_s: float) -> None:
    found = lines(polls(range(180), int(delay_s * NS)))
    assert [(hour.expected, hour.missing, hour.lost) for hour in found] == [(AN_HOUR, 0, {})] * 3


def test_what_is_absent_is_a_fault_with_its_reason_or_missing() -> None:
    silent = [
        Sweep(device="line-1", taken_at=one.taken_at, values={}, faults={ALL_POINTS: Fault.TIMEOUT})
        if len(one.values) == 3
        else replace(one, values={}, faults=dict.fromkeys(one.values, Fault.BACKOFF))
        for one in polls(range(60, 70))
    ]
    found = lines([*polls(range(60)), *silent, *polls(range(70, 100)), *polls(range(110, 180))])
    first, second, third = found
    assert (first.missing, third.missing) == (0, 0)
    assert second.faulty == {"timeout": 30, "backoff": 60}
    assert second.missing == AN_HOUR // 6
    assert second.expected == second.received + sum(second.faulty.values()) + second.missing


def test_a_suspect_reading_is_there_and_not_missing() -> None:
    told = [replace(one, faults={"frequency": Fault.SUSPECT}) for one in polls(range(60))]
    (hour,) = lines(told, minutes=60)
    assert (hour.received, hour.suspect, hour.missing, hour.faulty) == (AN_HOUR, 240, 0, {})


def test_what_was_lost_at_the_gateway_is_lost_by_its_cause_and_the_rest_missing() -> None:
    gone = Window(T0 + 30 * MINUTE, T0 + 40 * MINUTE, "dropped")
    first, _, _ = lines([*polls(range(30)), *polls(range(40, 50)), *polls(range(60, 180))], gone)
    assert first.lost == {"dropped": AN_HOUR // 6 + 1}  # to within one at the edges
    assert first.missing == AN_HOUR // 6 - 1


def test_a_window_without_anything_missing_loses_nothing() -> None:
    assert lines(polls(range(180)), Window(T0, T0 + 90 * MINUTE, "ended"))[0].lost == {}


def test_each_time_has_the_expectations_of_its_own_settings() -> None:
    slower = replace(INFO, points=tuple(replace(point, interval_s=Decimal(60)) for point in INFO.points[:3]))
    plans = (PLAN, Plan(T0 + 60 * MINUTE, "press-shop", slower), Plan(T0 + 90 * MINUTE, "press-shop", None))
    assert [hour.expected for hour in lines([], plans=plans)] == [AN_HOUR, 90, 0]


def test_settings_count_from_the_start_of_the_agent_and_an_older_status_changes_nothing() -> None:
    def said(epoch: int, at: int, interval_s: int) -> Status:
        devices = inventory(interval_s)
        return Status(state=State.ONLINE, software="", epoch=epoch, at=at, counters={}, devices=devices)

    async def check(store: SqliteStore) -> None:
        old, new = said(T0 // NS, T0 + HOUR_NS, 60), said(T0 // NS + 7200, T0 + 4 * HOUR_NS, 10)
        for one in (old, new, old, new, new):
            await store.write_status(PRESS, one, received_at=T0)
        plans = (await store.plans("works"))["line-1"]
        told = [(plan.since, plan.info and plan.info.interval_s) for plan in plans]
        assert told == [(T0, Decimal(60)), (T0 + 2 * HOUR_NS, Decimal(10))]

    with_store(check)


def test_the_ledger_of_a_plant_names_the_gateways_and_hours_whose_times_are_in_doubt() -> None:
    async def check(store: SqliteStore) -> None:
        await store.write_status(PRESS, replace(status(devices=(INFO,)), at=T0), received_at=T0)
        doubtful = replace(parcel(1, *polls(range(50, 130))), time_quality=TimeQuality.UNSYNCHRONISED)
        parcels = [doubtful, parcel(2, *polls(range(50))), parcel(3, *polls(range(130, 240)))]
        await store.write(parcels, received_at=T0 + 4 * HOUR_NS)
        figures, _ = centre_of(store, StandingClock(T0 + 5 * HOUR_NS))
        found = await figures.hours("works", T0, T0 + 4 * HOUR_NS)
        assert found.missing == 0
        assert [hour.doubtful.get("unsynchronised") for hour in found.devices[0].hours] == [90, 540, 90, None]
        assert [plain(each) for each in found.doubtful] == [
            {
                "gateway": "press-shop",
                "quality": "unsynchronised",
                "readings": 720,
                "from_ns": T0,
                "to_ns": T0 + 3 * HOUR_NS,
            }
        ]
        assert (await figures.hours("works", T0 + 3 * HOUR_NS, T0 + 4 * HOUR_NS)).doubtful == ()

    with_store(check)


def test_the_ledger_of_a_plant_says_what_its_gateway_lost_between_two_runs() -> None:
    async def check(store: SqliteStore) -> None:
        end = T0 + 3 * HOUR_NS
        await store.write_status(PRESS, replace(status(devices=(INFO,)), at=T0), received_at=T0)
        await store.write([parcel(1, *polls(range(90)))], received_at=end)
        await store.write([parcel(1, *polls(range(100, 180)), epoch=8)], received_at=end)
        figures, _ = centre_of(store, StandingClock(end + HOUR_NS))
        before = await figures.hours("works", T0, end)
        assert (before.missing, before.lost, before.late > 0) == (90, 0, True)
        counters = {"parcels_pending": 0, "parcels_sealed": 1}
        await store.write_status(PRESS, replace(status(epoch=8), counters=counters), received_at=end)
        after = await figures.hours("works", T0, end)
        assert (after.missing, after.lost) == (0, 90)
        assert [hour.lost for hour in after.devices[0].hours] == [{}, {"ended": 90}, {}]
        await store.write([parcel(2, *polls(range(90, 100)))], received_at=end)
        whole = await figures.hours("works", T0, end)
        assert (whole.missing, whole.lost, whole.received) == (0, 0, whole.expected)

    with_store(check)


def test_what_a_gateway_lost_stays_lost_when_another_one_reads_the_device_afterwards() -> None:
    async def check(store: SqliteStore) -> None:
        end, other = T0 + 3 * HOUR_NS, PRESS._replace(gateway="other")
        await store.write_status(PRESS, replace(status(devices=(INFO,)), at=T0), received_at=T0)
        await store.write([parcel(1, *polls(range(90))), parcel(3, *polls(range(100, 180)))], received_at=end)
        counters = {"parcels_pending": 0, "parcels_sealed": 3}
        await store.write_status(PRESS, replace(status(devices=()), at=end, counters=counters), received_at=end)
        figures, _ = centre_of(store, StandingClock(end + 2 * HOUR_NS))
        assert (await figures.hours("works", T0, end)).lost == 90
        taken = Status(state=State.ONLINE, software="", epoch=end // NS, at=end, counters={}, devices=(INFO,))
        await store.write_status(other, taken, received_at=end)
        later = [
            parcel(seq, *polls(those), gateway="other") for seq, those in ((1, range(180, 200)), (3, range(220, 240)))
        ]
        await store.write(later, received_at=end + HOUR_NS)
        found = await figures.hours("works", T0, end + HOUR_NS)
        assert [hour.lost for hour in found.devices[0].hours] == [{}, {"ended": 90}, {}, {}]
        assert found.missing == 180
        told = replace(taken, epoch=end // NS + 60, counters=counters, devices=None)
        await store.write_status(other, told, received_at=end + HOUR_NS)
        found = await figures.hours("works", T0, end + HOUR_NS)
        assert [hour.lost for hour in found.devices[0].hours] == [{}, {"ended": 90}, {}, {"ended": 180}]

    with_store(check)
