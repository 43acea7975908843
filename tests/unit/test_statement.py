"""The statement of three days of the demo plant, against what its registers and the rules say."""

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre.accounting.balance import Verdict
from centre.accounting.terms import Input
from centre.carriers import Carrier, Flow
from centre.errors import BadQuestion, UnknownSite
from centre.json_views import to_json
from centre.membership import UNDATED
from centre.period import Period, period_of
from centre.records import Records
from centre.settings import Setup, load_setup
from centre.statement import Statement, statement
from centre.statement_cost import Reactive, bought_quarters, stretches
from centre.store.base import SeriesKey
from support.books_plant import SILENT, filled, setup, statements
from wattline.errors import ConfigError
from wattline.resources import config_dir

SITE = "jiangjin-1"
MONTH = Period(year=2026, month=11)


class Made:
    """One statement with what it was made of."""

    setup: Setup
    records: Records
    made: Statement
    before: Statement
    year: Statement
    registers: dict[str, Decimal]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Made:
    async def make() -> Made:
        made = Made()
        made.setup = setup()
        async with await filled(tmp_path_factory) as store:
            service = statements(store, made.setup)
            made.records = await service.records(made.setup.plants[0], MONTH)
            made.made = await service.statement(SITE, MONTH)
            made.before = await service.statement(SITE, Period(year=2026, month=10))
            made.year = await service.statement(SITE, Period(year=2026))
            with pytest.raises(UnknownSite):
                await service.statement("nowhere", MONTH)
            with pytest.raises(BadQuestion, match="2026-11"):
                service.period(SITE, "2026-13")
            made.registers = {}
            for device in ("incomer", "line-1"):
                span = await store.span(SeriesKey(SITE, device, "energy_active_import_total"), 0, 2**63 - 1)
                assert span is not None
                made.registers[device] = Decimal(str(span.last.value)) - Decimal(str(span.first.value))
        return made

    return asyncio.run(make())


def test_the_quantity_of_a_node_is_the_sum_of_its_meters_less_exports(found: Made) -> None:
    line = found.made.nodes[0].line(Carrier.ELECTRICITY)
    assert line is not None
    parts = [line.flows[flow].value for flow in (Flow.IMPORT, Flow.GENERATION)]
    assert line.net.value == sum(part for part in parts if part is not None)
    assert [term.label for term in line.net.terms] == ["incomer import", "pv-roof generation"]
    # the month begins an hour after the first reading: the register has counted a little more
    bought = line.flows[Flow.IMPORT].value
    assert bought is not None
    assert 0 < found.registers["incomer"] - bought < 1000


def test_every_figure_names_its_inputs_and_rows(found: Made) -> None:
    plant = found.made.nodes[0]
    for whole in (plant.energy.calorific, plant.scope1, plant.scope2.location, plant.scope2.market):
        assert whole.value is not None
        for term in whole.terms:
            assert term.inputs
            assert all(choice.row is not None for choice in term.choices)
    gas = plant.scope1.terms[0]
    assert gas.inputs[0].id == f"interval:{SITE}/plant/natural_gas/import/2026-11"
    assert [choice.row.factor_set for choice in gas.choices if choice.row] == ["g2", "g2", "g2"]
    assert plant.energy.equal_value.unverified == ("electricity",)


def test_what_nobody_meters_is_absent_with_a_reason(found: Made) -> None:
    water = found.made.nodes[0].water
    assert water.fresh.value is not None
    assert (water.discharged.value, water.reuse.value) == (None, None)
    assert "no_meter" in (water.reuse.reason or "")


def test_completeness_and_the_known_share_are_told_of_every_line(found: Made) -> None:
    for node in found.made.nodes:
        for line in node.lines:
            assert line.completeness is not None
            assert Decimal("0.8") < line.completeness < 1
            # 4 days of 30, less the last minutes, and less that before the reset of one meter
            assert line.known == Decimal("0.1331" if node.id == "press-1" else "0.1332")
    furnace = found.made.node(SILENT)
    assert furnace is not None
    assert furnace.lines[0].shares["E"] > 0


def test_the_balance_stands_where_node_and_children_have_meters(found: Made) -> None:
    nodes = {node.id: set(node.balances) for node in found.made.nodes if node.balances}
    assert nodes == {
        "plant": {Carrier.ELECTRICITY, Carrier.FRESH_WATER, Carrier.HEAT},
        "workshop-1": {Carrier.ELECTRICITY},
        "workshop-2": {Carrier.ELECTRICITY},
    }
    electric = found.made.nodes[0].balances[Carrier.ELECTRICITY]
    assert electric.verdict is Verdict.LOSS
    assert electric.unmetered is not None


def test_the_bill_covers_what_was_bought(found: Made) -> None:
    [bill] = found.made.bills
    line = found.made.nodes[0].line(Carrier.ELECTRICITY)
    assert line is not None
    assert bill.energy_kwh == line.flows[Flow.IMPORT].value
    assert bill.total == found.made.cost.value == sum(line.amount or 0 for line in bill.lines)
    assert bill.adjustment is not None
    assert bill.adjustment.cosphi is not None
    assert not bill.confirmed  # an example tariff


