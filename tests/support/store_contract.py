"""What every store must do. A test module makes a subclass of StoreContract with `open()` and gets all of these tests."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal

import pytest

from centre.accounting.hours import Tally
from centre.accounting.intervals import Interval
from centre.accounting.registers import Flag
from centre.store.base import Bucket, GatewayKey, Grain, Reading, ReadingsRefused, SeriesKey, Store
from metering.faults import ALL_POINTS, Fault
from metering.parcel import ParcelId, Received, TimeQuality
from metering.quantities import Kind
from metering.status import State, Status
from metering.sweep import DeviceInfo, PointInfo, Sweep, Value

T0 = 1_767_225_600_000_000_000
SECOND = 1_000_000_000
ENERGY = SeriesKey("works", "incomer", "energy_active_import_total")
POWER = SeriesKey("works", "incomer", "power_active_total")
PRESS = GatewayKey("works", "press-shop")
EVER = 2**63 - 1


def sweep(
    at_s: float,
    values: Mapping[str, Value] | None = None,
    faults: Mapping[str, Fault] | None = None,
    device: str = "incomer",
) -> Sweep:
    return Sweep(device=device, taken_at=T0 + int(at_s * SECOND), values=values or {}, faults=faults or {})


def parcel(seq: int, *sweeps: Sweep, epoch: int = 7, gateway: str = "press-shop", dropped: int = 0) -> Received:
    return Received(
        site="works",
        gateway=gateway,
        id=ParcelId(epoch=epoch, seq=seq),
        readings=sum(len(one.values) for one in sweeps),
        dropped=dropped,
        sweeps=sweeps,
    )


def status(state: State = State.ONLINE, *, devices: tuple[DeviceInfo, ...] | None = None, epoch: int = 7) -> Status:
    return Status(state=state, software="0.1.0", epoch=epoch, at=T0, counters={"acquired": 5}, devices=devices)


def device(name: str = "incomer", interval_s: str = "1") -> DeviceInfo:
    points = (
        PointInfo(name="energy_active_import_total", unit="kWh", kind=Kind.COUNTER, modulus=Decimal("1e12")),
        PointInfo(name="power_active_total", unit="W", kind=Kind.GAUGE, interval_s=Decimal("0.5")),
    )
    return DeviceInfo(
        name=name, bus="b", profile="abb-b23", interval_s=Decimal(interval_s), asset="hall/1", points=points
    )


def quarter(start: int, amount: str | None, *, still_open: bool = False) -> Bucket:
    interval = Interval(
        start=start,
        end=start + 900 * SECOND,
        amount=None if amount is None else Decimal(amount),
        estimated=Decimal("0.5"),
        known_ns=5,
        estimated_ns=3,
        readings=2,
        suspects=1,
        breaks=1,
        open=still_open,
        marked=() if amount is None else ((Flag.SUSPECT, Decimal("0.25")), (Flag.SUBSTITUTED, Decimal(amount))),
    )
    return Bucket(grain=Grain.QUARTER, interval=interval)


class StoreContract:
    """Each test opens an empty store."""

    def open(self) -> AbstractAsyncContextManager[Store]:
        raise NotImplementedError

    def run(self, check: Callable[[Store], Awaitable[None]]) -> None:
        async def main() -> None:
            async with self.open() as store:
                await check(store)

        asyncio.run(main())

    def test_columns_are_the_readings_of_a_stretch_with_some_around_it(self) -> None:
        async def check(store: Store) -> None:
            assert await store.columns(POWER, 0, EVER, before=9, after=9, limit=9) == ((), (), frozenset())
            values: list[Value] = [0.5, 1, Decimal("123456789012.3456789012"), 2**39, 2.5, 3.5]
            sweeps = [
                sweep(at, {POWER.point: value}, {POWER.point: Fault.SUSPECT} if at == 3 else {})
                for at, value in enumerate(values)
            ]
            await store.write([parcel(1, *sweeps)], received_at=T0)
            found = await store.columns(POWER, T0 + 2 * SECOND, T0 + 4 * SECOND, before=1, after=1, limit=9)
            assert list(found.times) == [T0 + at * SECOND for at in (1, 2, 3, 4)]
            assert list(found.values) == values[1:5]
            assert found.suspects == {T0 + 3 * SECOND}
            inside = await store.columns(POWER, T0, EVER, before=1, after=1, limit=2)
            assert list(inside.values) == values[:2]

        self.run(check)

    def test_what_is_written_is_read_back_exactly(self) -> None:
        values: dict[str, Value] = {
            "power_active_total": 0.1 + 0.2,
            "energy_active_import_total": Decimal("123456789012.3456789012"),
            "status": "door open",
            "ct_ratio": 100,
            "pt_ratio": 2**64,
            "frequency": -0.0,
        }

        async def check(store: Store) -> None:
            written = await store.write([parcel(1, sweep(0, values))], received_at=T0)
            assert (written.readings, written.ignored) == (6, 0)
            for point, value in values.items():
                (found,) = await store.read(SeriesKey("works", "incomer", point), 0, EVER, limit=10)
                assert found == Reading(T0, value)
                assert repr(found.value) == repr(value) if point != "pt_ratio" else int(found.value) == value

        self.run(check)

    def test_the_same_parcel_twice_is_stored_once(self) -> None:
        async def check(store: Store) -> None:
            again = parcel(1, sweep(0, {"power_active_total": 1.0}), sweep(1, faults={"frequency": Fault.SENTINEL}))
            first = await store.write([again], received_at=T0)
            second = await store.write([again, again], received_at=T0)
            assert (first.redelivered, first.readings, first.faults) == (0, 1, 1)
            assert (second.redelivered, second.readings, second.ignored, second.faults) == (2, 0, 2, 0)
            assert len(await store.read(POWER, 0, EVER, limit=10)) == 1
            totals = await store.totals()
            assert (totals.readings, totals.faults, totals.parcels) == (1, 1, 1)
            assert (totals.redelivered_parcels, totals.ignored_readings) == (2, 2)
            assert totals.by_device == {("works", "incomer"): 1}

        self.run(check)

    def test_the_first_value_told_stays(self) -> None:
        async def check(store: Store) -> None:
            await store.write([parcel(1, sweep(0, {"power_active_total": 1.0}))], received_at=T0)
            await store.write([parcel(2, sweep(0, {"power_active_total": 2.0}))], received_at=T0)
            assert await store.read(POWER, 0, EVER, limit=10) == [Reading(T0, 1.0)]

        self.run(check)

    def test_readings_come_in_order_of_time_within_their_bounds(self) -> None:
        async def check(store: Store) -> None:
            for seq, at in enumerate((3, 1, 2, 5, 4), start=1):
                await store.write([parcel(seq, sweep(at, {"power_active_total": float(at)}))], received_at=T0)
            t = [T0 + at * SECOND for at in range(7)]
            assert [r.value for r in await store.read(POWER, t[2], t[5], limit=10)] == [2.0, 3.0, 4.0]
            assert [r.value for r in await store.read(POWER, 0, EVER, limit=2)] == [1.0, 2.0]
            assert [r.value for r in await store.before(POWER, t[4], 2)] == [2.0, 3.0]
            assert await store.latest([POWER, ENERGY]) == {POWER: Reading(t[5], 5.0)}
            span = await store.span(POWER, t[2], t[5])
            assert span is not None
            assert (span.first.at, span.last.at, span.readings) == (t[2], t[4], 3)
            assert await store.span(POWER, t[6], EVER) is None
            assert await store.span(ENERGY, 0, EVER) is None
            assert await store.series("works") == {"incomer": ("power_active_total",)}
            assert await store.series("elsewhere") == {}

        self.run(check)

    def test_parcel_numbers_are_kept_as_ranges_of_each_epoch(self) -> None:
        async def check(store: Store) -> None:
            one = sweep(0, {"power_active_total": 1.0})
            for seqs in ((1, 2), (5, 4), (9,)):
                await store.write([parcel(seq, one) for seq in seqs], received_at=T0)
            await store.write([parcel(1, one, epoch=8), parcel(3, one, gateway="other")], received_at=T0)
            committed = await store.committed()
            assert dict(committed[PRESS].epochs) == {7: ((1, 2), (4, 5), (9, 9)), 8: ((1, 1),)}
            assert committed[PRESS].watermark(7) == 2
            assert dict(committed[GatewayKey("works", "other")].epochs) == {7: ((3, 3),)}
            await store.write([parcel(3, one)], received_at=T0)
            assert (await store.committed())[PRESS].epochs[7] == ((1, 5), (9, 9))

        self.run(check)

    def test_a_status_keeps_the_inventory_until_the_next_one_brings_another(self) -> None:
        async def check(store: Store) -> None:
            assert await store.write_status(PRESS, status(devices=(device(), device("line-1"))), received_at=T0)
            assert not await store.write_status(PRESS, status(), received_at=T0 + 1)
            assert await store.write_status(PRESS, status(State.LOST), received_at=T0 + 2)
            inventory = await store.inventory("works")
            assert inventory == {"incomer": ("press-shop", device()), "line-1": ("press-shop", device("line-1"))}
            (row,) = await store.gateways()
            assert (row.key, row.state, row.since, row.last_seen) == (PRESS, State.LOST, T0 + 2, T0 + 2)
            assert row.counters == {"acquired": 5}
            assert not await store.write_status(PRESS, status(State.LOST), received_at=T0 + 9)  # retained, told again
            assert (await store.gateways())[0].last_seen == T0 + 2
            await store.write_status(PRESS, status(devices=(device("line-1", "60"),)), received_at=T0 + 3)
            assert await store.inventory("works") == {"line-1": ("press-shop", device("line-1", "60"))}

        self.run(check)

    def test_a_gateway_that_only_sent_readings_is_known_without_a_state(self) -> None:
        async def check(store: Store) -> None:
            await store.write(
                [parcel(1, sweep(0, {"power_active_total": 1.0}), dropped=3), parcel(2, dropped=4)], received_at=T0 + 9
            )
            (row,) = await store.gateways()
            assert (row.state, row.last_seen, row.dropped) == (None, T0 + 9, 4)

        self.run(check)

    def test_the_newest_fault_of_a_point_is_its_own_or_one_of_all_points(self) -> None:
        async def check(store: Store) -> None:
            await store.write(
                [
                    parcel(
                        1,
                        sweep(1, faults={"power_active_total": Fault.SENTINEL}),
                        sweep(2, faults={ALL_POINTS: Fault.TIMEOUT}),
                        sweep(3, faults={ALL_POINTS: Fault.BACKOFF}),
                        sweep(4, faults={"frequency": Fault.NOT_FINITE}),
                    )
                ],
                received_at=T0,
            )
            faults = await store.latest_faults([POWER])
            assert (faults[POWER].at, faults[POWER].reason) == (T0 + 3 * SECOND, Fault.TIMEOUT)
            counts = await store.fault_counts("works", "incomer", ("power_active_total", ALL_POINTS), T0, EVER)
            assert counts == {Fault.SENTINEL: 1, Fault.TIMEOUT: 1, Fault.BACKOFF: 1}
            assert await store.latest_faults([SeriesKey("works", "nobody", "frequency")]) == {}

        self.run(check)

    def test_counters_become_dirty_where_they_were_written_until_settled(self) -> None:
        async def check(store: Store) -> None:
            values: dict[str, Value] = {"energy_active_import_total": 1.0, "power_active_total": 1.0}
            await store.write([parcel(1, sweep(5, values), sweep(3, values))], received_at=T0)
            (dirty,) = await store.dirty(10)
            assert (dirty.series, dirty.first, dirty.last) == (ENERGY, T0 + 3 * SECOND, T0 + 5 * SECOND)
            await store.write([parcel(2, sweep(9, values))], received_at=T0)
            await store.write_rollup({}, settled={ENERGY: dirty.mark})
            (dirty,) = await store.dirty(10)
            assert (dirty.first, dirty.last) == (T0 + 3 * SECOND, T0 + 9 * SECOND)
            await store.write_rollup({}, settled={ENERGY: dirty.mark})
            assert await store.dirty(10) == []
            await store.write([parcel(2, sweep(9, values))], received_at=T0)
            assert await store.dirty(10) == []

        self.run(check)

    def test_another_rule_makes_the_whole_series_dirty(self) -> None:
        async def check(store: Store) -> None:
            values: dict[str, Value] = {"energy_active_import_total": 1.0}
            assert await store.require(ENERGY, "rule 1")
            await store.write([parcel(1, sweep(0, values), sweep(100, values))], received_at=T0)
            (dirty,) = await store.dirty(10)
            await store.write_rollup({}, settled={ENERGY: dirty.mark})
            assert not await store.require(ENERGY, "rule 1")
            assert await store.dirty(10) == []
            assert await store.require(ENERGY, "rule 2")
            (dirty,) = await store.dirty(10)
            assert (dirty.first, dirty.last) == (T0, T0 + 100 * SECOND)

        self.run(check)

    def test_an_interval_is_replaced_and_a_corrected_closed_one_gets_a_revision(self) -> None:
        async def check(store: Store) -> None:
            first, second = quarter(T0, "1.50"), quarter(T0 + 900 * SECOND, None, still_open=True)
            assert await store.write_rollup({ENERGY: [first, second]}) == 2
            assert await store.write_rollup({ENERGY: [first, second]}) == 0
            assert await store.read_rollup(ENERGY, Grain.QUARTER, T0, T0 + 901 * SECOND) == [first, second]
            corrected, closed = quarter(T0, "2"), quarter(T0 + 900 * SECOND, "7")
            assert await store.write_rollup({ENERGY: [corrected, closed]}) == 2
            found = await store.read_rollup(ENERGY, Grain.QUARTER, 0, EVER)
            assert [(bucket.interval.amount, bucket.revision) for bucket in found] == [(Decimal(2), 2), (Decimal(7), 1)]
            assert await store.read_rollup(ENERGY, Grain.HOUR, 0, EVER) == []
            assert await store.read_rollup(POWER, Grain.QUARTER, 0, EVER) == []

        self.run(check)

    @pytest.mark.parametrize("wrong", ["open", 1e12, -3.4e38, 10**20, Decimal("1e30")])
    def test_no_number_of_a_meter_is_refused_by_name_and_nothing_of_the_write_is_kept(self, wrong: Value) -> None:
        bad = sweep(1, {"power_active_total": wrong, "status": wrong})

        async def check(store: Store) -> None:
            with pytest.raises(ReadingsRefused) as refusal:
                await store.write([parcel(1, sweep(0, {"power_active_total": 1.0}), bad)], received_at=T0)
            assert [(one.series, one.at) for one in refusal.value.refused] == [(POWER, bad.taken_at)]
            assert (await store.totals()).parcels == 0
            assert await store.committed() == {}

        self.run(check)

    def test_tallies_count_what_is_new_by_hour_and_kind(self) -> None:
        late = sweep(3700, {"power_active_total": 1.0, "frequency": 50.0}, {"voltage_l1_n": Fault.SENTINEL})
        silent = sweep(3710, faults={ALL_POINTS: Fault.TIMEOUT})

        async def check(store: Store) -> None:
            for seq in (1, 2):
                first = sweep(0, {"power_active_total": 1.0})
                await store.write([parcel(seq, first, late, silent)], received_at=late.taken_at + 61 * SECOND)
            tallies = (await store.tallies("works", T0, EVER))["incomer"]
            assert tallies == {
                T0: Tally(received=1, late=1),
                T0 + 3600 * SECOND: Tally(received=2, late=2, points={"sentinel": 1}, sweeps={"timeout": 1}),
            }
            assert await store.tallies("works", T0 + 1, T0 + 3600 * SECOND) == {}
            arrivals = await store.arrivals("works", "incomer", T0, EVER)
            await store.write([parcel(2, late)], received_at=late.taken_at)
            assert await store.arrivals("works", "incomer", T0, EVER) == arrivals
            await store.write([parcel(3, sweep(3720, {"frequency": 50.0}))], received_at=late.taken_at)
            grown = await store.arrivals("works", "incomer", T0, EVER)
            assert grown[T0] == arrivals[T0]
            assert grown[T0 + 3600 * SECOND] > arrivals[T0 + 3600 * SECOND]
            assert await store.arrivals("works", "line-1", T0, EVER) == {}

        self.run(check)

    def test_readings_of_doubtful_times_are_counted_by_what_was_told_of_them_first(self) -> None:
        def told(seq: int, quality: TimeQuality, *seconds: int) -> Received:
            sweeps = [sweep(at, {"power_active_total": 1.0}, {"frequency": Fault.SENTINEL}) for at in seconds]
            return replace(parcel(seq, *sweeps), time_quality=quality)

        async def check(store: Store) -> None:
            first = [told(1, TimeQuality.UNSYNCHRONISED, 0, 1), told(2, TimeQuality.GOOD, 2)]
            again = [told(1, TimeQuality.UNSYNCHRONISED, 0, 1), told(3, TimeQuality.STEPPED, 1, 2, 3)]
            for parcels in (first, again, again):
                await store.write(parcels, received_at=T0)
            await store.write([told(4, TimeQuality.CORRECTED, 3600)], received_at=T0)
            tallies = (await store.tallies("works", T0, EVER))["incomer"]
            assert {at: tally.doubtful for at, tally in tallies.items()} == {
                T0: {"unsynchronised": 2, "stepped": 1},
                T0 + 3600 * SECOND: {"corrected": 1},
            }
            assert (tallies[T0].received, tallies[T0].late) == (4, 0)

        self.run(check)
