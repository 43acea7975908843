"""What is signed at the end of a month: statement, main figures, the ledgers beside it, and the ids they rest on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal

from centre.accounting.bill import Bill
from centre.accounting.calendar import Month
from centre.accounting.factors import FactorRow
from centre.accounting.terms import Total
from centre.closing_content import Counted, Figures
from centre.emitted import Emitted
from centre.equipment_ledger import LedgerRow
from centre.membership import DatedPlant
from centre.period import Period
from centre.statement import Statement
from centre.statement_ledgers import emitted_in, machines_in
from centre.statement_told import Told
from centre.statements import Basis, Statements


@dataclass(frozen=True, slots=True)
class StatementFigures:
    """Makes the figures of a closing out of statements (closing.FigureMaker)."""

    statements: Statements

    async def counted(self, site: str, month: Month) -> Counted:
        """Raises FigureError or StoreError."""
        period = self.statements.period(site, str(month))
        found = await self.statements.dated(site, period)
        basis = Basis(plant=found.plant, period=period, records={}, membership=found.membership)
        points = await self.statements.points(found)
        reactive = await self.statements.reactive(found.plant, period, points, found.membership)
        return Counted(
            points=points,
            tree=tree_of(found),
            outlets=outlets_of(await emitted_in(self.statements, basis)),
            reactive={device: (one.amount, one.points.unit) for (device, *_), one in reactive.items()},
            certificates=await self._certificates(site, period),
            manual=await self.statements.manual(found.plant, points),
        )

    async def _certificates(self, site: str, period: Period) -> dict[str, list[str]]:
        books = self.statements.books
        told = Told() if books is None else await books.told(site, period)
        ways = {"used": told.certificates, "claimed elsewhere": told.elsewhere}
        return {
            f"{way} {place}": sorted(ids)
            for way, found in ways.items()
            for (place, _), ids in found.items()
            if place.partition("/")[0] == site
        }

    async def figures(self, site: str, month: Month) -> Figures:
        """Raises FigureError or StoreError."""
        period = self.statements.period(site, str(month))
        basis = await self.statements.basis(site, period)
        made = await self.statements.of_basis(basis, await self.statements.dates_of(site, period))
        machines = machines_of(await machines_in(self.statements, basis, made))
        return replace(figures_of(made), machines=machines)


def figures_of(found: Statement) -> Figures:
    """Statement, main figures and ids."""
    bills = [item for item in _inside(found.bills) if isinstance(item, Bill)]
    return Figures(
        content=found,
        headline=headline(found),
        nodes={
            f"{node.id}/{line.carrier.value}": (line.net.value, line.net.unit)
            for node in found.nodes
            for line in node.lines
        },
        factors=sorted({item.id for item in _inside(found) if isinstance(item, FactorRow)}),
        tariffs=sorted({f"{bill.tariff}/{version}" for bill in bills for version in bill.versions}),
    )


def outlets_of(found: Sequence[Emitted]) -> dict[str, tuple[Decimal | None, str]]:
    """OUTLET/pollutant/... : its mass, how many hours are valid, and how often it was above its limits."""
    told: dict[str, tuple[Decimal | None, str]] = {}
    for one in found:
        name, whole = f"{one.outlet.id}/{one.measured.pollutant}", one.whole
        told |= {
            f"{name}/mass": (whole.mass_kg, "kg"),
            f"{name}/highest_hour": (whole.highest, one.limit.unit),
            f"{name}/valid_hours": (Decimal(whole.valid_hours), "h"),
            f"{name}/hours_over": (Decimal(whole.hours_over), "h"),
            f"{name}/days_over": (Decimal(whole.days_over), "d"),
        }
    return told


def machines_of(rows: Sequence[LedgerRow]) -> dict[str, tuple[Decimal | None, str]]:
    """NODE/first day/... : what a machine did, from the day on which its entry began to count."""
    told: dict[str, tuple[Decimal | None, str]] = {}
    for row in rows:
        name, done = f"{row.node}/{row.first}", row.operation
        told |= {
            f"{name}/energy": (done.energy_kwh, "kWh"),
            f"{name}/running": (done.running_h, "h"),
            f"{name}/idle": (done.idle_h, "h"),
            f"{name}/unknown": (done.unknown_h, "h"),
        }
        if row.specific is not None:
            told[f"{name}/specific"] = (row.specific.value, row.specific.unit)
    return told


def tree_of(found: DatedPlant) -> dict[str, list[str]]:
    """What the amounts of a period are sums of; virtual meters with their formulas."""
    told = {
        f"{node}/{carrier.value}": sorted(
            f"{span.meter.device} {span.meter.flow.value} {span.start}..{span.end}" for span in spans
        )
        for (node, carrier), spans in found.membership.spans.items()
    }
    return told | {f"{one.id}/{one.carrier.value}": [one.expression] for one in found.virtual.values()}


def headline(found: Statement) -> dict[str, tuple[Decimal | None, str]]:
    """The main figures of the plant by name: value and unit."""
    plant = found.nodes[0]
    totals: dict[str, Total] = {
        "energy_calorific": plant.energy.calorific,
        "energy_equal_value": plant.energy.equal_value,
        "scope1": plant.scope1,
        "scope2_location": plant.scope2.location,
        "scope2_market": plant.scope2.market,
        "cost": found.cost,
    }
    totals |= {line.carrier.value: line.net for line in plant.lines}
    return {name: (total.value, total.unit) for name, total in totals.items()}


def _inside(value: object) -> Iterator[object]:
    """Everything that a value is made of, itself first."""
    yield value
    if is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from _inside(getattr(value, item.name))
    elif isinstance(value, Mapping):
        for item in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _inside(item)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, tuple | list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _inside(item)  # pyright: ignore[reportUnknownArgumentType]
