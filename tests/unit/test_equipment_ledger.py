"""The equipment ledger: entries by date in and out of the entities' file, a month of machines, air at its reference."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
import yaml

from centre.accounting.completeness import count
from centre.accounting.factor_choice import ReportDates
from centre.accounting.intervals import QUARTER_NS, Interval
from centre.accounting.utilities import NORMAL, GasReference
from centre.accounting.zones import day_bounds
from centre.books.entities import load
from centre.books.file import Books
from centre.carriers import Carrier, Flow
from centre.entities import Entities
from centre.entities_file import entities_in, to_yaml
from centre.entities_kept import EntityBook
from centre.entities_tree import tree_on
from centre.equipment_ledger import NO_COMMON, NO_ONE_OUTPUT, LedgerRow, Products, ledger, of_year, until_of
from centre.period import Period
from centre.plant import Plant
from centre.points import MeterPoints
from centre.records import MeterRecord, Records
from centre.report.equipment import equipment
from centre.report.reports import reports
from centre.report.writers import load_words
from centre.statement import Statement, statement
from centre.statement_books import StatementBooks
from centre.statements import Basis
from centre.store.base import Bucket, Grain
from centre.web_i18n import load_words as load_page_words
from centre.web_ledgers import machine_rows
from support.books_plant import CLOCK, filled, setup, statements
from wattline.clock import NS
from wattline.errors import ConfigError
from wattline.events import EventLog
from wattline.strict_yaml import load_text

D = Decimal
FOUND = setup()
RULES = FOUND.rules["jiangjin-1"]
MONTH = Period(year=2026, month=11)
ZONE = FOUND.plants[0].zone
START = day_bounds(date(2026, 11, 1), ZONE)[0]
ISO = GasReference(temperature_c=D(20), pressure_kpa=D(100))
TEXT = """
sites:
  works:
    - id: plant
      kind: plant
      name: {en: Plant, zh: 全厂}
      meters:
        - {device: incomer, carrier: electricity, flow: import}
        - {device: air-main, carrier: compressed_air, flow: generation}
    - id: compressor
      kind: equipment
      name: {en: Compressor, zh: 空压机}
      in: plant
      meters: [{device: compressor, carrier: electricity, flow: import}]
      equipment:
        - {rated_kw: 100, efficiency_class: IE1, grade: 3, made: 2005, eliminated: true, until: 2026-11-02}
        - {rated_kw: 50.5, key: true, idle_share: 0.4, since: 2026-11-02,
           output: {device: air-main, carrier: compressed_air, stated: {temperature: 0, pressure: 101.325}}}
    - id: hall
      kind: workshop
      name: {en: Hall, zh: 车间}
      in: plant
      meters: [{device: hall-air, carrier: compressed_air, flow: import}]
