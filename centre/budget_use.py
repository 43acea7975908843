"""What was used of a budget by month, asked of the store: one figure for the alarm and for the report."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from centre.accounting.calendar import Month, month_bounds
from centre.accounting.intervals import Interval
from centre.accounting.zones import local_day
from centre.budgets import PlantBudget, used_by_month
from centre.carriers import Flow
from centre.day import Place, boundary, place_of
from centre.plant import Node, Plant
from centre.points import MeterPoints
from centre.statements import Statements
from centre.store.base import Grain, Store


async def budget_used(
    store: Store, plant: Plant, node: Node, budget: PlantBudget, points: Mapping[Place, MeterPoints], *,
    now: int, least_known: Decimal,
) -> dict[int, Decimal]:  # fmt: skip
    """Month (1 to 12) -> amount, of the months that are over and known well enough; raises StoreError."""
    months = [Month(budget.year, month) for month in range(1, 13)]
    bounds = [month_bounds(month, plant.zone, plant.metering_day) for month in months]
    numbers = {start: month.month for month, (start, _) in zip(months, bounds, strict=True)}
    used: list[dict[int, Interval]] = []
    for meter in boundary(node, budget.carrier)[0]:
        if meter.flow is Flow.IMPORT:
            found = await _intervals(store, points[place_of(meter)], bounds[0][0], bounds[-1][1])
            used.append({numbers[part.start]: part for part in found if part.start in numbers})
    return used_by_month(used, now=now, least_known=least_known)


async def budgets_used(service: Statements, site: str, year: int) -> list[tuple[PlantBudget, dict[int, Decimal]]]:
    """Every budget of a plant for a year, and what was used of it; raises StoreError."""
    plant, rules, now = service.plant(site), service.rules[site], service.clock.now_ns()
    points = {place_of(found.meter): found for found in await service.directory.points(plant)}
    nodes = {node.id: node for node in plant.tree.walk()}
    least = rules.management(local_day(now, plant.zone)).budget_least_known
    return [
        (one, await budget_used(service.store, plant, nodes[one.node], one, points, now=now, least_known=least))
        for one in rules.terms.budgets
        if one.year == year and one.node in nodes  # not taken out of the tree since
    ]


async def _intervals(store: Store, found: MeterPoints, start: int, end: int) -> Sequence[Interval]:
    if found.counter is None:
        return ()
    return [bucket.interval for bucket in await store.read_rollup(found.counter, Grain.MONTH, start, end)]
