"""The ledger of green certificates: no certificate is used twice, and every refusal has a reason."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre.accounting.certificates import (
    Entry,
    Issue,
    Ledger,
    Refused,
    Retire,
    Transfer,
    Validity,
    as_input,
    book,
    claimed_elsewhere,
    empty,
    last_month,
    retired,
)
from centre.accounting.certificates_file import load_validity
from centre.accounting.emissions import CERTIFIED, Purchases, scope2
from centre.accounting.terms import Input
from support.books_factors import book as factors
from wattline.errors import ConfigError
from wattline.resources import config_dir

JAN, MARCH = date(2026, 1, 1), date(2026, 3, 1)
ISSUE = Issue(entry="1", ids=("a", "b", "c"), holder="works", plant="pv-roof", generated=JAN)
SALE = Transfer(entry="2", ids=("a",), holder="works", to="trader")
TWO_YEARS = (Validity(since=None, months=24, until=None, source="", confirmed=False),)
USE = Retire(entry="3", ids=("b",), holder="works", node="press-shop", month=MARCH)


def ledger(*entries: Entry, validity: Sequence[Validity] = ()) -> Ledger:
    found, refusals = book(empty(), entries, validity)
    assert refusals == ()
    return found


def refusal(before: Ledger, entry: Entry) -> Refused:
    after, (found,) = book(before, [entry], TWO_YEARS)
    assert after == before
    return found.reason


def test_a_certificate_is_issued_sold_and_retired_for_one_month_of_one_node() -> None:
    found = ledger(ISSUE, SALE, USE)
    assert {one.id: one.holder for one in found.certificates.values()} == {"a": "trader", "b": "works", "c": "works"}
    assert retired(found, "press-shop", MARCH) == ("b",)
    assert retired(found, "press-shop", JAN) == retired(found, "works", MARCH) == ()
    assert claimed_elsewhere(found, "pv-roof", JAN) == ("a", "b")
    assert found.certificates["b"].retired_by == "3"
    given_on = as_input(("a", "b"), "retired")
    assert (given_on.value, given_on.unit, given_on.id) == (2, "GEC", "retired: a, b")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (replace(USE, entry="4"), Refused.ALREADY_RETIRED),
        (replace(USE, entry="4", month=date(2026, 4, 1)), Refused.ALREADY_RETIRED),
        (replace(SALE, entry="4", ids=("b",)), Refused.ALREADY_RETIRED),
        (replace(SALE, entry="4"), Refused.NOT_THE_HOLDER),
        (replace(USE, entry="4", ids=("a",)), Refused.NOT_THE_HOLDER),
        (replace(USE, entry="4", ids=("z",)), Refused.UNKNOWN),
        (replace(USE, entry="4", ids=("c", "c")), Refused.NAMED_TWICE),
        (replace(USE, entry="4", ids=()), Refused.NO_CERTIFICATES),
        (replace(USE, entry="4", ids=("c",), month=date(2026, 3, 2)), Refused.NOT_A_MONTH),
        (replace(USE, entry="4", ids=("c",), month=date(2025, 12, 1)), Refused.BEFORE_GENERATION),
        (replace(USE, entry="4", ids=("c",), month=date(2028, 1, 1)), Refused.EXPIRED),
        (replace(SALE, entry="4", ids=("c",), to="works"), Refused.SAME_HOLDER),
        (replace(ISSUE, entry="4"), Refused.ALREADY_ISSUED),
        (replace(USE, ids=("c",)), Refused.ENTRY_DIFFERS),
    ],
)
def test_an_entry_that_would_use_a_certificate_twice_or_wrongly_is_refused(entry: Entry, reason: Refused) -> None:
    assert refusal(ledger(ISSUE, SALE, USE), entry) is reason


def test_a_certificate_may_be_used_in_its_last_month_and_for_ever_without_a_limit() -> None:
    last = replace(USE, month=date(2027, 12, 1))
    assert retired(ledger(ISSUE, last, validity=TWO_YEARS), "press-shop", date(2027, 12, 1)) == ("b",)
    assert retired(ledger(ISSUE, replace(last, month=date(2040, 1, 1))), "press-shop", date(2040, 1, 1)) == ("b",)


def test_the_rule_of_the_month_of_generation_counts_and_a_new_one_undoes_nothing() -> None:
    old = Validity(since=None, months=None, until=date(2025, 12, 1), source="", confirmed=False)
    young = replace(TWO_YEARS[0], since=date(2024, 1, 1))
    assert last_month((young, old), date(2023, 12, 1)) == date(2025, 12, 1)
    assert last_month((old, young), date(2024, 1, 1)) == date(2025, 12, 1)
    assert last_month((old, young), MARCH) == date(2028, 2, 1)
    assert last_month((), JAN) is None
    booked = ledger(ISSUE, replace(USE, month=date(2040, 1, 1)))
    assert book(booked, booked.entries.values(), TWO_YEARS) == (booked, ())


def test_the_shipped_rules_are_read_and_marked_as_not_confirmed(tmp_path: Path) -> None:
    shipped = load_validity(config_dir() / "certificates.yaml")
    assert last_month(shipped, date(2023, 6, 1)) == date(2025, 12, 1)
    assert last_month(shipped, JAN) == date(2027, 12, 1)
    assert not any(rule.confirmed for rule in shipped)
    wrong = tmp_path / "certificates.yaml"
    for body in ("{months: 3, until: 2026-01, source: s, confirmed: no}", "{until: 2026-1, source: s, confirmed: no}"):
        wrong.write_text(f"validity: [{body}]")
        with pytest.raises(ConfigError, match=r"certificates\.yaml:1"):
            load_validity(wrong)


def test_one_bad_certificate_refuses_the_whole_entry() -> None:
    before = ledger(ISSUE, SALE, USE)
    after, (found,) = book(before, [replace(USE, entry="4", ids=("c", "a"))])
    assert after == before
    assert (found.reason, found.certificate) == (Refused.NOT_THE_HOLDER, "a")


IDS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3).map(tuple)
WHO = st.sampled_from(["works", "trader"])
MONTH = st.sampled_from([JAN, MARCH])
NUMBER = st.integers(0, 12).map(str)
ENTRIES = st.lists(
    st.one_of(
        st.builds(Issue, entry=NUMBER, ids=IDS, holder=WHO, plant=st.just("pv"), generated=MONTH),
        st.builds(Transfer, entry=NUMBER, ids=IDS, holder=WHO, to=WHO),
        st.builds(Retire, entry=NUMBER, ids=IDS, holder=WHO, node=WHO, month=MONTH),
    ),
    max_size=14,
)


@given(ENTRIES)
def test_no_sequence_of_entries_uses_a_certificate_twice_and_redelivery_changes_nothing(entries: list[Entry]) -> None:
    found, _ = book(empty(), entries)
    used = [one for entry in found.entries.values() if isinstance(entry, Retire) for one in entry.ids]
    issued = [one for entry in found.entries.values() if isinstance(entry, Issue) for one in entry.ids]
    assert len(used) == len(set(used))
    assert sorted(issued) == sorted(found.certificates)
    counted = [one for node in ("works", "trader") for month in (JAN, MARCH) for one in retired(found, node, month)]
    assert sorted(counted) == sorted(used)
    again, refusals = book(found, found.entries.values())
    assert (again, refusals) == (found, ())


def _renewable(found: Ledger, who: str, bought: int, own: Sequence[str], month: date) -> Decimal:
    """MWh that a plant says had no emission in a month: certified purchases, and own use that it may still claim."""
    used, lost = retired(found, who, month), claimed_elsewhere(found, "pv", month) if own else ()
    made = scope2(
        Purchases(
            electricity=Input(id="bought", value=Decimal(bought), unit="MWh"),
            resold=Input(id="resold", value=Decimal(0), unit="MWh"),
            retired=as_input(used, "retired") if used else None,
            own_use=Input(id="own", value=Decimal(len(own)), unit="MWh") if own else None,
            claimed_elsewhere=as_input(lost, "elsewhere") if lost else None,
        ),
        factors("carbon-inventory"),
        month,
    )
    inputs = {term.label: term.inputs[0].value or Decimal(0) for term in made.market.terms}
    certified = sum(
        (term.inputs[0].value or Decimal(0) for term in made.market.terms if term.reason == CERTIFIED), Decimal(0)
    )
    kept = len(own) * 1000 - inputs.get("own_renewables_claimed_elsewhere", Decimal(0))
    return (certified + kept) / 1000


@given(ENTRIES, st.integers(0, 5), st.integers(0, 5))
def test_all_plants_together_claim_no_more_than_was_generated(entries: list[Entry], ours: int, theirs: int) -> None:
    """The works use all that their panels generate; what is sold or retired is claimed once, by whoever has it."""
    found, _ = book(empty(), entries)
    claimed = Decimal(0)
    for month in (JAN, MARCH):
        own = [one.id for one in found.certificates.values() if one.generated == month]
        claimed += _renewable(found, "works", ours, own, month) + _renewable(found, "trader", theirs, (), month)
    assert claimed <= len(found.certificates)


def test_own_use_whose_certificates_were_sold_counts_as_bought_and_one_retired_for_it_counts_nothing() -> None:
    own = ISSUE.ids
    issue = replace(ISSUE, plant="pv")
    assert _renewable(ledger(issue), "works", 0, own, JAN) == 3
    assert _renewable(ledger(issue, SALE), "works", 0, own, JAN) == 2
    kept = replace(USE, node="works", month=JAN)
    assert _renewable(ledger(issue, SALE, kept), "works", 0, own, JAN) == 2
    assert _renewable(ledger(issue, SALE, kept), "works", 5, own, JAN) == 2
