"""What the ledger or an edit touched, for more than one that asks: each is told everything once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from centre.accounting.calendar import Month

Months = set[tuple[str, Month | None]]


class Touched(Protocol):
    """Tells which months of which site may be others since it was last asked; None: all of them."""

    def take(self) -> Collection[tuple[str, Month | None]]: ...


@dataclass(frozen=True, slots=True)
class _Share:
    sources: Sequence[Touched]
    others: list["_Share"]
    waiting: Months = field(default_factory=Months)

    def take(self) -> Collection[tuple[str, Month | None]]:
        """What was touched since this one was last asked."""
        found = [touched for source in self.sources for touched in source.take()]
        for share in self.others:
            share.waiting.update(found)
        taken = set(self.waiting)
        self.waiting.clear()
        return taken


def shared(sources: Sequence[Touched], count: int) -> tuple[Touched, ...]:
    """As many as `count` who may ask all `sources` at once."""
    shares: list[_Share] = []
    shares.extend(_Share(sources, shares) for _ in range(count))
    return tuple(shares)
