"""Meters that nobody reads by wire count by their approved readings: in statements, balances, reports, traces, closings."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from centre import api_manual, api_reports
from centre.accounting.calendar import Month
from centre.accounting.registers import Replacement
from centre.accounting.zones import day_bounds
from centre.api_closing import closing_routes
from centre.books.file import Books
from centre.carriers import Carrier, Flow
from centre.closing import Closings
from centre.closing_figures import StatementFigures
from centre.dead_letters import DeadLetters
from centre.forwarding_touched import shared
from centre.manual import Manual
from centre.manual_columns import Known, point
from centre.manual_meters import Approved, register_of_hand
from centre.period import Period
from centre.plant import Meter, Node, Plant
from centre.points import MeterPoints
from centre.readings_export import readings
from centre.report.reports import reports
from centre.statement import NodeStatement
from centre.statement_books import StatementBooks
from centre.statements import Statements
from centre.steam import Steam
from centre.trace import Rule, check
from centre.why import why
from support.books_plant import StoppedClock, filled, setup, statements
from support.page_figures import ZONE

D = Decimal
SITE, NOVEMBER, MONTH, YEAR = "jiangjin-1", Month(2026, 11), Period(year=2026, month=11), Period(year=2026)
GAS, LIGHT = "gas-by-hand", "lighting-by-hand"
TURNED = Replacement(at=0, final=D(0), initial=D(0), factor=D(10), modulus=D(10_000))
CHANGED = Replacement(
    at=day_bounds(date(2026, 11, 3), ZONE)[0], final=D(60), initial=D(5), factor=D(20), modulus=D(10_000)
)
demo = cache(setup)


def by_hand(node: Node) -> Node:
    """The gas of the plant and the lights of workshop 2 have meters that no gateway knows."""
    names = {"boiler-gas": GAS, "lighting-2": LIGHT}
    return replace(
        node,
        meters=tuple(
            replace(one, device=names[one.device], limit=None, replaced=(TURNED, CHANGED) if one.device == "boiler-gas" else ())
            if one.device in names else one
            for one in node.meters
        ),
        children=tuple(by_hand(child) for child in node.children),
    )  # fmt: skip


@dataclass
class Desk:
    statements: Statements
    manual: Manual
    closings: Closings
    touched: Any

    async def tell(self, *rows: str, form: str = GAS) -> int:
        """Rows such as `02T08:00 9990`, days of November, approved."""
        point, unit = ("volume_base_total", "m3") if form == GAS else ("energy_active_import_total", "kWh")
        values = [
            {
                "site": SITE,
                "device": form,
                "point": point,
                "at": f"2026-{at}:00+08:00",
                "reading": reading,
                "unit": unit,
            }
            for at, reading in (row.split() for row in rows)
        ]
        made = await self.manual.take_rows("meter_reading", values, author="li", reason="walked by")
        await self.manual.submit(made.id, author="li", reason="walked by")
        await self.manual.approve(made.id, author="wang", reason="checked")
        return made.id

    async def plant(self, period: Period = MONTH) -> NodeStatement:
        return (await self.statements.statement(SITE, period)).nodes[0]

    async def gas(self) -> Decimal | None:
        line = (await self.plant()).line(Carrier.NATURAL_GAS)
        assert line is not None
        return line.net.value


def at_desk(factory: pytest.TempPathFactory, folder: Path, work: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        plant: Plant = replace(demo().plants[0], tree=by_hand(demo().plants[0].tree))
        clock = StoppedClock(day_bounds(date(2027, 1, 6), ZONE)[0])
        async with await filled(factory) as store, Books(folder / "books.db", clock) as books:
            service = replace(
                statements(store, demo()), books=StatementBooks(books=books), clock=clock, plants={SITE: plant}
            )
            manual = Manual(books=books, clock=clock, plants=service.plants, factors=demo().factors)
            closings = Closings(
                store=store, books=books, clock=clock, plants=service.plants, maker=StatementFigures(service),
                limit=D("0.95"),
            )  # fmt: skip
            await work(Desk(service, manual, closings, shared([], 1)[0]))

    asyncio.run(main())


TOLD = ("11-01T00:00 9990", "11-02T12:00 9", "11-05T00:00 15")  # 19 x 10, then 51 x 10 + 10 x 20


def test_the_days_sum_to_the_difference_of_the_register_over_rollover_and_a_changed_meter(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    async def work(desk: Desk) -> None:
        assert await desk.gas() is None
        before = (await desk.plant()).scope1
        assert before.value is None
        await desk.tell(*TOLD)
        found = await desk.plant()
        line = found.line(Carrier.NATURAL_GAS)
        assert line is not None
        assert line.net.value == 900
        assert dict(line.shares) == {"U": 1}
        assert found.scope1.value
        basis = await desk.statements.basis(SITE, MONTH)
        [gas] = [one for one in basis.records.values() if one.points.meter.device == GAS]
        amounts = [day.interval.amount for day in gas.days]
        assert len(amounts) == 4
        assert sum(one or 0 for one in amounts) == 900
        assert gas.quarters == ()
        await desk.tell("12-31T00:00 71")
        year = (await desk.plant(YEAR)).line(Carrier.NATURAL_GAS)
        assert year is not None
        assert year.net.value == 900 + 56 * 20

    at_desk(tmp_path_factory, tmp_path, work)


def test_why_tells_every_reading_who_entered_and_who_approved_it(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    async def work(desk: Desk) -> None:
        number = await desk.tell(*TOLD, "12-31T00:00 71")
        for period in (MONTH, YEAR):
            trace = await why(desk.statements, SITE, period, "scope1")
            assert check(trace) == ()
            told = [step for step in trace.steps.values() if step.rule is Rule.READING]
            assert {step.value for step in told} == {9990, 9, 15, 71}
            assert {step.words for step in told} == {f"read by hand: entered by li, approved by wang, form {number}"}
            rows = [row async for row in readings(desk.statements, SITE, period, "scope1")]
            assert rows[-1]["adds_up"], rows[-1]["mistakes"]
            mine = [row for row in rows if row["kind"] == "reading"]
            assert [row["value"] for row in mine] == [9990, 9, 15, *([] if period == MONTH else [15, 71])]
            assert {row["flag"] for row in mine if row["counted"] is not None} == {"U"}
            assert all(row["what"].endswith(f"entered by li, approved by wang, form {number}") for row in mine)

    at_desk(tmp_path_factory, tmp_path, work)


def test_a_balance_with_a_meter_read_by_hand_compares_days(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    async def work(desk: Desk) -> None:
        await desk.tell("11-01T00:00 100", "11-04T00:00 460", form=LIGHT)
        made = await desk.statements.statement(SITE, MONTH)
        node = made.node("workshop-2")
        assert node is not None
        found = node.balances[Carrier.ELECTRICITY]
        assert found.reason is None
        assert (found.common, found.expected) == (2, 30)  # press-1 lost a part of a day
        trace = await why(desk.statements, SITE, MONTH, "workshop-2:balance/electricity")
        assert check(trace) == ()

    at_desk(tmp_path_factory, tmp_path, work)


def test_a_reading_approved_in_place_of_another_counts_instead_of_it(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    async def work(desk: Desk) -> None:
        await desk.tell(*TOLD)
        await desk.tell("11-05T00:00 16")
        assert await desk.gas() == 920

    at_desk(tmp_path_factory, tmp_path, work)


def test_readings_by_hand_count_until_the_first_reading_by_wire(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    async def work(desk: Desk) -> None:
        before = await desk.statements.statement(SITE, MONTH)
        await desk.tell("10-02T00:00 100", "10-30T00:00 380", "11-03T00:00 900000", form="office")
        assert (await desk.statements.statement(SITE, MONTH)) == before
        october = (await desk.statements.statement(SITE, Period(year=2026, month=10))).node("office")
        assert october is not None
        line = october.line(Carrier.ELECTRICITY)
        assert line is not None
        assert line.net.value == 280 + D("6.92198")  # and the last hour of the month by wire
        trace = await why(desk.statements, SITE, YEAR, "office:quantity/electricity")
        assert check(trace) == ()
        rows = [row async for row in readings(desk.statements, SITE, YEAR, "office:quantity/electricity")]
        assert rows[-1]["adds_up"], rows[-1]["mistakes"]

    at_desk(tmp_path_factory, tmp_path, work)


def test_a_steam_meter_is_read_by_its_mass() -> None:
    steam = Steam(pressure_mpa=D("0.8"), temperature_c=None, feed_c=D(40))
    meter = Meter(device="steam", carrier=Carrier.HEAT, flow=Flow.IMPORT, steam=(steam,))
    told: dict[tuple[str, str], list[Approved]] = {("steam", "heat_energy"): [], ("steam", "mass"): []}
    assert register_of_hand(MeterPoints(meter=meter), told) == "mass"
    row = {"site": SITE, "device": "steam"}
    plant = replace(demo().plants[0], tree=replace(demo().plants[0].tree, meters=(meter,)))
    known = Known(plants={SITE: plant}, fuels={}, now=0)
    assert point("mass", row, known) == "mass"
    with pytest.raises(ValueError, match="is not a register that the tree counts of this meter: mass"):
        point("heat_energy", row, known)


class Rounds(StoppedClock):
    """Does one thing after each round of what waits on it, then ends it."""

    def __init__(self, at: int, *then: Callable[[], Awaitable[object]]) -> None:
        super().__init__(at)
        self.then = list(then)

    async def sleep_until(self, due_ns: int) -> None:
        del due_ns
        if not self.then:
            raise TimeoutError
        await self.then.pop(0)()


def test_a_reading_approved_after_the_close_corrects_the_month_it_reaches_back_into(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    async def work(desk: Desk) -> None:
        await desk.tell(*TOLD)
        await desk.closings.close(SITE, NOVEMBER, author="wang", reason="three days of a demonstration")
        meters = (await desk.closings.closed(SITE, NOVEMBER)).signed["meters"]
        [gas] = [meter for meter in meters if meter["device"] == GAS]
        assert (gas["amount"], gas["shares"]["U"], gas["completeness"]) == ("900", "0.1333", "0.1333")

        async def later() -> None:
            assert (await desk.closings.closed(SITE, NOVEMBER)).corrections == ()
            await desk.tell("12-11T00:00 51")  # 36 days x 20 m3

        desk.closings.clock = Rounds(desk.closings.clock.now_ns(), later)
        with pytest.raises(TimeoutError):
            await desk.closings.run(desk.touched)
        closed = await desk.closings.closed(SITE, NOVEMBER)
        [correction] = closed.corrections
        [change] = correction.meters
        assert (change["device"], change["before"], change["after"]) == (GAS, "900", "1420")
        assert "scope1" in {one["name"] for one in correction.headline}
        assert {signed["amount"] for signed in closed.signed["meters"] if signed["device"] == GAS} == {"900"}

    at_desk(tmp_path_factory, tmp_path, work)


def test_a_reading_goes_through_the_api_to_the_report_and_its_why(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    async def work(desk: Desk) -> None:
        routes = [
            *api_manual.routes(desk.manual, DeadLetters(tmp_path)), *api_reports.routes(reports(desk.statements)),
            *closing_routes(desk.closings),
        ]  # fmt: skip
        transport = httpx.ASGITransport(app=Starlette(routes=routes))
        content = "site,device,point,at,reading,unit\n" + "".join(
            f"{SITE},{GAS},volume_base_total,2026-{at}:00+08:00,{value},m3\n"
            for at, value in (row.split() for row in TOLD)
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://centre/api/v1") as api:
            made = await api.post(
                "/manual/csv?name=gas.csv&author=li&reason=walked+by",
                content=content,
                headers={"Content-Type": "text/csv"},
            )
            path = f"/manual/forms/{made.json()['id']}"
            for step, author in (("submit", "li"), ("approve", "wang")):
                assert (await api.post(f"{path}/{step}", json={"author": author, "reason": "ok"})).status_code == 200
            report = (await api.get(f"/reports/{SITE}/2026-11/audit?format=json")).json()
            rows = [row for rows in report["tables"].values() for row in rows if row.get("device") == GAS]
            assert any(row.get("counter") == "volume_base_total" for row in rows)
            told = (await api.get(f"/why/{SITE}/2026-11/quantity/natural_gas")).json()
            assert "entered by li, approved by wang" in str(told)

    at_desk(tmp_path_factory, tmp_path, work)
