"""Water of a boundary (rule F17): fresh, reused, discharged, consumed, the reuse rate, a product's footprint."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.ratios import Ratio, in_unit, ratio
from centre.accounting.terms import NO_QUANTITY, ZERO, Input, rounded

MORE_OUT_THAN_IN: Final = "more_discharged_than_taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterYear:
    """Water of one boundary and period. `fresh` is taken from outside by source; `reused` went round again inside."""

    fresh: Sequence[Input]
    reused: Sequence[Input]
    discharged: Sequence[Input]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterBalance:
    """All in m3. `consumed` = fresh - discharged: evaporated or in the product. `reuse` = reused / (fresh + reused)."""

    fresh: Input
    reused: Input
    discharged: Input
    consumed: Input
    reuse: Ratio


def balance(water: WaterYear) -> WaterBalance:
    """The balance; a part that is not known leaves everything that needs it without a figure."""
    fresh, reused, discharged = (
        added(parts, name)
        for parts, name in ((water.fresh, "fresh"), (water.reused, "reused"), (water.discharged, "discharged"))
    )
    return WaterBalance(
        fresh=fresh,
        reused=reused,
        discharged=discharged,
        consumed=_consumed(fresh, discharged),
        reuse=ratio("reuse", reused, added((fresh, reused), "fresh + reused")),
    )


def footprint(label: str, consumed: Input, share: Decimal, output: Input) -> Ratio:
    """Water consumed per unit of good output, of the `share` (0 to 1) of the boundary that the product has."""
    part = None if consumed.value is None else rounded(Fraction(consumed.value) * Fraction(share))
    allocated = Input(id=f"{consumed.id} x {share}", value=part, unit=consumed.unit, reason=consumed.reason)
    return ratio(label, allocated, output, unit=f"{consumed.unit}/{output.unit}")


def added(parts: Sequence[Input], name: str) -> Input:
    """The sum in m3, named by what is in it; no parts is no water, an unknown part is no sum."""
    known = [in_unit(part, "m3") for part in parts]
    lost = next((part for part in known if part.value is None), None)
    ids = f"{name}: {', '.join(part.id for part in parts)}"
    if lost is not None:
        return Input(id=ids, value=None, unit="m3", reason=f"{lost.id}: {lost.reason or NO_QUANTITY}")
    return Input(id=ids, value=sum((part.value or ZERO for part in known), ZERO), unit="m3")


def _consumed(fresh: Input, discharged: Input) -> Input:
    name = f"{fresh.id} - {discharged.id}"
    if fresh.value is None or discharged.value is None:
        reason = fresh.reason if fresh.value is None else discharged.reason
        return Input(id=name, value=None, unit="m3", reason=reason)
    if discharged.value > fresh.value:
        return Input(id=name, value=None, unit="m3", reason=MORE_OUT_THAN_IN)
    return Input(id=name, value=fresh.value - discharged.value, unit="m3")
