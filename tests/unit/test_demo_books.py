"""The demo's word on its books: what is shown of carbon, cost, balances and alarms, and what fails it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from drivers.simulation.demo_books import BookBalance, BookFigure, BookPage, balance_of, lines_of
from drivers.simulation.demo_check import Verdict, report
from drivers.simulation.demo_figures import Delivery

COST = BookFigure(
    name="cost of electricity", value=Decimal("28669.54"), unit="CNY", adds_up=True, steps=56, unverified=True
)
CARBON = BookFigure(
    name="carbon, scope 1", value=Decimal("0.01"), unit="tCO2e", adds_up=True, steps=14, unverified=False
)
BALANCE = BookBalance(
    name="Plant", carrier="electricity", counted=Decimal("22.154"), below=Decimal("21.75"), unit="kWh", verdict=None,
    reason="no_common_interval",
)  # fmt: skip
PAGE = BookPage(month="2026-11", figures=(CARBON, COST), balances=(BALANCE,), alarms=("Demand (active): 237 %",))
DELIVERY = Delivery(stopped=True, acquired=1, dropped=0, stored=1, ledger_pending=0)


def test_carbon_cost_balance_and_alarm_are_lines_of_the_report() -> None:
    text = report(Verdict(delivery=DELIVERY, carriers=(), carbon=(), meters=(), books=PAGE))
    assert "0.0100 tCO2e  adds up in 14 steps\n" in text
    assert "28,669.54 CNY  adds up in 56 steps; unverified rows" in text
    assert "0.4040 kWh  of 22.1540 counted by no meter below; verdict with the first whole quarter" in text
    assert "Demand (active): 237 %" in text


def test_a_verdict_of_the_books_is_told_as_it_is() -> None:
    found = replace(BALANCE, verdict="loss", reason=None)
    assert lines_of(replace(PAGE, balances=(found,)))[3][2].endswith("; loss")
    assert lines_of(replace(PAGE, alarms=()))[-1] == ("alarm", "", "none so far")


def test_a_provisional_balance_shows_its_band_and_says_when_it_cannot_tell() -> None:
    found = replace(BALANCE, reason="cannot_tell_yet", running=(57, Decimal("-0.2"), Decimal("1.0")))
    told = lines_of(replace(PAGE, balances=(found,)))[3][2]
    assert told.endswith("; -0.2000 to 1.0000 by the meters of 57 s; provisional: cannot tell yet")


def test_a_balance_takes_the_amounts_of_its_provisional_row() -> None:
    row = {"node": "plant", "carrier": "carrier_heat", "name": {"en": "Plant"}, "unit": "kWh", "verdict": None}
    row |= {"reason": "no_common_interval"}
    running = {
        **row, "verdict": "verdict_loss", "reason": None, "from": "2026-11-21T04:00:05+08:00", "available": "25",
        "to": "2026-11-21T04:01:00+08:00", "unmetered": "16", "band_low": "13.5", "band_high": "18.5",
    }  # fmt: skip
    tree: dict[str, Any] = {"id": "plant", "children": [{"id": "hall", "children": []}]}
    quantities = [
        {"node": node, "carrier": "carrier_heat", "net": net} for node, net in (("plant", "30"), ("hall", "9"))
    ]
    found = balance_of(row, quantities, tree, [running])
    assert (found.counted, found.below, found.verdict) == (Decimal(25), Decimal(9), "loss")
    assert found.running == (55, Decimal("13.5"), Decimal("18.5"))
    waiting = balance_of(row, quantities, tree, ())
    assert (waiting.counted, waiting.below, waiting.running) == (Decimal(30), Decimal(9), None)


def test_a_figure_that_does_not_add_up_fails_the_demo() -> None:
    wrong = replace(PAGE, figures=(replace(COST, adds_up=False),))
    verdict = Verdict(delivery=DELIVERY, carriers=(), carbon=(), meters=(), books=wrong)
    assert "cost of electricity does not add up" in verdict.failures
