"""Gives back the disk that a spool's file took in an outage, when what waits is small again."""

import sqlite3
from typing import Final

from agent.spool_room import Room
from agent.spool_space import PAGE, page_count, used_pages

_LARGE: Final = 16 * 1024 * 1024 // PAGE  # below that the file is left as it is
_PART: Final = 16  # of it, at most, is in use when the rest is given back: what is written for it stays small
_MOST: Final = 4 * 1024 * 1024 // PAGE


def shrink(db: sqlite3.Connection, room: Room) -> bool:
    """Make the file as small as what is in it, if that is little. Raises sqlite3.Error, and nothing is changed then.

    One transaction that writes what is in use to the head of the file, and what was there into the journal; then the
    file is cut.
    """
    pages, used = page_count(db), used_pages(db)
    if pages < _LARGE or used > min(_MOST, pages // _PART) or room.bytes() < 2 * used * PAGE:
        return False
    db.execute("PRAGMA temp_store = MEMORY")  # of a few MiB at most; /tmp may be full, or not be ours
    db.execute("VACUUM")
    return True
