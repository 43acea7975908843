"""The log of a disk's writes and flushes, and what a power cut may leave of them. Pure.

What was written before the last flush is on the disk. Of what came after, any part may be, block by block, and of a
block any of its sectors. Only the file system's superblock, in the first block, is written whole or not at all: without
that some images cannot be mounted, whatever wrote to them.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

BLOCK = 4096
SECTOR = 512
_HEADER = struct.Struct("<QI")  # offset, length
_FLUSH = 0  # as the length
_SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)
_TORN = 0.2


def write_record(offset: int, data: bytes) -> bytes:
    return _HEADER.pack(offset, len(data)) + data


def flush_record() -> bytes:
    return _HEADER.pack(0, _FLUSH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A write, or a flush when there is no data; `end` is where it ends in the log."""

    offset: int
    data: bytes
    end: int


def records_of(log: bytes) -> list[Record]:
    """In order; a record that is cut off at the end is left out."""
    found: list[Record] = []
    at = 0
    while at + _HEADER.size <= len(log):
        offset, length = _HEADER.unpack_from(log, at)
        start, at = at + _HEADER.size, at + _HEADER.size + length
        if at > len(log):
            break
        found.append(Record(offset=offset, data=log[start:at], end=at))
    return found


@dataclass(slots=True)
class Fate:
    """What became of the blocks that were written after the last flush."""

    kept: int = 0
    dropped: int = 0
    torn: int = 0


class Replay:
    """A disk that is cut from its power again and again, each time at the same place in its log or later."""

    def __init__(self, image: bytes, records: Sequence[Record]) -> None:
        self._flushed = bytearray(image)
        self._records = records
        self._next = 0

    def cut(self, end: int, chance: Random) -> tuple[bytearray, Fate]:
        """The image after a cut when the log ended at `end`; ends must not descend."""
        first = self._next
        until = next((n for n in range(first, len(self._records)) if self._records[n].end > end), len(self._records))
        flush = next((n for n in range(until - 1, first - 1, -1) if not self._records[n].data), first - 1)
        for record in self._records[first : flush + 1]:
            self._flushed[record.offset : record.offset + len(record.data)] = record.data
        self._next = flush + 1
        image, fate, share = bytearray(self._flushed), Fate(), chance.choice(_SHARES)
        for record in self._records[self._next : until]:
            for start, piece in _blocks(record):
                if start >= BLOCK and chance.random() < _TORN:
                    fate.torn += 1
                    for at in range(0, len(piece), SECTOR):
                        if chance.random() < 0.5:
                            image[start + at : start + at + SECTOR] = piece[at : at + SECTOR]
                elif chance.random() < share:
                    fate.kept += 1
                    image[start : start + len(piece)] = piece
                else:
                    fate.dropped += 1
        return image, fate


def _blocks(record: Record) -> Iterator[tuple[int, bytes]]:
    """The write in pieces that lie in one block each."""
    begin, end = record.offset, record.offset + len(record.data)
    edges = sorted({begin, end, *range(begin - begin % BLOCK + BLOCK, end, BLOCK)})
    for start, stop in pairwise(edges):
        yield start, record.data[start - begin : stop - begin]
