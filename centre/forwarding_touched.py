"""What the ledger touched, for more than one that asks: each is told everything once."""

from collections.abc import Collection
from dataclasses import dataclass, field

from centre.accounting.calendar import Month
from centre.forwarding import Touched

Months = set[tuple[str, Month]]


@dataclass(frozen=True, slots=True)
class _Share:
    source: Touched
    others: list["_Share"]
    waiting: Months = field(default_factory=Months)

    def take(self) -> Collection[tuple[str, Month]]:
        """What was touched since this one was last asked."""
        found = self.source.take()
        for share in self.others:
            share.waiting.update(found)
        taken = set(self.waiting)
        self.waiting.clear()
        return taken


def shared(source: Touched, count: int) -> tuple[Touched, ...]:
    """As many as `count` who may ask `source`."""
    shares: list[_Share] = []
    shares.extend(_Share(source, shares) for _ in range(count))
    return tuple(shares)
