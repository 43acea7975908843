"""The balance before the first whole quarter of an hour: a verdict only where the uncertainty allows one."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.balance import Role, Verdict
from centre.accounting.registers import Flag, RegisterRule, Sample, deltas
from centre.accounting.running_balance import RunningBalance, RunningMeter, running_balance, step_of
from centre.carriers import Carrier
from centre.ledger import Ledger
from centre.period import Period
from centre.plant import Plant
from centre.points import Directory
from centre.register_samples import float32_step
from centre.report.monthly import monthly
from centre.statement import Statement
from centre.statements import Statements
from centre.store.base import GatewayKey
from centre.store.sqlite import SqliteStore
from centre.web_i18n import load_words
from centre.web_month import month_view
from metering.float32 import shortest_float32
from metering.parcel import ParcelId, Received
from metering.quantities import Kind
from metering.status import State, Status
from metering.sweep import DeviceInfo, PointInfo, Sweep
from support.books_plant import CLOCK, StoppedClock, counter_of, kw, setup
from wattline.clock import NS

LIMIT = Decimal(3)
NOTHING = RegisterRule()


def meter(
    role: Role,
    rate: str,
    *,
    step: str = "0.001",
    seconds: int = 60,
    every: int = 1,
    accuracy: str = "0.5",
    late: int = 0,
) -> RunningMeter:
    """A register that counts `rate` per second from 5000.5 on and shows whole steps, read from `late` s on."""
    size = Decimal(step)
    samples = [
        Sample(
            at * NS, Decimal("5000.5") + (Decimal(rate) * at / size).to_integral_value(rounding="ROUND_FLOOR") * size
        )
        for at in range(late, seconds + late + 1, every)
    ]
    register = deltas(samples, NOTHING)
    return RunningMeter(
        id=f"{role}-{rate}-{late}", role=role, accuracy=Decimal(accuracy), register=register,
        resolution=step_of(register, samples[-1].value),
    )  # fmt: skip


def judged(*meters: RunningMeter, since: int = 0) -> RunningBalance:
    return running_balance(meters, since=since, limit_percent=LIMIT)


def test_a_loss_beyond_doubt_is_told_within_a_minute() -> None:
    found = judged(meter(Role.SUPPLY, "0.4"), meter(Role.CHILD, "0.25"), meter(Role.CHILD, "0.1"))
    assert (found.verdict, found.reason, found.start, found.end) == (Verdict.LOSS, None, 0, 60 * NS)
    assert (found.available, found.unmetered, found.share_percent) == (Decimal(24), Decimal(3), Decimal("12.5000"))
    assert found.band is not None
    assert 0 < found.band[0] < Decimal(3) < found.band[1]


def test_no_verdict_while_the_steps_of_a_register_are_larger_than_the_loss() -> None:
    found = judged(meter(Role.SUPPLY, "0.4"), meter(Role.CHILD, "0.38", step="1.6"))
    assert (found.verdict, found.reason) == (None, "cannot_tell_yet")
    assert found.band is not None
    assert found.band[0] < 0 < found.band[1]
    # the same plant, a quarter of an hour later
    late = judged(meter(Role.SUPPLY, "0.4", seconds=900), meter(Role.CHILD, "0.38", step="1.6", seconds=900))
    assert late.verdict is Verdict.LOSS


def test_a_poll_seldom_made_leaves_as_much_doubt_as_a_coarse_register() -> None:
    often = judged(meter(Role.SUPPLY, "0.4", late=7), meter(Role.CHILD, "0.38"))
    seldom = judged(meter(Role.SUPPLY, "0.4", late=7, every=20), meter(Role.CHILD, "0.38", every=20))
    assert often.verdict is Verdict.LOSS
    assert (seldom.verdict, seldom.reason) == (None, "cannot_tell_yet")


def test_within_and_fault_are_told_only_beyond_doubt() -> None:
    assert judged(meter(Role.SUPPLY, "0.4003"), meter(Role.CHILD, "0.3991")).verdict is Verdict.WITHIN
    assert judged(meter(Role.SUPPLY, "0.4003"), meter(Role.CHILD, "0.3991", accuracy="2")).verdict is None
    assert judged(meter(Role.SUPPLY, "0.4"), meter(Role.CHILD, "0.42")).verdict is Verdict.FAULT


def test_what_is_compared_is_what_all_registers_span() -> None:
    found = judged(meter(Role.SUPPLY, "0.4", late=7), meter(Role.CHILD, "0.3"), since=11 * NS)
    assert (found.start, found.end, found.available) == (11 * NS, 60 * NS, Decimal("19.6"))
    assert judged(meter(Role.SUPPLY, "0.4", late=61), meter(Role.CHILD, "0.3")).reason == "no_common_interval"
    assert judged().reason == "no_common_interval"
    assert judged(meter(Role.CHILD, "0.3")).reason == "no_parent"


def test_a_register_at_rest_counts_nothing_and_one_at_zero_tells_nothing() -> None:
    idle = meter(Role.CHILD, "0")
    assert idle.resolution == Decimal(1)
    assert judged(meter(Role.SUPPLY, "0.4"), idle, meter(Role.CHILD, "0.1")).verdict is Verdict.LOSS
    unknown = replace(idle, resolution=step_of(idle.register, Decimal(0)))
    assert judged(meter(Role.SUPPLY, "0.4"), unknown).reason == "resolution_unknown"
    assert meter(Role.CHILD, "0.37", step="0.04").resolution == Decimal("0.04")
    assert step_of(idle.register, Decimal("8.0e3")) == 10_000


def test_a_register_that_was_set_back_is_not_compared() -> None:
    samples = [Sample(at * NS, Decimal(value)) for at, value in enumerate(("800", "801", "1", "2", "3"))]
    register = deltas(samples, NOTHING)
    assert any(step.flag is not Flag.MEASURED for step in register.steps)
    broken = RunningMeter(id="b", role=Role.CHILD, accuracy=Decimal(1), register=register, resolution=Decimal(1))
    assert judged(meter(Role.SUPPLY, "0.4"), broken).reason == "not_counted_whole"


rates = st.integers(0, 500).map(lambda n: str(Decimal(n) / 1000))
steps = st.sampled_from(("0.001", "0.01", "0.1", "1"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(rates, steps, st.integers(1, 7), st.integers(0, 9)), min_size=1, max_size=2), st.randoms())
def test_the_truth_lies_in_the_band_in_any_order_whatever_the_steps_and_polls(
    rows: list[tuple[str, str, int, int]], random: Random
) -> None:
    children = [meter(Role.CHILD, rate, step=step, every=every, late=late) for rate, step, every, late in rows]
    below = sum((Decimal(rate) for rate, *_ in rows), Decimal(0))
    supply = below * Decimal("1.01") + Decimal("0.01")
    meters = [meter(Role.SUPPLY, str(supply)), *children]
    found = judged(*meters)
    random.shuffle(meters)
    assert replace(judged(*meters), terms=()) == replace(found, terms=())
    assert found.unmetered is not None
    assert found.available == found.unmetered + sum(t.amount for t in found.terms if t.role is Role.CHILD)
    truth = (supply - below) * (found.end - found.start) / NS
    assert found.band is not None
    assert found.band[0] <= truth <= found.band[1]
    assert found.verdict is not Verdict.FAULT


def test_the_step_of_a_single_is_told_by_its_values_alone() -> None:
    single = [Sample(at, Decimal(shortest_float32(1_204_410.3 + at / 3))) for at in range(8)]
    assert float32_step(single) >= Decimal("0.125")
    assert float32_step([*single, Sample(9, Decimal("1204413.304"))]) == 0
    assert float32_step([]) == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 400), st.integers(0, 400))
def test_more_that_is_lost_is_never_judged_milder(rate: int, more: int) -> None:
    """Where a verdict stands, a further loss does not take it back to one that is milder."""
    order = [Verdict.FAULT, Verdict.WITHIN, Verdict.LOSS]
    child = meter(Role.CHILD, "0.2")
    low = judged(meter(Role.SUPPLY, str(Decimal(rate) / 1000)), child).verdict
    high = judged(meter(Role.SUPPLY, str(Decimal(rate + more) / 1000)), child).verdict
    if low is not None and high is not None:
        assert order.index(low) <= order.index(high)


# --- in a statement

START = CLOCK.now_ns()


async def read_for(store: SqliteStore, plant: Plant, seconds: int) -> None:
    """All meters of the demo plant, each second, an epoch of their own."""
    devices: list[DeviceInfo] = []
    parcels: list[Received] = []
    for seq, one in enumerate(plant.meters(), 1):
        point = counter_of(one.carrier)
        told = PointInfo(name=point, unit="m3" if one.carrier is Carrier.FRESH_WATER else "kWh", kind=Kind.COUNTER)
        devices.append(
            DeviceInfo(name=one.device, bus="b", profile="p", interval_s=Decimal(1), asset=None, points=(told,))
        )
        rate = Decimal(str(kw(one.device, START))) / 3600
        sweeps: Sequence[Sweep] = tuple(
            Sweep(
                device=one.device, taken_at=START + at * NS, faults={},
                values={point: round(Decimal(700) + rate * at, 4)},
            )
            for at in range(seconds)
        )  # fmt: skip
        parcels.append(
            Received(
                site=plant.site, gateway="gw", id=ParcelId(epoch=1, seq=seq), dropped=0, sweeps=tuple(sweeps),
                readings=len(sweeps),
            )
        )  # fmt: skip
    status = Status(state=State.ONLINE, software="0", epoch=1, at=START, counters={}, devices=tuple(devices))
    await store.write_status(GatewayKey(plant.site, "gw"), status, received_at=START)
    await store.write(parcels, received_at=START)


def after(path: Path, seconds: int) -> Statement:
    async def make() -> Statement:
        found = setup()
        (plant,) = found.plants
        clock = StoppedClock(START + seconds * NS)
        async with SqliteStore(path / f"{seconds}.db") as store:
            await read_for(store, plant, seconds)
            directory = Directory(store, clock)
            await Ledger(store=store, clock=clock, plants=found.plants, directory=directory).cycle()
            service = Statements(
                store=store, clock=clock, plants={plant.site: plant}, rules=found.rules, directory=directory
            )
            return await service.statement(plant.site, Period(year=2026, month=11))

    return asyncio.run(make())


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_plant_of_one_minute_has_a_provisional_balance_on_page_and_in_the_report(tmp_path: Path, lang: str) -> None:
    made = after(tmp_path, 61)
    plant = made.nodes[0]
    assert plant.balances[Carrier.ELECTRICITY].verdict is None
    found = plant.running[Carrier.ELECTRICITY]
    assert (found.start, found.end, found.verdict) == (START, START + 60 * NS, Verdict.LOSS)
    words = load_words()[lang]
    row = month_view(made, words).balances[0]
    assert (row.verdict, row.word) == ("loss", words("books.verdict.loss"))
    assert {"en": "provisional", "zh": "暂定"}[lang] in row.unmetered.note
    (table,) = [table for table in monthly(made).tables if table.key == "running_balances"]
    assert len(table.rows) == len([one for node in made.nodes for one in node.balances])


def test_with_whole_quarters_nothing_is_provisional(tmp_path: Path) -> None:
    made = after(tmp_path, 1900)
    assert made.nodes[0].balances[Carrier.ELECTRICITY].verdict is Verdict.LOSS
    assert all(not node.running for node in made.nodes)
    assert all(table.key != "running_balances" for table in monthly(made).tables)
