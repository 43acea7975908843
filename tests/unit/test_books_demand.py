"""Demand, load factor, the running period's forecast, and the basic charge."""

from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.accounting.basic_charge import Contract, Method, basic_charge
from centre.accounting.demand import (
    Demand,
    DemandKind,
    Outlook,
    fixed_demands,
    forecast,
    load_factor,
    peak,
    sliding_demands,
)
from centre.accounting.metered import Amount
from centre.accounting.tariff import BasicTerms, ExcessBase

MINUTE = 60 * 10**9
QUARTER = 15 * MINUTE
TERMS = BasicTerms(
    per_kva=Decimal("22.6"),
    per_kw=Decimal("36.1"),
    tolerance=Decimal("1.05"),
    excess_factor=Decimal(2),
    excess_base=ExcessBase.CONTRACT,
    floor_share=Decimal("0.4"),
)
energies = st.decimals(0, 10_000, places=3)


def minutes(values: list[Decimal | None], step: int = MINUTE) -> list[Amount]:
    return [Amount(start=n * step, end=(n + 1) * step, amount=value) for n, value in enumerate(values)]


def month(kw: str) -> Demand:
    return Demand(kw=Decimal(kw), start=0, end=QUARTER, kind=DemandKind.METER)


def test_v7_energy_of_a_quarter_hour_as_demand() -> None:
    (found,) = fixed_demands([Amount(start=0, end=QUARTER, amount=Decimal("112.5"))])
    assert (found.kw, found.kind) == (Decimal(450), DemandKind.FIXED)


def test_v7_the_same_energy_minute_by_minute_slides_to_the_same_demand() -> None:
    (found,) = sliding_demands(minutes([Decimal("7.5")] * 15))
    assert (found.kw, found.kind) == (Decimal(450), DemandKind.SLIDING)


def test_a_gap_is_in_no_window_and_an_hour_is_no_demand() -> None:
    values: list[Decimal | None] = [Decimal(1)] * 20
    values[10] = None
    assert sliding_demands(minutes(values)) == ()
    hour = Amount(start=0, end=4 * QUARTER, amount=Decimal(9))
    assert fixed_demands([hour]) == sliding_demands([hour]) == ()
    assert peak([]) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(energies, min_size=30, max_size=90), st.randoms())
