"""Stretches of parcel numbers against a plain set."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from centre.ranges import gaps, held, join
from centre.store.base import Stretch

numbers = st.lists(st.integers(min_value=1, max_value=60), max_size=60)


def alone(seq: int, came: int = 0) -> Stretch:
    """Parcel `seq`, read from 10 seq to 10 seq + 9, the n-th to come."""
    return Stretch(epoch=1, first=seq, last=seq, since=came, first_at=10 * seq, last_at=10 * seq + 9, dropped=seq)


def joined(seqs: list[int]) -> tuple[Stretch, ...]:
    found: tuple[Stretch, ...] = ()
    for came, seq in enumerate(seqs):
        found = join(found, [alone(seq, came)])
    return found


@given(numbers)
def test_stretches_hold_exactly_what_was_added(seqs: list[int]) -> None:
    found = joined(seqs)
    assert [seq for first, last in held(found) for seq in range(first, last + 1)] == sorted(set(seqs))
    assert all(one.last + 1 < other.first for one, other in pairwise(found))


@given(numbers)
def test_a_stretch_knows_when_its_first_parcel_came_and_the_times_at_its_ends(seqs: list[int]) -> None:
    for stretch in joined(seqs):
        came = [seqs.index(seq) for seq in range(stretch.first, stretch.last + 1)]
        ends = (10 * stretch.first, 10 * stretch.last + 9, stretch.last)
        assert stretch.since == min(came)
        assert (stretch.first_at, stretch.last_at, stretch.dropped) == ends


@given(numbers)
def test_parcels_that_come_together_are_joined_as_if_they_came_one_by_one(seqs: list[int]) -> None:
    assert join((), [alone(seq) for seq in seqs]) == join((), [alone(seq) for seq in sorted(set(seqs))])


@given(numbers)
def test_gaps_are_what_is_missing_below_the_highest(seqs: list[int]) -> None:
    missing = [seq for first, last in gaps(held(joined(seqs))) for seq in range(first, last + 1)]
    assert missing == [seq for seq in range(1, max(seqs, default=0)) if seq not in seqs]


def test_what_is_there_already_changes_nothing() -> None:
    stretches = joined([1, 2, 3, 8, 9])
    assert join(stretches, [alone(3, 99)]) == stretches
