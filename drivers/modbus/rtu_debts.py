"""Debts: which units still owe a reply, so that a late one is never taken for the answer to a later request. Pure.

RTU has no transaction id. What tells a late reply from the right one is its shape, function and length: as long as a
unit owes a reply, its next read is preceded by a probe of a shape that it does not owe. A meter works off its requests
one by one, so whatever certainly answers the probe shows that nothing older can come any more. An exception has no
length: it answers the probe for certain only when the unit owes nothing to that function, hence the second probe.
"""

from typing import Final

FORGOTTEN_S: Final = 8.0  # no meter is known that answers after this
_MOST: Final = 126  # registers of a read

Shape = tuple[int, int]
"""Function and number of registers."""


class Debts:
    """By unit: the shapes it was asked for in vain, and when last. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._owed: dict[int, dict[Shape, float]] = {}

    def missed(self, unit: int, function: int, count: int, now: float) -> None:
        """The unit was asked and gave no right reply in time."""
        self._owed.setdefault(unit, {})[function, count] = now

    def answered(self, unit: int) -> None:
        """The unit gave a reply that can only belong to its latest request."""
        self._owed.pop(unit, None)

    def owes(self, unit: int, now: float) -> bool:
        """True when a reply to an earlier request may yet come."""
        if unit not in self._owed:
            return False
        owed = {shape: at for shape, at in self._owed[unit].items() if now - at < FORGOTTEN_S}
        if owed:
            self._owed[unit] = owed
        else:
            del self._owed[unit]
        return bool(owed)

    def owes_to(self, unit: int, function: int) -> bool:
        """True when an exception to this function may be that of an earlier request."""
        return any(owed == function for owed, _ in self._owed.get(unit, ()))

    def probes(self, unit: int, function: int) -> tuple[Shape, ...]:
        """What to ask first, in order: the function of the read, then the other one."""
        owed = self._owed.get(unit, {})
        free = ((asked, n) for asked in (function, 7 - function) for n in range(1, _MOST) if (asked, n) not in owed)
        shortest: dict[int, int] = {}
        for asked, n in free:
            shortest.setdefault(asked, n)
        return tuple(shortest.items())
