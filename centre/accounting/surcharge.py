"""Differential and step surcharges on electricity (rule F9), by dated rows of config/surcharges.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Final

from centre.accounting.exact import rounded

NO_CLASS: Final = "no_class"
NO_OUTPUT: Final = "no_output"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTerms:
    """`price` per kWh for each `width` kWh/t, begun or full, above `threshold` kWh/t."""

    threshold: Decimal
    width: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SurchargeRow:
    """One notice: either prices by class of the installation, or steps of consumption."""

    id: str
    name: Mapping[str, str]
    valid_from: date
    source: str
    confirmed: bool
    differential: Mapping[str, Decimal] | None
    step: StepTerms | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surcharge:
    """`amount` = `energy_kwh` x `price`; `steps` were charged; or the reason why there is no amount."""

    row: str
    name: Mapping[str, str]
    source: str
    confirmed: bool
    energy_kwh: Decimal | None
    price: Decimal | None
    amount: Decimal | None
    steps: int | None
    reason: str | None


def differential(row: SurchargeRow, *, energy_kwh: Decimal, kind: str) -> Surcharge:
    """The surcharge of a class (`permitted`, `restricted`, `eliminated`); an unknown class has none, with a reason."""
    assert row.differential is not None
    return _surcharge(row, energy_kwh, row.differential.get(kind), None, NO_CLASS)


def step(row: SurchargeRow, *, energy_kwh: Decimal, output_t: Decimal) -> Surcharge:
    """The surcharge of the energy of a product by what a tonne of it took."""
    assert row.step is not None
    if output_t <= 0:
        return _surcharge(row, energy_kwh, None, None, NO_OUTPUT)
    above = Fraction(energy_kwh) / Fraction(output_t) - Fraction(row.step.threshold)
    steps = max(0, ceil(above / Fraction(row.step.width)))
    return _surcharge(row, energy_kwh, row.step.price * steps, steps, "")


def unknown(row: SurchargeRow, energy_kwh: Decimal | None, reason: str) -> Surcharge:
    """A surcharge without an amount."""
    return Surcharge(
        row=row.id, name=row.name, source=row.source, confirmed=row.confirmed, energy_kwh=energy_kwh, price=None,
        amount=None, steps=None, reason=reason,
    )  # fmt: skip


def _surcharge(
    row: SurchargeRow, energy_kwh: Decimal, price: Decimal | None, steps: int | None, reason: str
) -> Surcharge:
    return Surcharge(
        row=row.id,
        name=row.name,
        source=row.source,
        confirmed=row.confirmed,
        energy_kwh=energy_kwh,
        price=price,
        amount=None if price is None else rounded(Fraction(energy_kwh) * Fraction(price)),
        steps=steps,
        reason=reason if price is None else None,
    )


def row_on(rows: Sequence[SurchargeRow], day: date) -> SurchargeRow | None:
    """Of the rows of one surcharge, the one that counts on `day`: the latest begun."""
    begun = [row for row in rows if row.valid_from <= day]
    return max(begun, key=lambda row: row.valid_from, default=None)
