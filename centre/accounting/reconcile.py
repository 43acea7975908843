"""Our bill against the utility's, line by line: what differs in quantity, price and amount, and why it may."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from centre.accounting.bill import Bill, Part
from centre.accounting.exact import rounded
from centre.accounting.stated_bill import Stated

_HALF_CENT: Final = Fraction(1, 200)
# how a line may be taken apart, the finest last
_WAYS: Final[Sequence[Callable[[str, Part], str]]] = (
    lambda _item, part: part.key,
    lambda item, part: f"{item}@{part.since}",
    lambda _item, part: f"{part.key}@{part.since}",
)


class Match(StrEnum):
    """How a line of ours and one of theirs stand to each other."""

    AGREES = "agrees"
    DIFFERS = "differs"
    ONLY_OURS = "only_ours"
    ONLY_THEIRS = "only_theirs"


class Cause(StrEnum):
    """What a difference most likely comes from. AMOUNT: quantity and price, as far as both are told, explain none."""

    QUANTITY = "quantity"
    PRICE = "price"
    QUANTITY_AND_PRICE = "quantity_and_price"
    ROUNDING = "rounding"
    AMOUNT = "amount"
    NO_AMOUNT = "no_amount"
    MISSING_LINE = "missing_line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one bill says of a line."""

    quantity: Decimal | None
    price: Decimal | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`amount`, `quantity` and `price` are theirs less ours; None where one side has no such number."""

    item: str
    match: Match
    cause: Cause | None
    ours: Side | None
    theirs: Side | None
    amount: Decimal | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """Lines in the order of our bill, theirs that we lack at the end; `total` is the sum of theirs less ours."""

    lines: tuple[Difference, ...]
    ours: Decimal | None
    theirs: Decimal
    total: Decimal | None

    @property
    def agrees(self) -> bool:
        return all(line.match is Match.AGREES for line in self.lines)


def reconcile(ours: Bill, theirs: Sequence[Stated]) -> Reconciliation:
    """Each item of our bill against theirs; where they state its bands or sections instead, one by one."""
    stated = {row.item: row for row in theirs}
    lines = [_difference(mine, stated.pop(mine.item, None)) for mine in _rows(ours, stated.keys())]
    lines += [
        Difference(item=row.item, match=Match.ONLY_THEIRS, cause=Cause.MISSING_LINE, ours=None, theirs=_side(row))
        for row in stated.values()
    ]
    total = sum((row.amount for row in theirs), Decimal(0))
    return Reconciliation(
        lines=tuple(lines), ours=ours.total, theirs=total, total=None if ours.total is None else total - ours.total
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mine:
    item: str
    side: Side
    parts: int


def _rows(ours: Bill, stated: Iterable[str]) -> Iterable[_Mine]:
    """Our lines, each taken apart as far as theirs are: by band, by section, or by both."""
    names = set(stated)
    for line in ours.lines:
        found: dict[str, list[Part]] = {}
        for name in _WAYS:
            groups: dict[str, list[Part]] = {}
            for part in line.parts:
                groups.setdefault(name(line.id, part), []).append(part)
            found = groups if names & groups.keys() else found
        if line.id in names or line.amount is None or not found:
            side = Side(quantity=line.quantity, price=line.price, amount=line.amount)
            yield _Mine(item=line.id, side=side, parts=len(line.parts))
            continue
        for item, parts in found.items():
            prices = {part.price for part in parts}
            plain = len(parts) == 1 or all(part.share == 1 for part in parts)
            side = Side(
                quantity=sum((part.quantity for part in parts), Decimal(0)) if plain else None,
                price=prices.pop() if len(prices) == 1 else None,
                amount=rounded(sum((part.amount for part in parts), Fraction(0))),
            )
            yield _Mine(item=item, side=side, parts=len(parts))


def _side(row: Stated) -> Side:
    return Side(quantity=row.quantity, price=row.price, amount=row.amount)


def _difference(mine: _Mine, row: Stated | None) -> Difference:
    ours = mine.side
    if row is None:
        return Difference(item=mine.item, match=Match.ONLY_OURS, cause=Cause.MISSING_LINE, ours=ours, theirs=None)
    amount, quantity, price = (
        None if one is None or other is None else other - one
        for one, other in ((ours.amount, row.amount), (ours.quantity, row.quantity), (ours.price, row.price))
    )
    agrees = amount == 0 and _same(ours.quantity, row.quantity) and not price
    return Difference(
        item=mine.item,
        match=Match.AGREES if agrees else Match.DIFFERS,
        cause=None if agrees else _cause(mine, row, amount),
        ours=ours,
        theirs=_side(row),
        amount=amount,
        quantity=quantity,
        price=price,
    )


def _same(ours: Decimal | None, theirs: Decimal | None) -> bool:
    """Whether a quantity of ours is theirs at the places theirs is written with; true where one is not told."""
    if ours is None or theirs is None:
        return True
    return rounded(Fraction(ours), max(0, -int(theirs.as_tuple().exponent))) == theirs


def _cause(mine: _Mine, row: Stated, amount: Decimal | None) -> Cause:
    ours = mine.side
    if amount is None:
        return Cause.NO_AMOUNT
    same_quantity = _same(ours.quantity, row.quantity)
    same_price = ours.price is None or row.price is None or ours.price == row.price
    if not same_quantity or not same_price:
        return Cause.PRICE if same_quantity else Cause.QUANTITY if same_price else Cause.QUANTITY_AND_PRICE
    # each part may have been rounded by itself, and what is billed may be the rounded quantity
    rounding = _HALF_CENT * (max(1, mine.parts) + 1)
    if ours.quantity is not None and row.quantity is not None and ours.price is not None:
        rounding += abs(Fraction(row.quantity - ours.quantity) * Fraction(ours.price))
    return Cause.ROUNDING if abs(Fraction(amount)) <= rounding else Cause.AMOUNT
