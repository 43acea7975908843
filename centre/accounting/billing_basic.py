"""The basic charge as a line of a bill: of the whole month, or by the days of each contract where it changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Final

from centre.accounting.basic_charge import BasicCharge, Method, basic_charge
from centre.accounting.bill import Line, LineKind, Part, Section, Usage
from centre.accounting.demand import peak
from centre.accounting.exact import rounded
from centre.accounting.tariff import TariffVersion
from centre.accounting.zones import local_day

BASIC: Final = "basic_charge"

_NAME: Final[Mapping[str, str]] = {"en": "Basic charge", "zh": "基本电费"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The basic charge of the days of one contract."""

    since: str
    share: Fraction
    charge: BasicCharge


def basic_charges(version: TariffVersion, usage: Usage) -> list[Charge]:
    """The charge of each contract in turn; one of a whole month where it did not change."""
    if version.basic is None:
        return []
    sections = usage.sections or (
        Section(start=usage.start, end=usage.end, contract=usage.contract, demand=usage.demand),
    )
    found: list[Charge] = []
    whole = _days(usage, usage.start, usage.end)
    for contract, group in groupby(sections, key=lambda section: section.contract):
        parts = list(group)
        if contract is not None:
            demand = peak(part.demand for part in parts if part.demand is not None)
            share = Fraction(_days(usage, parts[0].start, parts[-1].end), whole)
            since = local_day(parts[0].start, usage.zone).isoformat() if share != 1 else ""
            charge = basic_charge(version.basic, contract, demand)
            found.append(Charge(since=since, share=share, charge=charge))
    return found


def _days(usage: Usage, start: int, end: int) -> int:
    return (local_day(end - 1, usage.zone) - local_day(start, usage.zone)).days + 1


def basic_line(charges: Sequence[Charge], version: TariffVersion) -> Line:
    parts = [part for found in charges for part in _parts(found, version)]
    split = any(found.share != 1 for found in charges)
    amounts = [found.charge.amount for found in charges]
    known = [amount for amount in amounts if amount is not None]
    whole = rounded(sum((part.amount for part in parts), Fraction(0))) if len(known) == len(amounts) else None
    last = charges[-1].charge
    return Line(
        id=BASIC,
        name=_NAME,
        kind=LineKind.BASIC,
        fund=False,
        quantity=None if split else last.quantity,
        unit="kVA" if last.method is Method.CAPACITY else "kW",
        price=None if split or last.excess_kw else last.price,
        amount=whole,
        reason=next((found.charge.reason for found in charges if found.charge.reason is not None), None),
        parts=tuple(parts),
        sources=(version.id,),
        confirmed=version.confirmed,
    )


def _parts(found: Charge, version: TariffVersion) -> Iterator[Part]:
    charge = found.charge
    for key, quantity, price in (
        (BASIC, charge.quantity, charge.price),
        (f"{BASIC}.excess", charge.excess_kw or None, charge.excess_price),
    ):
        if quantity is not None:
            exact = Fraction(quantity) * Fraction(price) * found.share
            amount = exact if found.share == 1 else Fraction(rounded(exact))
            yield Part(
                key=key, version=version.id, quantity=quantity, price=price, amount=amount, since=found.since,
                share=found.share,
            )  # fmt: skip
