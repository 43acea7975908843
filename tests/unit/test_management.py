"""What alarms watch: demand of the running period, balances of the last day, nights, budgets; and unknown with a reason."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre.accounting.intervals import QUARTER_NS, Interval
from centre.accounting.leak import NO_QUIET_HOUR, Night
from centre.accounting.management_file import load_management
from centre.budgets import BudgetSettings, budget_of, used_by_month
from centre.carriers import Carrier, Flow
from centre.day import Place
from centre.indicators import (
    NO_READING_YET,
    TOO_LITTLE_KNOWN,
    Supply,
    balance_signs,
    budget_sign,
    demand_sign,
    leak_sign,
)
from centre.plant import Meter, Node, Plant
from centre.settings import load_setup
from support.centre_plant import PLANT
from wattline.clock import NS
from wattline.errors import ConfigError
from wattline.resources import config_dir

RULES = load_management(config_dir() / "management.yaml")[-1]
NOW = 1_795_104_000 * NS + 600 * NS  # ten minutes into a period
D = Decimal


def interval(
    amount: str | None, *, start: int = NOW - 600 * NS, known_s: int = 900, still_open: bool = False
) -> Interval:
    return Interval(
        start=start,
        end=start + QUARTER_NS,
        amount=None if amount is None else D(amount),
        known_ns=known_s * NS,
        estimated=D(0),
        estimated_ns=0,
        readings=1,
        open=still_open,
    )


def demand(*supplies: Supply, contract: int = 600) -> tuple[Decimal | None, str]:
    found = demand_sign(PLANT, supplies, until=NOW, now=NOW, contract_kw=D(contract)).measured
    return found.value, found.basis


def test_the_demand_of_the_running_period_is_forecast_against_the_contract() -> None:
    # 100 kWh in 10 min, then 900 kW for 5 min: 175 kWh in 15 min are 700 kW
    value, basis = demand(Supply(interval=interval("100", known_s=600), minutes=[D(300), D(900)]))
    assert value == D("116.6667")
    assert basis == "700.000 of 600 kW; 100 % of the period so far known"


def test_a_beginning_that_is_not_known_is_taken_as_the_rest_and_told() -> None:
    value, basis = demand(Supply(interval=interval("20", known_s=120), minutes=[D(600)]))
    assert value == 100
    assert basis.endswith("20 % of the period so far known")


@pytest.mark.parametrize(
    "supply",
    [
        Supply(interval=None, minutes=[D(1)]),
        Supply(interval=interval(None, known_s=0), minutes=[D(1)]),
        Supply(interval=interval("100", known_s=600), minutes=[D(900), None]),
    ],
)
def test_without_readings_of_one_meter_the_demand_is_not_known(supply: Supply) -> None:
    value, basis = demand(Supply(interval=interval("100", known_s=600), minutes=[D(300), D(900)]), supply)
    assert value is None
    assert basis in {NO_READING_YET, "no_power"}


@given(st.lists(st.integers(0, 500), min_size=1, max_size=4), st.integers(0, 3), st.randoms())
def test_the_order_of_the_meters_changes_nothing_and_more_power_no_less_demand(
    amounts: list[int], more: int, random: Random
) -> None:
    def supplies(extra: int) -> list[Supply]:
        return [Supply(interval=interval(str(part), known_s=600), minutes=[D(part + extra)]) for part in amounts]

    shuffled = supplies(0)
    random.shuffle(shuffled)
    assert demand(*shuffled) == demand(*supplies(0))
    assert (demand(*supplies(more))[0] or 0) >= (demand(*supplies(0))[0] or 0)


def balanced_plant() -> Plant:
    def meter(device: str) -> Meter:
        return Meter(device=device, carrier=Carrier.ELECTRICITY, flow=Flow.IMPORT, accuracy=D(1))

    names = {"en": "x", "zh": "x"}
    below = Node(id="line", name=names, meters=(meter("b"),), children=())
    tree = Node(id="top", name=names, meters=(meter("a"),), children=(below,))
    return Plant(site="s", name=names, zone=PLANT.zone, region="CN", tree=tree)


def day_of(amount: str, quarters: int) -> list[Interval]:
    return [interval(amount, start=NOW - 600 * NS - n * QUARTER_NS) for n in range(1, quarters + 1)]


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [("100", "90", (D(10), D(0))), ("100", "101", (D(0), D(0))), ("100", "110", (D(0), D(1)))],
)
def test_a_balance_shows_loss_and_fault_beyond_doubt(above: str, below: str, expected: tuple[Decimal, Decimal]) -> None:
    place = (Carrier.ELECTRICITY, Flow.IMPORT)
    quarters: dict[Place, list[Interval]] = {("a", *place): day_of(above, 96), ("b", *place): day_of(below, 96)}
    loss, fault = balance_signs(balanced_plant(), quarters, NOW, RULES)
    assert (loss.measured.value, fault.measured.value) == expected
    assert (loss.id, fault.id) == ("unmetered_percent:s/top/electricity", "meter_fault:s/top/electricity")


def test_a_balance_of_a_few_quarters_says_nothing_yet() -> None:
    place = (Carrier.ELECTRICITY, Flow.IMPORT)
    quarters: dict[Place, list[Interval]] = {("a", *place): day_of("100", 96), ("b", *place): day_of("110", 10)}
    for sign in balance_signs(balanced_plant(), quarters, NOW, RULES):
        assert sign.measured.value is None
        assert sign.measured.basis.startswith(TOO_LITTLE_KNOWN)


def nights(flows: list[str | None]) -> list[Night]:
    first = date(2026, 10, 1)
    return [
        Night(
            day=first + timedelta(days=place),
            flow=None if flow is None else D(flow),
            start=0,
            reason=NO_QUIET_HOUR if flow is None else None,
        )
        for place, flow in enumerate(flows)
    ]


def test_a_leak_goes_on_being_one_however_long_it_lasts() -> None:
    quiet: list[str | None] = ["1.0", "1.1"] * 14
    assert leak_sign("s", "water", nights(quiet), NOW, RULES.leaks["fresh_water"]).measured.value == 0
    assert leak_sign("s", "water", nights([*quiet, *["1.8"] * 20]), NOW, RULES.leaks["fresh_water"]).measured.value == 1
    unknown = leak_sign("s", "water", nights([*quiet, None]), NOW, RULES.leaks["fresh_water"]).measured
    assert (unknown.value, unknown.basis) == (None, NO_QUIET_HOUR)
    assert leak_sign("s", "water", [], NOW, RULES.leaks["fresh_water"]).measured.value is None


BUDGET = budget_of(BudgetSettings(id="power", node="plant", carrier=Carrier.ELECTRICITY, year=2026, plan=[D(100)] * 12))


def month(amount: str | None, known: str = "1") -> Interval:
    whole = 30 * 86_400 * NS
    return Interval(
        start=0, end=whole, amount=None if amount is None else D(amount), known_ns=int(whole * D(known)),
        estimated=D(0), estimated_ns=0,
    )  # fmt: skip


def test_only_months_that_are_over_and_known_count_towards_a_budget() -> None:
    one, other = {1: month("60"), 2: month("60"), 3: month("60", "0.5")}, {1: month("60"), 3: month("60")}
    used = used_by_month([one, other], now=NOW, least_known=D("0.95"))
    assert used == {1: 120}
    assert used_by_month([one, other], now=0, least_known=D("0.95")) == {}
    assert used_by_month([], now=NOW, least_known=D("0.95")) == {}
    assert budget_sign("s", BUDGET, used, NOW).measured.value == 120
    assert budget_sign("s", BUDGET, {}, NOW).measured.value is None


def test_a_budget_of_a_node_that_is_not_there_is_a_mistake_with_its_line(tmp_path: Path) -> None:
    text = (config_dir() / "centre.example.yaml").read_text("utf-8")
    plan = ", ".join(["1"] * 12)
    budget = f"{{id: a, node: moon, carrier: electricity, year: 2026, plan: [{plan}]}}"
    text = text.replace("    region: CN-Chongqing", f"    budgets: [{budget}]\n    region: CN-Chongqing", 1)
    (tmp_path / "centre.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"centre\.yaml:\d+: plants\.0\.budgets\.0\.node: moon is no node of the tree"
    ):
        load_setup(tmp_path / "centre.yaml")
