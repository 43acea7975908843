"""Production on the page: what was made in a month, what waits for approval, what a line published and is no batch."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from centre.accounting.calendar import Month
from centre.books.batches import BatchRow
from centre.books.forms import State
from centre.dead_letters import DeadLetters, Letter
from centre.manual import Manual
from centre.manual_forms import Entry
from centre.web_format import moment, plain
from metering.topics import parse_topic

_MOST: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionRow:
    """`figure`: that of its footprint, empty for what is not approved. `form`: its number in the books."""

    product: str
    node: str
    batch: str
    time: str
    output: str
    form: int | None
    figure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionView:
    """The newest of each; `more`: how many approved rows are not shown."""

    made: tuple[ProductionRow, ...]
    more: int
    waiting: tuple[ProductionRow, ...]
    refused: tuple[Letter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionDesk:
    """Where the page looks; `letters`: what lines published and is no batch."""

    manual: Manual
    letters: DeadLetters

    async def view(self, site: str, month: Month, zone: ZoneInfo) -> ProductionView:
        """Raises StoreError."""
        letters: Sequence[Letter] = ()
        with suppress(OSError):  # the log tells of a folder that cannot be read when it is written to
            letters = await asyncio.to_thread(self.letters.newest)
        entries = await self.manual.entries(site, "production", [month])
        batches = await self.manual.batches()
        return production_view(site, month, zone, entries=entries, batches=batches, letters=letters)


def production_view(
    site: str, month: Month, zone: ZoneInfo, *, entries: Sequence[Entry], batches: Sequence[BatchRow],
    letters: Sequence[Letter],
) -> ProductionView:  # fmt: skip
    """What of it belongs to a plant and a month; letters are those of the plant. Pure."""
    newest = sorted(entries, key=lambda entry: (entry.values.get("end", "").zfill(20), entry.number or 0), reverse=True)
    waiting = [row.entry for row in batches if row.site == site and row.form.state is State.SUBMITTED]
    return ProductionView(
        made=tuple(_row(entry, zone, approved=True) for entry in newest[:_MOST]),
        more=max(0, len(newest) - _MOST),
        waiting=tuple(_row(entry, zone, approved=False) for entry in waiting if entry.period == str(month)),
        refused=tuple(letter for letter in letters if _is_of(letter, site)),
    )


def _row(entry: Entry, zone: ZoneInfo, *, approved: bool) -> ProductionRow:
    told = entry.values
    begin, end, batch = told.get("begin", ""), told.get("end", ""), told.get("batch", "")
    figure = f"{told['node']}:footprint/{told['product']}"
    return ProductionRow(
        product=told["product"],
        node=told["node"],
        batch=batch,
        time=f"{moment(int(begin), zone)} – {moment(int(end), zone)}" if begin else "",
        output=f"{plain(Decimal(told['produced']))}\u202f{told['unit']}",
        form=entry.number,
        figure="" if not approved else f"{figure}/batch/{batch}" if batch and begin else figure,
    )


def _is_of(letter: Letter, site: str) -> bool:
    try:
        return parse_topic(letter.topic)[0].site == site
    except ValueError:
        return False
