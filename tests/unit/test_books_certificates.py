"""The ledger of green certificates: no certificate is used twice, and every refusal has a reason."""

from dataclasses import replace
from datetime import date

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
    as_input,
    book,
    claimed_elsewhere,
    empty,
    retired,
)

JAN, MARCH = date(2026, 1, 1), date(2026, 3, 1)
ISSUE = Issue(entry="1", ids=("a", "b", "c"), holder="works", plant="pv-roof", generated=JAN)
SALE = Transfer(entry="2", ids=("a",), holder="works", to="trader")
USE = Retire(entry="3", ids=("b",), holder="works", node="press-shop", month=MARCH)


def ledger(*entries: Entry, valid_months: int | None = None) -> Ledger:
    found, refusals = book(empty(valid_months), entries)
    assert refusals == ()
    return found


def refusal(before: Ledger, entry: Entry) -> Refused:
    after, (found,) = book(before, [entry])
    assert after == before
    return found.reason


def test_a_certificate_is_issued_sold_and_retired_for_one_month_of_one_node() -> None:
    found = ledger(ISSUE, SALE, USE)
    assert {one.id: one.holder for one in found.certificates.values()} == {"a": "trader", "b": "works", "c": "works"}
    assert retired(found, "press-shop", MARCH) == ("b",)
    assert retired(found, "press-shop", JAN) == retired(found, "works", MARCH) == ()
    assert claimed_elsewhere(found, "pv-roof", "works", JAN) == ("a", "b")
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
    assert refusal(ledger(ISSUE, SALE, USE, valid_months=24), entry) is reason


def test_a_certificate_may_be_used_in_its_last_month_and_for_ever_without_a_limit() -> None:
    last = replace(USE, month=date(2027, 12, 1))
    assert retired(ledger(ISSUE, last, valid_months=24), "press-shop", date(2027, 12, 1)) == ("b",)
    assert retired(ledger(ISSUE, replace(last, month=date(2040, 1, 1))), "press-shop", date(2040, 1, 1)) == ("b",)


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
