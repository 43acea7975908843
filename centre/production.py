"""What was produced: the approved rows of a period by node and product, and each batch with its time; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from centre.accounting.calendar import Month
from centre.accounting.registers import Flag
from centre.accounting.terms import ZERO, Input, UnitError, convert
from centre.manual_forms import Entry

NO_MASS: Final = "no_mass_was_told"
NO_VALUE: Final = "no_value_was_told"
_TOLD: Final = ((Flag.MANUAL.value, Decimal(1)),)
_MASS: Final = ("t", "kg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """One row: where it stands (`form 7, line 2`), good output, and scrap in the same unit.

    `mass` (kg) and `value` (CNY) are those of the good output. `begin` and `end` (UTC ns) stand together.
    """

    id: str
    batch: str
    output: Input
    scrap: Input
    mass: Input
    value: Input
    begin: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """A product that a node made in a period: its rows, and their sums as `Produced` has them."""

    product: str
    name: dict[str, str]
    node: str
    rows: tuple[Produced, ...]

    @property
    def output(self) -> Input:
        return self._sum([row.output for row in self.rows], "output")

    @property
    def scrap(self) -> Input:
        return self._sum([row.scrap for row in self.rows], "scrap")

    @property
    def mass(self) -> Input:
        return self._sum([row.mass for row in self.rows], "mass")

    @property
    def value(self) -> Input:
        return self._sum([row.value for row in self.rows], "value")

    def sums(self) -> tuple[tuple[Input, tuple[Input, ...]], ...]:
        """Each sum with its parts; none of a single row, whose parts are the sums."""
        if len(self.rows) == 1:
            return ()
        return (
            (self.output, tuple(row.output for row in self.rows)),
            (self.mass, tuple(row.mass for row in self.rows)),
            (self.value, tuple(row.value for row in self.rows)),
        )

    def _sum(self, parts: Sequence[Input], what: str) -> Input:
        """A part itself, or the sum in the unit of the first; unknown as long as one of them is."""
        if len(parts) == 1:
            return parts[0]
        name, unit = f"production:{self.node}/{self.product}/{what}", parts[0].unit
        lost = next((part for part in parts if part.value is None), None)
        if lost is not None:
            return Input(id=name, value=None, unit=unit, reason=f"{lost.id}: {lost.reason}")
        try:
            value = sum((convert(part.value or ZERO, part.unit, unit) for part in parts), ZERO)
        except UnitError as err:
            return Input(id=name, value=None, unit=unit, reason=str(err))
        return Input(id=name, value=value, unit=unit, shares=parts[0].shares)


def produced(
    id_: str, *, output: Decimal, scrap: Decimal | None, unit: str, batch: str = "", mass: Decimal | None = None,
    value: Decimal | None = None, begin: int | None = None, end: int | None = None,
) -> Produced:  # fmt: skip
    """A row; the mass of what is counted in t or kg is its output."""
    name = f"production:{id_}"
    weighed = convert(output, unit, "kg") if unit in _MASS else mass
    return Produced(
        id=id_,
        batch=batch,
        output=Input(id=name, value=output, unit=unit, shares=_TOLD),
        scrap=Input(id=f"{name}/scrap", value=ZERO if scrap is None else scrap, unit=unit, shares=_TOLD),
        mass=_key(f"{name}/mass", weighed, "kg", NO_MASS),
        value=_key(f"{name}/value", value, "CNY", NO_VALUE),
        begin=begin,
        end=end,
    )


def _key(name: str, value: Decimal | None, unit: str, reason: str) -> Input:
    return Input(id=name, value=value, unit=unit, shares=_TOLD, reason=reason if value is None else None)


def approved(entries: Sequence[Entry], months: Sequence[Month] | None) -> tuple[Production, ...]:
    """What approved rows tell of some months, or of all, by the node they are told of and the product."""
    wanted = None if months is None else {str(month) for month in months}
    found: dict[tuple[str, str], list[Produced]] = {}
    for entry in entries:
        if wanted is None or entry.period in wanted:
            found.setdefault((entry.values["node"], entry.values["product"]), []).append(row_of(entry))
    return tuple(
        Production(product=product, name={"en": product, "zh": product}, node=node, rows=tuple(rows))
        for (node, product), rows in sorted(found.items())
    )


def row_of(entry: Entry) -> Produced:
    """An entry of the form `production`."""
    told = entry.values
    begin, end = told.get("begin", ""), told.get("end", "")
    return produced(
        f"form {entry.number}, line {entry.place}",
        output=Decimal(told["produced"]),
        scrap=_number(told.get("scrap", "")),
        unit=told["unit"],
        batch=told.get("batch", ""),
        mass=_number(told.get("mass_kg", "")),
        value=_number(told.get("value_cny", "")),
        begin=int(begin) if begin else None,
        end=int(end) if end else None,
    )


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None
