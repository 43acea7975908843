"""The ledgers beside a statement: what left the plant by its outlets, and what its machines did."""

import asyncio

from centre.emitted import Emissions, Emitted
from centre.equipment_ledger import LedgerRow, ledger, until_of
from centre.errors import BadQuestion
from centre.statement import Statement
from centre.statements import Basis, Statements


async def emitted_in(service: Statements, basis: Basis) -> tuple[Emitted, ...]:
    """Every pollutant of every outlet in the period; raises StoreError."""
    outlets = service.rules[basis.plant.site].terms.outlets
    return await emissions_of(service).of(basis.plant, outlets, basis.period)


def emissions_of(service: Statements) -> Emissions:
    """On the store and the books of the statements."""
    books = None if service.books is None else service.books.books
    return Emissions(store=service.store, clock=service.clock, books=books)


async def machines_in(service: Statements, basis: Basis, made: Statement) -> tuple[LedgerRow, ...]:
    """The machines of a month; raises BadQuestion for a year, and StoreError."""
    if basis.period.month is None:
        raise BadQuestion("the equipment ledger is one of a month, such as 2026-11")
    if service.books is None:
        return ()
    air = service.rules[basis.plant.site].management(basis.period.last).air
    until = until_of(basis.plant, basis.period, service.clock.now_ns())
    return await asyncio.to_thread(ledger, basis, made, await service.books.entities(), air, until)