"""


def entities(text: str = TEXT) -> Entities:
    return entities_in(load_text(text, "e.yaml"))


def test_entries_come_back_as_they_were_written() -> None:
    found = entities()
    again = to_yaml(found)
    assert entities(again) == found
    kept = yaml.safe_load(again)["sites"]["works"][1]["equipment"]
    assert kept[0] == {
        "rated_kw": "100", "efficiency_class": "IE1", "grade": 3, "made": 2005, "eliminated": True,
        "until": "2026-11-02",
    }  # fmt: skip
    first, second = found.by_key["works/compressor"].equipment
    assert (first.grade, first.eliminated, second.idle_share) == (3, True, D("0.4"))
    assert second.output is not None
    assert second.output.stated == NORMAL


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("rated_kw: 100", "rated_kw: 0", r"equipment\.0\.rated_kw"),
        ("grade: 3", "grade: 9", r"equipment\.0\.grade"),
        ("until: 2026-11-02", "until: 2026-11-05", r"equipment\.1: from 2026-11-02 on there are two at one time"),
        ("idle_share: 0.4", "idle_share: 0.01", r"equipment\.1\.off_share: must not be more than idle_share"),
        ("device: air-main, carrier: compressed_air, stated", "device: nix, carrier: compressed_air, stated",
         r"equipment\.1\.output: nix is no meter of compressed_air in this site"),
        ("hall-air, carrier: compressed_air, flow: import", "hall-air, carrier: compressed_air, flow: generation",
         r"meters\.0\.flow: heat and compressed air made on the site stand at the plant itself"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_entry_names_file_line_and_key(old: str, new: str, told: str) -> None:
    assert old in TEXT
    with pytest.raises(ConfigError, match=rf"e\.yaml:\d+: .*{told}"):
        entities(TEXT.replace(old, new))


def quarters(amounts: Sequence[str | None], offset: int = 0) -> tuple[Bucket, ...]:
    return tuple(
        Bucket(
            grain=Grain.QUARTER,
            interval=Interval(
                start=START + (offset + place) * QUARTER_NS, end=START + (offset + place + 1) * QUARTER_NS,
                amount=D(amount), known_ns=QUARTER_NS, estimated=D(0), estimated_ns=0, readings=1,
            ),
        )
        for place, amount in enumerate(amounts)
        if amount is not None
    )  # fmt: skip


def made(electricity: Sequence[str | None], air: Sequence[str | None]) -> tuple[Basis, Statement]:
    """A month of which quarters of an hour from its beginning are known."""
    known = entities()
    plant = Plant(
        site="works", name={"en": "W", "zh": "厂"}, zone=ZONE, region="CN-Chongqing",
        tree=tree_on(known, "works/plant", date(2026, 11, 3)),
    )  # fmt: skip
    nothing = count(start=0, end=1, since=None, now=1, interval_s=None, received=0, faults={})
    parts: dict[str, tuple[Bucket, ...]] = {"compressor": quarters(electricity), "air-main": quarters(air)}
    records: Records = {
        (meter.device, meter.carrier, meter.flow): MeterRecord(
            points=MeterPoints(meter=meter), days=(), quarters=parts.get(meter.device, ()), count=nothing
        )
        for meter in plant.meters()
    }
    basis = Basis(plant=plant, period=MONTH, records=records)
    rules = replace(RULES, terms=replace(RULES.terms, tariff=None))

    return basis, statement(plant, MONTH, records, rules, DATES, software="0")


DATES = ReportDates(made_on=date(2026, 11, 5), run_on=date(2026, 11, 5))


def made_in(found: Statement) -> Products:
    return lambda node: next(one.products for one in found.nodes if one.id == node.id)


def rows(electricity: Sequence[str | None], air: Sequence[str | None], hours: int = 48) -> tuple[LedgerRow, ...]:
    basis, found = made(electricity, air)
    return ledger(basis, made_in(found), entities(), ISO, START + hours * 3600 * NS)


def test_a_machine_that_was_exchanged_has_a_row_for_each_with_its_own_rating() -> None:
    # 100 kW machine: 24 h at 50 kW. Then one of 50.5 kW: 12 h at 40.4 kW, 6 h at 10 kW, 6 h not known
    electricity = ["12.5"] * 96 + ["10.1"] * 48 + ["2.5"] * 24 + [None] * 24
    old, new = rows(electricity, ["100"] * 192)
    assert (old.first, old.last, old.operation.running_h, old.operation.load_rate) == (
        date(2026, 11, 1), date(2026, 11, 1), D(24), D("0.5000"),
    )  # fmt: skip
    assert (old.specific, old.entry.eliminated) == (None, True)
    assert (new.operation.running_h, new.operation.idle_h, new.operation.unknown_h) == (D(12), D(6), D(6))
    assert (new.operation.load_rate, new.operation.idle_kwh) == (D("0.8000"), D(60))
    assert new.last == date(2026, 11, 30)


def test_specific_consumption_of_air_is_stated_at_the_reference_over_what_is_known_of_both() -> None:
    [_, row] = rows([None] * 96 + ["12"] * 96, [None] * 96 + ["100"] * 48 + [None] * 48)
    assert row.specific is not None
    assert row.compared == D("0.5000")
    assert row.specific.numerator.value == D(576)
    # 4800 m3 at 0 C and 101.325 kPa are more at 20 C and 100 kPa
    assert row.specific.denominator.value == pytest.approx(D("5219.71"), abs=D("0.01"))
    assert row.specific.value == pytest.approx(D("0.1103509"), abs=D("0.0000005"))
    assert row.specific.unit == "kWh/m3 (20 C, 100 kPa)"
    [shown] = machine_rows([row], load_page_words()["zh"])
    assert (shown.name, shown.specific) == ("空压机", "0.1104\u202fkWh/m3 (20 C, 100 kPa)")


def test_without_common_intervals_there_is_a_reason_and_no_number() -> None:
    [_, row] = rows([None] * 96 + ["12"] * 96, [])
    assert row.specific is not None
    assert row.specific.value is None
    assert NO_COMMON in (row.specific.reason or "")
    [old, _] = rows([], [])
    shown = machine_rows([old, row], load_page_words()["en"])
    assert (shown[0].plate, shown[0].eliminated) == ("100\u202fkW, IE1, grade 3, 2005", True)
    assert (shown[0].note, shown[1].note) == (
        "no energy is known in this month",
        "no quarter of an hour is known whole by all its meters yet",
    )
    assert (old.operation.energy_kwh, old.operation.reason, old.operation.unknown_h) == (None, "no_energy", D(24))


def test_a_machine_of_which_no_output_is_told_says_so() -> None:
    [old, _] = rows(["12.5"] * 96, [])
    assert (old.specific, old.reason) == (None, NO_ONE_OUTPUT)
    [shown] = machine_rows([old], load_page_words()["zh"])
    assert (shown.specific, shown.note) == ("—", load_page_words()["zh"]("reason.no_one_output"))


def test_hours_add_up_to_the_time_accounted_so_far() -> None:
    for row in rows(["12.5", None, "0", "3"] * 40, [], hours=37):
        done = row.operation
        whole = done.running_h + done.idle_h + done.off_h + done.unknown_h
        assert whole == (24 if row.entry.until else 13)
    assert until_of(FOUND.plants[0], MONTH, START + 901 * NS) == START + 900 * NS


def test_a_year_is_the_sum_of_its_months_machine_by_machine() -> None:
    electricity: list[str | None] = ["12.5"] * 96 + ["10.1"] * 48 + ["2.5"] * 24 + [None] * 24
    months = [rows(electricity, ["100"] * 192), rows(electricity[:150], ["50"] * 150), rows([], [])]
    later = [replace(row, first=date(2026, 12, 1), last=date(2026, 12, 31)) for row in months[1]]
    old, new = of_year([months[0], later, months[2]])
    for row, parts in ((old, [month[0] for month in months]), (new, [month[1] for month in months])):
        for name in ("running_h", "idle_h", "off_h", "unknown_h", "running_kwh", "idle_kwh", "starts"):
            assert getattr(row.operation, name) == sum(getattr(part.operation, name) for part in parts), name
    assert (new.first, new.last) == (date(2026, 11, 2), date(2026, 11, 30))
    assert new.operation.load_rate == D("0.8000")
    assert new.specific is not None
    whole = [part.specific for part in (months[0][1], months[1][1]) if part.specific is not None]
    assert new.specific.numerator.value == sum(part.numerator.value or D(0) for part in whole)
    assert new.specific.denominator.value == sum(part.denominator.value or D(0) for part in whole)
    assert new.specific.unit == "kWh/m3 (20 C, 100 kPa)"
    assert old.specific is None
    assert of_year([months[2]])[1].specific == months[2][1].specific


def test_air_made_at_the_plant_is_no_energy_again_and_its_parts_balance_against_it() -> None:
    basis, found = made(["1"] * 4, ["100"] * 4)
    line = found.nodes[0].line(Carrier.COMPRESSED_AIR)
    assert line is not None
    assert set(line.flows) == {Flow.GENERATION}
    [term] = [one for one in found.nodes[0].energy.calorific.terms if one.label == "compressed_air"]
    assert term.value == 0
    assert Carrier.COMPRESSED_AIR in found.nodes[0].balances
    assert basis.plant.tree.id == "plant"


def test_the_demo_has_a_ledger_in_the_reports_and_every_column_a_word(tmp_path_factory: pytest.TempPathFactory) -> None:
    async def main() -> None:
        path = tmp_path_factory.mktemp("ledger") / "books.db"
        async with await filled(tmp_path_factory) as store, Books(path, CLOCK) as books:
            await EntityBook(books, CLOCK, FOUND.plants).take_over(FOUND.entities, EventLog())
            assert (await books.read(load)).entities == FOUND.entities
            service = statements(store, FOUND)
            service.books = StatementBooks(books=books)
            found = await reports(service).document("equipment", "jiangjin-1", MONTH)
            [table] = found.tables
            assert [row[0] for row in table.rows] == ["furnace", "compressor", "chiller"]
            places = [table.columns.index(key) for key in ("running_h", "idle_h", "off_h", "unknown_h")]
            for row in table.rows:
                assert sum((cell for place in places if isinstance(cell := row[place], Decimal)), D(0)) == 108
            october = await reports(service).document("equipment", "jiangjin-1", Period(year=2026, month=10))
            year = await reports(service).document("equipment", "jiangjin-1", Period(year=2026))
            energy = table.columns.index("energy_kwh")
            for place in (*places, energy):  # of the months since its first reading, an hour before November
                months = zip(october.tables[0].rows, table.rows, strict=True)
                sums = [D(str(one[place])) + D(str(other[place])) for one, other in months]
                assert [row[place] for row in year.tables[0].rows] == sums

    asyncio.run(main())
    basis, found = made([], [])
    shown = equipment(found, ledger(basis, made_in(found), entities(), ISO, START + NS * 3600))
    for words in load_words().values():
        assert all(words(key) for table in shown.tables for key in (*table.columns, table.key))
