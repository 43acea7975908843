"""Differential and step prices in the bill of a plant: by its own electricity and output, traced, and never guessed."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from centre.accounting.bill import Line, LineKind
from centre.accounting.rate_tables_file import load_surcharges
from centre.manual_forms import Entry
from centre.settings import load_setup
from centre.statement import Statement
from centre.statement_told import Told
from centre.surcharges import PlantSurcharge
from centre.trace import Rule, Trace, check
from centre.trace_build import Builder
from centre.trace_cost import cost
from support.moved_plant import PLANT, STOOD, made, records, rules
from wattline.errors import ConfigError
from wattline.resources import config_dir

ROWS = {row.id: row for row in load_surcharges(config_dir() / "surcharges.yaml")}
CLASS = PlantSurcharge(rows=(ROWS["eight-industries-2010"],), kind="restricted", product=None, node=None)
STEPS = PlantSurcharge(
    rows=tuple(ROWS[f"electrolytic-aluminium-{year}"] for year in (2022, 2023, 2025)),
    kind=None, product="aluminium", node="plant",
)  # fmt: skip
BOUGHT = Decimal(96 * (10 * 50 + 21 * 80))


def told(unit: str, amount: str) -> Told:
    values = {"node": "plant", "product": "aluminium", "unit": unit, "produced": amount}
    row = Entry(form="production", site="s", period="2026-03", key=("plant",), values=values, place=1)
    return Told(entries={"production": (row,)})


def billed(*surcharges: PlantSurcharge, told: Told | None = None) -> tuple[Statement, list[Line]]:
    found = made(given=replace(rules(), terms=replace(rules().terms, surcharges=surcharges)), told=told)
    return found, [line for line in found.bills[0].lines if line.kind is LineKind.SURCHARGE]


def test_a_bill_has_the_differential_price_of_the_class_and_the_steps_of_what_a_tonne_took() -> None:
    found, (kind, steps) = billed(CLASS, STEPS, told=told("kg", "15000"))
    assert (kind.quantity, kind.price, kind.amount) == (BOUGHT, Decimal("0.1"), Decimal("20928.00"))
    # 209280 kWh / 15 t = 13952 kWh/t, 652 above 13300: 33 steps of 20, the last one begun
    assert (steps.id, steps.price, steps.amount) == (
        "electrolytic-aluminium-2025",
        Decimal("0.33"),
        Decimal("69062.40"),
    )
    build = Builder(plant=PLANT, made=found, records=records(), membership=STOOD)
    trace = Trace(
        root=cost(build, replace(rules(), terms=replace(rules().terms, surcharges=(CLASS, STEPS)))), steps=build.steps
    )
    assert check(trace) == ()
    for line in (kind, steps):
        step = trace.steps[f"bill:s/2026-03/{line.id}"]
        assert step.rule is Rule.PRODUCT
        assert trace.steps[step.parts[0].id].value == BOUGHT


def test_steps_without_a_known_output_have_no_amount_and_the_bill_no_total() -> None:
    for what in (None, told("pcs", "15000"), told("t", "0")):
        found, (line,) = billed(STEPS, told=what)
        assert (line.amount, line.reason) == (None, "no_output")
        assert found.bills[0].total is None


def test_before_a_notice_there_is_no_surcharge() -> None:
    later = replace(STEPS, rows=tuple(replace(row, valid_from=row.valid_from.replace(year=2027)) for row in STEPS.rows))
    assert billed(later)[1] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{notices: [nothing]}", "there is no nothing: eight-industries-2010"),
        ("{notices: [eight-industries-2010]}", "needs a `class`, one of permitted, restricted, eliminated"),
        ("{notices: [electrolytic-aluminium-2025]}", "it needs `product`"),
        ("{notices: [eight-industries-2010], class: restricted, node: nowhere}", "nowhere is no node of the tree"),
        ("{notices: [eight-industries-2010, eight-industries-2010], class: restricted}", "stands here a second time"),
    ],
)
def test_a_mistake_in_surcharges_names_file_line_and_key(tmp_path: Path, text: str, says: str) -> None:
    demo = config_dir() / "demo"
    (tmp_path / "entities.yaml").write_text((demo / "entities.yaml").read_text("utf-8"), "utf-8")
    lines = (demo / "centre.yaml").read_text("utf-8").replace("    alarms:", f"    surcharges: [{text}]\n    alarms:")
    (tmp_path / "centre.yaml").write_text(lines, "utf-8")
    with pytest.raises(ConfigError, match=r"centre.yaml:\d+: .*surcharges") as caught:
        load_setup(tmp_path / "centre.yaml")
    assert says in str(caught.value)
