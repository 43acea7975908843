"""What the rules ask of an interval, whoever made it: bounds, an amount or its absence, and how much was estimated."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


class Metered(Protocol):
    """An amount counted in [start, end) (UTC ns); None when nothing is known. `estimated` is a part of the amount."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def amount(self) -> Decimal | None: ...
    @property
    def estimated(self) -> Decimal: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """The plainest `Metered`."""

    start: int
    end: int
    amount: Decimal | None
    estimated: Decimal = Decimal(0)
