"""Demand (rules F4, F5): the mean power of 15 minutes, fixed or sliding; load factor; the running period's forecast.

The meter's own demand register is the authority for a bill; what is computed here is a check of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Final

from centre.accounting.exact import rounded
from centre.accounting.intervals import QUARTER_NS
from centre.accounting.metered import Metered

_HOUR_NS: Final = 3600 * 10**9
_PERIOD_S: Final = 900
_KW_PLACES: Final = 6
_MINUTES: Final = 15

NO_ENERGY: Final = "no_energy"
NO_POWER: Final = "no_power"


class DemandKind(StrEnum):
    """How a demand was found; a load factor is worth little without it."""

    FIXED = "fixed_block"
    SLIDING = "sliding"
    METER = "meter_register"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Mean power of [start, end) in kW; `estimated`: a part of its energy was.

    `energies`: what each meter counted in it, kWh, where its quarters do not tell. That of a meter's own register ends
    when the register was first seen to show it.
    """

    kw: Decimal
    start: int
    end: int
    kind: DemandKind
    estimated: bool = False
    energies: tuple[tuple[str, Decimal], ...] = ()


def fixed_demands(intervals: Iterable[Metered]) -> tuple[Demand, ...]:
    """The demand of every known quarter of an hour; others are passed over: an hour's mean understates."""
    return tuple(
        Demand(
            kw=_kw(Fraction(found.amount)),
            start=found.start,
            end=found.end,
            kind=DemandKind.FIXED,
            estimated=bool(found.estimated),
        )
        for found in sorted(intervals, key=lambda found: found.start)
        if found.amount is not None and found.end - found.start == QUARTER_NS
    )


def sliding_demands(intervals: Iterable[Metered]) -> tuple[Demand, ...]:
    """The demand of every 15 minutes that known intervals fill without a gap, moved by one of them."""
    found: list[Demand] = []
    for run in _runs(intervals):
        first, energy, estimated = 0, Fraction(0), 0
        for last, interval in enumerate(run):
            energy += Fraction(interval.amount or 0)
            estimated += bool(interval.estimated)
            while first <= last and interval.end - run[first].start > QUARTER_NS:
                energy -= Fraction(run[first].amount or 0)
                estimated -= bool(run[first].estimated)
                first += 1
            if first <= last and interval.end - run[first].start == QUARTER_NS:
                start, kw = run[first].start, _kw(energy)
                found.append(
                    Demand(kw=kw, start=start, end=interval.end, kind=DemandKind.SLIDING, estimated=estimated > 0)
                )
    return tuple(found)


def _runs(intervals: Iterable[Metered]) -> Iterable[list[Metered]]:
    """Known intervals in order, cut where one is missing."""
    known = sorted((found for found in intervals if found.amount is not None), key=lambda found: found.start)
    run: list[Metered] = known[:1]
    for before, found in pairwise(known):
        if before.end != found.start:
            yield run
            run = []
        run.append(found)
    if run:
        yield run


def _kw(energy: Fraction) -> Decimal:
    return rounded(energy * _HOUR_NS / QUARTER_NS, _KW_PLACES)


