"""Ranges of parcel numbers: what the store has of an epoch, kept as few closed ranges."""

from collections.abc import Iterable

from metering.topics import Ranges


def add(ranges: Ranges, seq: int) -> Ranges:
    """`ranges` with `seq`; the same object when it is in there already."""
    before = [pair for pair in ranges if pair[1] < seq - 1]
    after = [pair for pair in ranges if pair[0] > seq + 1]
    touching = ranges[len(before) : len(ranges) - len(after)]
    if any(first <= seq <= last for first, last in touching):
        return ranges
    joined = (min([seq, *(first for first, _ in touching)]), max([seq, *(last for _, last in touching)]))
    return (*before, joined, *after)


def add_all(ranges: Ranges, seqs: Iterable[int]) -> Ranges:
    """`ranges` with every one of `seqs`."""
    for seq in seqs:
        ranges = add(ranges, seq)
    return ranges


def gaps(ranges: Ranges) -> Ranges:
    """What is missing between 1 and the highest number that is there."""
    missing: list[tuple[int, int]] = []
    expected = 1
    for first, last in ranges:
        if first > expected:
            missing.append((expected, first - 1))
        expected = last + 1
    return tuple(missing)
