"""What people told and signed stands in the statement: fuels, value added, output, certificates, a closed month."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from centre.accounting.calendar import Month
from centre.accounting.certificates import Issue, Retire
from centre.accounting.zones import day_bounds
from centre.books.certificates import enter
from centre.books.file import Books
from centre.carriers import Flow
from centre.closing import Closings
from centre.closing_figures import StatementFigures
from centre.manual import Manual, fuels_of
from centre.manual_forms import Entry
from centre.period import Period
from centre.report.document import Document, carrier_name
from centre.report.reports import REPORTS, YEARLY, reports
from centre.report.writers import WRITERS, load_words
from centre.statement import NodeStatement, Statement
from centre.statement_books import StatementBooks
from centre.statement_told import Told, waste_balances
from centre.trace import Rule, Trace, check
from centre.why import why
from support.books_plant import StoppedClock, filled, setup, statements
from support.page_figures import ZONE

SITE = "jiangjin-1"
MONTH = Period(year=2026, month=11)
AFTER = StoppedClock(day_bounds(date(2027, 1, 6), ZONE)[0])
FIGURES = ("scope1", "scope2/market", "scope2/location", "tce/calorific", "tce/equal_value")
_FUEL = "node,month,fuel,stock_begin,purchased,sold,stock_end,unit"
FORMS = (
    (
        "fuel",
        _FUEL,
        [
            "plant,2026-11,raw_coal,10,30,0,15,t",
            "plant,2026-11,diesel,1000,3000,0,1000,kg",
            "plant,2026-11,oxygen,0,10000,0,0,m3",
        ],
    ),
    ("value_added", "node,month,value_added,unit", ["plant,2026-11,120,1e4CNY"]),
    ("production", "node,month,product,produced,unit", ["workshop-1,2026-11,gearbox,40,t"]),
    (
        "waste",
        "node,month,waste,stock_begin,generated,used,old_stock_used,disposed,stock_end,unit",
        ["workshop-2,2026-11,slag,10,100,80,5,12,17,t"],
    ),
    ("water", "node,month,water,volume,unit", ["plant,2026-11,discharged,100,m3", "plant,2026-11,reused,50,m3"]),
)


@dataclass
class Made:
    plain: Statement
    told: Statement
    closed: Statement
    december: Statement
    traces: dict[str, Trace]
    report: Any
    reports: dict[str, Document]
    made_on: date


async def tell(manual: Manual, form: str, columns: str, rows: Sequence[str]) -> None:
    names = ["site", *columns.split(",")]
    values = [dict(zip(names, [SITE, *row.split(",")], strict=True)) for row in rows]
    made = await manual.take_rows(form, values, author="li", reason="monthly")
    await manual.submit(made.id, author="li", reason="monthly")
    await manual.approve(made.id, author="wang", reason="checked")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    async def make() -> Made:
        found = setup()
        path = tmp_path_factory.mktemp("books") / "books.db"
        async with await filled(tmp_path_factory) as store, Books(path, AFTER) as books:
            service = replace(statements(store, found), books=StatementBooks(books=books), clock=AFTER)
            plain = await service.statement(SITE, MONTH)
            manual = Manual(books=books, clock=AFTER, plants=service.plants, factors=found.factors)
            for form, columns, rows in FORMS:
                await tell(manual, form, columns, rows)
            ids = tuple(f"GEC-{number}" for number in range(30))
            issue = Issue(entry="i1", ids=ids, holder=SITE, plant="wind", generated=date(2026, 11, 1))
            plan = Retire(entry="r1", ids=ids, holder=SITE, node=f"{SITE}/plant", month=date(2026, 11, 1))
            for entry in (issue, plan):
                await books.change("li", "bought", lambda pen, entry=entry: enter(pen, entry))
            told = await service.statement(SITE, MONTH)
            maker = reports(service)
            documents = {
                name: await maker.document(name, SITE, Period(year=MONTH.year) if name in YEARLY else MONTH)
                for name in REPORTS
            }
            traces = {figure: await why(service, SITE, MONTH, figure) for figure in FIGURES}
            closings = Closings(
                store=store, books=books, clock=AFTER, plants=service.plants,
                maker=StatementFigures(service), limit=Decimal("0.95"),
            )  # fmt: skip
            await closings.close(SITE, Month(2026, 11), author="wang", reason="three days of a demonstration")
            later = replace(service, clock=StoppedClock(day_bounds(date(2027, 3, 1), ZONE)[0]))
            document = await reports(later).document("statement", SITE, MONTH)
            return Made(
                plain=plain,
                told=told,
                closed=await later.statement(SITE, MONTH),
                december=await service.statement(SITE, Period(year=2026, month=12)),
                traces=traces,
                report=json.loads(WRITERS["json"][1](document, load_words()["en"])),
                reports=documents,
                made_on=(await later.dates_of(SITE, MONTH)).made_on,
            )

    return asyncio.run(make())


def plant(statement: Statement) -> NodeStatement:
    return statement.nodes[0]


def test_a_fuel_that_was_told_counts_in_tce_and_scope_1(made: Made) -> None:
    diesel, oxygen, coal = plant(made.told).fuels
    assert (diesel.carrier, coal.carrier) == ("diesel", "raw_coal")
    assert coal.purchased.shares == (("U", Decimal(1)),)
    before, after = plant(made.plain), plant(made.told)
    energy = Decimal(25) * Decimal("0.7143") + Decimal(3) * Decimal("1.4571") + 10 * Decimal("0.4")
    burnt = Decimal(25) * Decimal("1.9003") + 3 * Decimal("42.652") * Decimal("0.0202") * Decimal("0.98") * 44 / 12
    assert after.energy.calorific.value == (before.energy.calorific.value or 0) + energy
    assert oxygen.carrier not in {
        term.label for term in after.scope1.terms
    }  # a medium: it has a coal equivalent and is not burnt
    assert abs((after.scope1.value or 0) - (before.scope1.value or 0) - burnt) < Decimal("1e-8")


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("report", REPORTS)
def test_every_report_of_a_plant_that_burns_fuels_is_written(made: Made, report: str, form: str) -> None:
    for words in load_words().values():
        assert WRITERS[form][1](made.reports[report], words)


def test_fuels_stand_in_inventory_and_audit_by_their_names(made: Made) -> None:
    zh = load_words()["zh"]
    statement, inventory, audit = (WRITERS["csv"][1](made.reports[name], zh).decode() for name in REPORTS[:3])
    assert "柴油燃烧,3000,kg" in inventory
    assert "柴油,3000,1000,1000,0,,kg" in audit
    assert "plant,原煤,10,30,0,15,t" in statement


def test_what_is_uploaded_makes_the_coal_equivalent_beside_it_and_fuels_are_in_it(made: Made) -> None:
    document = json.loads(WRITERS["json"][1](made.reports["upload"], load_words()["en"]))
    items = {item["carrier"]: item for item in document["tables"]["items"]}
    generated = plant(made.told).lines[0].flows[Flow.GENERATION].value
    assert generated
    assert set(items) >= {"carrier_electricity", "carrier_heat", "carrier_diesel", "carrier_raw_coal"}
    for item in items.values():
        factor = Decimal(item["adopted_factor"]) * Decimal({"kgce/MJ": "3.6"}.get(item["factor_unit"], "1"))
        amount = Decimal(item["value"]) / (1 if item["unit"] == "t" else 1000)
        assert round(amount * factor, 9) == Decimal(item["calorific"]), item
    total = sum(Decimal(item["calorific"]) for item in items.values())
    assert total == plant(made.told).energy.calorific.value
    assert items["carrier_electricity"]["reason"] is None
    assert (items["carrier_diesel"]["item_code"], items["carrier_diesel"]["reason"]) == (None, "no_item_code")


def test_every_fuel_that_a_form_may_tell_has_a_word() -> None:
    words = load_words()["en"]
    for fuel in fuels_of(setup().factors):
        assert words(f"source_{fuel}") == f"Combustion of {words(f'carrier_{fuel}')}"
    assert words.cell(carrier_name("wood_chips")) == "wood_chips"


def test_a_month_without_the_form_that_was_told_before_has_no_figure(made: Made) -> None:
    *_, coal = plant(made.december).fuels
    assert coal.purchased.reason == "no_approved_entry: 2026-12"
    assert plant(made.december).scope1.value is None


def test_value_added_and_output_make_intensities(made: Made) -> None:
    energy, water = plant(made.told).intensities[:2]
    total = plant(made.told).energy.calorific.value
    assert (energy.unit, water.unit) == ("tce/1e4CNY", "m3/1e4CNY")
    assert total is not None
    assert energy.value is not None
    assert abs(energy.value * 120 - total) < Decimal("1e-6")
    workshop = made.told.node("workshop-1")
    assert workshop is not None
    assert [found.unit for found in workshop.intensities] == ["kgce/t", "m3/t"]
    assert plant(made.plain).intensities == ()


def test_told_water_makes_the_reuse_rate(made: Made) -> None:
    water = plant(made.told).water
    assert (water.discharged.value, water.reused.value) == (100, 50)
    assert water.reuse.value is not None


def test_told_waste_makes_a_mass_balance_and_the_rate_of_use(made: Made) -> None:
    [slag] = plant(made.told).wastes
    assert (slag.rest, slag.use.value) == (Decimal(1), Decimal("0.761904762"))  # 80 / (100 + 5)
    [row] = [row for row in made.report["tables"]["wastes"] if row["node"] == "workshop-2"]
    assert (row["waste"], row["generated"], row["rest"], row["unit"]) == ("slag", "100", "1", "t")
    [missed] = plant(made.december).wastes
    assert (missed.rest, missed.use.value) == (None, None)
    assert missed.reason == "manual:jiangjin-1/plant/waste/slag/stock_begin/2026-12: no_approved_entry: 2026-12"


def test_waste_of_a_year_is_that_of_its_months_that_are_over() -> None:
    year, tree = Period(year=2026), setup().plants[0].tree
    told = Told(entries={"waste": [waste("2026-03", 4), waste("2026-04", 6)]})
    for run_on, used in ((date(2026, 5, 20), 10), (date(2026, 6, 2), None)):
        [found] = waste_balances(told, SITE, tree, year, run_on)
        assert found.waste.used.value == used
    assert found.waste.used.reason == "no_approved_entry: 2026-05"
    assert waste_balances(Told(), SITE, tree, year, date(2026, 6, 2)) == ()


def waste(month: str, used: int) -> Entry:
    amounts = dict.fromkeys(("stock_begin", "old_stock_used", "disposed", "stock_end"), "0")
    values = {"node": "plant", "waste": "slag", "unit": "t", **amounts, "generated": str(used), "used": str(used)}
    return Entry(form="waste", site=SITE, period=month, key=("plant", month, "slag"), values=values, place=2)


def test_retired_certificates_lower_scope_2_by_market_only(made: Made) -> None:
    before, after = plant(made.plain).scope2, plant(made.told).scope2
    assert before.location.value == after.location.value
    assert before.market.value is not None
    assert after.market.value is not None
    assert after.market.value < before.market.value
    assert any("GEC-7" in part.id for term in after.market.terms for part in term.inputs)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_of_told_data_adds_up(made: Made, figure: str) -> None:
    trace = made.traces[figure]
    assert check(trace) == ()
    given = {step.id for step in trace.steps.values() if step.rule is Rule.GIVEN}
    assert any("manual:" in one for one in given) == (figure != "scope2/market" and figure != "scope2/location")
    assert any("certificates:" in one for one in given) == (figure == "scope2/market")


def test_a_closed_month_shows_what_was_signed(made: Made) -> None:
    signed = made.closed.signed
    assert made.told.signed is None
    assert signed is not None
    assert signed.author == "wang"
    assert signed.headline["scope1"] == (plant(made.told).scope1.value, "tCO2e")
    assert signed.corrections == ()
    assert made.made_on == date(2027, 1, 6)
    assert made.closed.dates.run_on == date(2027, 3, 1)
    assert plant(made.closed).scope1 == plant(made.told).scope1
    tables = made.report["tables"]
    rows = {row["figure"]: row for row in tables["signed"]}
    assert rows["scope1"]["signed_value"] == rows["scope1"]["now"]
    assert tables["corrections"] == []
    assert {row["unit"] for row in tables["intensities"]} == {"tce/1e4CNY", "m3/1e4CNY", "kgce/t", "m3/t"}
    assert tables["fuels"][2]["stock_end"] == "15"
