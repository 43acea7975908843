"""Room for new parcels in the spool's file: old parcels are thinned, then dropped, the oldest first, all counted.

Nothing younger than a quarter of an hour is thinned before everything older is; what was thinned is dropped before
what is whole. A damaged file set aside goes before any parcel, and then the history, uncounted: the store has it.
"""

import errno
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.spool_history import History
from agent.spool_room import Room
from agent.spool_rows import SELECT, key_of, parcel_of, replace_row, whole
from agent.spool_salvage import aside_of, remove
from agent.spool_thin import thinned
from metering.parcel import Parcel, ParcelError
from wattline.clock import NS

PAGE: Final = 4096
SPARE_PAGES: Final = 16  # of a commit, for the tree's inner pages and the meta row
_WHOLE: Final = 900 * NS  # the newest so much is dropped when nothing else is left, but never thinned
_FRUITLESS: Final = 32  # parcels that thinning makes no smaller, until dropping begins: bounds the time of a commit
_DROPPED: Final = 64  # parcels looked at in one go
_STEP: Final = 1024  # pages by which one commit nears a budget that was lowered: bounds its time, too


@dataclass(slots=True, kw_only=True)
class Made:
    """How room was made. Readings of each parcel dropped from the file, of those to insert, and of thinned ones."""

    from_file: list[int] = field(default_factory=list[int])
    from_insert: list[int] = field(default_factory=list[int])
    thinned: int = 0
    thinned_to: int = 0

    @property
    def lost(self) -> int:
        return sum(self.from_file) + sum(self.from_insert) + self.thinned


class Space:
    """The bounds of one commit in the file at `path`, open as `db` in a transaction; `pages` is the budget.

    Where the file holds much more than that, because the budget was lowered, this commit brings it 4 MiB nearer.
    """

    def __init__(
        self, db: sqlite3.Connection, path: Path, pages: int, room: Room, history: History | None = None
    ) -> None:
        self._db, self._room, self._history = db, room, history
        self._pages = max(pages, used_pages(db) - _STEP)
        self._aside = aside_of(path)

    def make(self, insert: Sequence[Parcel], thinned_to: int) -> tuple[list[Parcel], Made]:
        """Until what is returned of `insert` fits. Parcels up to the key `thinned_to` were thinned before."""
        fits, made = list(insert), Made(thinned_to=thinned_to)
        if not fits or self._lacking(fits) <= 0:
            return fits, made
        remove(self._aside)
        if self._history is not None:
            self._history.give_up(lambda: self._lacking(fits) > 0)
        self._thin(fits, made)
        self._drop(fits, made)
        while fits and self._lacking(fits) > 0:
            if self._over_budget(fits) <= 0:
                # others fill the file system: what is new is better kept in memory than dropped
                raise OSError(errno.ENOSPC, "others fill the file system, and the spool's file has no room to give")
            made.from_insert.append(fits.pop(0).readings)
        return fits, made

    def admit(self, size: int) -> bool:
        """Whether the history may take a body of `size` bytes, at the cost of what is oldest in it."""
        assert self._history is not None
        self._history.give_up(lambda: self._short(_pages_of(size)) > 0)
        return self._short(_pages_of(size)) <= 0

    def _over_budget(self, insert: list[Parcel]) -> int:
        return self._beyond(_pages(insert))

    def _lacking(self, insert: list[Parcel]) -> int:
        return self._short(_pages(insert))

    def _beyond(self, pages: int) -> int:
        """By how many the budget is exceeded with `pages` more."""
        aside = self._aside.stat().st_size // PAGE if self._aside.exists() else 0
        return used_pages(self._db) + pages + SPARE_PAGES + aside - self._pages

    def _short(self, pages: int) -> int:
        """How many of `pages` more are lacking, of the budget or of the file system."""
        need = used_pages(self._db) + pages + SPARE_PAGES
        return max(self._beyond(pages), need - page_count(self._db) - self._room.bytes() // PAGE)

    def _thin(self, insert: list[Parcel], made: Made) -> None:
        before = max(parcel.last_at for parcel in insert) - _WHOLE
        fruitless = 0
        while self._lacking(insert) > 0 and fruitless < _FRUITLESS:
            row = self._db.execute(SELECT + "WHERE id > ? ORDER BY id LIMIT 1", (made.thinned_to,)).fetchone()
            if row is None or whole(row[2]) > before:
                return
            small = _thinned(row)
            if small is None:
                fruitless += 1
            else:
                replace_row(self._db, small)
                made.thinned += row[3] - small.readings
            made.thinned_to = row[0]

    def _drop(self, insert: list[Parcel], made: Made) -> None:
        while (pages := self._lacking(insert)) > 0:
            oldest = self._db.execute(
                "SELECT id, readings, length(body) FROM parcel ORDER BY id LIMIT ?", (_DROPPED,)
            ).fetchall()
            if not oldest:
                return
            for key, readings, size in oldest:
                self._db.execute("DELETE FROM parcel WHERE id = ?", (key,))
                made.from_file.append(whole(readings))
                pages -= _pages_of(whole(size))
                if pages <= 0:
                    break


def _thinned(row: tuple[int, int, int, int, int, bytes]) -> Parcel | None:
    """A row's parcel made smaller; None when there is nothing to gain or it cannot be read."""
    parcel = parcel_of(row)
    try:
        small = None if parcel is None else thinned(parcel)
    except ParcelError:
        return None
    assert small is None or key_of(small.id) == row[0]
    return small


def used_pages(db: sqlite3.Connection) -> int:
    return page_count(db) - int(db.execute("PRAGMA freelist_count").fetchone()[0])


def page_count(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA page_count").fetchone()[0])


def _pages(parcels: Sequence[Parcel]) -> int:
    return sum(_pages_of(len(parcel.body)) for parcel in parcels)


def _pages_of(size: int) -> int:
    return size // (PAGE - 4) + 1
