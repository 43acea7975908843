"""Manual data in the books: draft, submitted, approved by somebody else, superseded; only what is approved is given."""

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from centre.accounting.calendar import Month
from centre.books import audit, closings
from centre.books.forms import State
from centre.errors import FigureError
from centre.manual import Manual, fuels_of
from centre.manual_figures import NOT_APPROVED, fuel_lines, produced, value_added, wastes, water
from centre.manual_forms import Entry
from centre.manual_meters import manual_meter, register_of_hand
from centre.plant import Node
from centre.points import resolve
from centre.statement_books import StatementBooks
from support.books_manual import FACTORS, PRODUCTION, with_manual
from support.centre_plant import PLANT

OCTOBER = Month(2026, 10)
YEAR = [Month(2026, month) for month in (9, 10)]


async def take(manual: Manual, content: bytes, *, approve: bool = True) -> int:
    row = await manual.take_csv(content, "p.csv", author="li", reason="monthly")
    if approve:
        await manual.submit(row.id, author="li", reason="monthly")
        await manual.approve(row.id, author="wang", reason="checked")
    return row.id


async def refused(manual: Manual, number: int, author: str) -> str:
    with pytest.raises(FigureError) as caught:
        await manual.approve(number, author=author, reason="checked")
    assert caught.value.status == 409
    return caught.value.code


