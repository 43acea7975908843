"""What would be counted twice: a month's total of a product beside batches of it at the same node."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from centre.errors import FigureError
from centre.manual_forms import Entry

_FORM: Final = "production"
_AMOUNTS: Final = ("produced", "scrap", "mass_kg", "value_cny")


def refuse_counted_twice(connection: sqlite3.Connection, entries: Sequence[Entry], replaced: Sequence[int]) -> None:
    """Raises FigureError where these entries, in force, would tell a product both by batch and as a month's total.

    A row that tells nothing but 0 counts nothing: a total of 0 in place of a total makes way for batches, and the other
    way round. `replaced` are forms that leave force. Only what becomes new is looked at: nothing here costs more for
    another batch than one look by its key, nor for all totals of a month than one look over it.
    """
    mine = {entry.key: entry for entry in entries if entry.form == _FORM}
    batches = _batches(connection, mine, replaced)
    for entry in mine.values():
        if not _counts(entry.values):
            continue
        found = _total(connection, entry, mine, replaced) if entry.key[4] else batches.get(entry.key[:4])
        if found is None:
            continue
        site, node, month, product, _ = entry.key
        batch = entry.key[4]
        one, other = (f"batch {batch}", "a total of the month") if batch else ("a total", f"batch {found}")
        raise FigureError(
            "counted_twice",
            f"{product} at {node} of {site} in {month}: {one} would be counted beside {other} that is in force or comes"
            " with it; take either batches or a total, and approve a row of 0 in place of what shall not count",
            409,
        )


def _total(
    connection: sqlite3.Connection, entry: Entry, mine: Mapping[tuple[str, ...], Entry], replaced: Sequence[int]
) -> str | None:
    """The total of the month that would stand beside a batch."""
    key = (*entry.key[:4], "")
    if key in mine:
        return "" if _counts(mine[key].values) else None
    row = connection.execute(
        "SELECT told, form_id FROM manual_entry WHERE form = ? AND key = ? AND in_force = 1",
        (_FORM, json.dumps(key, ensure_ascii=False)),
    ).fetchone()
    return "" if row is not None and row[1] not in replaced and _counts(json.loads(row[0])) else None


def _batches(
    connection: sqlite3.Connection, mine: Mapping[tuple[str, ...], Entry], replaced: Sequence[int]
) -> Mapping[tuple[str, ...], str]:
    """Of each product with a total in `mine` (its key without the batch) the first batch that would stand beside it."""
    totals = {key[:4] for key, entry in mine.items() if not key[4] and _counts(entry.values)}
    found: dict[tuple[str, ...], str] = {}
    for site, month in sorted({(key[0], key[2]) for key in totals}):
        standing = connection.execute(
            "SELECT key, told, form_id FROM manual_entry WHERE site = ? AND form = ? AND period = ? AND in_force = 1"
            " AND json_extract(key, '$[4]') <> '' ORDER BY key",
            (site, _FORM, month),
        )
        for text, told, number in standing:
            key = tuple(json.loads(text))
            if key[:4] in totals and key not in mine and number not in replaced and _counts(json.loads(told)):
                found.setdefault(key[:4], key[4])
    for key, entry in mine.items():
        if key[4] and key[:4] in totals and _counts(entry.values):
            found.setdefault(key[:4], key[4])
    return found


def _counts(values: Mapping[str, str]) -> bool:
    return any(Decimal(values.get(name) or 0) for name in _AMOUNTS)
