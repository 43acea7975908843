"""Reports of the demo plant's month in every format: exact, escaped, the same bytes each time, nothing left out."""

import asyncio
import csv
import io
import json
import re
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from centre import api_reports
from centre.accounting.factor_choice import ReportDates
from centre.carriers import Carrier
from centre.period import Period
from centre.report import cli
from centre.report.document import Document, Name, Table, Word
from centre.report.production import load_production
from centre.report.reports import LEDGERS, REPORTS, YEARLY, Reports, reports
from centre.report.upload import item_code, load_codes
from centre.report.writers import WRITERS, load_words
from centre.web_i18n import load_words as load_page_words
from centre.web_reasons import reason
from support.books_plant import filled, setup, statements
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.strict_yaml import load_file

SITE = "jiangjin-1"
MONTH = Period(year=2026, month=11)
YEAR = Period(year=2026)
WORDS = load_words()
TWICE = ("statement", "audit")
CSV = """\
product,name_en,name_zh,node,output,scrap,unit
casting,Casting,铸件,workshop-2,120.5,3,t
clinker,Clinker,熟料,furnace,80,,t
aluminium-liquid,Aluminium,铝液,press-1,0.25,,t
"""


class Made:
    documents: dict[str, Document]
    before: Document
    again: dict[str, Document]
    old: Document
    answers: dict[str, httpx.Response]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    path = tmp_path_factory.mktemp("production") / "november.csv"
    path.write_text(CSV, "utf-8")

    async def documents(maker: Reports) -> dict[str, Document]:
        rows = load_production(path, {"workshop-2", "furnace", "press-1"})
        return {
            name: await maker.document(name, SITE, YEAR if name in YEARLY else MONTH, production=rows)
            for name in REPORTS
        }

    async def make() -> Made:
        found = Made()
        async with await filled(tmp_path_factory) as store:
            maker = reports(statements(store, setup()))
            found.documents = await documents(maker)
            found.before = await maker.document("statement", SITE, Period(year=2026, month=9))
            again = reports(statements(store, setup()))
            found.again = {name: await again.document(name, SITE, MONTH) for name in TWICE}
            dates = ReportDates(made_on=date(2025, 12, 30), run_on=date(2026, 12, 1))
            found.old = await again.document("inventory", SITE, MONTH, dates=dates)
            app = Starlette(routes=api_reports.routes(maker))
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
                found.answers = {
                    path: await client.get(f"/api/v1/{path}")
                    for path in (
                        "reports",
                        f"reports/{SITE}/2026-11/statement",
                        f"reports/{SITE}/2026-11/inventory?format=xlsx&lang=zh",
                        f"reports/{SITE}/2026-11/nothing",
                        f"reports/{SITE}/2026-11/statement?format=pdf",
                        f"reports/{SITE}/november/statement",
                        f"reports/{SITE}/2026-11/statement?made_on=soon",
                        "reports/nowhere/2026-11/statement",
                        f"why/{SITE}/2026-11/scope2/location",
                        f"why/{SITE}/2026-11/line-1:tce/calorific",
                        f"why/{SITE}/2026-11/nothing",
                        f"why/{SITE}/2026-11/line-1:quantity/electricity?readings=2026-11-02",
                        f"why/{SITE}/2026-11/scope1?readings=2026-11-02&format=csv",
                        f"why/{SITE}/2026-11/scope1?readings=soon",
                        f"why/{SITE}/2026-11/scope1?readings=all&format=xlsx",
                    )
                }
        return found

    return asyncio.run(make())


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("report", TWICE)
def test_the_same_inputs_give_the_same_bytes(made: Made, report: str, form: str) -> None:
    for words in WORDS.values():
        write = WRITERS[form][1]
        assert write(made.documents[report], words) == write(made.again[report], words)


@pytest.mark.parametrize("report", [name for name in REPORTS if name not in {*LEDGERS, *YEARLY}])
def test_every_report_shows_its_factors_and_which_are_unverified(made: Made, report: str) -> None:
    document = made.documents[report]
    factors = next(table for table in document.tables if table.key == "factors")
    place = factors.columns.index("confirmed")
    assert factors.rows
    unverified = any(row[place] == Word("no") for row in factors.rows)
    assert ("note_unverified" in document.notes) == unverified
    html = WRITERS["html"][1](document, WORDS["en"]).decode()
    assert ("NO: unverified" in html) or not unverified


