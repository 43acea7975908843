"""The utility's bill as it was given in: CSV or rows of text to lines, every mistake with its place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from centre.accounting.csv_rows import csv_rows
from wattline.errors import ConfigError

_PLAIN: Final = ("item", "quantity", "price", "amount")
COLUMNS: Final = ("item", "band", "section", "quantity", "price", "amount")
_LONGEST: Final = 80
_MOST: Final = 1000
_LARGEST: Final = Decimal("1e15")
_FINEST: Final = -9  # exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """One line of the utility's bill: an item (`transmission`) or a band of it (`transmission.peak`).

    Of a bill that is split by date also either of them since a day: `transmission@2026-03-15`.
    """

    item: str
    quantity: Decimal | None
    price: Decimal | None
    amount: Decimal


def load_stated(path: Path) -> tuple[Stated, ...]:
    """The utility's bill as CSV (UTF-8) with the columns item, band, section, quantity, price, amount.

    `band` and `section` (the first day of a part of the month) may be left out together. Raises ConfigError.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return stated_of(file, str(path))
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: cannot be read: {err}") from err


def stated_of(lines: Iterable[str], source: str) -> tuple[Stated, ...]:
    """The lines of such a CSV; quantity and price may be empty. Raises ConfigError."""
    told = list(lines)
    columns = _PLAIN if told and told[0].strip() == ",".join(_PLAIN) else COLUMNS
    return stated_rows(csv_rows(told, source, columns), source)


def stated_rows(rows: Iterable[tuple[str, Mapping[str, str]]], source: str) -> tuple[Stated, ...]:
    """The lines of (place, column -> text); raises ConfigError that names the place."""
    found: dict[str, Stated] = {}
    for where, fields in rows:
        row = _stated(fields, where)
        if row.item in found:
            raise ConfigError(f"{where}: item: {row.item} stands here a second time")
        found[row.item] = row
        if len(found) > _MOST:
            raise ConfigError(f"{where}: a bill has at most {_MOST} lines")
    if not found:
        raise ConfigError(f"{source}: has no lines")
    return tuple(found.values())


def _stated(fields: Mapping[str, str], where: str) -> Stated:
    amount = _number(fields, "amount", where)
    if amount is None:
        raise ConfigError(f"{where}: amount: is missing")
    return Stated(
        item=_item(fields, where),
        quantity=_number(fields, "quantity", where),
        price=_number(fields, "price", where),
        amount=amount,
    )


def _item(fields: Mapping[str, str], where: str) -> str:
    item, band, section = (fields.get(name, "").strip() for name in ("item", "band", "section"))
    if not item:
        raise ConfigError(f"{where}: item: is missing")
    for name, text in (("item", item), ("band", band)):
        if len(text) > _LONGEST or not text.isprintable():
            raise ConfigError(f"{where}: {name}: at most {_LONGEST} printable characters")
    if section:
        try:
            section = date.fromisoformat(section).isoformat()
        except ValueError:
            raise ConfigError(f"{where}: section: must be its first day, such as 2026-03-15") from None
    return item + (f".{band}" if band else "") + (f"@{section}" if section else "")


def _number(fields: Mapping[str, str], column: str, where: str) -> Decimal | None:
    text = fields.get(column, "").strip()
    if not text:
        return None
    try:
        value = Decimal(text) if text.isascii() and "_" not in text else Decimal("NaN")
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or abs(value) >= _LARGEST or int(value.as_tuple().exponent) < _FINEST:
        raise ConfigError(f"{where}: {column}: must be a plain number such as 1234.56")
    return value
