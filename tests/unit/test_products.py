"""Footprints and unit figures of products out of approved rows: shared fairly, listed whole, traced to the last digit."""

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from centre import api_reports
from centre.errors import FigureError
from centre.period import Period
from centre.product_study import segments
from centre.production import Production, produced
from centre.report.reports import reports
from centre.report.writers import WRITERS, load_words
from centre.statements import Statements
from centre.trace import Rule, Trace, check
from centre.web_i18n import load_words as page_words
from centre.web_why import why_view
from centre.why import why
from support.books_products import SITE, with_products

MONTH = Period(year=2026, month=11)
D = Decimal
FIGURES = (
    "workshop-1:footprint/gear", "workshop-2:footprint/hood", "compressor:footprint/fan", "press-1:footprint/cup",
    "furnace:footprint/ingot/batch/H1", "furnace:footprint/ingot/batch/H3",
)  # fmt: skip
Table = list[dict[str, Any]]


class Made:
    documents: Mapping[str, Mapping[str, Table]]
    notes: Mapping[str, list[str]]
    traces: Mapping[str, Trace]
    quantities: Mapping[str, Decimal | None]
    status: Mapping[str, int]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    async def make(service: Statements) -> Made:
        found, maker, words = Made(), reports(service), load_words()
        asked = {name: (name, None) for name in ("footprint", "unit-product")}
        asked |= {batch: ("footprint", batch) for batch in ("H1", "H2", "H3")}
        documents = {
            name: await maker.document(report, SITE, MONTH, batch=batch) for name, (report, batch) in asked.items()
        }
        told = {name: json.loads(WRITERS["json"][1](document, words["zh"])) for name, document in documents.items()}
        for form in WRITERS:
            assert WRITERS[form][1](documents["H1"], words["zh"])
        found.documents = {name: document["tables"] for name, document in told.items()}
        found.notes = {name: list(document.notes) for name, document in documents.items()}
        found.traces = {figure: await why(service, SITE, MONTH, figure) for figure in FIGURES}
        statement = await service.statement(SITE, MONTH)
        found.quantities = {node.id: line.net.value for node in statement.nodes for line in node.lines[:1]}
        app = Starlette(routes=api_reports.routes(maker))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://centre") as client:
            found.status = {
                path: (await client.get(f"/api/v1/{path}")).status_code
                for path in (
                    f"reports/{SITE}/2026-11/footprint?batch=H1",
                    f"reports/{SITE}/2026-11/statement?batch=H1",
                    f"reports/{SITE}/2026-11/footprint?batch=H9",
                    f"reports/{SITE}/2026-11/footprint?batch=S1",
                    f"why/{SITE}/2026-11/furnace:footprint/nothing",
                    f"why/{SITE}/2026-11/furnace:footprint/ingot?readings=2026-11-02",
                )
            }
        for figure in ("nowhere:footprint/gear", "footprint/gear", "furnace:footprint/gear/batch/H1"):
            with pytest.raises(FigureError):
                await why(service, SITE, MONTH, figure)
        return found

    folder = tmp_path_factory.mktemp("products")
    return asyncio.run(with_products(tmp_path_factory, folder, make))


def rows(table: Table, **of: str) -> Table:
    return [row for row in table if all(row[name] == value for name, value in of.items())]


def test_production_comes_from_the_approved_rows_and_each_is_listed(made: Made) -> None:
    record = made.documents["footprint"]
    [shaft] = rows(record["footprints"], product="shaft")
    assert (shaft["output"], shaft["output_unit"]) == ("20", "t")
    listed = rows(record["production_rows"], product="shaft")
    assert [(row["batch"], row["output"], row["output_unit"]) for row in listed] == [
        ("S1", "12", "t"),
        ("S2", "8000", "kg"),
    ]
    assert [row["source"] for row in listed] == ["form 1, line 2", "form 1, line 3"]
    [door] = rows(record["footprints"], product="door")
    assert (door["scrap"], "note_no_production" in made.notes["footprint"]) == ("2", False)


@pytest.mark.parametrize(
    ("node", "by", "passed_over"),
    [
        ("workshop-1", "shared_sub_meter", ""),
        ("workshop-2", "shared_physical", "sub_meter: door: no_key"),
        (
            "compressor",
            "shared_economic",
            "sub_meter: fan: no_key; physical: production:form 1, line 9/mass: no_mass_was_told",
        ),
    ],
)
def test_several_products_share_by_the_best_basis_there_is(made: Made, node: str, by: str, passed_over: str) -> None:
    for report in ("footprint", "unit-product"):
        split = rows(made.documents[report]["shares"], node=node, carrier="carrier_electricity")
        assert {row["shared_by"] for row in split} == {by}
        assert {row["passed_over"] for row in split} == {passed_over}
        assert sum(D(row["share"]) for row in split) == 1
        assert all(row["key"] and row["value"] and row["unit"] for row in split)