def test_v16_an_inventory_shows_what_was_reported_and_what_is_known_now_side_by_side(made: Made) -> None:
    assert not [table for table in made.documents["inventory"].tables if table.key == "restated"]
    (table,) = (table for table in made.old.tables if table.key == "restated")
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    place = rows[Word("category_2_location")]
    now = {row[0]: row for row in next(of for of in made.documents["inventory"].tables if of.key == "totals").rows}
    assert place["as_known_now"] == now[Word("location")][2]
    assert place["as_reported"] + place["difference"] == place["as_known_now"]  # type: ignore[operator]
    assert place["difference"]
    assert "2025-12-31" in str(place["factors_known_now"])
    assert "2025-12-31" not in str(place["factors_reported"])
    assert rows[Word("category_1")]["difference"] == 0


def test_invented_terms_are_told(made: Made) -> None:
    assert {"note_unconfirmed_contract", "note_unconfirmed_accuracy"} <= set(made.documents["statement"].notes)
    assert "note_unconfirmed_accuracy" in made.documents["audit"].notes
    assert "note_unconfirmed_contract" not in made.documents["inventory"].notes


def test_json_is_canonical_and_keeps_numbers_exact(made: Made) -> None:
    told = json.loads(WRITERS["json"][1](made.documents["statement"], WORDS["zh"]))
    assert told["facts"]["plant"] == {"en": "Jiangjin works", "zh": "江津工厂"}
    plant = next(
        row for row in told["tables"]["quantities"] if (row["node"], row["carrier"]) == ("plant", "carrier_heat")
    )
    assert Decimal(plant["net"]) == Decimal("29045.063863333")
    assert list(told) == sorted(told)


def test_the_lines_of_the_bill_add_up_to_its_last_one(made: Made) -> None:
    told = json.loads(WRITERS["json"][1](made.documents["statement"], WORDS["en"]))
    *lines, whole = told["tables"]["bill"]
    assert whole["item"] == "total"
    assert Decimal(whole["amount"]) == sum(Decimal(line["amount"]) for line in lines)
    assert (whole["confirmed"], whole["reason"]) == ("no", None)


def test_a_month_without_readings_says_why_of_every_figure(made: Made) -> None:
    tables = json.loads(WRITERS["json"][1](made.before, WORDS["en"]))["tables"]
    assert [(line["amount"], line["reason"]) for line in tables["bill"]] == [(None, "no_energy")]
    plant = tables["carbon"][0]
    assert plant["scope1"] is plant["scope2_market"] is None
    assert {"natural_gas: boiler-gas: no_data", "heat: heat-station: no_data"} <= set(plant["reason"].split(", "))


def test_reasons_are_codes_in_json_and_words_of_the_language_elsewhere(made: Made) -> None:
    rows = list(csv.reader(io.StringIO(WRITERS["csv"][1](made.before, WORDS["zh"]).decode("utf-8-sig"))))
    quantity = next(row for row in rows if row[:3] == ["plant", "全厂", "电力"])
    assert quantity[-1] == "incomer import: 无读数、pv-roof generation: 无读数"
    assert next(row for row in rows if row[:2] == ["line-1", "一号线"] and "tce" in row)[-1] == "电力: line-1: 无读数"
    page = WRITERS["html"][1](made.before, WORDS["zh"]).decode()
    assert "尚无所有相关仪表均完整的" in page
    assert "no_common_interval" not in page
    assert b"no_common_interval" in WRITERS["json"][1](made.before, WORDS["zh"])


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("no_approved_entry: 2026-03, 2026-04", "no approved form: 2026-03, 2026-04"),
        (
            "heat: 2026-01..2026-02: interval:x/plant/heat/import: main: no_data",
            "Heat: 2026-01..2026-02: main: no readings",
        ),
        ("no_factor: not_in_table: wood, chips", "no factor"),
        ("unheard_of: 7", "unheard_of: 7"),
    ],
)
def test_a_reason_keeps_its_meter_and_its_months(code: str, told: str) -> None:
    assert reason(code, load_page_words()["en"]) == told


