"""A CHP plant of centre.yaml: its fuel, coal equivalent and CO2 of a month, to heat and to power, down to the readings."""

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from centre.accounting.chp import Method
from centre.carriers import Carrier, Flow
from centre.chp_plants import load_references
from centre.errors import FigureError
from centre.period import Period
from centre.report.monthly import monthly
from centre.report.writers import WRITERS, load_words
from centre.settings import Setup, load_setup
from centre.statement import Statement
from centre.statement_chp import Of
from centre.trace import Trace, check
from centre.why import why
from support.books_plant import filled, statements
from support.plant_settings import settings_with
from wattline.errors import ConfigError
from wattline.resources import config_dir

SITE = "jiangjin-1"
MONTH = Period(year=2026, month=11)
WAYS = {
    Method.ENERGY: "",
    Method.REFERENCE_BOILER: ", reference: natural-gas-steam",
    Method.EXERGY: ", supply_c: 120, ambient_c: 20",
}

OPENED = {Method.ENERGY: (Of.ENERGY,), Method.REFERENCE_BOILER: (Of.FUEL,), Method.EXERGY: (Of.CARBON,)}


def keys(more: str, *, node: str = "plant", fuel: str = "natural_gas", heat: str = "heat-station") -> str:
    return (
        f"\n    chp:\n      - {{id: engine, name: {{en: Engine, zh: 燃机}}, node: {node}, fuel: {fuel}, heat: {heat},"
        f" power: pv-roof, {more}}}\n"
    )


def loaded(folder: Path, chp: str) -> Setup:
    """The demo with its heat made on the site, and the roof's meter as that of an engine."""
    path = settings_with(folder, chp)
    entities = folder / "entities.yaml"
    text = entities.read_text("utf-8")
    assert text.count("device: heat-station, carrier: heat, flow: import") == 1
    entities.write_text(
        text.replace("heat-station, carrier: heat, flow: import", "heat-station, carrier: heat, flow: generation"),
        "utf-8",
    )
    return load_setup(path)


def poor(factory: pytest.TempPathFactory) -> Setup:
    """Held against a boiler that would have burnt more for the heat than the engine did for all."""
    found = loaded(factory.mktemp("chp"), keys("method: reference_boiler, reference: natural-gas-steam"))
    [engine] = found.rules[SITE].terms.chps
    assert engine.reference is not None
    worse = replace(engine, reference=replace(engine.reference, boiler_efficiency=Decimal("0.1")))
    rules = found.rules[SITE]
    return replace(found, rules={SITE: replace(rules, terms=replace(rules.terms, chps=(worse,)))})


class Made:
    statements: dict[Method, Statement]
    traces: dict[tuple[Method, Of], Trace]
    unburnt: Statement
    unburnt_trace: Trace
    poor: Trace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    async def make() -> Made:
        found = Made()
        found.statements, found.traces = {}, {}
        async with await filled(tmp_path_factory) as store:
            for method, more in WAYS.items():
                setup = loaded(tmp_path_factory.mktemp("chp"), keys(f"method: {method}{more}"))
                service = statements(store, setup)
                found.statements[method] = await service.statement(SITE, MONTH)
                for of in OPENED[method]:
                    found.traces[method, of] = await why(service, SITE, MONTH, f"chp/engine/{of}")
            setup = loaded(tmp_path_factory.mktemp("chp"), keys("method: energy", fuel="raw_coal"))
            service = statements(store, setup)
            found.unburnt = await service.statement(SITE, MONTH)
            with pytest.raises(FigureError, match="chp/ID/carbon"):
                await why(service, SITE, MONTH, "chp/engine/water")
            found.unburnt_trace = await why(service, SITE, MONTH, "chp/engine/carbon")
            found.poor = await why(statements(store, poor(tmp_path_factory)), SITE, MONTH, "chp/engine/carbon")
        return found

    return asyncio.run(make())


@pytest.mark.parametrize("method", Method)
def test_fuel_coal_equivalent_and_co2_go_to_heat_and_power_and_add_up_exactly(made: Made, method: Method) -> None:
    statement = made.statements[method]
    plant = statement.nodes[0]
    [engine] = statement.chps
    burnt = next(term.value for term in plant.scope1.terms if term.label == "natural_gas")
    assert engine.splits[Of.CARBON].split.value == burnt
    for found in engine.splits.values():
        assert found.heat is not None
        assert found.power is not None
        assert found.heat > 0
        assert found.power > 0
        assert found.heat + found.power == found.split.value
    assert len({found.share for found in engine.splits.values()}) == 1