def test_sub_meters_are_those_of_the_parts_that_make_one_product(made: Made) -> None:
    split = rows(made.documents["footprint"]["shares"], node="workshop-1", carrier="carrier_electricity")
    line_1, line_2 = made.quantities["line-1"], made.quantities["line-2"]
    assert line_1 is not None
    assert line_2 is not None
    assert [D(row["value"]) for row in split] == [line_1, line_2]
    assert D(split[0]["share"]) == round(line_1 / (line_1 + line_2), 9)


def test_parts_of_all_products_are_what_their_node_took_in(made: Made) -> None:
    inputs = made.documents["footprint"]["footprint_inputs"]
    units = made.documents["unit-product"]["per_carrier"]
    for node, products in (("workshop-1", "gear shaft"), ("workshop-2", "door hood"), ("compressor", "fan nut")):
        mine = [rows(inputs, product=product, carrier="carrier_electricity")[0] for product in products.split()]
        assert sum(D(row["activity"]) for row in mine) == made.quantities[node]
        parts = rows(units, node=node, carrier="carrier_electricity")
        assert sum(D(row["quantity"]) for row in parts) == made.quantities[node]
    diesel = [rows(inputs, product=product, carrier="carrier_diesel")[0] for product in ("door", "hood")]
    assert sum(D(row["activity"]) for row in diesel) == 2
    assert [row["shared_by"] for row in diesel] == ["shared_physical"] * 2


def test_products_without_any_basis_have_a_reason_and_no_figure(made: Made) -> None:
    for product in ("cup", "lid"):
        [record] = rows(made.documents["footprint"]["footprints"], product=product)
        assert record["per_unit"] is None
        [each] = rows(made.documents["unit-product"]["products"], product=product)
        assert (each["kgce"], "no_basis" in each["reason"]) == (None, True)


def test_a_batch_has_the_energy_of_its_time_and_shares_what_overlaps(made: Made) -> None:
    one, two, three = (made.documents[batch]["footprint_inputs"] for batch in ("H1", "H2", "H3"))
    assert [row["shared_by"] for row in one] == ["shared_alone", "shared_physical"]
    assert [row["shared_by"] for row in two] == ["shared_physical", "shared_alone"]
    assert (one[1]["input"], one[1]["quantity"]) == (two[0]["input"], two[0]["quantity"])
    assert D(one[1]["share"]) + D(two[0]["share"]) == 1
    assert D(one[1]["activity"]) + D(two[0]["activity"]) == D(one[1]["quantity"])
    assert [row["shared_by"] for row in three] == ["shared_alone"]
    [record] = made.documents["H1"]["footprints"]
    assert D(record["total"]) == sum(D(row["emission"]) for row in one)
    assert (record["output"], record["scrap"], record["output_unit"]) == ("5", "1", "t")
    assert "cut_idle" in {row["left_out"] for row in made.documents["H1"]["cut_offs"]}
    assert "note_batch" in made.notes["H1"]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_footprint_is_traced_to_rows_intervals_and_factors_and_adds_up(made: Made, figure: str) -> None:
    trace = made.traces[figure]
    assert check(trace) == ()
    known = trace.steps[trace.root].value is not None
    assert known == (figure != "press-1:footprint/cup")
    assert any(step.factor is not None for step in trace.steps.values())
    assert any(step.id.startswith("quarter:") for step in trace.steps.values())
    assert any(step.id.startswith("production:form 1, line ") for step in trace.steps.values())
    assert trace.steps[trace.root].rule is Rule.QUOTIENT
    for words in page_words().values():
        assert why_view(trace, None, words).steps == len(trace.steps)


def test_the_trace_of_a_footprint_is_the_figure_of_the_report(made: Made) -> None:
    for name, figure in (("footprint", "workshop-2:footprint/hood"), ("H1", "furnace:footprint/ingot/batch/H1")):
        product = figure.split("/")[1]
        [record] = rows(made.documents[name]["footprints"], product=product)
        trace = made.traces[figure]
        assert D(record["per_unit"]) == trace.steps[trace.root].value


def test_the_api_answers_for_batches(made: Made) -> None:
    assert list(made.status.values()) == [200, 400, 404, 409, 404, 200]


TIMES = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda found: (found[0], found[0] + found[1]))


def batch(number: int, begin: int, end: int) -> Production:
    row = produced(f"form {number}, line 1", output=D(1), scrap=None, unit="t", begin=begin, end=end)
    return Production(product="gear", name={}, node="line", rows=(row,))


@settings(max_examples=40)
@given(st.lists(TIMES, min_size=1, max_size=6))
def test_stretches_cover_a_batch_and_are_the_same_from_every_batch_in_them(times: list[tuple[int, int]]) -> None:
    every = [batch(number, *found) for number, found in enumerate(times)]
    seen: dict[int, set[str]] = {}
    for item, (begin, end) in zip(every, times, strict=True):
        found = segments(item, [other for other in every if other is not item])
        assert (found[0][0], found[-1][1]) == (begin, end)
        assert [one[1] for one in found[:-1]] == [one[0] for one in found[1:]]
        for start, stop, running in found:
            names = {one.rows[0].id for one in running}
            for at in range(start, stop):
                assert seen.setdefault(at, names) == names
