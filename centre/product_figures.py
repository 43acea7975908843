"""What the books know of the products of a plant: all of a period, or one batch with the intervals it was made in."""

from collections.abc import Sequence
from typing import Final

from centre.accounting.calendar import months as months_between
from centre.carriers import Carrier, Flow
from centre.errors import FigureError
from centre.period import Period
from centre.product_shares import Sharing, Tags
from centre.product_study import BatchStudy, Stretch, batch_study
from centre.production import Production, approved
from centre.statement import Statement
from centre.statement_told import months_of
from centre.statements import Basis, Statements

_LONGEST: Final = 13  # months of one batch


async def sharing_of(
    statements: Statements, basis: Basis, made: Statement, production: Sequence[Production] | None = None
) -> Sharing:
    """The approved production of a statement's period, or the one that is given, and which parts make what alone."""
    books = statements.books
    site, period = basis.plant.site, basis.period
    tags: Tags = {}
    if books is not None:
        tags = {entity.id: entity.products for entity in (await books.entities()).of(site)}
        if production is None:
            production = approved((await books.told(site, period)).of("production"), months_of(period))
    return Sharing(made=made, tree=basis.plant.tree, production=production or (), tags=tags)


async def batches_of(statements: Statements, basis: Basis, batch: str) -> tuple[BatchStudy, ...]:
    """Every approved row of a batch that ended in the period, as a study; raises FigureError where there is none."""
    plant, period = basis.plant, basis.period
    site = plant.site
    if statements.books is None:
        raise FigureError("unknown_batch", "there are no books beside this store", 404)
    told = await statements.books.production(site)
    wanted = [item for item in _apart(approved(told, months_of(period))) if item.rows[0].batch == batch]
    if not wanted:
        raise FigureError("unknown_batch", f"no approved row of {period.label} tells of batch {batch[:64]!r}", 404)
    timed = [item for item in _apart(approved(told, None)) if item.rows[0].begin is not None]
    found: list[BatchStudy] = []
    for item in wanted:
        row = item.rows[0]
        if row.begin is None or row.end is None:
            raise FigureError("no_time", f"the batch {batch[:64]!r} has neither begin nor end", 409)
        months = list(months_between(row.begin, row.end, plant.zone, plant.metering_day))
        if len(months) > _LONGEST:
            raise FigureError("too_long", f"the batch {batch[:64]!r} lasts more than {_LONGEST - 1} months", 409)
        together = [other for other in timed if other.node == item.node and other.rows[0].id != row.id]
        periods = [Period(year=month.year, month=month.month, metering_day=plant.metering_day) for month in months]
        bases = [basis if each == period else await statements.basis(site, each) for each in periods]
        meters = {carrier: stretches for carrier in Carrier for stretches in [_meters(item.node, carrier, bases)]}
        used = {carrier: stretches for carrier, stretches in meters.items() if stretches}
        found.append(batch_study(item, together, used, site=site, zone=plant.zone))
    return tuple(found)


def _apart(production: Sequence[Production]) -> list[Production]:
    """Each row a production of its own."""
    return [
        Production(product=item.product, name=item.name, node=item.node, rows=(row,))
        for item in production
        for row in item.rows
    ]


def _meters(node_id: str, carrier: Carrier, bases: Sequence[Basis]) -> list[Stretch]:
    """What counted a carrier for a node, month by month."""
    found: list[Stretch] = []
    for basis in bases:
        node = next((node for node in basis.plant.tree.walk() if node.id == node_id), None)
        if node is None:
            continue
        zone = basis.plant.zone
        counted, _ = basis.membership.counted(node, carrier, basis.period, basis.records, zone)
        for record in counted:
            if record.points.meter.flow is Flow.IMPORT:
                start, end = record.bounds or basis.period.bounds(zone)
                found.append(Stretch(record=record, start=start, end=end))
    return found
