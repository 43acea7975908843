"""Manual data at work: forms are taken, handed in, approved, looked up; only what is approved is given to figures."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from centre.accounting.calendar import Month, month_of
from centre.accounting.factors import FactorRow
from centre.books import batches, forms
from centre.books.batches import BatchRow
from centre.books.file import Books, Writing
from centre.books.forms import FormRow, State
from centre.errors import FigureError, UnknownSite
from centre.manual_batches import Batch
from centre.manual_columns import Known
from centre.manual_csv import Filled, read_csv, read_rows
from centre.manual_forms import Entry
from centre.plant import Plant
from wattline.clock import Clock

_SOLID: Final = ("t", "kg")
_GAS: Final = ("m3", "1e4m3")
_BURNT: Final = ("coal_equivalent", "co2_factor")
_WAITS: Final = frozenset({"month_closed", "counted_twice"})
UNATTENDED: Final = "settings: production.approval"
_NO_FUEL: Final = frozenset({"electricity", "heat", "fresh_water", "standard_coal"})


def fuels_of(rows: Sequence[FactorRow]) -> dict[str, tuple[str, ...]]:
    """The fuels that the table has an energy or a carbon factor of, with the units a form may give them in."""
    fuels: dict[str, tuple[str, ...]] = {}
    for row in rows:
        unit = row.value_unit.rpartition("/")[2]
        if row.metric.startswith(_BURNT) and row.carrier not in _NO_FUEL and unit in (*_SOLID, *_GAS):
            fuels[row.carrier] = _SOLID if unit in _SOLID else _GAS
    return fuels


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A form that was not approved, and why."""

    form: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """What came of approving many."""

    approved: tuple[FormRow, ...]
    refused: tuple[Refused, ...]


@dataclass(slots=True, kw_only=True)
class Manual:
    """What can be done with manual data. Methods raise FigureError (Wrong with every mistake) or StoreError."""

    books: Books
    clock: Clock
    plants: Mapping[str, Plant]
    factors: Sequence[FactorRow]

    def known(self) -> Known:
        """What rows may refer to now."""
        return Known(plants=self.plants, fuels=fuels_of(self.factors), now=self.clock.now_ns())

    async def take_csv(self, content: bytes, name: str, *, author: str, reason: str) -> FormRow:
        """The draft of a CSV file, whole or not at all; the one there is when the same was taken before."""
        filled = await asyncio.to_thread(read_csv, content, name, self.known())  # up to seconds: the loop goes on
        return await self._keep(filled, author, reason)

    async def take_rows(self, form: str, rows: Sequence[Mapping[str, str]], *, author: str, reason: str) -> FormRow:
        """As `take_csv`, of a form filled in on a page."""
        filled = await asyncio.to_thread(read_rows, form, rows, self.known())
        return await self._keep(filled, author, reason)

    async def _keep(self, filled: Filled, author: str, reason: str) -> FormRow:
        at = self.clock.now_ns()
        return await self.books.change(author, reason, lambda to: forms.keep(to, filled, author=author, at=at))

    async def submit(self, number: int, *, author: str, reason: str) -> FormRow:
        """Hand a draft in."""
        return await self._move(author, reason, lambda to: forms.submit(to, number, author))

    async def give_back(self, number: int, *, author: str, reason: str) -> FormRow:
        """Make a draft of what was handed in."""
        return await self._move(author, reason, lambda to: forms.give_back(to, number))

    async def approve(self, number: int, *, author: str, reason: str) -> FormRow:
        """Let the figures have it; by another author than who made or handed it in."""

        def change(to: Writing) -> FormRow:
            return forms.approve(to, number, author, self._month, batches.in_force_before(to, number))

        return await self._move(author, reason, change)

    async def approve_many(
        self, numbers: Sequence[int], *, site: str = "", month: Month | None = None, author: str, reason: str
    ) -> Approvals:
        """Approve each of some forms, and of every batch of a site that waits in a month: what cannot be, is told.

        All in one change; each has its own entry in the audit.
        """
        if month is not None and site not in self.plants:
            raise UnknownSite(site)

        def change(to: Writing) -> Approvals:
            asked = list(numbers) if month is None else [*numbers, *batches.waiting(to, site, str(month))]
            approved: list[FormRow] = []
            refused: list[Refused] = []
            for number in dict.fromkeys(asked):
                try:
                    approved.append(forms.approve(to, number, author, self._month, batches.in_force_before(to, number)))
                except FigureError as err:  # before it wrote anything
                    refused.append(Refused(form=number, code=err.code, message=err.message))
            return Approvals(approved=tuple(approved), refused=tuple(refused))

        return await self.books.change(author, reason, change)

    async def take_batch(self, batch: Batch, *, approved: bool) -> FormRow:
        """A batch that a source published, handed in by it; the form there is when it came before.

        `approved`: it needs nobody's approval. What would come into a closed month, or be counted twice, waits for it
        all the same.
        """
        at = self.clock.now_ns()

        def change(to: Writing) -> FormRow:
            found, new = batches.keep(to, batch, at=at)
            if not new or not approved:
                return found
            try:
                return forms.approve(to, found.id, UNATTENDED, self._month, batches.in_force_before(to, found.id))
            except FigureError as err:
                if err.code not in _WAITS:
                    raise
                return found

        return await self.books.change(batch.author, f"batch {batch.batch}", change)

    async def batches(self) -> tuple[BatchRow, ...]:
        """The newest batches of all sources first, each with all of its revisions."""
        return await self.books.read(batches.listed)

    def _month(self, entry: Entry) -> str:
        """The month an entry falls into; that of a reading by its time."""
        if "month" in entry.values:
            return entry.period
        plant = self.plants[entry.site]
        return str(month_of(int(entry.period), plant.zone, plant.metering_day))

    async def _move(self, author: str, reason: str, change: Callable[[Writing], FormRow]) -> FormRow:
        return await self.books.change(author, reason, change)

    async def forms(self, state: State | None = None) -> tuple[FormRow, ...]:
        """The newest forms first."""
        return await self.books.read(lambda of: forms.forms(of, state=state))

    async def form(self, number: int) -> tuple[FormRow, tuple[Entry, ...]]:
        """One form with its entries."""
        return await self.books.read(lambda of: (forms.form(of, number), forms.entries_of(of, number)))

    async def entries(self, site: str, form: str, months: Sequence[Month]) -> tuple[Entry, ...]:
        """The approved entries of some months (without a gap between them) of a plant."""
        if site not in self.plants:
            raise UnknownSite(site)
        if not months:
            return ()
        first, last = str(min(months)), str(max(months))
        return await self.books.read(lambda of: forms.in_force(of, site, form, first, last))
