"""The ledgers beside a statement: what left the plant by its outlets, and what its machines did."""

import asyncio
from collections.abc import Mapping
from functools import partial

from centre.accounting.terms import Input
from centre.carriers import Carrier
from centre.emitted import Emissions, Emitted
from centre.equipment_ledger import LedgerRow, ledger, of_year, until_of
from centre.membership import DatedPlant
from centre.period import Period
from centre.plant import Node
from centre.statement import Statement
from centre.statement_told import Told, products
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
    """The machines of a month, or of a year by its months that have begun; raises FigureError or StoreError."""
    if service.books is None:
        return ()
    site, period, now = basis.plant.site, basis.period, service.clock.now_ns()
    entities = await service.books.entities()
    air = service.rules[site].management(period.last).air
    if period.month is not None:
        known = {node.id: node.products for node in made.nodes}
        until = until_of(basis.plant, period, now)
        return await asyncio.to_thread(ledger, basis, lambda node: known.get(node.id, {}), entities, air, until)
    told = await service.books.told(site, period)
    months: list[tuple[LedgerRow, ...]] = []
    for month in period.months() if any(one.equipment for one in entities.of(site)) else ():
        until = until_of(basis.plant, month, now)
        if month.bounds(basis.plant.zone)[0] < until:
            part = await service.basis(site, month, _devices)
            of = partial(_products, told, site, month)
            months.append(await asyncio.to_thread(ledger, part, of, entities, air, until))
    return of_year(months)


def _devices(found: DatedPlant) -> set[str]:
    """What counts the energy of machines, and what they make."""
    machines = {entity.id: entity.equipment for entity in found.entities if entity.equipment}
    outputs = [entry.output for entries in machines.values() for entry in entries]
    devices = {output.device for output in outputs if output is not None}
    parts = [part for node in found.plant.tree.walk() if node.id in machines for part in node.walk()]
    for part in parts:
        spans = found.membership.spans.get((part.id, Carrier.ELECTRICITY), ())
        devices |= {meter.device for meter in part.meters} | {span.meter.device for span in spans}
    return devices


def _products(told: Told, site: str, month: Period, node: Node) -> Mapping[str, Input]:
    return products(told, site, node, month)