def test_the_inventory_adds_up(made: Made) -> None:
    told = json.loads(WRITERS["json"][1](made.documents["inventory"], WORDS["en"]))
    rows, totals = told["tables"]["sources"], told["tables"]["totals"]
    for view, total in zip(("location", "market"), totals, strict=True):
        emitted = sum(
            Decimal(row["emission"]) for row in rows if row["category"] in {"category_1", f"category_2_{view}"}
        )
        assert emitted == Decimal(total["total"]) == Decimal(total["category_1"]) + Decimal(total["category_2"])


def test_energy_per_unit_stands_beside_its_level(made: Made) -> None:
    told = json.loads(WRITERS["json"][1](made.documents["unit-product"], WORDS["en"]))
    casting, clinker, _ = told["tables"]["products"]
    assert casting["reason"] == "no_benchmark"
    assert (clinker["baseline"], clinker["advanced"]) == ("117", "100")
    assert clinker["level_reached"] == "level_advanced"
    assert clinker["confirmed"] == "no"  # the level is from memory
    assert Decimal(clinker["per_unit"]) * 80 == pytest.approx(Decimal(clinker["kgce"]))


def test_the_gap_to_a_level_is_told_in_tce_and_money(made: Made) -> None:
    told = json.loads(WRITERS["json"][1](made.documents["unit-product"], WORDS["en"]))
    _, clinker, aluminium = told["tables"]["products"]
    assert (clinker["tce_to_baseline"], clinker["tce_to_advanced"], clinker["cost_to_baseline"]) == ("0", "0", None)
    # a level in kWh is held against the electricity: 0.25 t x (kWh/t - 13350) x 0.1229 kgce
    assert (aluminium["level_unit"], aluminium["level_reached"]) == ("kWh/t", "level_worse_than_baseline")
    above = (Decimal(aluminium["compared_value"]) - 13350) / 4
    assert Decimal(aluminium["tce_to_baseline"]) == pytest.approx(above * Decimal("0.0001229"))
    assert Decimal(aluminium["compared_value"]) * Decimal("0.1229") == pytest.approx(Decimal(aluminium["per_unit"]))
    statement = json.loads(WRITERS["json"][1](made.documents["statement"], WORDS["en"]))["tables"]
    *lines, cost = [Decimal(row["amount"]) for row in statement["bill"]]
    assert cost == sum(lines)
    [bought] = [
        row for row in statement["quantities"] if (row["node"], row["carrier"]) == ("plant", "carrier_electricity")
    ]
    assert Decimal(aluminium["cost_to_baseline"]) == pytest.approx(above * cost / Decimal(bought["flow_import"]))


def test_the_statement_tells_what_was_used_of_own_generation(made: Made) -> None:
    told = json.loads(WRITERS["json"][1](made.documents["statement"], WORDS["en"]))["tables"]
    [own] = told["own_use"]
    [plant] = [row for row in told["quantities"] if (row["node"], row["carrier"]) == ("plant", "carrier_electricity")]
    assert (own["node"], own["own_used"], own["self_use"]) == ("plant", plant["flow_generation"], "1")
    assert Decimal(own["self_sufficiency"]) == pytest.approx(Decimal(own["own_used"]) / Decimal(plant["net"]))


def test_a_footprint_lists_inputs_and_what_was_left_out(made: Made) -> None:
    told = json.loads(WRITERS["json"][1](made.documents["footprint"], WORDS["en"]))
    record = told["tables"]["footprints"][0]
    [electricity] = [row for row in told["tables"]["footprint_inputs"] if row["product"] == "casting"]
    assert "electricity_footprint_factor" in electricity["factor"]
    assert Decimal(record["total"]) == Decimal(electricity["emission"])
    assert record["remarks"] == "period_is_not_twelve_months"
    assert {row["left_out"] for row in told["tables"]["cut_offs"]} == {"cut_materials", "cut_transport", "cut_waste"}


def test_a_data_item_has_a_code_of_sixteen_digits(made: Made) -> None:
    told = json.loads(WRITERS["json"][1](made.documents["upload"], WORDS["en"]))
    items = told["tables"]["items"]
    assert [item["carrier"] for item in items] == [
        f"carrier_{carrier}" for carrier in Carrier if carrier != "compressed_air"
    ]
    assert all(re.fullmatch(r"\d{16}", item["item_code"]) for item in items)
    assert len({item["item_code"] for item in items}) == len(items)
    assert all(item["reference_factor"] and item["adopted_factor"] for item in items)
    codes = load_codes(config_dir() / "key-user-codes.yaml")
    assert not item_code(codes, SITE, "line-1", Carrier.ELECTRICITY, monthly=True, root=False).known
    assert "note_codes_unverified" in made.documents["upload"].notes


