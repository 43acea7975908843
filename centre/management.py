"""What the plants are watched by, asked of the store: demand of the running period, balances, nights, outlets, budgets.

The demand is looked at every time; what changes with a closed quarter of an hour only, once in each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.demand import DemandKind
from centre.accounting.exact import rounded
from centre.accounting.intervals import QUARTER_NS, Interval
from centre.accounting.leak import LeakRule, Night, night_flow
from centre.accounting.zones import day_bounds, local_day
from centre.books.entities import load
from centre.books.file import Books
from centre.budget_use import budget_used
from centre.budgets import PlantBudget
from centre.carriers import Flow
from centre.day import Place, place_of
from centre.demand_peaks import MINUTE_NS, minutes, together
from centre.emitted import Emissions
from centre.entities import covers
from centre.indicators import (
    Sign,
    Supply,
    balance_signs,
    budget_sign,
    calibration_signs,
    demand_sign,
    leak_sign,
    sliding_demand_sign,
)
from centre.plant import Node, Plant
from centre.points import Directory, MeterPoints
from centre.records import Rules
from centre.register_samples import samples_of
from centre.statement_cost import billed_meters
from centre.store.base import Grain, Store
from wattline.clock import NS, Clock

_HOUR_NS: Final = 3600 * NS
_MINUTES: Final = 5
_LEDGER_NS: Final = 60 * NS  # within it what was read is accounted
_MOST_READINGS: Final = 10_000


@dataclass(slots=True)
class _Slow:
    """The signs that change with a closed quarter, and the quarter they are of."""

    quarter: int = -1
    signs: tuple[Sign, ...] = ()


@dataclass(slots=True, kw_only=True)
class Management:
    """Finds the signs of a plant. Methods raise StoreError."""

    store: Store
    clock: Clock
    rules: Mapping[str, Rules]
    directory: Directory
    books: Books | None = None
    _slow: dict[str, _Slow] = field(default_factory=dict[str, _Slow])

    async def signs(self, plant: Plant) -> tuple[Sign, ...]:
        """All that can be looked at now; a value that is not known tells its reason."""
        now = self.clock.now_ns()
        points = {place_of(found.meter): found for found in await self.directory.points(plant)}
        slow = self._slow.setdefault(plant.site, _Slow())
        quarter = (now - _LEDGER_NS) // QUARTER_NS
        if slow.quarter != quarter:
            slow.signs = await self._of_quarter(plant, points, now)
            slow.quarter = quarter
        again = (_seen_at(sign, now) for sign in slow.signs)
        return (*await self._demand(plant, points, now), *again)

    async def _of_quarter(self, plant: Plant, points: Mapping[Place, MeterPoints], now: int) -> tuple[Sign, ...]:
        rules = self.rules[plant.site]
        limits = rules.management(local_day(now, plant.zone))
        end = now - _LEDGER_NS
        end -= end % QUARTER_NS
        quarters = {
            place: await self._intervals(found, Grain.QUARTER, end - 24 * _HOUR_NS, end)
            for place, found in points.items()
        }
        signs = balance_signs(plant, quarters, now, limits)
        for found in points.values():
            leak = limits.leaks.get(found.meter.carrier)
            if leak is not None and found.meter.flow is not Flow.EXPORT:
                nights = await self._nights(plant, found, now, leak)
                signs.append(leak_sign(plant.site, found.meter.device, nights, now, leak))
        nodes = {node.id: node for node in plant.tree.walk()}
        emissions = Emissions(store=self.store, clock=self.clock, books=self.books)
        signs += await emissions.signs(plant, rules.terms.outlets)
        today = local_day(now, plant.zone)
        signs += calibration_signs(plant.site, await self._due(plant.site, today), today, now)
        for budget in rules.terms.budgets:
            if budget.node in nodes:  # not taken out of the tree since
                signs.append(await self._budget(plant, nodes[budget.node], budget, points, now))
        return tuple(signs)

    async def _demand(self, plant: Plant, points: Mapping[Place, MeterPoints], now: int) -> tuple[Sign, ...]:
        """Of the grid connection, where its contract has a demand to keep."""
        contract = self.rules[plant.site].terms.contract(local_day(now, plant.zone))
        billed = [points[place_of(meter)] for meter in billed_meters(plant)]
        if contract is None or contract.contract_kw is None or not billed:
            return ()
        if contract.demand is not DemandKind.FIXED:
            return (await self._sliding(plant, billed, now, contract.contract_kw),)
        start = now - now % QUARTER_NS
        supplies: list[Supply] = []
        until: list[int] = []
        for found in billed:
            running = await self._intervals(found, Grain.QUARTER, start, start + QUARTER_NS)
            newest = await self._newest(found, now)
            until += [max(at, start) for at in newest]
            supplies.append(Supply(interval=running[0] if running else None, minutes=await self._minutes(found, now)))
        reached = max(until, default=start)
        return (demand_sign(plant, supplies, until=reached, now=now, contract_kw=contract.contract_kw),)

    async def _due(self, site: str, today: date) -> dict[str, date]:
        """When the meters that count today have to be calibrated: the earliest day that is told of a device."""
        if self.books is None:
            return {}
        found: dict[str, date] = {}
        for entity in (await self.books.read(load)).entities.of(site):
            for meter in entity.meters:
                due, counts = meter.calibration_due, covers(meter.since, meter.until, today)
                if due is not None and counts:
                    found[meter.device] = min(due, found.get(meter.device, due))
        return found

    async def _sliding(self, plant: Plant, billed: Sequence[MeterPoints], now: int, contract_kw: Decimal) -> Sign:
        """Of the 15 whole minutes up to the newest reading that all meters have."""
        newest = [max(await self._newest(found, now), default=0) for found in billed]
        end = min(newest) - min(newest) % MINUTE_NS
        energies: list[Decimal | None] = [None]
        if now - end < QUARTER_NS:
            first = end - QUARTER_NS
            from_, to = first - first % QUARTER_NS, end + -end % QUARTER_NS
            each = [await minutes(self.store, plant, found, from_, to) for found in billed]
            energies = [one.amount for one in together(each) if first <= one.start < end]
        powers = [await self._minutes(found, now) for found in billed]
        return sliding_demand_sign(plant, energies, powers, now=now, contract_kw=contract_kw)

    async def _newest(self, found: MeterPoints, now: int) -> list[int]:
        """The time of the newest reading of the counter."""
        if found.counter is None:
            return []
        return [reading.at for reading in await self.store.before(found.counter, now + 1, 1)]

    async def _minutes(self, found: MeterPoints, now: int) -> list[Decimal | None]:
        """Mean power of each of the last minutes in kW; what is fed out is no demand."""
        if found.gauge is None:
            return [None] * _MINUTES
        start = now - _MINUTES * MINUTE_NS
        readings = await self.store.read(found.gauge, start, now, limit=_MOST_READINGS)
        samples = samples_of([reading for reading in readings if not reading.suspect])
        means: list[Decimal | None] = []
        for minute in range(_MINUTES):
            first = start + minute * MINUTE_NS
            values = [found.sign * value for at, value in samples if first <= at < first + MINUTE_NS]
            mean = None if not values else rounded(Fraction(sum(values, Decimal(0))) / (1000 * len(values)), 6)
            means.append(None if mean is None else max(mean, Decimal(0)))
        return means

    async def _nights(self, plant: Plant, found: MeterPoints, now: int, rule: LeakRule) -> list[Night]:
        """As many as a leak is judged by, and those before that tell which of them were leaks; the last is over."""
        today = local_day(now, plant.zone)
        last = (
            today if day_bounds(today, plant.zone)[0] + rule.end_ns <= now - _LEDGER_NS else today - timedelta(days=1)
        )
        nights: list[Night] = []
        for back in range(2 * rule.history + rule.confirm, -1, -1):
            day = last - timedelta(days=back)
            start, end = (day_bounds(day, plant.zone)[0] + part for part in (rule.start_ns, rule.end_ns))
            nights.append(
                night_flow(day, await self._intervals(found, Grain.QUARTER, start, end), start=start, end=end)
            )
        return nights

    async def _budget(
        self, plant: Plant, node: Node, budget: PlantBudget, points: Mapping[Place, MeterPoints], now: int
    ) -> Sign:
        least = self.rules[plant.site].management(local_day(now, plant.zone)).budget_least_known
        used = await budget_used(self.store, plant, node, budget, points, now=now, least_known=least)
        return budget_sign(plant.site, budget, used, now)

    async def _intervals(self, found: MeterPoints, grain: Grain, start: int, end: int) -> Sequence[Interval]:
        if found.counter is None:
            return ()
        return [bucket.interval for bucket in await self.store.read_rollup(found.counter, grain, start, end)]


def _seen_at(sign: Sign, now: int) -> Sign:
    """The same value, looked at again."""
    return replace(sign, measured=replace(sign.measured, at=now))
