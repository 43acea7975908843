"""What is signed at the end of a month: the statement of the plant, its main figures, and the ids they rest on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal

from centre.accounting.bill import Bill
from centre.accounting.calendar import Month
from centre.accounting.factors import FactorRow
from centre.accounting.terms import Total
from centre.closing_content import Figures
from centre.statement import Statement
from centre.statements import Statements


@dataclass(frozen=True, slots=True)
class StatementFigures:
    """Makes the figures of a closing out of statements (closing.FigureMaker)."""

    statements: Statements

    async def figures(self, site: str, month: Month) -> Figures:
        """Raises FigureError or StoreError."""
        found = await self.statements.statement(site, self.statements.period(site, str(month)))
        return figures_of(found)


def figures_of(found: Statement) -> Figures:
    """Statement, main figures and ids."""
    bills = [item for item in _inside(found.bills) if isinstance(item, Bill)]
    return Figures(
        content=found,
        headline=headline(found),
        factors=sorted({item.id for item in _inside(found) if isinstance(item, FactorRow)}),
        tariffs=sorted({f"{bill.tariff}/{version}" for bill in bills for version in bill.versions}),
    )


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