HOSTILE = Document(
    report="statement",
    site="<b>",
    period="2026-11",
    facts=(("plant", Name("=cmd()", "<script>alert(1)</script>")),),
    tables=(Table(key="items", columns=("name", "value"), rows=(("=1+1", Decimal("-1.50")), ("@x", None))),),
)


def test_text_from_outside_is_never_markup_and_never_a_formula() -> None:
    html = WRITERS["html"][1](HOSTILE, WORDS["zh"]).decode()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    rows = list(csv.reader(io.StringIO(WRITERS["csv"][1](HOSTILE, WORDS["en"]).decode("utf-8-sig"))))
    assert ["Plant", "'=cmd()"] in rows
    assert ["'=1+1", "-1.50"] in rows
    book = zipfile.ZipFile(io.BytesIO(WRITERS["xlsx"][1](HOSTILE, WORDS["en"])))
    sheet = book.read("xl/worksheets/sheet2.xml").decode()
    assert "<f>" not in sheet
    assert "<v>-1.5" in sheet


def test_a_workbook_has_a_sheet_for_each_table(made: Made) -> None:
    for lang, words in WORDS.items():
        for report in REPORTS:
            book = zipfile.ZipFile(io.BytesIO(WRITERS["xlsx"][1](made.documents[report], words)))
            names = re.findall(r'<sheet name="([^"]+)"', book.read("xl/workbook.xml").decode())
            assert len(names) == 1 + len(made.documents[report].tables), lang


def test_every_word_is_there_in_both_languages(made: Made) -> None:
    texts = load_file(Path(api_reports.__file__).parent / "report" / "words.yaml").data
    assert all(set(word) == {"en", "zh"} and all(word.values()) for word in texts.values())
    for document in made.documents.values():
        for words in WORDS.values():
            assert WRITERS["csv"][1](document, words)


def test_the_api_serves_reports_and_traces(made: Made) -> None:
    status = {path: answer.status_code for path, answer in made.answers.items()}
    good = [path for path, code in status.items() if code == 200]
    assert len(good) == 7, status
    assert [code for code in status.values() if code != 200] == [404, 400, 400, 400, 404, 404, 400, 400]
    assert all("error" in answer.json() for answer in made.answers.values() if answer.status_code != 200)
    book = made.answers[f"reports/{SITE}/2026-11/inventory?format=xlsx&lang=zh"]
    assert book.headers["content-disposition"] == f'attachment; filename="{SITE}-2026-11-inventory.xlsx"'
    trace = made.answers[f"why/{SITE}/2026-11/scope2/location"].json()
    assert trace["adds_up"]
    assert trace["steps"][trace["figure"]]["value"] == "55.077296594"
    *lines, end = map(json.loads, made.answers[good[-2]].text.splitlines())
    assert (end["adds_up"], end["intervals"], end["readings"]) == (True, 96, 289)
    whole = [line for line in lines if line["kind"] == "interval"]
    assert all(line["value"] == line["counted"] for line in whole)
    assert made.answers[good[-1]].text.splitlines()[-1].split(",")[8].startswith("adds up: ")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("casting,C,C,nowhere,1,0,t", "2: node: nowhere is no node"),
        ("casting,C,C,furnace,-1,0,t", "2: output: must be a plain number"),
        ("casting,C,C,furnace,1", "2: a row has 7 fields"),
        ("casting,C,C,furnace,1,0,t,x", "2: a row has 7 fields"),
    ],
)
def test_a_mistake_in_the_production_names_its_line(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(CSV.splitlines()[0] + "\n" + line + "\n", "utf-8")
    with pytest.raises(ConfigError, match=re.escape(says)):
        load_production(path, {"furnace"})


def test_a_report_that_cannot_be_written_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "asked", lambda *_: b"a report")
    demo = str(config_dir() / "demo" / "centre.yaml")
    for out in (tmp_path, tmp_path / "nowhere" / "r.csv"):
        assert cli.report([demo, "jiangjin-1", "2026-10", "statement", "--out", str(out)]) == 1
        assert capsys.readouterr().err.startswith(f"{out}: cannot be written: ")
