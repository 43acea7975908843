"""A month's bill, its reconciliation with the utility's, and the same month under another tariff."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.basic_charge import Contract, Method
from centre.accounting.bill import Bill, LineKind, Section, Usage
from centre.accounting.billing import bill
from centre.accounting.demand import Demand, DemandKind
from centre.accounting.exact import rounded
from centre.accounting.metered import Amount
from centre.accounting.rate_tables_file import load_power_factors
from centre.accounting.reconcile import Match, reconcile
from centre.accounting.stated_bill import Stated, stated_of
from centre.accounting.surcharge import Surcharge
from centre.accounting.tariff_file import load_tariff
from centre.accounting.what_if import what_if
from wattline.errors import ConfigError
from wattline.resources import config_dir

TARIFF = load_tariff(config_dir() / "tariffs" / "chongqing-industry-example.yaml")
TABLES = load_power_factors(config_dir() / "power-factor.yaml")
ZONE = ZoneInfo("Asia/Shanghai")
NS = 10**9
HOUR = 3600 * NS
START = int(datetime(2026, 3, 4, tzinfo=ZONE).timestamp()) * NS
DAY = Usage(
    zone=ZONE,
    start=START,
    end=START + 24 * HOUR,
    intervals=[Amount(start=START + n * HOUR, end=START + (n + 1) * HOUR, amount=Decimal(100)) for n in range(24)],
    contract=Contract(method=Method.CONTRACT, contract_kw=Decimal(200)),
    demand=Demand(kw=Decimal(180), start=START, end=START + HOUR // 4, kind=DemandKind.METER),
    reactive_kvarh=Decimal(1440),
)


def amounts(found: Bill) -> dict[str, str]:
    return {line.id: str(line.amount) for line in found.lines}


def test_a_day_of_the_example_tariff_by_hand() -> None:
    found = bill(DAY, TARIFF, TABLES)
    # 8 h valley, 8 h peak, 8 h flat of 100 kWh each; cos phi 0.86
    assert amounts(found) == {
        "agency_purchase": "953.60",
        "transmission": "314.72",
        "line_loss": "44.40",
        "system_operation": "74.88",
        "government_funds": "64.80",
        "basic_charge": "7220.00",
        "power_factor_adjustment": "172.15",
    }
    assert found.total == Decimal("8844.55")
    assert (found.missing_ns, found.confirmed, found.versions) == (0, False, ("chongqing-industry-example/2025-01-01",))
    assert found.adjustment is not None
    assert (found.adjustment.base, found.adjustment.percent) == (Decimal("8607.60"), Decimal("2.0"))


def test_an_item_is_rounded_once_at_its_end_not_band_by_band() -> None:
    third = [replace(i, amount=Decimal("0.333")) for i in DAY.intervals if isinstance(i, Amount)]
    line = bill(replace(DAY, intervals=third), TARIFF, TABLES).lines[0]
    assert line.amount == Decimal("3.18")
    assert sum(rounded(part.amount) for part in line.parts) == Decimal("3.17")
    assert [part.key for part in line.parts] == [
        "agency_purchase.flat",
        "agency_purchase.peak",
        "agency_purchase.valley",
    ]


def test_what_is_missing_is_told_and_nothing_known_is_no_bill_of_0() -> None:
    found = bill(replace(DAY, intervals=DAY.intervals[:20]), TARIFF, TABLES)
    assert (found.missing_ns, found.energy_kwh) == (4 * HOUR, Decimal(2000))
    none = bill(replace(DAY, intervals=[], demand=None), TARIFF, TABLES)
    assert none.total is None
    assert {line.id: line.reason for line in none.lines} == {
        "agency_purchase": "no_intervals",
        "transmission": "no_intervals",
        "line_loss": "no_intervals",
        "system_operation": "no_intervals",
        "government_funds": "no_intervals",
        "basic_charge": "no_demand",
        "power_factor_adjustment": "base_not_known",
    }
    assert bill(replace(DAY, reactive_kvarh=None), TARIFF, TABLES).lines[-1].reason == "no_reactive_energy"
    assert bill(DAY, TARIFF, {}).lines[-1].reason == "no_power_factor_table"


def test_before_the_tariff_begins_there_is_no_line_and_no_total() -> None:
    early = int(datetime(2024, 12, 1, tzinfo=ZONE).timestamp()) * NS
    found = bill(replace(DAY, start=early, end=early + HOUR, intervals=[]), TARIFF, TABLES)
    assert (found.lines, found.total, found.missing_ns) == ((), None, HOUR)


def test_a_surcharge_is_a_line_outside_the_base_of_the_adjustment() -> None:
    surcharge = Surcharge(
        row="step",
        name={"en": "Step", "zh": "阶梯"},
        source="notice",
        confirmed=True,
        energy_kwh=Decimal(2400),
        price=Decimal("0.02"),
        amount=Decimal("48.00"),
        steps=2,
        reason=None,
    )
    plain, more = bill(DAY, TARIFF, TABLES), bill(replace(DAY, surcharges=[surcharge]), TARIFF, TABLES)
    assert plain.total is not None
    assert more.total == plain.total + 48
    assert more.lines[-1].kind is LineKind.SURCHARGE


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.none() | st.decimals(0, 5000, places=3), min_size=24, max_size=24),
    st.permutations(range(24)),
)
def test_the_lines_add_up_the_bands_hold_all_energy_and_order_is_nothing(
    values: list[Decimal | None], order: list[int]
) -> None:
    intervals = [Amount(start=START + n * HOUR, end=START + (n + 1) * HOUR, amount=v) for n, v in enumerate(values)]
    found = bill(replace(DAY, intervals=intervals), TARIFF, TABLES)
    assert bill(replace(DAY, intervals=[intervals[n] for n in order]), TARIFF, TABLES) == found
    assert found.energy_kwh == sum(v for v in values if v is not None)
    for line in found.lines:
        if line.kind is LineKind.ENERGY and line.amount is not None:
            assert line.quantity == found.energy_kwh
    if found.total is not None:
        assert found.total == sum(line.amount for line in found.lines if line.amount is not None)


def stated(found: Bill) -> list[Stated]:
    return [
        Stated(item=line.id, quantity=line.quantity, price=line.price, amount=line.amount)
        for line in found.lines
        if line.amount is not None
    ]


def test_the_same_bill_agrees_line_by_line() -> None:
    ours = bill(DAY, TARIFF, TABLES)
    found = reconcile(ours, stated(ours))
    assert found.agrees
    assert found.total == 0


def test_what_differs_is_told_by_quantity_price_and_amount() -> None:
    ours = bill(DAY, TARIFF, TABLES)
    theirs = stated_of(
        [
            "item,quantity,price,amount\n",
            "agency_purchase.peak,800,0.6400,512.00\n",
            "agency_purchase.flat,810,0.4000,324.00\n",
            "agency_purchase.valley,800,0.1520,121.60\n",
            "line_loss,2400,0.0190,45.60\n",
            "late_fee,,,10.00\n",
        ],
        "bill.csv",
    )
    found = {line.item: line for line in reconcile(ours, theirs).lines}
    assert found["agency_purchase.peak"].match is Match.AGREES
    assert (found["agency_purchase.flat"].quantity, found["agency_purchase.flat"].amount) == (
        Decimal(10),
        Decimal("4.00"),
    )
    assert (found["line_loss"].price, found["line_loss"].amount) == (Decimal("0.0005"), Decimal("1.20"))
    assert found["late_fee"].match is Match.ONLY_THEIRS
    assert found["transmission"].match is Match.ONLY_OURS


@settings(max_examples=40, deadline=None)
@given(st.lists(st.decimals(-100, 100, places=2), min_size=7, max_size=7))
def test_the_differences_of_the_lines_add_up_to_that_of_the_totals(changes: list[Decimal]) -> None:
    ours = bill(DAY, TARIFF, TABLES)
    theirs = [replace(row, amount=row.amount + d) for row, d in zip(stated(ours), changes, strict=True)]
    found = reconcile(ours, theirs)
    assert found.total == sum(changes)
    assert sum(line.amount for line in found.lines if line.amount is not None) == found.total


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["item,amount\n"], "b.csv:1: the columns must be"),
        (["item,quantity,price,amount\n", "a,1,2\n"], "b.csv:2: must have 4 columns"),
        (["item,quantity,price,amount\n", "a,1,x,3\n"], "b.csv:2: price: must be a plain number"),
        (["item,quantity,price,amount\n", "a,1,2,nan\n"], "b.csv:2: amount: must be a plain number"),
        (["item,quantity,price,amount\n", "a,1,2,\n"], "b.csv:2: amount: is missing"),
        (["item,quantity,price,amount\n", ",1,2,3\n"], "b.csv:2: item: is missing"),
        (["item,quantity,price,amount\n", "a,1,2,3\n", "a,1,2,3\n"], "b.csv:3: item: a stands here a second time"),
    ],
)
def test_a_mistake_in_the_utilitys_bill_names_file_line_and_column(lines: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stated_of(lines, "b.csv")
    assert message in str(caught.value)


def test_what_the_same_day_would_cost_by_capacity() -> None:
    other = replace(DAY, contract=Contract(method=Method.CAPACITY, capacity_kva=Decimal(400)))
    found = what_if(bill(DAY, TARIFF, TABLES), bill(other, TARIFF, TABLES))
    assert found.saving == Decimal("7220.00") - Decimal("9040.00") - Decimal("36.40")


def split(usage: Usage, *days: int, contracts: Sequence[Contract | None] = ()) -> Usage:
    """The usage cut at the beginning of some of its days; each section with its contract, or that of all."""
    cuts = [usage.start, *(usage.start + day * 24 * HOUR for day in days), usage.end]
    sections = [
        Section(
            start=begin, end=end, meters=(f"incomer-{place}",), demand=usage.demand,
            contract=contracts[place] if contracts else usage.contract,
        )
        for place, (begin, end) in enumerate(pairwise(cuts))
    ]  # fmt: skip
    return replace(usage, sections=sections)


def of_days(days: int, energies: Sequence[int]) -> Usage:
    return replace(
        DAY, end=START + days * 24 * HOUR,
        intervals=[
            Amount(start=START + n * HOUR, end=START + (n + 1) * HOUR, amount=Decimal(energies[n % len(energies)]))
            for n in range(days * 24)
        ],
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=30),
    st.integers(2, 10).flatmap(lambda days: st.tuples(st.just(days), st.sets(st.integers(1, days - 1), min_size=1))),
)
def test_a_meter_that_is_changed_changes_no_line_and_splits_each_by_date(
    energies: list[int], cut: tuple[int, set[int]]
) -> None:
    usage = of_days(cut[0], energies)
    whole, parts = bill(usage, TARIFF, TABLES), bill(split(usage, *sorted(cut[1])), TARIFF, TABLES)
    assert amounts(parts) == amounts(whole)
    assert (parts.total, parts.energy_kwh, parts.missing_ns) == (whole.total, whole.energy_kwh, whole.missing_ns)
    assert parts.basic == whole.basic
    assert [section.meters for section in parts.sections] == [(f"incomer-{n}",) for n in range(len(cut[1]) + 1)]
    for line, plain in zip(parts.lines, whole.lines, strict=True):
        if line.kind is LineKind.ENERGY:
            assert len({part.since for part in line.parts}) == len(cut[1]) + 1
            assert sum(part.quantity for part in line.parts) == plain.quantity
            assert sum(part.amount for part in line.parts) == sum(part.amount for part in plain.parts)


def test_a_contract_that_changes_is_charged_by_days_each_share_rounded() -> None:
    usage = of_days(9, [100])
    old, new = (Contract(method=Method.CONTRACT, contract_kw=Decimal(kw)) for kw in (200, 400))
    found = bill(split(usage, 2, contracts=[old, new]), TARIFF, TABLES)
    line = next(line for line in found.lines if line.id == "basic_charge")
    price = line.parts[0].price
    shares = [rounded(Fraction(kw) * Fraction(price) * Fraction(days, 9)) for kw, days in ((200, 2), (400, 7))]
    assert line.amount == sum(shares)
    assert [(part.since, part.share) for part in line.parts] == [
        ("2026-03-04", Fraction(2, 9)), ("2026-03-06", Fraction(7, 9)),
    ]  # fmt: skip
    assert (line.quantity, line.price, found.basic) == (None, None, None)
    assert found.total == sum(line.amount for line in found.lines if line.amount is not None)
    same = bill(split(usage, 2, contracts=[old, old]), TARIFF, TABLES)
    assert amounts(same)["basic_charge"] == str(rounded(200 * Fraction(price)))


def test_a_split_bill_is_reconciled_line_by_line_and_since_each_day() -> None:
    ours = bill(split(of_days(4, [100, 150]), 1), TARIFF, TABLES)
    theirs: list[Stated] = []
    for line in ours.lines:
        if line.kind is LineKind.ENERGY and line.id != "transmission":
            for since in dict.fromkeys(part.since for part in line.parts):
                of = [part for part in line.parts if part.since == since]
                theirs.append(
                    Stated(
                        item=f"{line.id}@{since}", quantity=sum((part.quantity for part in of), Decimal(0)), price=None,
                        amount=rounded(sum((part.amount for part in of), Fraction(0))),
                    )
                )  # fmt: skip
        elif line.id == "transmission":
            theirs += [
                Stated(item=f"{part.key}@{part.since}", quantity=part.quantity, price=part.price,
                       amount=rounded(part.amount))
                for part in line.parts
            ]  # fmt: skip
        else:
            theirs.append(Stated(item=line.id, quantity=None, price=None, amount=line.amount or Decimal(0)))
    assert reconcile(ours, theirs).agrees
    wrong = [replace(row, amount=row.amount + 1) if row.item == "line_loss@2026-03-05" else row for row in theirs]
    differing = [line for line in reconcile(ours, wrong).lines if line.match is not Match.AGREES]
    assert [(line.item, line.amount) for line in differing] == [("line_loss@2026-03-05", 1)]
