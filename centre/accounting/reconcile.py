"""Our bill against the utility's, line by line: what differs in quantity, price and amount; and bill against bill."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Final

from centre.accounting.bill import Bill
from centre.accounting.csv_rows import csv_rows
from centre.accounting.exact import rounded
from wattline.errors import ConfigError

_COLUMNS: Final = ("item", "quantity", "price", "amount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """One line of the utility's bill: an item (`transmission`) or a band of it (`transmission.peak`)."""

    item: str
    quantity: Decimal | None
    price: Decimal | None
    amount: Decimal


class Match(StrEnum):
    """How a line of ours and one of theirs stand to each other."""

    AGREES = "agrees"
    DIFFERS = "differs"
    ONLY_OURS = "only_ours"
    ONLY_THEIRS = "only_theirs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`amount` etc. are theirs less ours; None where one side has no such number."""

    item: str
    match: Match
    ours: Decimal | None
    theirs: Decimal | None
    amount: Decimal | None
    quantity: Decimal | None
    price: Decimal | None


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


def load_stated(path: Path) -> tuple[Stated, ...]:
    """The utility's bill as CSV (UTF-8) with the columns item, quantity, price, amount; raises ConfigError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return stated_of(file, str(path))
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: cannot be read: {err}") from err


def stated_of(lines: Iterable[str], source: str) -> tuple[Stated, ...]:
    """The lines of such a CSV; quantity and price may be empty. Raises ConfigError."""
    found: dict[str, Stated] = {}
    for where, fields in csv_rows(lines, source, _COLUMNS):
        row = _stated(fields, where)
        if row.item in found:
            raise ConfigError(f"{where}: item: {row.item} stands here a second time")
        found[row.item] = row
    return tuple(found.values())


def _stated(fields: Mapping[str, str], where: str) -> Stated:
    if not fields["item"]:
        raise ConfigError(f"{where}: item: is missing")
    amount = _number(fields, "amount", where)
    if amount is None:
        raise ConfigError(f"{where}: amount: is missing")
    return Stated(
        item=fields["item"],
        quantity=_number(fields, "quantity", where),
        price=_number(fields, "price", where),
        amount=amount,
    )


def _number(fields: Mapping[str, str], column: str, where: str) -> Decimal | None:
    if not fields[column]:
        return None
    try:
        value = Decimal(fields[column])
    except InvalidOperation:
        raise ConfigError(f"{where}: {column}: must be a plain number such as 1234.56") from None
    if not value.is_finite():
        raise ConfigError(f"{where}: {column}: must be a plain number such as 1234.56")
    return value


def reconcile(ours: Bill, theirs: Sequence[Stated]) -> Reconciliation:
    """Each item of our bill against theirs; where they state its bands instead of the item, band by band."""
    stated = {row.item: row for row in theirs}
    lines: list[Difference] = []
    for mine in _rows(ours, stated.keys()):
        row = stated.pop(mine.item, None)
        lines.append(_difference(mine, row))
    lines += [_only_theirs(row) for row in stated.values()]
    total = sum((row.amount for row in theirs), Decimal(0))
    return Reconciliation(
        lines=tuple(lines), ours=ours.total, theirs=total, total=None if ours.total is None else total - ours.total
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mine:
    item: str
    quantity: Decimal | None
    price: Decimal | None
    amount: Decimal | None


def _rows(ours: Bill, stated: Iterable[str]) -> Iterable[_Mine]:
    names = set(stated)
    for line in ours.lines:
        keys = dict.fromkeys(part.key for part in line.parts)
        if line.id in names or line.amount is None or not names & keys.keys():
            yield _Mine(item=line.id, quantity=line.quantity, price=line.price, amount=line.amount)
            continue
        for key in keys:
            parts = [part for part in line.parts if part.key == key]
            prices = {part.price for part in parts}
            yield _Mine(
                item=key,
                quantity=sum((part.quantity for part in parts), Decimal(0)),
                price=prices.pop() if len(prices) == 1 else None,
                amount=rounded(sum((part.amount for part in parts), Fraction(0))),
            )


def _difference(mine: _Mine, row: Stated | None) -> Difference:
    if row is None:
        return Difference(
            item=mine.item, match=Match.ONLY_OURS, ours=mine.amount, theirs=None, amount=None, quantity=None, price=None
        )
    amount = None if mine.amount is None else row.amount - mine.amount
    quantity = None if mine.quantity is None or row.quantity is None else row.quantity - mine.quantity
    price = None if mine.price is None or row.price is None else row.price - mine.price
    agrees = amount == 0 and not quantity and not price
    return Difference(
        item=mine.item,
        match=Match.AGREES if agrees else Match.DIFFERS,
        ours=mine.amount,
        theirs=row.amount,
        amount=amount,
        quantity=quantity,
        price=price,
    )


def _only_theirs(row: Stated) -> Difference:
    return Difference(
        item=row.item,
        match=Match.ONLY_THEIRS,
        ours=None,
        theirs=row.amount,
        amount=None,
        quantity=None,
        price=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The same usage under another tariff: `saving` is what it would cost less, None when a total is not known."""

    base: Bill
    other: Bill
    saving: Decimal | None


def what_if(base: Bill, other: Bill) -> WhatIf:
    """Both bills are of the same usage; amounts in two currencies are not compared."""
    known = base.total is not None and other.total is not None and base.currency == other.currency
    saving = base.total - other.total if known and base.total is not None and other.total is not None else None
    return WhatIf(base=base, other=other, saving=saving)
