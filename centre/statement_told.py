"""What people told for a statement, as inputs of its rules: approved forms (quality U), retired certificates; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from centre.accounting.calendar import Month
from centre.accounting.coal_equivalent import EnergyLine, net
from centre.accounting.emissions import Activity, Source
from centre.accounting.intensity import Intensity, intensity
from centre.accounting.terms import Input, Total, convert
from centre.manual_figures import fuel_lines, of_node, produced, value_added, water
from centre.manual_forms import Entry
from centre.period import Period
from centre.plant import Node

FORMS: Final = ("fuel", "value_added", "production", "water")
SEVERAL: Final = "several_products"
_TEN_THOUSAND: Final = Decimal(10_000)

Certificates = Mapping[tuple[str, str], Sequence[str]]
"""(`SITE/NODE`, month such as 2026-10) -> ids of the certificates that were retired for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`entries` by form: of the period and the year before it, so that what was told once is missed when it stops."""

    entries: Mapping[str, Sequence[Entry]] = field(default_factory=dict[str, Sequence[Entry]])
    certificates: Certificates = field(default_factory=dict[tuple[str, str], Sequence[str]])

    def of(self, form: str) -> Sequence[Entry]:
        return self.entries.get(form, ())


def months_of(period: Period) -> list[Month]:
    """Its months in the calendar of the forms."""
    return [Month(month.year, month.month or 1) for month in period.months()]


def fuels(told: Told, site: str, node: Node, period: Period, metered: Sequence[str]) -> tuple[EnergyLine, ...]:
    """The fuels that forms tell of a node; what a meter of it counts is not counted a second time."""
    found = fuel_lines(told.of("fuel"), site, node, months_of(period))
    return tuple(line for line in found if line.carrier not in metered)


def burnt(lines: Sequence[EnergyLine]) -> list[Activity]:
    """What left the stock and was not sold was burnt."""
    return [
        Activity(label=line.carrier, source=Source.COMBUSTION, carrier=line.carrier, amount=net(line)) for line in lines
    ]


def retired(told: Told, site: str, node: Node, period: Period) -> Input | None:
    """The certificates retired for what a node or a part of it used in a month; None without any."""
    parts = [f"{site}/{found.id}" for found in node.walk()]
    ids = sorted(
        one for month in period.months() for part in parts for one in told.certificates.get((part, month.label), ())
    )
    if not ids:
        return None
    named = ", ".join(ids).replace(" - ", "-")
    return Input(id=f"certificates:{site}/{node.id}/{period.label}: {named}", value=Decimal(len(ids)), unit="GEC")


def told_water(told: Told, site: str, node: Node, period: Period, which: str) -> Input | None:
    """Water `discharged` or `reused`; None where no form ever tells of it."""
    known = [entry for entry in of_node(told.of("water"), node) if entry.values["water"] == which]
    return water(told.of("water"), site, node, months_of(period), which) if known else None


def added(told: Told, site: str, node: Node, period: Period) -> Input | None:
    """Value added in 10000 CNY; None where no form ever tells of it."""
    if not of_node(told.of("value_added"), node):
        return None
    found = value_added(told.of("value_added"), site, node, months_of(period))
    value = None if found.value is None else found.value / _TEN_THOUSAND
    return Input(id=found.id, value=value, unit="1e4CNY", shares=found.shares, reason=found.reason)


def products(told: Told, site: str, node: Node, period: Period) -> Mapping[str, Input]:
    """What was made, by product."""
    return produced(told.of("production"), site, node, months_of(period))


def intensities(
    site: str, node: Node, period: Period, *, energy: Total, fresh: Input, value: Input | None,
    made: Mapping[str, Input],
) -> tuple[Intensity, ...]:  # fmt: skip
    """Energy and water by value added and by unit of product; of several products each needs its share first."""
    reason = ", ".join(f"{term.label}: {term.reason}" for term in energy.terms if term.value is None) or None
    name = f"{site}/{node.id}/tce/calorific/{period.label}"
    tce = Input(id=name, value=energy.value, unit="tce", reason=reason)
    kgce = Input(
        id=name,
        value=None if energy.value is None else convert(energy.value, "tce", "kgce"),
        unit="kgce",
        reason=reason,
    )
    if len(made) > 1:
        kgce = Input(id=name, value=None, unit="kgce", reason=SEVERAL)
        per_product = Input(id=fresh.id, value=None, unit=fresh.unit, reason=SEVERAL)
    else:
        per_product = fresh
    pairs = [(tce, value), (fresh, value)] if value is not None else []
    pairs += [(part, output) for output in made.values() for part in (kgce, per_product)]
    return tuple(
        intensity(year=period.year, numerator=part, denominator=by, boundary=f"{site}/{node.id}") for part, by in pairs
    )
