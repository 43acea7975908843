"""Ranges of parcel numbers: what the store has of an epoch, kept as few closed ranges."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from centre.store.base import Stretch
from metering.topics import Ranges


def held(stretches: Iterable[Stretch]) -> Ranges:
    """The numbers of ascending `stretches` of one epoch."""
    return tuple((stretch.first, stretch.last) for stretch in stretches)


def join(stretches: Sequence[Stretch], new: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """`stretches` of one epoch with the `new` ones, of one parcel each; a number that is there already adds nothing."""
    known = held(stretches)
    fresh = {one.first: one for one in new if not _holds(known, one.first)}
    joined: list[Stretch] = []
    for one in sorted([*stretches, *fresh.values()], key=lambda stretch: stretch.first):
        if joined and joined[-1].last + 1 == one.first:
            joined[-1] = _together(joined[-1], one)
        else:
            joined.append(one)
    return tuple(joined)


def _holds(ranges: Ranges, seq: int) -> bool:
    place = bisect_right(ranges, seq, key=lambda pair: pair[0])
    return place > 0 and seq <= ranges[place - 1][1]


def _together(lower: Stretch, upper: Stretch) -> Stretch:
    return lower._replace(
        last=upper.last, since=min(lower.since, upper.since), last_at=upper.last_at, dropped=upper.dropped
    )


def gaps(ranges: Ranges) -> Ranges:
    """What is missing between 1 and the highest number that is there."""
    missing: list[tuple[int, int]] = []
    expected = 1
    for first, last in ranges:
        if first > expected:
            missing.append((expected, first - 1))
        expected = last + 1
    return tuple(missing)
