"""Ranges of parcel numbers against a plain set."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from centre.ranges import add, add_all, gaps

numbers = st.lists(st.integers(min_value=1, max_value=60), max_size=60)


@given(numbers)
def test_ranges_hold_exactly_what_was_added(seqs: list[int]) -> None:
    ranges = add_all((), seqs)
    held = [seq for first, last in ranges for seq in range(first, last + 1)]
    assert held == sorted(set(seqs))
    assert all(one[1] + 1 < other[0] for one, other in pairwise(ranges))


@given(numbers)
def test_gaps_are_what_is_missing_below_the_highest(seqs: list[int]) -> None:
    missing = [seq for first, last in gaps(add_all((), seqs)) for seq in range(first, last + 1)]
    assert missing == [seq for seq in range(1, max(seqs, default=0)) if seq not in seqs]


def test_what_is_there_already_changes_nothing() -> None:
    ranges = ((1, 5), (8, 9))
    assert add(ranges, 3) is ranges