def test_each_method_gives_heat_its_own_share(made: Made) -> None:
    shares: dict[Method, Decimal] = {}
    for method, statement in made.statements.items():
        plant = statement.nodes[0]
        heat, power, gas = (
            line.flows[flow].value or Decimal(0)
            for carrier, flow in (
                (Carrier.HEAT, Flow.GENERATION), (Carrier.ELECTRICITY, Flow.GENERATION),
                (Carrier.NATURAL_GAS, Flow.IMPORT),
            )
            for line in [plant.line(carrier)]
            if line is not None
        )  # fmt: skip
        useful = heat * 100 / Decimal("393.15")
        expected = {
            Method.ENERGY: heat / (heat + power),
            Method.REFERENCE_BOILER: heat * Decimal("0.0036") / Decimal("0.87") / (gas * Decimal("0.038931")),
            Method.EXERGY: useful / (useful + power),
        }[method]
        share = statement.chps[0].splits[Of.FUEL].share
        assert share is not None
        assert round(share, 6) == round(expected, 6)
        shares[method] = share
    assert len(set(shares.values())) == 3


def test_heat_made_on_the_site_is_neither_bought_nor_counted_again(made: Made) -> None:
    plant = made.statements[Method.ENERGY].nodes[0]
    assert [term.value for term in plant.scope2.location.terms if term.label == "heat"] == [0]
    assert [term.value for term in plant.energy.calorific.terms if term.label == "heat"] == [0]


@pytest.mark.parametrize(("method", "of"), [(method, of) for method, opened in OPENED.items() for of in opened])
def test_why_leads_from_a_part_to_the_readings_and_adds_up(made: Made, method: Method, of: Of) -> None:
    trace = made.traces[method, of]
    assert check(trace) == ()
    split = made.statements[method].chps[0].splits[of]
    root = trace.steps[trace.root]
    assert [trace.steps[part.id].value for part in root.parts] == [split.heat, split.power]
    walked = {step.id.split("/")[1] for _, _, step in trace.walk() if step.id.startswith("reading:")}
    wanted = {"boiler-gas", "heat-station"}
    if method is not Method.REFERENCE_BOILER:
        wanted.add("pv-roof")
    assert walked == wanted


def test_a_fuel_that_was_not_burnt_has_a_reason_and_no_figure(made: Made) -> None:
    split = made.unburnt.chps[0].splits[Of.CARBON]
    assert (split.heat, split.power, split.reason) == (None, None, "fuel: no_such_fuel")
    assert made.unburnt_trace.steps[made.unburnt_trace.root].value is None
    assert check(made.unburnt_trace) == ()


def test_heat_that_needs_more_than_the_fuel_has_a_reason_beside_what_is_known(made: Made) -> None:
    root = made.poor.steps[made.poor.root]
    assert (root.value, root.reason) == (None, "heat_needs_more_than_the_fuel")
    assert check(made.poor) == ()
    assert {step.id.split("/")[1] for _, _, step in made.poor.walk() if step.id.startswith("reading:")} >= {
        "boiler-gas"
    }


def test_the_statement_has_a_table_of_it_that_says_what_is_not_confirmed(made: Made) -> None:
    document = monthly(made.statements[Method.REFERENCE_BOILER])
    rows = json.loads(WRITERS["json"][1](document, load_words()["en"]))["tables"]["chp_split"]
    assert [row["chp_of"] for row in rows] == ["chp_fuel", "chp_energy", "chp_carbon"]
    assert {row["confirmed"] for row in rows} == {"no"}
    for row in rows:
        assert round(Decimal(row["to_heat"]) + Decimal(row["to_power"]), 3) == round(Decimal(row["chp_whole"]), 3)


@pytest.mark.parametrize(
    ("chp", "says"),
    [
        (keys("method: reference_boiler"), "chp.0.reference: reference_boiler needs reference"),
        (keys("method: reference_boiler, reference: oil"), "chp.0.reference: config/chp.yaml has no oil: natural-gas"),
        (keys("method: energy, supply_c: 90"), "chp.0.supply_c: energy does not take supply_c"),
        (keys("method: exergy, supply_c: 20, ambient_c: 20"), "chp.0.supply_c: must be above ambient_c"),
        (keys("method: energy", node="nowhere"), "chp.0.node: nowhere is no node of the tree"),
        (keys("method: energy", heat="incomer"), "chp.0.heat: incomer is no meter of heat with `flow: generation`"),
    ],
)
def test_a_wrong_chp_plant_is_refused_by_line_and_key(tmp_path: Path, chp: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, chp)
    assert says in str(refused.value)
    assert "centre.yaml:" in str(refused.value)


def test_every_shipped_reference_has_a_source() -> None:
    found = load_references(config_dir() / "chp.yaml")
    assert len(found) == 4
    assert all(one.source and 0 < one.boiler_efficiency < 1 for one in found.values())
