"""Why a number: every figure of the demo plant's month leads to register readings and factor rows, and adds up."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from centre.errors import FigureError
from centre.period import Period
from centre.trace import Part, Rule, Step, Trace, check
from centre.why import why
from support.books_plant import RESETS, ROLLS, SILENT, SPIKES, filled, setup, statements

SITE = "jiangjin-1"
MONTH = Period(year=2026, month=11)
FIGURES = (
    "scope1", "scope2/location", "scope2/market", "tce/calorific", "tce/equal_value", "water/fresh", "cost",
    "quantity/electricity", "balance/electricity", "workshop-1:balance/electricity",
    f"{ROLLS}:scope2/location", f"{RESETS}:scope2/location", f"{SILENT}:scope2/location", f"{SPIKES}:tce/calorific",
)  # fmt: skip


YEAR = {
    "year": "scope2/location", "year's cost": "cost", "year's water": "water/fresh",
    "year's quantity": "quantity/electricity",
}  # fmt: skip


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trace]:
    async def make() -> dict[str, Trace]:
        async with await filled(tmp_path_factory) as store:
            service = statements(store, setup())
            found = {figure: await why(service, SITE, MONTH, figure) for figure in FIGURES}
            for name, figure in YEAR.items():
                found[name] = await why(service, SITE, Period(year=2026), figure)
            for wrong in ("scope3", "nowhere:scope1", "line-1:balance/electricity", "line-1:cost", "quantity/oil"):
                with pytest.raises(FigureError, match="figures are"):
                    await why(service, SITE, MONTH, wrong)
            return found

    return asyncio.run(make())


@pytest.mark.parametrize("figure", [*FIGURES, *YEAR])
def test_a_figure_adds_up_to_its_last_digit(traces: dict[str, Trace], figure: str) -> None:
    trace = traces[figure]
    assert trace.steps[trace.root].value is not None
    assert check(trace) == ()


def of(trace: Trace, rule: Rule) -> list[Step]:
    return [step for step in trace.steps.values() if step.rule is rule]


def test_a_carbon_figure_lists_its_factor_rows_and_register_readings(traces: dict[str, Trace]) -> None:
    trace = traces["scope2/location"]
    rows = {step.factor.metric: step for step in of(trace, Rule.FACTOR) if step.factor is not None}
    assert set(rows) == {"grid_co2_factor_average", "co2_factor_location"}
    grid = rows["grid_co2_factor_average"]
    assert grid.value == Decimal("0.5581")
    assert grid.factor is not None
    assert grid.factor.source
    assert grid.factor.published_on is not None
    assert grid.why
    meters = {step.id.split("/")[1] for step in of(trace, Rule.READING)}
    assert meters == {"incomer", "heat-station"}
    assert sum(step.id.startswith("day:") for step in trace.steps.values()) == 2 * 4
    assert sum(step.id.startswith("quarter:") for step in trace.steps.values()) == 2 * 4 * 96


def test_a_year_leads_to_its_months_and_each_of_them_to_its_rows(traces: dict[str, Trace]) -> None:
    trace = traces["year"]
    months = [part.id for part in trace.steps[trace.root].parts]
    assert [month.rpartition("/")[2] for month in months] == ["2026-10", "2026-11"]
    alone = traces["scope2/location"]
    assert months[1] == alone.root
    assert trace.steps[alone.root] == alone.steps[alone.root]
    for month in months:
        below = [step for _, _, step in Trace(root=month, steps=trace.steps).walk()]
        assert any(step.factor is not None for step in below)
        assert any(step.rule is Rule.READING for step in below)


def test_every_quantity_is_proved_by_its_register(traces: dict[str, Trace]) -> None:
    for trace in traces.values():
        for step in trace.steps.values():
            if step.id.startswith("meter:"):
                assert step.proof


def test_what_the_register_did_is_told(traces: dict[str, Trace]) -> None:
    def events(device: str) -> list[str]:
        trace = traces[f"{device}:scope2/location"]
        return [step.words for step in trace.steps.values() if step.id.startswith("event:")]

    assert events(ROLLS) == ["the register rolled over at 1000000"]
    assert events(RESETS) == ["the register was reset: what it shows since it began at 0"]
    assert events(SILENT) == []


def test_a_pause_over_midnight_joins_its_days(traces: dict[str, Trace]) -> None:
    registers = [step for step in traces[f"{SILENT}:scope2/location"].steps if step.startswith("register:")]
    assert len(registers) == 3  # of four days


def test_walking_shows_every_step_and_enters_each_once(traces: dict[str, Trace]) -> None:
    trace = traces["cost"]
    seen = [step.id for _, _, step in trace.walk()]
    assert set(seen) == set(trace.steps)


@pytest.mark.parametrize("figure", ["scope1", "cost", f"{ROLLS}:scope2/location"])
def test_any_changed_value_is_found(traces: dict[str, Trace], figure: str) -> None:
    """Whatever one value of the computed steps, readings and factors is changed to, something does not add up."""
    trace = traces[figure]
    used = {part.id for step in trace.steps.values() for part in (*step.parts, *step.proof) if part.sign}
    kept = 0
    for step in list(trace.steps.values())[::11]:
        if step.value is None or (step.rule is Rule.GIVEN and step.id not in used):
            continue
        changed = {**trace.steps, step.id: replace(step, value=step.value + 1)}
        found = check(Trace(root=trace.root, steps=changed))
        kept += not found
        assert found or step.rule in {Rule.READING, Rule.GIVEN, Rule.FACTOR}, step.id
    assert kept <= 3  # the contract's demand, a reading that is only shown


def test_a_value_without_its_part_is_found() -> None:
    lost = Step(id="b", rule=Rule.GIVEN, words="", value=None, unit="kWh", reason="no_data")
    whole = Step(id="a", rule=Rule.SUM, words="", value=Decimal(1), unit="kWh", parts=())
    wrong = replace(whole, parts=(Part("b"),))
    assert [mistake.id for mistake in check(Trace(root="a", steps={"a": wrong, "b": lost}))] == ["a"]
    silent = replace(lost, reason=None)
    assert [mistake.says for mistake in check(Trace(root="b", steps={"b": silent}))] == ["no value"]
    assert check(Trace(root="a", steps={"a": replace(whole, parts=(Part("gone"),))}))
