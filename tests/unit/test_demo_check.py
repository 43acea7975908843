"""The demo's verdict: what is counted as lost, doubled or off, and what passes."""

from dataclasses import replace
from decimal import Decimal

import pytest

from drivers.simulation.demo_check import Verdict, judge, report
from drivers.simulation.demo_figures import CarrierCount, Delivery, MeterCount
from wattline.clock import NS

GOOD = Delivery(stopped=True, acquired=1000, dropped=0, stored=1000, ledger_pending=0)
TRUE = {"incomer": 100.0, "pv": 20.0, "line": 3.0, "gas": 5.0}


def meter(
    device: str, flow: str, quantity: str | None, *, carrier: str = "electricity", boundary: bool = True
) -> MeterCount:
    return MeterCount(
        device=device, point="p", carrier=carrier, flow=flow, boundary=boundary, first_ns=0, last_ns=60 * NS, last_value=9.0,
        quantity=None if quantity is None else Decimal(quantity),
    )  # fmt: skip


METERS = (
    meter("incomer", "import", "100.01"),
    meter("pv", "generation", "19.99"),
    meter("line", "import", "2.95", boundary=False),
    meter("gas", "import", "5", carrier="natural_gas"),
)
ELECTRICITY = CarrierCount(
    carrier="electricity", unit="kWh", quantity=Decimal("120.0"), co2_kg=Decimal("55.81"), factor=Decimal("0.5581"), factor_unit="kgCO2/kWh"
)  # fmt: skip
GAS = CarrierCount(
    carrier="natural_gas", unit="m3", quantity=Decimal(5), co2_kg=Decimal("10.8251"), factor=Decimal("21.6502"), factor_unit="tCO2/1e4m3"
)  # fmt: skip


def verdict(
    delivery: Delivery = GOOD,
    carriers: tuple[CarrierCount, ...] = (ELECTRICITY, GAS),
    meters: tuple[MeterCount, ...] = METERS,
) -> Verdict:
    return judge(delivery, carriers, meters, lambda device, a, b: TRUE[device], lambda device, point, value: 0.1)


def test_all_is_well_when_counted_is_true() -> None:
    assert verdict().failures == []
    told = report(verdict())
    assert "all is well" in told
    assert "-1.6667 %" in told  # the line below stands within a step of its register
    assert "each meter below within that and one step of its register" in told


@pytest.mark.parametrize(
    ("delivery", "told"),
    [
        (replace(GOOD, stored=990), "10 readings were lost"),
        (replace(GOOD, dropped=3), "0 readings were lost, 3 dropped"),
        (replace(GOOD, stored=1001), "1 readings are in the store twice"),
        (replace(GOOD, stopped=False), "last word never reached"),
        (replace(GOOD, acquired=0, stored=0), "no reading was acquired"),
    ],
)
def test_a_delivery_that_is_not_whole_fails(delivery: Delivery, told: str) -> None:
    assert any(told in failure for failure in verdict(delivery).failures)
    assert "NOT all is well" in report(verdict(delivery))


@pytest.mark.parametrize(
    ("counted", "told"), [("120.2", "electricity: +0.1667 %"), ("119.8", "electricity: -0.1667 %")]
)
def test_energy_off_by_more_than_a_thousandth_fails(counted: str, told: str) -> None:
    assert any(
        told in line for line in verdict(carriers=(replace(ELECTRICITY, quantity=Decimal(counted)), GAS)).failures
    )


def test_carbon_off_by_more_than_a_thousandth_fails() -> None:
    wrong = replace(ELECTRICITY, co2_kg=Decimal("55.81") * Decimal("1.002"))
    assert any("CO2 of electricity: +0.2" in line for line in verdict(carriers=(wrong, GAS)).failures)


def test_a_figure_that_is_absent_fails() -> None:
    assert (
        "electricity: no figure from the truth" in verdict(carriers=(replace(ELECTRICITY, quantity=None), GAS)).failures
    )
    assert any(
        "CO2 of electricity: no figure" in line
        for line in verdict(carriers=(replace(ELECTRICITY, factor=None), GAS)).failures
    )
    assert any("centre has no figures" in line for line in verdict(carriers=(), meters=()).failures)


def test_a_sub_meter_may_be_off_by_one_step_of_its_register_and_a_boundary_meter_not() -> None:
    off = [replace(METERS[2], quantity=Decimal("2.85")), replace(METERS[0], quantity=Decimal("100.15"))]
    failures = verdict(meters=(off[1], METERS[1], off[0], METERS[3])).failures
    assert any(failure.startswith("incomer: +0.15") for failure in failures)
    assert any(failure.startswith("line: -5") for failure in failures)


def test_nothing_counted_of_nothing_true_is_well() -> None:
    meters = (METERS[0], replace(METERS[1], quantity=Decimal(0)), *METERS[2:])
    dark = judge(
        GOOD,
        (replace(ELECTRICITY, quantity=Decimal(100)), GAS),
        meters,
        lambda device, a, b: 0.0 if device == "pv" else TRUE[device],
        lambda device, point, value: 0.1,
    )
    assert dark.failures == []


@pytest.mark.parametrize(("seconds", "ok"), [(60, False), (15, True)])
def test_a_short_run_may_be_off_by_what_flows_in_sixty_milliseconds(seconds: int, ok: bool) -> None:
    short = tuple(replace(each, last_ns=seconds * NS) for each in METERS)
    late = (replace(short[0], quantity=Decimal("100.3")), *short[1:])
    carriers = (replace(ELECTRICITY, quantity=Decimal("120.29"), co2_kg=Decimal("55.81") * Decimal("1.003")), GAS)
    assert (not verdict(carriers=carriers, meters=late).failures) is ok
