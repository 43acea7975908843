"""Energy, water or carbon per unit of product and per value added, and progress against a base year (rules F13, V15).

Two figures are compared only if they have the same unit, the same price basis and the same boundary. A base year that
is restated is a new record with its reason; progress against the original is shown beside it.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.terms import NO_QUANTITY, Input, rounded

NO_OUTPUT: Final = "no_output"
OTHER_UNIT: Final = "other_unit"
OTHER_PRICES: Final = "other_price_basis"
OTHER_BOUNDARY: Final = "other_boundary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """Numerator by denominator in `unit` at nine places, such as tce/t or tce/10k CNY.

    `prices` is the year of constant prices of a value added, None for a physical output. `boundary` names the set of
    plants or processes, with its version.
    """

    year: int
    value: Decimal | None
    unit: str
    boundary: str
    numerator: Input
    denominator: Input
    prices: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseYear:
    """The base a target is measured from; the first revision is 0, every later one says why it replaced the last."""

    intensity: Intensity
    revision: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Change against a base: -0.16 is 16 % less. None with a reason where the two may not be compared."""

    base: BaseYear
    current: Intensity
    change: Decimal | None
    target: Decimal | None = None
    reached: bool | None = None
    reason: str | None = None


def intensity(
    *, year: int, numerator: Input, denominator: Input, boundary: str, prices: int | None = None
) -> Intensity:
    """Numerator / denominator; no value without both, or for an output of nothing."""
    unit = f"{numerator.unit}/{denominator.unit}"
    value, reason = None, None
    for part in (numerator, denominator):
        if part.value is None:
            reason = reason or f"{part.id}: {part.reason or NO_QUANTITY}"
    if reason is None and denominator.value is not None and denominator.value <= 0:
        reason = NO_OUTPUT
    if reason is None and numerator.value is not None and denominator.value is not None:
        value = rounded(Fraction(numerator.value) / Fraction(denominator.value))
    return Intensity(
        year=year, value=value, unit=unit, boundary=boundary, numerator=numerator, denominator=denominator,
        prices=prices, reason=reason,
    )  # fmt: skip


def restate(base: BaseYear, intensity: Intensity, why: str) -> BaseYear:
    """The base year with corrected figures, a new boundary or a new price basis; ValueError without a reason."""
    if not why.strip():
        raise ValueError("a base year is restated only with a reason")
    if intensity.year != base.intensity.year:
        raise ValueError(f"the base year is {base.intensity.year}, these are figures of {intensity.year}")
    return BaseYear(intensity=intensity, revision=base.revision + 1, why=why)


def progress(base: BaseYear, current: Intensity, target: Decimal | None = None) -> Progress:
    """current / base - 1 from the exact quotients, at nine places; a `target` of -0.16 is reached at -16 % or less."""
    reason = _incomparable(base.intensity, current)
    if reason is not None:
        return Progress(base=base, current=current, change=None, target=target, reason=reason)
    change = _exact(current) / _exact(base.intensity) - 1
    reached = None if target is None else change <= Fraction(target)
    return Progress(base=base, current=current, change=rounded(change), target=target, reached=reached)


def both(bases: tuple[BaseYear, ...], current: Intensity, target: Decimal | None = None) -> tuple[Progress, ...]:
    """Progress against every revision of the base year, the original first."""
    ordered = sorted(bases, key=lambda base: base.revision)
    return tuple(progress(base, current, target) for base in ordered)


def _incomparable(base: Intensity, current: Intensity) -> str | None:
    for side in (base, current):
        if side.value is None:
            return side.reason or NO_QUANTITY
    if base.unit != current.unit:
        return OTHER_UNIT
    if base.prices != current.prices:
        return OTHER_PRICES
    if base.boundary != current.boundary:
        return OTHER_BOUNDARY
    return None if _exact(base) else NO_QUANTITY


def _exact(item: Intensity) -> Fraction:
    assert item.numerator.value is not None
    assert item.denominator.value is not None
    return Fraction(item.numerator.value) / Fraction(item.denominator.value)