def peak(demands: Iterable[Demand]) -> Demand | None:
    """The highest, the first of equal ones; None when nothing is known."""
    return max(demands, key=lambda found: (found.kw, -found.start), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFactor:
    """Mean power over highest demand of the same period; `value` is None when there is no demand to divide by."""

    value: Decimal | None
    mean_kw: Decimal
    demand: Demand | None


def load_factor(energy_kwh: Decimal, *, start: int, end: int, demand: Demand | None) -> LoadFactor:
    """F5 for [start, end); the demand says of which kind it is."""
    mean = Fraction(energy_kwh) * _HOUR_NS / (end - start)
    value = None if demand is None or demand.kw <= 0 else rounded(mean / Fraction(demand.kw), 4)
    return LoadFactor(value=value, mean_kw=rounded(mean, _KW_PLACES), demand=demand)


class Outlook(StrEnum):
    """What the running period's demand will do to the contract."""

    WITHIN = "within"
    AT_RISK = "at_risk"
    WILL_EXCEED = "will_exceed"
    EXCEEDED = "exceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The running period's demand if the power stays (`kw`), and if it is as low or high as it lately was.

    `allowed_kw` is the mean power for the rest of the period that just keeps the contract (0 when nothing does);
    `shed_kw` must go from the power of now. All None, with a reason, when energy or power are not known.
    """

    kw: Decimal | None
    low_kw: Decimal | None
    high_kw: Decimal | None
    contract_kw: Decimal
    allowed_kw: Decimal | None
    shed_kw: Decimal | None
    outlook: Outlook | None
    reason: str | None


def forecast(
    *,
    energy_kwh: Decimal | None,
    elapsed_s: int,
    powers_kw: Sequence[Decimal],
    contract_kw: Decimal,
) -> Forecast:
    """From the energy since the period began, `elapsed_s` (less than 900) ago, and late powers, newest last."""
    if energy_kwh is None or not powers_kw:
        return _unknown(contract_kw, NO_ENERGY if energy_kwh is None else NO_POWER)
    rest = Fraction(_PERIOD_S - elapsed_s, _PERIOD_S)
    sofar = Fraction(energy_kwh) * 3600 / _PERIOD_S
    expected, low, high = (sofar + Fraction(power) * rest for power in (powers_kw[-1], min(powers_kw), max(powers_kw)))
    contract = Fraction(contract_kw)
    allowed = max(Fraction(0), (contract - sofar) / rest)
    outlook = _outlook(sofar, expected, high, contract)
    return _forecast((expected, low, high), contract_kw, allowed, Fraction(powers_kw[-1]), outlook)


def sliding_forecast(
    *, minutes: Sequence[Decimal | None], powers_kw: Sequence[Decimal], contract_kw: Decimal
) -> Forecast:
    """The highest of all 15 minutes from those that end now to those that begin now; `minutes`: the last 15, in kWh.

    The 15 minutes that are over cannot be mended: `allowed_kw` keeps the contract in all that end later.
    """
    known = [Fraction(found) for found in minutes if found is not None]
    if len(known) != _MINUTES or not powers_kw:
        return _unknown(contract_kw, NO_POWER if len(known) == _MINUTES else NO_ENERGY)
    kept = [sum(known[gone:], Fraction(0)) * 4 for gone in range(_MINUTES + 1)]  # in kW; gone minutes have left
    now, contract = kept[0], Fraction(contract_kw)

    def highest(power: Decimal) -> Fraction:
        return max(part + Fraction(power) * gone / _MINUTES for gone, part in enumerate(kept))

    expected, low, high = (highest(power) for power in (powers_kw[-1], min(powers_kw), max(powers_kw)))
    room = min((contract - part) * _MINUTES / gone for gone, part in enumerate(kept) if gone)
    outlook = _outlook(now, expected, high, contract)
    return _forecast((expected, low, high), contract_kw, max(Fraction(0), room), Fraction(powers_kw[-1]), outlook)


def _unknown(contract_kw: Decimal, reason: str) -> Forecast:
    return Forecast(
        kw=None, low_kw=None, high_kw=None, contract_kw=contract_kw, allowed_kw=None, shed_kw=None,
        outlook=None, reason=reason,
    )  # fmt: skip


def _outlook(now: Fraction, expected: Fraction, high: Fraction, contract: Fraction) -> Outlook:
    if now > contract:
        return Outlook.EXCEEDED
    if expected > contract:
        return Outlook.WILL_EXCEED
    return Outlook.AT_RISK if high > contract else Outlook.WITHIN


def _forecast(
    found: tuple[Fraction, Fraction, Fraction], contract_kw: Decimal, allowed: Fraction, power: Fraction,
    outlook: Outlook,
) -> Forecast:  # fmt: skip
    expected, low, high = (rounded(value, 3) for value in found)
    return Forecast(
        kw=expected,
        low_kw=low,
        high_kw=high,
        contract_kw=contract_kw,
        allowed_kw=rounded(allowed, 3),
        shed_kw=rounded(max(Fraction(0), power - allowed), 3),
        outlook=outlook,
        reason=None,
    )
