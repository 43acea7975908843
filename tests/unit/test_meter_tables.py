"""Cost centres and the meters' ledger: what the entities tell of a plant stands in its reports, and adds up."""

import asyncio
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from centre.accounting.intervals import Interval
from centre.books.file import Books
from centre.day import place_of
from centre.entities import Entities, MeterEpoch, entities_of
from centre.entities_kept import EntityBook
from centre.period import Period
from centre.report.demands import demand_tables
from centre.report.reports import reports
from centre.report.writers import WRITERS, load_words
from centre.statement_books import StatementBooks
from centre.statements import Basis
from centre.store.base import Bucket, Grain
from support.books_plant import CLOCK, filled, setup, statements
from support.centre_year import PLANT, records
from wattline.clock import NS
from wattline.events import EventLog

D = Decimal
SITE = "jiangjin-1"
MONTH = Period(year=2026, month=11)
Tables = dict[str, list[dict[str, Any]]]


def entities() -> Entities:
    """Those of the demo; the incomer has a number and is overdue for calibration."""
    found = list(setup().entities)
    plant = next(entity for entity in found if entity.id == "plant")
    incomer = replace(
        plant.meters[0], calibration_due=date(2026, 10, 1),
        epochs=(MeterEpoch(serial="A1"), MeterEpoch(since=400 * 86_400 * NS, serial="B2")),
    )  # fmt: skip
    changed = replace(plant, meters=(incomer, *plant.meters[1:]))
    return entities_of(tuple(changed if entity is plant else entity for entity in found))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tables]:
    async def make() -> dict[str, Tables]:
        path = tmp_path_factory.mktemp("meters") / "books.db"
        found = setup()
        async with await filled(tmp_path_factory) as store, Books(path, CLOCK, inline=True) as books:
            await EntityBook(books, CLOCK, found.plants).take_over(entities(), EventLog())
            service = statements(store, found)
            service.books = StatementBooks(books=books)
            documents = {name: await reports(service).document(name, SITE, MONTH) for name in ("statement", "audit")}
            assert "成本中心分摊" in WRITERS["html"][1](documents["statement"], load_words()["zh"]).decode()
            json_of, words = WRITERS["json"][1], load_words()["en"]
            return {name: json.loads(json_of(document, words))["tables"] for name, document in documents.items()}

    return asyncio.run(make())


def test_cost_centres_add_up_to_the_plant_and_its_bill(told: dict[str, Tables]) -> None:
    rows = told["statement"]["cost_centres"]
    assert [row["cost_centre"] for row in rows] == [
        "1100", "1110", "1120", "1130", "1200", "1300", "no_cost_centre",
    ]  # fmt: skip
    [plant] = [
        row
        for row in told["statement"]["quantities"]
        if (row["node"], row["carrier"]) == ("plant", "carrier_electricity")
    ]
    assert sum(D(row["electricity_kwh"]) for row in rows) == D(plant["net"])
    assert sum(D(row["calorific"]) for row in rows) == D(told["statement"]["energy"][0]["calorific"])
    *items, total = told["statement"]["bill"]
    assert sum(D(row["electricity_cost"]) for row in rows) == sum(D(item["amount"]) for item in items)
    assert sum(D(item["amount"]) for item in items) == D(total["amount"])
    # a workshop's centre has what its lines, which have centres of their own, did not use
    net = {r["node"]: D(r["net"]) for r in told["statement"]["quantities"] if r["carrier"] == "carrier_electricity"}
    assert D(rows[0]["electricity_kwh"]) == net["workshop-1"] - net["line-1"] - net["line-2"] - net["line-3"]


def test_the_highest_demand_stands_beside_what_was_agreed(told: dict[str, Tables]) -> None:
    [row] = told["statement"]["demands"]
    [plant] = [
        r for r in told["statement"]["quantities"] if (r["node"], r["carrier"]) == ("plant", "carrier_electricity")
    ]
    assert (row["period"], row["contract_kw"], row["estimated"]) == ("2026-11", "600", "is_not")
    hours = D(row["known"]) * 30 * 24
    assert D(row["mean_kw"]) * hours == pytest.approx(
        D(plant["flow_import"]), rel=D("0.002")
    )  # without the last, running quarter
    assert D(row["load_factor"]) == pytest.approx(D(row["mean_kw"]) / D(row["demand_kw"]), abs=D("0.0001"))
    assert D(row["share_percent"]) == pytest.approx(D(row["demand_kw"]) / 6, abs=D("0.005"))
    assert row["from"].startswith("2026-11-0")
    assert row["from"].endswith("+08:00")


def test_a_quarter_that_is_known_in_part_is_no_demand() -> None:
    month = Period(year=2026, month=1)
    [incomer] = [meter for meter in PLANT.meters() if meter.device == "incomer"]
    start, length = month.bounds(PLANT.zone)[0], 900 * NS
    quarters = [
        Interval(start=start + at * length, end=start + (at + 1) * length, amount=D(50), known_ns=known, readings=9)
        for at, known in enumerate((length // 3, length, 0))
    ]
    records_of = records(Period(year=2026), {meter.carrier: [1] * 12 for meter in PLANT.meters()})
    place = place_of(incomer)
    parts = tuple(Bucket(grain=Grain.QUARTER, interval=one) for one in quarters)
    found = {**records_of, place: replace(records_of[place], quarters=parts)}
    [table] = demand_tables(Basis(plant=PLANT, period=month, records=found), setup().rules[SITE].terms)
    [row] = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert (row["demand_kw"], row["from"], row["load_factor"]) == (200, "2026-01-01T00:15:00+08:00", 1)


def test_the_ledger_of_meters_tells_level_number_and_calibration(told: dict[str, Tables]) -> None:
    meters = {row["device"]: row for row in told["audit"]["meters"]}
    incomer, press = meters["incomer"], meters["press-1"]
    assert (incomer["node"], incomer["level"], incomer["serial"]) == ("plant", "1", "B2")
    assert (incomer["calibration_due"], incomer["overdue"]) == ("2026-10-01", "is")
    assert (press["level"], press["cost_centre"], press["overdue"]) == ("3", None, None)
    assert meters["line-1"]["cost_centre"] == "1110"


def test_each_level_of_meters_is_held_against_the_first(told: dict[str, Tables]) -> None:
    meters = {row["device"]: D(row["quantity"]) for row in told["audit"]["meters"] if row["quantity"] is not None}
    levels = {(row["carrier"], row["level"]): row for row in told["audit"]["meter_levels"]}
    first, second = levels["carrier_electricity", "1"], levels["carrier_electricity", "2"]
    assert (first["meter_count"], D(first["quantity"])) == ("2", meters["incomer"] + meters["pv-roof"])
    assert D(second["quantity"]) == meters["workshop-1"] + meters["workshop-2"] + meters["office"]
    assert D(second["measured_percent"]) == pytest.approx(
        100 * D(second["quantity"]) / D(first["quantity"]), abs=D("0.005")
    )
    assert levels["carrier_fresh_water", "3"]["meter_count"] == "0"
