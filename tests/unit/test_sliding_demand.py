"""The demand of a contract that bills any 15 minutes, or the meter's own register: bill, trace, page and alarm."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre.accounting.demand import DemandKind, Outlook, sliding_forecast
from centre.accounting.what_if import Shift
from centre.accounting.zones import day_bounds
from centre.bills import Bills, Otherwise
from centre.demand_peaks import counted
from centre.ledger import Ledger
from centre.period import Period
from centre.points import Directory
from centre.report.demands import demand_tables
from centre.report.document import Cell, Word
from centre.settings import Setup
from centre.statement import Statement
from centre.statements import Statements
from centre.store.base import GatewayKey
from centre.store.sqlite import SqliteStore
from centre.trace import Trace, check
from centre.web_i18n import load_words
from centre.web_month import month_view
from centre.why import why
from metering.parcel import ParcelId, Received
from metering.quantities import Kind
from metering.status import State, Status
from metering.sweep import DeviceInfo, PointInfo, Sweep, Value
from support.books_plant import CLOCK, FIRST, setup
from support.page_figures import ZONE
from wattline.clock import NS

SITE, MONTH = "jiangjin-1", Period(year=2026, month=11)
D = Decimal
START = day_bounds(FIRST, ZONE)[0]
MINUTE = 60 * NS
REGISTER = "demand_power_active_import_max"
BURST = START + 30 * 3600 * NS + 7 * MINUTE  # 15 minutes at 900 kW that begin 7 minutes past a quarter


def kw(at: int) -> int:
    """Of the minute that ends at `at`."""
    return 900 if BURST < at <= BURST + 15 * MINUTE else 300 + at // MINUTE % 7 if at < BURST - 15 * MINUTE else 300


def with_demand(kind: DemandKind) -> Setup:
    """The demo with a contract that bills this demand."""
    found = setup()
    rules = found.rules[SITE]
    [dated] = rules.terms.contracts
    terms = replace(rules.terms, contracts=(replace(dated, contract=replace(dated.contract, demand=kind)),))
    return replace(found, rules={SITE: replace(rules, terms=terms)})


async def fill(store: SqliteStore) -> None:
    """Two days of the incomer, a reading a minute; its register of the maximum is reset an hour into the month."""
    points = (
        PointInfo(name="energy_active_import_total", unit="kWh", kind=Kind.COUNTER),
        PointInfo(name=REGISTER, unit="W", kind=Kind.GAUGE),
    )
    info = DeviceInfo(name="incomer", bus="b", profile="p", interval_s=D(60), asset=None, points=points)
    status = Status(state=State.ONLINE, software="0", epoch=1, at=START, counters={}, devices=(info,))
    await store.write_status(GatewayKey(SITE, "gw"), status, received_at=START)
    count, highest = D(5000), 1_200_000
    sweeps: list[Sweep] = []
    for at in range(START - 60 * MINUTE, START + 48 * 60 * MINUTE, MINUTE):
        count += D(kw(at)) / 60
        highest = 300_000 if at == START + 60 * MINUTE else 905_000 if at == BURST + 15 * MINUTE else highest
        values: dict[str, Value] = {"energy_active_import_total": count, REGISTER: highest}
        sweeps.append(Sweep(device="incomer", taken_at=at, values=values, faults={}))
    parcel = Received(
        site=SITE, gateway="gw", id=ParcelId(epoch=1, seq=1), dropped=0, sweeps=tuple(sweeps), readings=2 * len(sweeps)
    )
    await store.write([parcel], received_at=START)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    async def main() -> Path:
        path = tmp_path_factory.mktemp("sliding") / "centre.db"
        found = setup()
        async with SqliteStore(path) as store:
            await fill(store)
            await Ledger(store=store, clock=CLOCK, plants=found.plants, directory=Directory(store, CLOCK)).cycle()
        return path

    return asyncio.run(main())


def service(store: SqliteStore, found: Setup) -> Statements:
    return Statements(
        store=store, clock=CLOCK, plants={SITE: found.plants[0]}, rules=found.rules, directory=Directory(store, CLOCK)
    )


def made(path: Path, kind: DemandKind) -> tuple[Statement, Trace, dict[str, Cell]]:
    async def main() -> tuple[Statement, Trace, dict[str, Cell]]:
        async with SqliteStore(path) as store:
            asked = service(store, with_demand(kind))
            found = await asked.statement(SITE, MONTH)
            basis = await asked.basis(SITE, MONTH)
            [table] = demand_tables(basis, asked.rules[SITE].terms, found.bills)
            row = dict(zip(table.columns, table.rows[0], strict=True))
            return found, await why(asked, SITE, MONTH, "cost"), row

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("kind", "expected", "beside"),
    [
        # 8 of the 15 minutes lie in one quarter of an hour, with 7 at 300 kW
        (DemandKind.FIXED, D(620), D(905)),
        (DemandKind.SLIDING, D(900), D(905)),
        (DemandKind.METER, D(905), D(900)),
    ],
)
def test_the_contract_says_which_demand_is_billed_and_the_other_stands_beside(
    path: Path, kind: DemandKind, expected: Decimal, beside: Decimal
) -> None:
    found, trace, row = made(path, kind)
    [bill] = found.bills
    assert bill.demand is not None
    assert bill.beside is not None
    assert (bill.demand.kw.quantize(D("0.001")), bill.demand.kind) == (expected, kind)
    assert bill.beside.kw.quantize(D("0.001")) == beside
    if kind is not DemandKind.FIXED:
        assert bill.demand.end == BURST + 15 * MINUTE
    assert check(trace) == ()
    assert any(step.id.startswith("demand:") and step.value == bill.demand.kw for step in trace.steps.values())
    view = month_view(found, load_words()["en"])
    assert view.demands[0].startswith("Highest demand: ")
    assert row["demand_kind"] == Word(f"demand_{kind}")
    assert (row["demand_kw"], row["beside_kw"]) == (bill.demand.kw, bill.beside.kw)


def test_what_is_kept_of_a_demand_is_what_is_counted_anew(path: Path) -> None:
    async def main() -> None:
        async with SqliteStore(path) as store:
            asked = service(store, with_demand(DemandKind.SLIDING))
            first = (await asked.statement(SITE, MONTH)).bills
            assert (await asked.statement(SITE, MONTH)).bills == first
            assert first[0].demand is not None
            points = await asked.directory.points(asked.plants[SITE])
            incomer = next(one for one in points if one.meter.device == "incomer")
            whole = await counted(store, asked.plants[SITE], [incomer], START, START + 48 * 60 * MINUTE)
            assert whole == first[0].demand
            again = service(store, with_demand(DemandKind.SLIDING))
            assert (await again.statement(SITE, MONTH)).bills == first

    asyncio.run(main())


def test_load_that_is_moved_keeps_a_sliding_demand_above_its_quarters(path: Path) -> None:
    async def main() -> None:
        async with SqliteStore(path) as store:
            asked = Bills(statements=service(store, with_demand(DemandKind.SLIDING)))
            shift = Shift(share=D("0.0001"), source="peak", target="valley")
            found = await asked.what_if(SITE, MONTH.label, Otherwise(shift=shift))
            assert found.result.base.demand is not None
            assert found.result.other.demand is not None
            assert found.result.other.demand.kind is DemandKind.SLIDING
            assert abs(found.result.other.demand.kw - found.result.base.demand.kw) < 1

    asyncio.run(main())


def test_a_sliding_demand_that_was_too_high_is_told_though_the_load_is_gone() -> None:
    minutes = [D(10)] * 15  # 600 kW
    found = sliding_forecast(minutes=minutes, powers_kw=[D(0)], contract_kw=D(500))
    assert (found.kw, found.outlook) == (D("600.000"), Outlook.EXCEEDED)
    rising = sliding_forecast(minutes=[D(5)] * 15, powers_kw=[D(600)], contract_kw=D(500))
    assert (rising.kw, rising.allowed_kw, rising.outlook) == (D("600.000"), D("500.000"), Outlook.WILL_EXCEED)
    assert sliding_forecast(minutes=[None], powers_kw=[D(1)], contract_kw=D(500)).outlook is None


@given(st.lists(st.integers(0, 50), min_size=15, max_size=15), st.integers(0, 3000), st.integers(0, 300))
def test_more_power_is_no_less_sliding_demand_and_the_allowed_power_keeps_the_contract(
    energies: list[int], power: int, more: int
) -> None:
    minutes = [D(energy) for energy in energies]
    low, high = (
        sliding_forecast(minutes=minutes, powers_kw=[D(found)], contract_kw=D(1500)) for found in (power, power + more)
    )
    assert low.kw is not None
    assert high.kw is not None
    assert low.kw <= high.kw
    assert low.allowed_kw is not None
    kept = sliding_forecast(minutes=minutes, powers_kw=[low.allowed_kw], contract_kw=D(1500))
    if sum(energies) * 4 <= 1500 and low.allowed_kw > 0:
        assert kept.kw is not None
        assert kept.kw <= D("1500.001")
