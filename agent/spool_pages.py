"""Rows of a damaged SQLite file, found page by page: what salvage has left when the tree above the rows is gone.

Reads the leaf pages of tables as https://www.sqlite.org/fileformat2.html describes them, of the main file and of the
write-ahead log over it that an older Wattline may have left. Nothing that is found is to be trusted before its CRC is
checked. Pages that the file knows to be free are left out; when its first page is damaged it does not know, and rows
that were deleted may be among those found.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

PAGE: Final = 4096
_LEAF: Final = 0x0D
_MAGIC: Final = b"SQLite format 3\0"
_FRAME: Final = 24  # bytes before each page of the log
_LOG_HEAD: Final = 32
_MOST_LOCAL: Final = PAGE - 35
_LEAST_LOCAL: Final = (PAGE - 12) * 32 // 255 - 23
_MOST_PAYLOAD: Final = 4 * 1024 * 1024
_INT_SIZES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_BLOB: Final = 12

Value = int | bytes | None


def rows(path: Path) -> Iterator[tuple[Value, ...]]:
    """Every row of every table of integer keys; the key stands where the table says that it is the key: first."""
    with path.open("rb") as main:
        log_path = path.with_name(path.name + "-wal")
        log = log_path.open("rb") if log_path.exists() else None
        try:
            pages = _Pages(main, log)
            free = pages.free()
            for number in range(2, pages.count + 1):
                if number not in free:
                    yield from _rows_of(pages, number)
        finally:
            if log is not None:
                log.close()


class _Pages:
    """The newest version of each page, by its number from 1."""

    def __init__(self, main: BinaryIO, log: BinaryIO | None) -> None:
        self._main, self._log = main, log
        self._in_log: dict[int, int] = {}
        self.count = main.seek(0, 2) // PAGE
        if log is not None:
            salts = log.read(_LOG_HEAD)[16:24]
            at = _LOG_HEAD
            while len(head := _at(log, at, _FRAME)) == _FRAME and head[8:16] == salts:
                number = int.from_bytes(head[:4], "big")
                self._in_log[number] = at + _FRAME
                self.count = max(self.count, number)
                at += _FRAME + PAGE

    def page(self, number: int) -> bytes:
        """Empty when there is none."""
        if self._log is not None and number in self._in_log:
            return _at(self._log, self._in_log[number], PAGE)
        return _at(self._main, (number - 1) * PAGE, PAGE) if number else b""

    def free(self) -> set[int]:
        """Pages on the list of free ones, as far as it can be followed."""
        first = self.page(1)
        found: set[int] = set()
        trunk = int.from_bytes(first[32:36], "big") if first.startswith(_MAGIC) else 0
        while 0 < trunk <= self.count and trunk not in found:
            page = self.page(trunk)
            found.add(trunk)
            count = min(int.from_bytes(page[4:8], "big"), PAGE // 4 - 2)
            found.update(struct.unpack_from(f">{count}I", page, 8) if len(page) == PAGE else ())
            trunk = int.from_bytes(page[:4], "big")
        return found


def _at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _rows_of(pages: _Pages, number: int) -> Iterator[tuple[Value, ...]]:
    page = pages.page(number)
    if len(page) < PAGE or page[0] != _LEAF:
        return
    for cell in struct.unpack_from(f">{min(int.from_bytes(page[3:5], 'big'), PAGE // 2 - 4)}H", page, 8):
        try:
            yield _row(pages, page, cell)
        except (IndexError, ValueError):
            continue  # not the cell of a row


def _row(pages: _Pages, page: bytes, cell: int) -> tuple[Value, ...]:
    """Raises IndexError or ValueError when there is no row."""
    size, at = _varint(page, cell)
    key, at = _varint(page, at)
    if size > _MOST_PAYLOAD:
        raise ValueError(size)
    local = size
    if size > _MOST_LOCAL:
        local = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (PAGE - 4)
        local = local if local <= _MOST_LOCAL else _LEAST_LOCAL
    payload = bytearray(page[at : at + local])
    following = int.from_bytes(page[at + local : at + local + 4], "big") if local < size else 0
    while len(payload) < size:
        more = pages.page(following) if following <= pages.count else b""
        if not more:
            raise ValueError(following)
        payload += more[4 : 4 + size - len(payload)]
        following = int.from_bytes(more[:4], "big")
    key = key if key < 1 << 63 else key - (1 << 64)
    return (key, *_columns(bytes(payload))[1:])


def _columns(payload: bytes) -> list[Value]:
    end, at = _varint(payload, 0)
    body = end
    values: list[Value] = []
    while at < end:
        kind, at = _varint(payload, at)
        size = _INT_SIZES.get(kind, 0)
        if kind >= _BLOB and not kind % 2:
            size = (kind - _BLOB) // 2
            values.append(payload[body : body + size])
        elif size:
            values.append(int.from_bytes(payload[body : body + size], "big", signed=True))
        elif kind in {0, 8, 9}:
            values.append(kind - 8 if kind else None)
        else:
            raise ValueError(kind)  # a text or a fraction: none of the spool's rows
        body += size
    return values


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends."""
    value = 0
    for _ in range(8):
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value << 8 | data[at], at + 1