def test_only_what_somebody_else_approved_is_given(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        number = await take(manual, PRODUCTION, approve=False)
        assert await refused(manual, number, "wang") == "wrong_state"
        await manual.submit(number, author="Zhou", reason="ready")
        assert await manual.entries("works", "production", [OCTOBER]) == ()
        assert await refused(manual, number, " LI ") == "own_work"
        assert await refused(manual, number, "zhou") == "own_work"
        row = await manual.approve(number, author="wang", reason="checked")
        assert (row.state, row.rows, row.in_force) == (State.APPROVED, 3, 3)
        assert len(await manual.entries("works", "production", [OCTOBER])) == 3
        assert await refused(manual, number, "wang") == "wrong_state"

    with_manual(tmp_path, work)


def test_what_was_handed_in_can_be_given_back(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        number = await take(manual, PRODUCTION, approve=False)
        await manual.submit(number, author="li", reason="ready")
        assert (await manual.give_back(number, author="wang", reason="batch B2 is missing")).state is State.DRAFT
        assert [row.id for row in await manual.forms(State.DRAFT)] == [number]

    with_manual(tmp_path, work)


def test_the_same_file_again_changes_nothing(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        number = await take(manual, PRODUCTION)
        before = await manual.books.read(audit.rows)
        again = await manual.take_csv(PRODUCTION.replace(b"\n", b"\r\n"), "copy.csv", author="he", reason="again")
        assert (again.id, again.state) == (number, State.APPROVED)
        assert await manual.books.read(audit.rows) == before

    with_manual(tmp_path, work)


def test_a_later_approved_row_takes_the_place_of_the_one_about_the_same(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        first = await take(manual, PRODUCTION)
        lines = PRODUCTION.splitlines()
        second = await take(manual, b"\n".join([lines[0], lines[1].replace(b"120.50", b"99")]))
        found = await manual.entries("works", "production", [OCTOBER])
        assert sorted(entry.values["produced"] for entry in found) == ["33", "80", "99"]
        assert (await manual.form(first))[0].state is State.APPROVED
        third = await take(manual, PRODUCTION)
        assert third not in {first, second}, "what was superseded in part may be handed in again"
        assert {row.id: row.state for row in await manual.forms()} == {
            first: State.SUPERSEDED, second: State.SUPERSEDED, third: State.APPROVED,
        }  # fmt: skip
        assert sorted(entry.values["produced"] for entry in await manual.entries("works", "production", [OCTOBER])) == [
            "120.5", "33", "80",
        ]  # fmt: skip

    with_manual(tmp_path, work)


def test_the_audit_tells_who_did_what_to_which_form(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        number = await take(manual, PRODUCTION)
        rows = await manual.books.read(lambda of: audit.rows(of, subject=f"manual:{number}"))
        assert [(row.author, None if row.before is None else row.before["state"], row.after["state"]) for row in rows] == [
            ("wang", "submitted", "approved"), ("li", "draft", "submitted"), ("li", None, "draft"),
        ]  # fmt: skip

    with_manual(tmp_path, work)


def test_nothing_comes_into_a_closed_month(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        def close(to: sqlite3.Connection) -> None:
            to.execute(
                "INSERT INTO closing (site, month, version, at, author, reason, completeness, software, inputs, figures,"
                " content) VALUES ('works', '2026-10', 1, 0, 'chen', 'end of month', '1', 'x', 'x', 'x', x'00')"
            )

        await manual.books.keep(close)
        assert await manual.books.read(lambda of: closings.in_force(of, "works", "2026-10")) is not None
        number = await take(manual, PRODUCTION, approve=False)
        await manual.submit(number, author="li", reason="ready")
        assert await refused(manual, number, "wang") == "month_closed"

    with_manual(tmp_path, work)


def test_a_refused_step_leaves_no_trace(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        number = await take(manual, PRODUCTION, approve=False)
        before = await manual.books.read(audit.rows)
        await refused(manual, number, "wang")
        assert await manual.books.read(audit.rows) == before

    with_manual(tmp_path, work)


def test_figures_get_inputs_of_quality_u_or_a_reason(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        await take(manual, PRODUCTION)
        await take(manual, b"site,node,month,value_added,unit\nworks,plant,2026-10,12.5,1e4CNY\n")
        made = await manual.entries("works", "production", YEAR)
        by_product = produced(made, "works", PLANT.tree, YEAR)
        gear = by_product["gear"]
        assert (gear.value, gear.unit, gear.shares) == (Decimal("200.5"), "t", (("U", Decimal(1)),))
        assert gear.id == "manual:works/plant/production/gear/2026-10"
        assert by_product["shaft"].unit == "pcs"
        money = await manual.entries("works", "value_added", YEAR)
        assert value_added(money, "works", PLANT.tree, [OCTOBER]).value == 125_000
        lost = value_added(money, "works", PLANT.tree, YEAR)
        assert (lost.value, lost.reason) == (None, f"{NOT_APPROVED}: 2026-09")

    with_manual(tmp_path, work)


def test_fuel_waste_and_water_become_lines_of_the_rules(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        await take(
            manual,
            b"site,node,month,fuel,stock_begin,purchased,sold,stock_end,unit\n"
            b"works,plant,2026-09,diesel,5,10,0,4,t\nworks,plant,2026-10,diesel,4000,6000,0,3000,kg\n",
        )
        await take(
            manual,
            b"site,node,month,waste,stock_begin,generated,used,old_stock_used,disposed,stock_end,unit\n"
            b"works,plant,2026-10,slag,100,1000,900,50,120,80,t\n",
        )
        await take(
            manual,
            b"site,node,month,water,volume,unit\nworks,line-1,2026-10,discharged,10,m3\n"
            b"works,line-2,2026-10,discharged,5,m3\n",
        )
        [line] = fuel_lines(await manual.entries("works", "fuel", YEAR), "works", PLANT.tree, YEAR)
        assert (line.carrier, line.purchased.unit) == ("diesel", "t")
        assert [part.value for part in (line.stock_begin, line.purchased, line.sold, line.stock_end)] == [5, 16, 0, 3]
        [slag] = wastes(await manual.entries("works", "waste", [OCTOBER]), "works", PLANT.tree, [OCTOBER])
        assert (slag.generated.value, slag.old_stock_used.value) == (1000, 50)
        told = await manual.entries("works", "water", [OCTOBER])
        assert water(told, "works", PLANT.tree, [OCTOBER], "discharged").value == 15
        assert water(told, "works", PLANT.tree, [OCTOBER], "reused").value is None

    with_manual(tmp_path, work)


def test_the_readings_of_an_offline_meter_become_its_register(tmp_path: Path) -> None:
    async def work(manual: Manual) -> None:
        await take(
            manual,
            b"site,device,point,at,reading,unit\n"
            b"works,water,volume_total,2026-11-01T00:00:00+08:00,160,m3\n"
            b"works,water,volume_total,2026-10-02T00:00:00+08:00,100,m3\n",
        )
        found = await StatementBooks(books=manual.books).readings("works")
        points = next(one for one in resolve(PLANT, {}) if one.meter.device == "water")
        assert register_of_hand(points, found) == "volume_total"
        meter = manual_meter("works", points, "volume_total", found["water", "volume_total"], None)
        assert [reading.value for reading in meter.readings] == [100, 160]
        start, end = meter.readings[0].at, meter.readings[1].at
        days = meter.days(PLANT, start - 3 * 86_400 * 10**9, end + 86_400 * 10**9)
        assert sum(day.amount or 0 for day in days) == 60
        assert {day.flag.value for day in days} == {"U"}
        assert len(days) == 30

    with_manual(tmp_path, work)


def test_fuels_are_those_of_the_factor_table() -> None:
    fuels = fuels_of(FACTORS)
    assert fuels["diesel"] == fuels["raw_coal"] == ("t", "kg")
    assert not {"electricity", "heat", "fresh_water"} & set(fuels)


def told_of(node: str, month: str, amount: int, unit: str = "t") -> Entry:
    values = {"node": node, "fuel": "raw_coal", "unit": unit, "purchased": str(amount), "value_added": str(amount),
              "product": "gear", "produced": str(amount), "stock_begin": "0", "stock_end": "0", "sold": "0"}  # fmt: skip
    return Entry(form="fuel", site="works", period=month, key=(node,), values=values, place=1)


def test_a_part_of_the_nodes_that_tell_of_a_fuel_is_not_the_sum_of_the_plant() -> None:
    nodes = tuple(Node(id=id_, name={}, meters=(), children=()) for id_ in ("a", "b", "c"))
    plant = Node(id="plant", name={}, meters=(), children=nodes)
    october, november = Month(2026, 10), Month(2026, 11)
    entries = [told_of("a", "2026-10", 100), told_of("b", "2026-10", 50), told_of("a", "2026-11", 90)]
    (line,) = fuel_lines(entries, "works", plant, [november])
    assert (line.purchased.value, line.purchased.reason) == (None, f"{NOT_APPROVED}: 2026-11 b")
    money = [told_of(node, "2026-10", 5, "CNY") for node in "ab"] + [told_of("a", "2026-11", 5, "CNY")]
    assert [value_added(money, "works", plant, [month]).value for month in (october, november)] == [10, None]
    entries += [told_of("b", "2026-11", 0), told_of("c", "2026-11", 7)]  # c begins: nothing of it is missed before
    (line,) = fuel_lines(entries, "works", plant, [october, november])
    assert line.purchased.value == 247
    assert produced(entries[:3], "works", plant, [october, november])["gear"].value == 240
