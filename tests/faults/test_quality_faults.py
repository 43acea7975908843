"""What a meter says, or does not say, and what the store and the accounting make of it: with a real store and ledger."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

from agent.identity import IdentityBook
from agent.inspector import Inspector
from agent.news import FaultNews
from agent.plan import Rated
from agent.quality import Plausibility
from centre.accounting.registers import Flag
from centre.store.base import Grain, SeriesKey
from centre.store.sqlite import SqliteStore
from centre.views import MeterState
from metering.faults import ALL_POINTS, Fault
from metering.parcel import ParcelId, open_parcel, seal
from metering.quantities import Kind
from metering.sweep import PointInfo, Sweep, Value
from support.centre_plant import centre_of, inventory
from support.standing_clock import StandingClock
from support.store_contract import EVER, PRESS, T0, parcel, status
from wattline.clock import NS
from wattline.events import EventLog, capture_events

MINUTE = 60 * NS
COUNTER = "energy_active_import_total"
LINE = SeriesKey("works", "line-1", COUNTER)
GAUGE = LINE._replace(point="power_active_total")
POINTS = (
    PointInfo(name=COUNTER, unit="kWh", kind=Kind.COUNTER),
    PointInfo(name="power_active_total", unit="W", kind=Kind.GAUGE),
    PointInfo(name="voltage_l1_n", unit="V", kind=Kind.GAUGE),
    PointInfo(name="frequency", unit="Hz", kind=Kind.GAUGE),
    PointInfo(name="power_factor_total", unit="1", kind=Kind.GAUGE),
)
RATED = Rated(power_w=Decimal(250_000), current_a=Decimal(400), voltage_v=Decimal(230))


def sweep(minute: float, values: dict[str, Value], faults: dict[str, Fault] | None = None) -> Sweep:
    return Sweep(device="line-1", taken_at=T0 + int(minute * MINUTE), values=values, faults=faults or {})


def with_store(test: Callable[[SqliteStore], Awaitable[None]]) -> None:
    async def main(folder: Path) -> None:
        async with SqliteStore(folder / "centre.db", inline=True) as store:
            await store.write_status(PRESS, status(devices=inventory(60)), received_at=T0)
            await test(store)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def sent(*sweeps: Sweep) -> tuple[Sweep, ...]:
    """The sweeps after the way over the wire."""
    sealed = seal(sweeps, site="works", gateway="press-shop", parcel_id=ParcelId(epoch=7, seq=1), dropped=0)
    return tuple(open_parcel(sealed.body).sweeps)


def test_row_25_a_wrong_scale_or_word_order_is_marked_told_and_not_counted_as_measured() -> None:
    plausibility = Plausibility(POINTS, RATED)
    fine = {"voltage_l1_n": 231.0, "frequency": 50.0, "power_factor_total": -0.97, "power_active_total": -90_000.0}
    wrong = {"voltage_l1_n": 2310.0, "frequency": 2.4e-41, "power_factor_total": 97.0, "power_active_total": 9e6}
    off = dict.fromkeys(fine, 0)
    assert plausibility.judged(sweep(0, {**fine})).faults == {}
    assert plausibility.judged(sweep(0, {**off})).faults == {}
    judged = plausibility.judged(sweep(0, {**wrong}))
    assert judged.values == wrong
    assert judged.faults == dict.fromkeys(wrong, Fault.SUSPECT)
    news = FaultNews()
    assert news.swept(judged.values.keys(), judged.faults, 0.0) == ({}, False)
    told, _ = news.swept(judged.values.keys(), judged.faults, 1.0)
    assert {fault: set(points) for fault, points in told.items()} == {Fault.SUSPECT: wrong.keys()}

    async def test(store: SqliteStore) -> None:
        judged = [
            plausibility.judged(sweep(minute, {COUNTER: 1000.0 + minute * 4 + (90_000 if minute == 20 else 0)}))
            for minute in range(46)
        ]
        await store.write([parcel(1, *sent(*judged))], received_at=T0)
        found = await store.read(LINE, 0, EVER, limit=99)
        assert [(reading.at - T0) // MINUTE for reading in found if reading.suspect] == [20]
        assert found[20].value == 91_080.0
        figures, ledger = centre_of(store, StandingClock(T0 + 46 * MINUTE))
        await ledger.cycle()
        quarters = [b.interval for b in await store.read_rollup(LINE, Grain.QUARTER, 0, EVER)]
        assert [q.flag for q in quarters[:3]] == [Flag.MEASURED, Flag.SUSPECT, Flag.MEASURED]
        assert sum(q.amount for q in quarters if q.amount is not None) == 180
        bad = sweep(46, {"power_active_total": 9e6}, {"power_active_total": Fault.SUSPECT})
        await store.write([parcel(2, *sent(bad))], received_at=T0)
        live = await figures.live("works")
        meter = next(meter for meter in live.meters if meter.device == "line-1")
        assert (meter.state, meter.fault, meter.value) == (MeterState.FAULTY, "suspect", None)

    with_store(test)


def test_row_27_a_swapped_meter_is_told_once_and_counts_from_its_own_start(tmp_path: Path) -> None:
    def book() -> Inspector:
        return Inspector({"line-1": Plausibility((), Rated())}, identities, EventLog())

    identities = IdentityBook(tmp_path / "meters.json")
    first, second = sweep(0, {"serial_number": 4711}), sweep(1, {"serial_number": 4712})
    with capture_events() as events:
        book().judge(first)
        identities.write(identities.text())
        identities = IdentityBook(tmp_path / "meters.json")  # the gateway starts again meanwhile
        for told in (first, second, sweep(2, {"serial_number": 0}), second):
            book().judge(told)
    assert [(event["event"], event["old"], event["new"]) for event in events] == [("device.swapped", "4711", "4712")]

    async def test(store: SqliteStore) -> None:
        # 4 kWh a minute; from 20 to 31 nobody answers, then a meter that has counted more before
        old = [sweep(minute, {COUNTER: 1000.0 + 4 * minute}) for minute in range(21)]
        new = [sweep(minute, {COUNTER: 77_000.0 + 4 * (minute - 31)}) for minute in range(31, 61)]
        await store.write([parcel(1, sweep(0.1, {"serial_number": 4711}), *old, *new)], received_at=T0)
        _, ledger = centre_of(store, StandingClock(T0 + 61 * MINUTE))
        await ledger.cycle()
        await store.write([parcel(2, sweep(31.1, {"serial_number": 4712}))], received_at=T0)
        await ledger.cycle()
        quarters = [b.interval for b in await store.read_rollup(LINE, Grain.QUARTER, 0, EVER)]
        assert [q.amount for q in quarters[:4]] == [60, 20, 56, 60]
        assert [q.flag for q in quarters[:4]] == [Flag.MEASURED, Flag.SUSPECT, Flag.SUSPECT, Flag.MEASURED]
        await store.write([parcel(3, sweep(46.1, {"serial_number": 4712}))], received_at=T0)
        assert await ledger.cycle() == 0
        assert await store.changes(LINE._replace(point="serial_number")) == [(T0 + 6 * NS, T0 + 31 * MINUTE + 6 * NS)]

    with_store(test)


def test_every_absence_reaches_the_store_with_its_reason() -> None:
    async def test(store: SqliteStore) -> None:
        absent = (
            sweep(0, {"frequency": 50.0}, {COUNTER: Fault.EXCEPTION_2}),
            sweep(1, {}, {ALL_POINTS: Fault.TIMEOUT}),
            sweep(2, {}, {ALL_POINTS: Fault.BACKOFF}),
            sweep(3, {}, {ALL_POINTS: Fault.LINK_DOWN}),
            sweep(4, {}, {ALL_POINTS: Fault.OVERRUN}),
        )
        await store.write([parcel(1, *sent(*absent))], received_at=T0)
        counts = await store.fault_counts("works", "line-1", (COUNTER, ALL_POINTS), T0, EVER)
        assert counts == dict.fromkeys(
            (Fault.EXCEPTION_2, Fault.TIMEOUT, Fault.BACKOFF, Fault.LINK_DOWN, Fault.OVERRUN), 1
        )

    with_store(test)
