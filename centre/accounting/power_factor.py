"""The power factor of a month and the adjustment a table gives for it (rule F8)."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import isqrt
from typing import Final

from centre.accounting.exact import rounded

NO_ENERGY: Final = "no_energy"


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFactorTable:
    """Percent by hundredths of the power factor, 0 to 100; `conflicts` holds what another text says of a line."""

    standard: Decimal
    percent: Mapping[int, Decimal]
    conflicts: Mapping[int, str]
    source: str
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """What a power factor costs (or saves, negative): `amount` = `percent` of `base`; or the reason why none.

    It is that of `active_kwh` and `reactive_kvarh`.
    """

    active_kwh: Decimal
    reactive_kvarh: Decimal
    cosphi: Decimal | None
    percent: Decimal | None
    base: Decimal
    amount: Decimal | None
    standard: Decimal
    source: str
    confirmed: bool
    conflict: str | None
    reason: str | None


def power_factor(active_kwh: Decimal, reactive_kvarh: Decimal) -> Decimal | None:
    """Ep / sqrt(Ep2 + Eq2) to two decimals, halves up, exactly; None without any energy."""
    active, reactive = Fraction(active_kwh) ** 2, Fraction(reactive_kvarh) ** 2
    if not active + reactive:
        return None
    # half up to 0.01: floor(100 c + 1/2) = floor((floor(200 c) + 1) / 2), and floor(200 c) is an integer root
    square = 40_000 * active / (active + reactive)
    return rounded(Fraction((isqrt(square.numerator // square.denominator) + 1) // 2, 100))


def adjustment(
    table: PowerFactorTable, *, active_kwh: Decimal, reactive_kvarh: Decimal, charges: Decimal, funds: Decimal
) -> Adjustment:
    """The adjustment of `charges` (basic and energy charge, funds included), of which `funds` are not adjusted."""
    cosphi = power_factor(active_kwh, reactive_kvarh)
    base = charges - funds
    percent: Decimal | None = None
    conflict: str | None = None
    if cosphi is not None:
        percent = table.percent[int(cosphi * 100)]
        conflict = table.conflicts.get(int(cosphi * 100))
    return Adjustment(
        active_kwh=active_kwh,
        reactive_kvarh=reactive_kvarh,
        cosphi=cosphi,
        percent=percent,
        base=base,
        amount=None if percent is None else rounded(Fraction(percent) * Fraction(base) / 100),
        standard=table.standard,
        source=table.source,
        confirmed=table.confirmed,
        conflict=conflict,
        reason=NO_ENERGY if cosphi is None else None,
    )