def test_without_a_tariff_there_is_no_cost_and_it_says_so(found: Made) -> None:
    rules = found.setup.rules[SITE]
    bare = replace(rules, terms=replace(rules.terms, tariff=None))
    made = statement(found.setup.plants[0], MONTH, found.records, bare, found.made.dates, software="x")
    assert (made.bills, made.cost.value, made.cost_reason) == ((), None, "no_tariff")


def test_a_bill_without_reactive_energy_has_no_total(found: Made) -> None:
    plant = found.setup.plants[0]
    made = statement(plant, MONTH, found.records, found.setup.rules[SITE], found.made.dates, software="x")
    assert made.cost.value is None
    assert "no_reactive_energy" in (made.cost_reason or "")


def test_a_year_adds_up_its_months(found: Made) -> None:
    """An hour of October was read, and of November four days."""
    for place, node in enumerate(found.year.nodes):
        for carrier in Carrier:
            lines = [made.nodes[place].line(carrier) for made in (found.before, found.made, found.year)]
            october, november, year = (None if line is None else line.net.value for line in lines)
            if year is not None:
                assert october is not None
                assert november is not None
                assert october + november == year, (node.id, carrier)
    assert [bill.energy_kwh > 0 for bill in found.year.bills] == [True, True]
    assert found.year.cost.value == sum(bill.total or 0 for bill in found.year.bills)


def test_the_same_inputs_give_the_same_bytes_in_any_order_of_meters(found: Made) -> None:
    plant, rules = found.setup.plants[0], found.setup.rules[SITE]
    shuffled = dict(sorted(found.records.items(), reverse=True))
    energy = Input(id="register", value=Decimal(1000), unit="kvarh")
    both = [
        to_json(
            statement(plant, MONTH, records, rules, found.made.dates, software="x",
                      reactive=[Reactive(month="2026-11", energy=energy)]).nodes
        )
        for records in (found.records, shuffled)
    ]  # fmt: skip
    assert both[0] == both[1]


def test_a_meter_that_was_never_read_leaves_its_node_without_a_figure(found: Made) -> None:
    plant = found.setup.plants[0]
    place = ("incomer", Carrier.ELECTRICITY, Flow.IMPORT)
    records = {**found.records, place: replace(found.records[place], days=(), quarters=())}
    made = statement(plant, MONTH, records, found.setup.rules[SITE], found.made.dates, software="x")
    assert made.nodes[0].scope2.location.value is None
    assert made.nodes[0].energy.calorific.missing == ("electricity",)
    assert made.nodes[0].scope1.value == found.made.nodes[0].scope1.value
    parts = stretches(plant, MONTH, UNDATED, found.setup.rules[SITE].terms)
    assert bought_quarters(plant, parts, records) == []
    assert made.nodes[0].balances[Carrier.ELECTRICITY].reason == "no_common_interval"


@given(st.integers(2021, 2199), st.integers(1, 12), st.integers(1, 28))
def test_the_months_of_a_year_follow_each_other_without_gap(year: int, month: int, metering_day: int) -> None:
    whole = Period(year=year, metering_day=metering_day)
    months = whole.months()
    assert (months[0].first, months[-1].last) == (whole.first, whole.last)
    assert all(earlier.last.toordinal() + 1 == later.first.toordinal() for earlier, later in pairwise(months))
    assert period_of(months[month - 1].label, metering_day) == months[month - 1]
    assert len(list(whole.days())) in {365, 366}


def test_a_metering_day_names_the_month_it_ends_in() -> None:
    assert Period(year=2026, month=1, metering_day=26).first == date(2025, 12, 26)


@pytest.mark.parametrize("text", ["2026-1", "2026-00", "26-01", "x", "2026-01-01"])
def test_a_period_is_a_month_or_a_year(text: str) -> None:
    with pytest.raises(ValueError, match="month such as"):
        period_of(text)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("tariff: chongqing-industry-example", "tariff: nowhere", "plants.0.tariff: there is no file nowhere.yaml"),
        ("contract_kw: 600", "metering_day: 2", "plants.0.contract: contract_demand needs contract_kw"),
        ("carbon: monthly-statement", "carbon: x", "plants.0.factor_policy.carbon: there is no policy x"),
    ],
)
def test_a_mistake_in_the_terms_names_file_line_and_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = (config_dir() / "demo" / "centre.yaml").read_text("utf-8")
    assert old in text
    path = tmp_path / "centre.yaml"
    path.write_text(text.replace(old, new), "utf-8")
    (tmp_path / "entities.yaml").write_bytes((config_dir() / "demo" / "entities.yaml").read_bytes())
    with pytest.raises(ConfigError) as err:
        load_setup(path)
    assert says.split(": ", maxsplit=1)[0].rsplit(".", maxsplit=1)[-1] in str(err.value)
    assert says.split(": ", 1)[1] in str(err.value)
    assert str(path) in str(err.value)
