"""A supplier's bill on the page: line by line against ours, with what a difference may come from. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from centre.accounting.bill import Bill
from centre.accounting.exact import rounded
from centre.accounting.reconcile import Difference, Match, Side, reconcile
from centre.books.stated_bills import StatedBill
from centre.web_format import ABSENT, moment, plain
from centre.web_i18n import Words
from centre.web_month import money

_NO_SIDE = Side(quantity=None, price=None, amount=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedRow:
    """One line; each cell has our text and, where it differs, theirs. `cause`: empty where both agree."""

    name: str
    match: str
    cells: tuple[tuple[str, str], ...]
    difference: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedView:
    """The whole; `author` and `at`: who gave it in, and when."""

    author: str
    at: str
    agrees: bool
    rows: tuple[StatedRow, ...]
    ours: str
    theirs: str
    difference: str


def stated_view(ours: Bill, stated: StatedBill, zone: ZoneInfo, words: Words) -> StatedView:
    """What was given in, set against our bill."""
    found = reconcile(ours, stated.lines)
    names = {line.id: words.named(line.name) for line in ours.lines}
    return StatedView(
        author=stated.author,
        at=moment(stated.at, zone),
        agrees=found.agrees,
        rows=tuple(_row(line, names, ours.currency, words) for line in found.lines),
        ours=str(money(found.ours, ours.currency)),
        theirs=str(money(found.theirs, ours.currency)),
        difference=str(money(found.total, ours.currency)),
    )


def _row(line: Difference, names: Mapping[str, str], currency: str, words: Words) -> StatedRow:
    ours, theirs = line.ours or _NO_SIDE, line.theirs or _NO_SIDE
    pairs = (
        (_quantity(ours.quantity), _quantity(theirs.quantity)),
        (_plain(ours.price), _plain(theirs.price)),
        (str(money(ours.amount, currency)), str(money(theirs.amount, currency))),
    )
    one_is_enough = line.match in {Match.AGREES, Match.ONLY_OURS}
    only = "" if line.match in {Match.AGREES, Match.DIFFERS} else f".{line.match}"
    return StatedRow(
        name=_named(line.item, names),
        match=line.match.value,
        cells=tuple((one, "" if one_is_enough or one == other else other) for one, other in pairs),
        difference=str(money(line.amount, currency)),
        cause="" if line.cause is None else words(f"books.bill_cause.{line.cause}{only}"),
    )


def _named(item: str, names: Mapping[str, str]) -> str:
    """The item in the reader's language, with its band and section as they are written."""
    for id_, name in names.items():
        if item.startswith(id_) and item[len(id_) :][:1] in {"", ".", "@"}:
            return f"{name} {item[len(id_) :].lstrip('.')}".strip()
    return item


def _quantity(value: Decimal | None) -> str:
    """To 0.001, as a meter shows it."""
    return ABSENT if value is None else plain(rounded(Fraction(value), 3))


def _plain(value: Decimal | None) -> str:
    return ABSENT if value is None else plain(value)
