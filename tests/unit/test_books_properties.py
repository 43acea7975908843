"""What must hold of the formulas of the books for any figures, where the tests beside each vector do not say it."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random

from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from centre.accounting.emissions import Activity, Purchases, Source, scope1, scope2
from centre.accounting.intensity import BaseYear, Intensity, intensity, progress
from centre.accounting.leak import night_flow
from centre.accounting.metered import Amount
from centre.accounting.power_factor import adjustment, power_factor
from centre.accounting.rate_tables_file import load_power_factors
from centre.accounting.restatement import compare
from centre.accounting.storage import Battery, losses, own_use
from centre.accounting.terms import Total
from centre.accounting.utilities import NORMAL, TRADE, at_reference, specific_power
from support.books_factors import DAY, book, given
from wattline.resources import config_dir

D = Decimal
FEW = settings(max_examples=40, deadline=None)
CARBON = book("carbon-inventory")
TABLES = load_power_factors(config_dir() / "power-factor.yaml")
QUARTER = 900 * 10**9
AMOUNT = st.integers(0, 10_000_000).map(lambda number: Decimal(number) / 1000)
SOME = st.integers(1, 10_000_000).map(lambda number: Decimal(number) / 1000)
FUELS = {"diesel": "t", "gasoline": "t", "natural_gas": "m3"}
LEAST = D("1E-9")


def value(found: Total) -> Decimal:
    assert found.value is not None
    return found.value


@FEW
@hypothesis_given(st.sampled_from(sorted(TABLES)), AMOUNT, AMOUNT, AMOUNT)
def test_f8_more_reactive_energy_is_never_a_better_power_factor_nor_a_lower_bill(
    standard: Decimal, active: Decimal, reactive: Decimal, more: Decimal
) -> None:
    active += 1
    good, bad = (power_factor(active, each) for each in (reactive, reactive + more))
    assert good is not None
    assert bad is not None
    assert 0 <= bad <= good <= 1
    low, high = (
        adjustment(TABLES[standard], active_kwh=active, reactive_kvarh=each, charges=D(145_000), funds=D(2_700)).amount
        for each in (reactive, reactive + more)
    )
    assert low is not None
    assert high is not None
    assert low <= high


@FEW
@hypothesis_given(SOME, AMOUNT, st.integers(1, 1000))
def test_f8_a_power_factor_is_of_the_ratio_and_not_of_the_size(active: Decimal, reactive: Decimal, times: int) -> None:
    assert power_factor(active, reactive) == power_factor(active * times, reactive * times)


def quarters(amounts: list[Decimal | None]) -> list[Amount]:
    return [Amount(start=at * QUARTER, end=(at + 1) * QUARTER, amount=amount) for at, amount in enumerate(amounts)]


@FEW
@hypothesis_given(st.lists(AMOUNT | st.none(), min_size=1, max_size=10), st.randoms(), st.integers(1, 9))
def test_f11_a_night_is_the_same_in_any_order_and_scales_with_its_flow(
    amounts: list[Decimal | None], random: Random, times: int
) -> None:
    found = night_flow(date(2026, 3, 1), quarters(amounts), start=0, end=10 * QUARTER)
    mixed = quarters(amounts)
    random.shuffle(mixed)
    assert night_flow(date(2026, 3, 1), mixed, start=0, end=10 * QUARTER) == found
    louder = quarters([None if amount is None else amount * times for amount in amounts])
    again = night_flow(date(2026, 3, 1), louder, start=0, end=10 * QUARTER)
    assert again.start == found.start
    if found.flow is not None and again.flow is not None:
        assert again.flow == found.flow * times
        assert found.flow <= 4 * max(amount for amount in amounts if amount is not None)


def made(energy: Decimal, output: Decimal, year: int = 2026) -> Intensity:
    return intensity(year=year, numerator=given(energy, "tce"), denominator=given(output, "t"), boundary="plant/1")


@FEW
@hypothesis_given(SOME, AMOUNT, SOME, AMOUNT, st.integers(1, 1000))
def test_f13_progress_is_nothing_against_itself_and_falls_as_less_is_used(
    base: Decimal, now: Decimal, output: Decimal, saved: Decimal, times: int
) -> None:
    against = BaseYear(intensity=made(base, output, 2020))
    assert progress(against, made(base * times, output * times)).change == 0
    saved = min(saved, now)
    less, more = (progress(against, made(used, output)).change for used in (now - saved, now))
    assert less is not None
    assert more is not None
    assert -1 <= less <= more


ACTIVITY = st.tuples(st.sampled_from(sorted(FUELS)), AMOUNT)


def burnt(fuels: list[tuple[str, Decimal]]) -> list[Activity]:
    return [
        Activity(label=f"{place}", source=Source.COMBUSTION, carrier=fuel, amount=given(amount, FUELS[fuel]))
        for place, (fuel, amount) in enumerate(fuels)
    ]


@FEW
@hypothesis_given(st.lists(ACTIVITY, min_size=1, max_size=4), st.randoms())
def test_f14_scope_1_is_the_sum_of_its_fuels_in_any_order_and_of_each_fuel_in_any_portions(
    fuels: list[tuple[str, Decimal]], random: Random
) -> None:
    whole = value(scope1(burnt(fuels), CARBON, DAY))
    mixed = burnt(fuels)
    random.shuffle(mixed)
    assert value(scope1(mixed, CARBON, DAY)) == whole
    halves = [(fuel, amount / 2) for fuel, amount in fuels for _ in range(2)]
    assert abs(value(scope1(burnt(halves), CARBON, DAY)) - whole) <= len(halves) * LEAST
    assert value(scope1(burnt([*fuels, ("diesel", D(1))]), CARBON, DAY)) > whole >= 0


@FEW
@hypothesis_given(AMOUNT, AMOUNT, AMOUNT)
def test_f14_scope_2_by_location_knows_only_what_was_consumed(
    bought: Decimal, resold: Decimal, retired: Decimal
) -> None:
    resold = min(resold, bought)
    whole = Purchases(electricity=given(bought, "MWh"), resold=given(resold, "MWh"))
    net = Purchases(electricity=given(bought - resold, "MWh"), resold=given(0, "MWh"))
    found = scope2(whole, CARBON, DAY).location
    assert value(found) == value(scope2(net, CARBON, DAY).location)
    certified = scope2(replace(whole, retired=given(int(retired), "GEC")), CARBON, DAY).location
    assert value(certified) == value(found)


@FEW
@hypothesis_given(AMOUNT)
def test_v16_a_total_beside_itself_is_no_change(amount: Decimal) -> None:
    found = scope1(burnt([("diesel", amount)]), CARBON, DAY)
    beside = compare(found, found)
    assert (beside.difference, beside.changed) == (0, ())


@FEW
@hypothesis_given(AMOUNT)
def test_f17_a_volume_of_gas_comes_back_from_other_conditions(volume: Decimal) -> None:
    there = at_reference(given(volume, "m3"), TRADE, NORMAL)
    back = at_reference(there, NORMAL, TRADE)
    assert there.value is not None
    assert back.value is not None
    assert there.value <= volume
    assert abs(back.value - volume) <= 2 * LEAST


@FEW
@hypothesis_given(AMOUNT, SOME, AMOUNT)
def test_f17_air_that_took_more_electricity_is_never_the_better(power: Decimal, air: Decimal, more: Decimal) -> None:
    low, high = (
        specific_power("air", given(kwh, "kWh"), given(air, "m3"), stated=NORMAL, wanted=TRADE).value
        for kwh in (power, power + more)
    )
    assert low is not None
    assert high is not None
    assert 0 <= low <= high


@FEW
@hypothesis_given(AMOUNT, AMOUNT, AMOUNT, SOME)
def test_f20_what_was_charged_is_given_back_stored_or_lost_and_own_use_is_a_share(
    charged: Decimal, discharged: Decimal, stored: Decimal, generated: Decimal
) -> None:
    found = losses(
        Battery(charged=given(charged, "kWh"), discharged=given(discharged, "kWh"), stored=given(stored, "kWh"))
    )
    assert found.loss is not None
    assert charged == discharged + stored + found.loss
    sent = min(charged, generated)
    used = own_use(given(generated, "kWh"), given(sent, "kWh"), given(generated + stored, "kWh"))
    assert used.self_use.value is not None
    assert used.self_sufficiency.value is not None
    assert 0 <= used.self_sufficiency.value <= used.self_use.value <= 1