def test_the_sliding_peak_is_never_below_the_fixed_one_in_whatever_order_readings_come(
    values: list[Decimal], random: Random
) -> None:
    values = values[: len(values) // 15 * 15]
    blocks = [
        Amount(start=n * QUARTER, end=(n + 1) * QUARTER, amount=sum(values[15 * n : 15 * n + 15], Decimal(0)))
        for n in range(len(values) // 15)
    ]
    one = minutes(list(values))
    shuffled = list(one)
    random.shuffle(shuffled)
    fixed, sliding = peak(fixed_demands(blocks)), peak(sliding_demands(one))
    assert fixed is not None
    assert sliding is not None
    assert sliding.kw >= fixed.kw
    assert sliding_demands(shuffled) == sliding_demands(one)
    for demand in sliding_demands(one):
        inside = sum((i.amount for i in one if demand.start <= i.start < demand.end and i.amount), Decimal(0))
        assert demand.kw == inside * 4


@settings(max_examples=40, deadline=None)
@given(st.lists(energies, min_size=1, max_size=40))
def test_a_load_factor_of_whole_quarters_lies_between_0_and_1(values: list[Decimal]) -> None:
    blocks = minutes(list(values), QUARTER)
    found = load_factor(sum(values, Decimal(0)), start=0, end=len(values) * QUARTER, demand=peak(fixed_demands(blocks)))
    assert found.value is None if not any(values) else found.value is not None and 0 <= found.value <= 1


def test_a_forecast_is_the_energy_so_far_and_the_power_of_now() -> None:
    found = forecast(
        energy_kwh=Decimal(100),
        elapsed_s=600,
        powers_kw=[Decimal(700), Decimal(500), Decimal(600)],
        contract_kw=Decimal(620),
    )
    assert (found.kw, found.low_kw, found.high_kw) == (Decimal(600), Decimal("566.667"), Decimal("633.333"))
    assert found.outlook is Outlook.AT_RISK
    assert (found.allowed_kw, found.shed_kw) == (Decimal(660), Decimal(0))
    tight = forecast(energy_kwh=Decimal(100), elapsed_s=600, powers_kw=[Decimal(600)], contract_kw=Decimal(500))
    assert (tight.outlook, tight.allowed_kw, tight.shed_kw) == (Outlook.WILL_EXCEED, Decimal(300), Decimal(300))
    assert forecast(
        energy_kwh=Decimal(200), elapsed_s=600, powers_kw=[Decimal(0)], contract_kw=Decimal(700)
    ).outlook is (Outlook.EXCEEDED)


def test_without_energy_or_power_there_is_a_reason_and_no_forecast() -> None:
    assert forecast(energy_kwh=None, elapsed_s=1, powers_kw=[Decimal(1)], contract_kw=Decimal(5)).reason == "no_energy"
    found = forecast(energy_kwh=Decimal(1), elapsed_s=1, powers_kw=[], contract_kw=Decimal(5))
    assert (found.reason, found.kw, found.outlook) == ("no_power", None, None)


@settings(max_examples=40, deadline=None)
@given(energies, st.integers(0, 899), st.lists(st.decimals(0, 20000, places=2), min_size=1, max_size=9), energies)
def test_the_forecast_lies_in_its_range_and_the_allowed_power_just_keeps_the_contract(
    energy: Decimal, elapsed: int, powers: list[Decimal], contract: Decimal
) -> None:
    found = forecast(energy_kwh=energy, elapsed_s=elapsed, powers_kw=powers, contract_kw=contract)
    assert found.kw is not None
    assert found.low_kw is not None
    assert found.high_kw is not None
    assert found.allowed_kw is not None
    assert found.low_kw <= found.kw <= found.high_kw
    if found.allowed_kw > 0:
        kept = forecast(energy_kwh=energy, elapsed_s=elapsed, powers_kw=[found.allowed_kw], contract_kw=contract)
        assert kept.kw is not None
        assert abs(kept.kw - contract) <= Decimal("0.002")


@pytest.mark.parametrize(
    ("demand", "base", "amount"),
    [
        ("2050", ExcessBase.CONTRACT, "72200.00"),
        ("2200", ExcessBase.CONTRACT, "79420.00"),
        ("2050", ExcessBase.TOLERANCE, "72200.00"),
        ("2200", ExcessBase.TOLERANCE, "83030.00"),
    ],
)
def test_v8_contract_demand_and_its_variant(demand: str, base: ExcessBase, amount: str) -> None:
    contract = Contract(method=Method.CONTRACT, contract_kw=Decimal(2000))
    found = basic_charge(replace(TERMS, excess_base=base), contract, month(demand))
    assert str(found.amount) == amount


def test_capacity_and_actual_demand_are_quantity_times_price() -> None:
    capacity = Contract(method=Method.CAPACITY, capacity_kva=Decimal(1250))
    assert basic_charge(TERMS, capacity, None).amount == Decimal("28250.00")
    assert basic_charge(TERMS, Contract(method=Method.ACTUAL), month("812.4")).amount == Decimal("29327.64")


def test_a_contract_below_its_floor_is_charged_as_the_floor_and_says_so() -> None:
    found = basic_charge(
        TERMS, Contract(method=Method.CONTRACT, contract_kw=Decimal(300), capacity_kva=Decimal(1000)), month("10")
    )
    assert (found.quantity, found.raised, found.amount) == (Decimal(400), True, Decimal("14440.00"))


@pytest.mark.parametrize(
    ("contract", "reason"),
    [
        (Contract(method=Method.CAPACITY), "no_capacity"),
        (Contract(method=Method.ACTUAL), "no_demand"),
        (Contract(method=Method.CONTRACT), "no_contract"),
        (Contract(method=Method.CONTRACT, contract_kw=Decimal(5)), "no_demand"),
    ],
)
def test_what_is_not_known_is_a_reason_and_never_a_charge_of_0(contract: Contract, reason: str) -> None:
    found = basic_charge(TERMS, contract, None)
    assert (found.amount, found.quantity, found.reason) == (None, None, reason)


@settings(max_examples=40, deadline=None)
@given(
    st.decimals(0, 9000, places=1),
    st.decimals(0, 9000, places=1),
    st.decimals(1, 5000, places=1),
    st.sampled_from(ExcessBase),
)
def test_a_higher_demand_never_costs_less(a: Decimal, b: Decimal, agreed: Decimal, base: ExcessBase) -> None:
    contract = Contract(method=Method.CONTRACT, contract_kw=agreed)
    terms = replace(TERMS, excess_base=base)
    low, high = (basic_charge(terms, contract, month(str(kw))).amount for kw in sorted((a, b)))
    assert low is not None
    assert high is not None
    assert low <= high
