"""Headway: how much of the backlog may be on its way to the store, so that what is live never waits long behind it.

The broker takes a backlog faster than the store writes it, and hands on in order: a live parcel waits behind all that
is there already. So the backlog gets what the store confirms in `_AIM_S`, by the pace it shows. No I/O.
"""

from typing import Final

_AIM_S: Final = 1.25  # twice the time between two words of the centre, and more: less leaves the store idle in between
_LOOK_S: Final = 1.0
_LEAST: Final = 4  # parcels, however slow: the store may be slow for reasons that are not ours
_MOST_CHANGE: Final = 2.0


class Headway:
    """`first`: parcels at the beginning of a connection. Times are monotonic seconds.

    `waiting` is always how many parcels await the store's word on their first sending: what was sent again, it may
    never confirm.
    """

    def __init__(self, first: int, most: int) -> None:
        self._first, self._most = first, most
        self.restart()

    def restart(self) -> None:
        """A new connection: another broker perhaps, and another store."""
        self._parcels = float(self._first)
        self._since, self._done = 0.0, 0

    def room(self, waiting: int) -> int:
        """How many parcels of the backlog may start."""
        return max(0, int(self._parcels) - waiting)

    def sent(self, waiting: int, now: float) -> None:
        """A parcel is sent; before it, `waiting` were. With the first one the store's time begins."""
        if not waiting:
            self._since, self._done = now, 0

    def heard(self, done: int, waiting: int, now: float) -> None:
        """The store's word covers `done` of the `waiting` ones. Its pace tells nothing when there was more room."""
        self._done += done
        elapsed = now - self._since
        if elapsed < _LOOK_S or not self._done:
            return
        if waiting >= int(self._parcels):
            change = self._done / elapsed * _AIM_S / self._parcels
            self._parcels *= min(_MOST_CHANGE, max(1 / _MOST_CHANGE, change))
            self._parcels = min(float(self._most), max(float(_LEAST), self._parcels))
        self._since, self._done = now, 0
