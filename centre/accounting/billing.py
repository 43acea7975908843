"""The electricity bill of a month: energy by item and band, basic charge, power-factor adjustment, surcharges.

Each item is summed up exactly and rounded once, half up to 0.01 (rule F7). Basic charge and power-factor standard are
those of the version of the first day. Surcharges stay outside the base of the adjustment.

A bill whose meter or contract changed is split by date: each part of a line says since when it counts. An energy item
is still rounded once; the basic charge of each contract is by its days, and rounded.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.bill import Bill, Line, LineKind, Part, Usage
from centre.accounting.billing_basic import basic_charges, basic_line
from centre.accounting.exact import rounded
from centre.accounting.power_factor import Adjustment, PowerFactorTable, adjustment
from centre.accounting.surcharge import Surcharge
from centre.accounting.tariff import Tariff, TariffVersion
from centre.accounting.time_of_use import BandEnergy, energy_by_band, pieces
from centre.accounting.zones import local_day

POWER_FACTOR: Final = "power_factor_adjustment"
NO_INTERVALS: Final = "no_intervals"
NO_TARIFF: Final = "no_tariff"
NO_REACTIVE: Final = "no_reactive_energy"
NO_TABLE: Final = "no_power_factor_table"
NO_BASE: Final = "base_not_known"

_DatedBand = tuple[str, BandEnergy]  # the first day of its section; empty in a bill of one

_NAME: Final[Mapping[str, str]] = {"en": "Power-factor adjustment", "zh": "力调电费"}


def bill(usage: Usage, tariff: Tariff, tables: Mapping[Decimal, PowerFactorTable]) -> Bill:
    """The bill of `usage` under `tariff`; the same usage under another tariff is a what-if."""
    dated = _bands(usage, tariff)
    bands = [band for _, band in dated]
    versions = {found.id: found for found in tariff.versions}
    priced = [found for found in bands if found.version]
    known = any(found.known_ns for found in priced)
    lines = _energy_lines([found for found in dated if found[1].version], versions, known=known)
    first = tariff.version_on(local_day(usage.start, usage.zone))
    charges = [] if first is None else basic_charges(first, usage)
    if charges and first is not None:
        lines.append(basic_line(charges, first))
    adjusted: Adjustment | None = None
    if first is not None and first.power_factor is not None:
        adjusted, line = _adjusted(first, usage, lines, sum((b.amount for b in bands), Decimal(0)), tables)
        lines.append(line)
    lines += [_surcharge_line(found) for found in usage.surcharges]
    amounts = [line.amount for line in lines if line.amount is not None]
    return Bill(
        tariff=tariff.id,
        currency=tariff.currency,
        start=usage.start,
        end=usage.end,
        lines=tuple(lines),
        total=sum(amounts, Decimal(0)) if lines and len(amounts) == len(lines) else None,
        energy_kwh=sum((found.amount for found in priced), Decimal(0)),
        estimated_kwh=sum((found.estimated for found in priced), Decimal(0)),
        split_kwh=sum((found.split for found in priced), Decimal(0)),
        missing_ns=sum(found.missing_ns if found.version else found.missing_ns + found.known_ns for found in bands),
        versions=tuple(sorted({found.version for found in priced})),
        confirmed=all(line.confirmed for line in lines),
        basic=charges[0].charge if len(charges) == 1 else None,
        adjustment=adjusted,
        sections=tuple(usage.sections),
        demand=usage.demand,
        beside=usage.beside,
    )


def _bands(usage: Usage, tariff: Tariff) -> list[_DatedBand]:
    """The energy of each band, section by section where there are several."""
    if not usage.sections:
        whole = energy_by_band(usage.intervals, pieces(tariff, usage.zone, usage.start, usage.end))
        return [("", band) for band in whole]
    found: list[_DatedBand] = []
    for section in usage.sections:
        inside = [one for one in usage.intervals if section.start <= one.start < section.end]
        since = local_day(section.start, usage.zone).isoformat()
        cut = pieces(tariff, usage.zone, section.start, section.end)
        found += [(since, band) for band in energy_by_band(inside, cut)]
    return found


def _energy_lines(bands: Sequence[_DatedBand], versions: Mapping[str, TariffVersion], *, known: bool) -> list[Line]:
    """A line for each item of the versions that counted, in the order of the file."""
    used = [version for key, version in versions.items() if any(band.version == key for _, band in bands)]
    ids = dict.fromkeys(item.id for version in used for item in version.items)
    return [_energy_line(item, bands, used, known=known) for item in ids]


def _energy_line(item_id: str, bands: Sequence[_DatedBand], used: Sequence[TariffVersion], *, known: bool) -> Line:
    parts: list[Part] = []
    items = {version.id: item for version in used for item in version.items if item.id == item_id}
    for since, band in bands:
        if band.version in items:
            price = items[band.version].prices[band.band]
            amount = Fraction(band.amount) * Fraction(price)
            parts.append(
                Part(
                    key=f"{item_id}.{band.band}",
                    version=band.version,
                    quantity=band.amount,
                    price=price,
                    amount=amount,
                    since=since,
                )
            )
    prices = {part.price for part in parts}
    sources = [version for version in used if version.id in items]
    newest = items[sources[-1].id]
    return Line(
        id=item_id,
        name=newest.name,
        kind=LineKind.ENERGY,
        fund=newest.fund,
        quantity=sum((part.quantity for part in parts), Decimal(0)) if known else None,
        unit="kWh",
        price=prices.pop() if len(prices) == 1 else None,
        amount=rounded(sum((part.amount for part in parts), Fraction(0))) if known else None,
        reason=None if known else NO_INTERVALS,
        parts=tuple(parts),
        sources=tuple(version.id for version in sources),
        confirmed=all(version.confirmed for version in sources),
    )


def _adjusted(
    version: TariffVersion,
    usage: Usage,
    lines: Sequence[Line],
    active_kwh: Decimal,
    tables: Mapping[Decimal, PowerFactorTable],
) -> tuple[Adjustment | None, Line]:
    """The adjustment of the rounded amounts of `lines`, as a bill has it."""
    assert version.power_factor is not None
    table = tables.get(version.power_factor)
    if table is None:
        return None, _adjustment_line(version, None, NO_TABLE)
    if usage.reactive_kvarh is None:
        return None, _adjustment_line(version, None, NO_REACTIVE)
    if any(line.amount is None for line in lines):
        return None, _adjustment_line(version, None, NO_BASE)
    found = adjustment(
        table,
        active_kwh=active_kwh,
        reactive_kvarh=usage.reactive_kvarh,
        charges=sum((line.amount for line in lines if line.amount is not None), Decimal(0)),
        funds=sum((line.amount for line in lines if line.amount is not None and line.fund), Decimal(0)),
    )
    return found, _adjustment_line(version, found, found.reason)


def _adjustment_line(version: TariffVersion, found: Adjustment | None, reason: str | None) -> Line:
    return Line(
        id=POWER_FACTOR,
        name=_NAME,
        kind=LineKind.ADJUSTMENT,
        fund=False,
        quantity=None if found is None else found.percent,
        unit="%",
        price=None if found is None else found.base,
        amount=None if found is None else found.amount,
        reason=reason,
        parts=(),
        sources=(version.id,) if found is None else (version.id, found.source),
        confirmed=version.confirmed and found is not None and found.confirmed,
    )


def _surcharge_line(found: Surcharge) -> Line:
    return Line(
        id=found.row,
        name=found.name,
        kind=LineKind.SURCHARGE,
        fund=False,
        quantity=found.energy_kwh,
        unit="kWh",
        price=found.price,
        amount=found.amount,
        reason=found.reason,
        parts=(),
        sources=(found.row, found.source),
        confirmed=found.confirmed,
    )
