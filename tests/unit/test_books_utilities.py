"""Steam, gas, air, CHP, batteries and transfers inside a park."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from centre.accounting.chp import MORE_THAN_THE_FUEL, NOTHING_MADE, Chp, Method, split
from centre.accounting.emissions import Purchases, scope2
from centre.accounting.if97 import OutsideIF97, State, absolute, enthalpy
from centre.accounting.ratios import NOTHING_TO_DIVIDE_BY, efficiency
from centre.accounting.storage import NOTHING_DISCHARGED, Battery, discharged_carbon, losses, own_use
from centre.accounting.transfers import Transfer, park_total, with_transfers
from centre.accounting.utilities import BELOW_FEED, NORMAL, TRADE, at_reference, specific_power, steam_heat
from support.books_factors import DAY, book, given

D = Decimal
SOME = st.integers(0, 1_000_000).map(lambda number: Decimal(number) / 100)
MORE = st.integers(1, 1_000_000).map(lambda number: Decimal(number) / 100)


def test_v13_saturated_steam_by_enthalpy_and_its_carbon() -> None:
    found = steam_heat("steam", given(100, "t"), enthalpy=D(2768), feed=D("83.9"))
    assert (found.value, found.unit) == (D("268.41"), "GJ")
    bought = Purchases(electricity=given(0, "kWh"), resold=given(0, "kWh"), heat=[given(found.value, "GJ")])
    carbon = scope2(bought, book("carbon-inventory"), DAY).location.value
    assert carbon is not None
    assert round(carbon, 2) == D("29.53")


@pytest.mark.parametrize(
    ("pressure", "temperature", "expected"),
    [  # verification values of IAPWS R7-97, tables 5, 15 and 33, at 0.01 kJ/kg
        ("3", "26.85", "115.33"),
        ("80", "26.85", "184.14"),
        ("3", "226.85", "975.54"),
        ("0.0035", "26.85", "2549.91"),
        ("0.0035", "426.85", "3335.68"),
        ("30", "426.85", "2631.49"),
        ("25.5837018", "376.85", "1863.43"),
    ],
)
def test_enthalpy_is_that_of_the_formulations_own_tables(pressure: str, temperature: str, expected: str) -> None:
    assert enthalpy(State(pressure_mpa=D(pressure), temperature_c=D(temperature))) == D(expected)


def test_saturated_steam_at_eight_bar_is_the_vectors_enthalpy() -> None:
    assert enthalpy(State(pressure_mpa=D("0.8"))) == D("2768.30")
    assert enthalpy(State(pressure_mpa=D("0.8"), dryness=D(0))) == D("721.02")
    assert absolute(D("0.7"), D("0.098")) == D("0.798")


@pytest.mark.parametrize(
    "state",
    [
        State(pressure_mpa=D(23)),
        State(pressure_mpa=D(0)),
        State(pressure_mpa=D(1), dryness=D("1.1")),
        State(pressure_mpa=D(101), temperature_c=D(20)),
        State(pressure_mpa=D(1), temperature_c=D(801)),
    ],
)
def test_a_state_outside_the_formulation_is_refused(state: State) -> None:
    with pytest.raises(OutsideIF97):
        enthalpy(state)


def test_steam_of_unknown_mass_or_below_its_feed_water_has_a_reason() -> None:
    assert steam_heat("s", given(None, "t"), enthalpy=D(2768), feed=D(84)).reason == "no_quantity"
    assert steam_heat("s", given(1, "t"), enthalpy=D(83), feed=D(84)).reason == BELOW_FEED


@hypothesis_given(mass=SOME, more=SOME, hotter=SOME)
def test_heat_of_steam_grows_with_mass_and_enthalpy(mass: Decimal, more: Decimal, hotter: Decimal) -> None:
    def heat(mass: Decimal, enthalpy: Decimal) -> Decimal:
        found = steam_heat("s", given(mass, "t"), enthalpy=enthalpy, feed=D(84)).value
        assert found is not None
        return found

    base = heat(mass, D(2700))
    assert base <= heat(mass + more, D(2700))
    assert base <= heat(mass, D(2700) + hotter)
    assert heat(mass, D(2700)) + heat(more, D(2700)) == heat(mass + more, D(2700))


def test_a_cubic_metre_of_trade_gas_is_less_at_normal_conditions() -> None:
    found = at_reference(given(1, "m3", "gas"), TRADE, NORMAL)
    assert (found.value, found.id) == (D("0.931775542"), "gas at 0 C, 101.325 kPa")
    assert at_reference(given(1, "m3"), TRADE, TRADE).value == 1


def test_specific_power_of_air_states_its_reference() -> None:
    found = specific_power("air", given(110, "kWh"), given(1000, "m3"), stated=TRADE, wanted=TRADE)
    assert (found.value, found.unit) == (D("0.11"), "kWh/m3 (20 C, 101.325 kPa)")


def test_efficiency_takes_any_units_of_energy_and_says_when_there_is_none() -> None:
    assert efficiency("boiler", given("0.9", "GJ"), given(1000, "MJ")).value == D("0.9")
    assert efficiency("cop", given(12, "kWh"), given(3, "kWh")).value == 4
    assert efficiency("cop", given(12, "kWh"), given(0, "kWh")).reason == NOTHING_TO_DIVIDE_BY
    assert efficiency("cop", given(None, "kWh"), given(0, "kWh")).reason == "form/1: no_quantity"


PLANT = Chp(
    fuel=given(1000, "GJ"), heat=given(450, "GJ"), power=given("83.3333333333", "MWh"), boiler_efficiency=D("0.9"),
    supply_c=D(120), ambient_c=D(20),
)  # fmt: skip


def test_the_three_ways_to_split_chp_give_different_shares_of_heat() -> None:
    fuel = given(1000, "GJ")
    shares = [split(PLANT, fuel, method).share for method in Method]
    assert [round(share, 3) for share in shares if share is not None] == [D("0.600"), D("0.500"), D("0.276")]


@hypothesis_given(heat=SOME, power=SOME, carbon=SOME, method=st.sampled_from(Method))
def test_heat_and_power_add_up_to_what_was_split(
    heat: Decimal, power: Decimal, carbon: Decimal, method: Method
) -> None:
    plant = replace(PLANT, heat=given(heat, "GJ"), power=given(power, "MWh"), fuel=given(100_000, "GJ"))
    found = split(plant, given(carbon, "tCO2"), method)
    if heat + power == 0:
        assert found.reason == NOTHING_MADE
        return
    assert found.heat is not None
    assert found.power is not None
    assert found.heat + found.power == carbon
    assert 0 <= found.heat <= carbon


def test_a_split_that_cannot_be_made_says_why() -> None:
    small = replace(PLANT, fuel=given(400, "GJ"))
    assert split(small, given(1, "t"), Method.REFERENCE_BOILER).reason == MORE_THAN_THE_FUEL
    blind = replace(PLANT, boiler_efficiency=None, supply_c=None)
    assert split(blind, given(1, "t"), Method.REFERENCE_BOILER).reason == "no_parameter: boiler_efficiency"
    assert split(blind, given(1, "t"), Method.EXERGY).reason == "no_parameter: supply_c above ambient_c"
    assert split(replace(PLANT, heat=given(None, "GJ")), given(1, "t"), Method.ENERGY).reason == "form/1: no_quantity"


def battery(charged: str | Decimal, discharged: str | Decimal, stored: str | Decimal) -> Battery:
    return Battery(charged=given(charged, "kWh"), discharged=given(discharged, "kWh"), stored=given(stored, "kWh"))


def test_a_battery_loses_what_it_neither_gives_back_nor_keeps() -> None:
    found = losses(battery("1000", "810", "100"))
    assert (found.loss, found.efficiency) == (D(90), D("0.9"))
    carbon = discharged_carbon(battery("1000", "810", "100"), given(500, "kg"))
    assert (carbon.per_kwh, carbon.discharged_kg, carbon.stored_kg) == (D("0.555555556"), D(450), D(50))
    assert discharged_carbon(battery("1000", "0", "900"), given(500, "kg")).reason == NOTHING_DISCHARGED
    assert losses(replace(battery("1", "1", "0"), stored=given(None, "kWh", "soc"))).reason == "soc: no_quantity"


@hypothesis_given(charged=MORE, discharged=MORE, stored=SOME, carbon=SOME)
def test_the_carbon_of_charging_is_given_back_or_still_stored(
    charged: Decimal, discharged: Decimal, stored: Decimal, carbon: Decimal
) -> None:
    found = discharged_carbon(battery(charged, discharged, stored), given(carbon, "kg"))
    assert found.discharged_kg is not None
    assert found.stored_kg is not None
    assert found.discharged_kg + found.stored_kg == carbon
    lost = losses(battery(charged, discharged, stored)).loss
    assert lost is not None
    assert lost + discharged + stored == charged


def test_own_generation_is_used_on_the_site_or_exported() -> None:
    found = own_use(given(200, "MWh"), given(50, "MWh"), given(600, "MWh"))
    assert (found.used.value, found.self_use.value, found.self_sufficiency.value) == (150_000, D("0.75"), D("0.25"))
    night = own_use(given(0, "MWh"), given(0, "MWh"), given(600, "MWh"))
    assert (night.self_use.value, night.self_use.reason) == (None, NOTHING_TO_DIVIDE_BY)
    assert own_use(given(1, "MWh"), given(None, "MWh"), given(1, "MWh")).used.reason == "no_quantity"


def test_a_park_counts_once_what_its_firms_pass_to_each_other() -> None:
    firms = {"power": given(1000, "GJ", "power"), "steel": given(700, "GJ", "steel")}
    steam = Transfer(giver="power", taker="steel", amount=given(300, "GJ", "steam"), kg_per_unit=D("95.5"))
    away = Transfer(giver="power", taker="town", amount=given(100, "GJ", "town"))
    found = park_total(firms, [steam, away], "GJ")
    assert (found.total, found.of_firms, found.internal) == (D(1400), D(1700), D(300))
    assert found.transfers == (steam,)
    lost = park_total(firms, [replace(steam, amount=given(None, "GJ", "steam"))], "GJ")
    assert (lost.total, lost.missing) == (None, ("steam",))


def test_carbon_travels_with_the_givers_factor_and_an_unknown_factor_leaves_both_without_figure() -> None:
    own = {"power": given(100_000, "kg", "p"), "steel": given(5_000, "kg", "s"), "mill": given(1, "kg", "m")}
    steam = Transfer(giver="power", taker="steel", amount=given(300, "GJ", "steam"), kg_per_unit=D("95.5"))
    found = with_transfers(own, [steam])
    assert {firm: item.value for firm, item in found.items()} == {"power": 71_350, "steel": 33_650, "mill": 1}
    lost = with_transfers(own, [replace(steam, kg_per_unit=None)])
    assert [lost[firm].value for firm in ("power", "steel", "mill")] == [None, None, 1]


FIRMS = st.sampled_from(["a", "b", "c", "d"])
MOVES = st.lists(st.tuples(FIRMS, FIRMS, SOME, SOME), max_size=8)


@hypothesis_given(moves=MOVES, own=st.lists(SOME, min_size=4, max_size=4))
def test_transfers_neither_make_nor_lose_carbon_in_any_order(
    moves: list[tuple[str, str, Decimal, Decimal]], own: list[Decimal]
) -> None:
    members = {firm: given(kg, "kg", firm) for firm, kg in zip("abcd", own, strict=True)}
    transfers = [
        Transfer(giver=giver, taker=taker, amount=given(amount, "GJ"), kg_per_unit=factor)
        for giver, taker, amount, factor in moves
    ]
    found = with_transfers(members, transfers)
    assert sum(item.value or D(0) for item in found.values()) == sum(own)
    assert with_transfers(members, transfers[::-1]) == found
