"""An incomer that is another device since mid-month, and own power whose certificates were sold, in a statement."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from centre.accounting.basic_charge import Contract, Method
from centre.accounting.zones import day_bounds
from centre.carriers import Flow
from centre.day import place_of
from centre.entities_tree import MeterSpan
from centre.membership import Membership
from centre.plant import Meter
from centre.plant_terms import DatedContract
from centre.report.monthly import monthly
from centre.statement import statement
from centre.statement_told import Told
from centre.trace import Rule, Trace, check
from centre.trace_build import Builder
from centre.trace_cost import cost
from support.moved_plant import (
    DATES,
    MONTH,
    MOVED,
    NEW,
    PLANT,
    POWER,
    STOOD,
    SUN,
    ZONE,
    made,
    record,
    records,
    rules,
    unpriced,
)


def test_a_bill_takes_each_meter_for_the_days_it_stood_there() -> None:
    found = made()
    [bill] = found.bills
    assert bill.energy_kwh == 96 * (10 * 50 + 21 * 80)
    assert bill.missing_ns == 0
    assert [section.meters for section in bill.sections] == [("old",), ("new",)]
    agency = bill.lines[0]
    since = [
        sum(part.quantity for part in agency.parts if part.since == day) for day in ("2026-03-01", MOVED.isoformat())
    ]
    assert since == [96 * 10 * 50, 96 * 21 * 80]
    line = found.nodes[0].line(POWER)
    assert line is not None
    assert line.net.value == bill.energy_kwh
    table = next(table for table in monthly(found).tables if table.key == "bill_sections")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert {(row["since"], row["device"]) for row in rows} == {("2026-03-01", "old"), ("2026-03-11", "new")}


def test_the_trace_of_a_bill_that_is_split_adds_up_and_names_both_meters() -> None:
    contracts = [
        DatedContract(contract=Contract(method=Method.CONTRACT, contract_kw=Decimal(300)), valid_to=date(2026, 3, 20)),
        DatedContract(
            contract=Contract(method=Method.CONTRACT, contract_kw=Decimal(500)), valid_from=date(2026, 3, 21)
        ),
    ]
    terms = replace(rules().terms, contracts=tuple(contracts))
    given = replace(rules(), terms=terms)
    found = made(given=given)
    [bill] = found.bills
    assert [section.start for section in bill.sections] == [
        day_bounds(day, ZONE)[0] for day in (MONTH.first, MOVED, date(2026, 3, 21))
    ]
    build = Builder(plant=PLANT, made=found, records=records(), membership=STOOD)
    trace = Trace(root=cost(build, given), steps=build.steps)
    assert check(trace) == ()
    told = " ".join(step.id for step in trace.steps.values() if step.rule is Rule.SUM)
    assert "meter:s/old/" in told
    assert "meter:s/new/" in told
    basic = next(line for line in bill.lines if line.id == "basic_charge")
    assert [part.share for part in basic.parts if part.key == "basic_charge"] == [
        pytest.approx(20 / 31), pytest.approx(11 / 31)
    ]  # fmt: skip


@pytest.mark.parametrize("at", ["hall", "plant"])
@pytest.mark.parametrize(("fed", "sold"), [(15, 0), (20, 0), (26, 6)])
def test_power_that_a_plant_or_a_part_of_it_makes_and_feeds_out_is_not_deducted_from_what_was_bought(
    at: str, fed: int, sold: int
) -> None:
    out = Meter(device="out", carrier=POWER, flow=Flow.EXPORT)
    meters = (NEW, out) if at == "hall" else (NEW, out, SUN)
    spans = tuple(MeterSpan(meter=meter, start=date(2026, 1, 1), end=date(2027, 1, 1)) for meter in meters)
    membership = Membership(spans={("plant", POWER): spans})
    tree = replace(PLANT.tree, meters=meters, children=PLANT.tree.children if at == "hall" else ())
    plant, known = replace(PLANT, tree=tree), {**records(), place_of(out): record(out, fed)}
    found = statement(plant, MONTH, known, unpriced(), DATES, software="0", membership=membership)
    (term,) = found.nodes[0].energy.calorific.terms
    quarters = 96 * 31
    assert term.value == Decimal("0.0001229") * quarters * (80 - sold)
    assert term.inputs[3].value == quarters * sold
    build = Builder(plant=plant, made=found, records=known, membership=membership)
    scope2 = found.nodes[0].scope2
    assert scope2.location.value == Decimal("0.0005581") * quarters * (80 - sold)
    assert scope2.market.value == Decimal("0.0006096") * quarters * (80 - sold)
    for name, total in (("tce", found.nodes[0].energy.calorific), ("t", scope2.location), ("m", scope2.market)):
        root = build.total(name, total, found.nodes[0])
        assert check(Trace(root=root, steps=build.steps)) == ()


def market(elsewhere: Mapping[tuple[str, str], Sequence[str]], retired: int = 0) -> dict[str, Decimal]:
    ids = tuple(f"r{number}" for number in range(retired))
    told = Told(elsewhere=elsewhere, certificates={("s/plant", "2026-03"): ids})
    found = made(told=told, given=unpriced()).nodes[0].scope2.market
    assert found.value is not None
    return {term.label: term.inputs[0].value or Decimal(0) for term in found.terms} | {"total": found.value}


@pytest.mark.parametrize("plant", ["s", "s/plant", "s/hall", "s/pv"])
def test_own_power_whose_certificates_were_sold_counts_as_bought(plant: str) -> None:
    kept = market({})
    assert "own_renewables_claimed_elsewhere" not in kept
    sold = market({(plant, "2026-03"): ("a", "b", "c")})
    assert sold["own_renewables_claimed_elsewhere"] == 3000
    assert sold["total"] - kept["total"] == 3 * Decimal("0.6096")
    generated = 20 * 96 * 31
    every = market({(plant, "2026-03"): tuple(f"c{number}" for number in range(500))})
    assert every["own_renewables_claimed_elsewhere"] == generated
    assert market({(plant, "2026-02"): ("a",), ("other", "2026-03"): ("b",)}) == kept


def test_certificates_retired_beyond_what_was_bought_cover_own_power_that_was_sold() -> None:
    bought = 96 * (10 * 50 + 21 * 80)
    sold = {("s", "2026-03"): ("a", "b", "c", "d")}
    few, many = market(sold, bought // 1000), market(sold, bought // 1000 + 3)
    assert few["own_renewables_claimed_elsewhere"] == 4000
    assert many["own_renewables_claimed_elsewhere"] == 4000 - (3000 - bought % 1000)


def test_the_trace_of_sold_certificates_adds_up() -> None:
    told = Told(elsewhere={("s/hall", "2026-03"): ("a",)})
    found = made(told=told, given=unpriced())
    build = Builder(plant=PLANT, made=found, records=records(), membership=STOOD)
    for node in found.nodes:
        root = build.total(f"{node.id}/market", node.scope2.market, node)
        assert check(Trace(root=root, steps=build.steps)) == ()
    assert any("claimed_elsewhere:s/plant/2026-03: a" in step.id for step in build.steps.values())
    assert found.nodes[1].scope2.market.terms[-1].inputs[0].value == 1000


def test_the_days_of_a_meter_that_moved_lie_in_the_month() -> None:
    [old, new] = STOOD.within(MONTH).spans["plant", POWER]
    assert (old.start, new.end) == (MONTH.first, MONTH.last + timedelta(days=1))
