"""Energy that firms of a park pass to each other (F21): eliminated in the park's total, its carbon moved, not made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from centre.accounting.terms import NO_FACTOR, NO_QUANTITY, ZERO, Input, convert, rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One meter between two owners. `kg_per_unit`: the giver's carbon factor of that month for one unit of amount."""

    giver: str
    taker: str
    amount: Input
    kg_per_unit: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkTotal:
    """`total` = `of_firms` - `internal`; None as long as a part is missing."""

    total: Decimal | None
    of_firms: Decimal
    internal: Decimal
    unit: str
    missing: tuple[str, ...]
    firms: Mapping[str, Input]
    transfers: tuple[Transfer, ...]


def park_total(members: Mapping[str, Input], transfers: Sequence[Transfer], unit: str) -> ParkTotal:
    """What a park took in: what its firms took in, without what they had from each other.

    A transfer counts as internal only if both owners are members, so a park of parks is computed the same way.
    """
    internal = tuple(item for item in transfers if item.giver in members and item.taker in members)
    inputs = [*members.values(), *(item.amount for item in internal)]
    of_firms = sum((convert(item.value, item.unit, unit) for item in members.values() if item.value is not None), ZERO)
    within = sum(
        (convert(item.amount.value, item.amount.unit, unit) for item in internal if item.amount.value is not None), ZERO
    )
    missing = tuple(item.id for item in inputs if item.value is None)
    return ParkTotal(
        total=None if missing else of_firms - within,
        of_firms=of_firms,
        internal=within,
        unit=unit,
        missing=missing,
        firms=dict(members),
        transfers=internal,
    )


def with_transfers(own_kg: Mapping[str, Input], transfers: Sequence[Transfer]) -> dict[str, Input]:
    """Each firm's carbon after what it passed on and had passed to it: their sum is the sum of `own_kg`, exactly.

    Where a transfer's amount or factor is not known, neither of its owners has a figure.
    """
    moved = {firm: (item.value, item.reason) for firm, item in own_kg.items()}
    for item in transfers:
        kg = None
        if item.amount.value is not None and item.kg_per_unit is not None:
            kg = rounded(Fraction(item.amount.value) * Fraction(item.kg_per_unit))
        for firm, sign in ((item.giver, -1), (item.taker, 1)):
            if firm not in moved:
                continue
            had, reason = moved[firm]
            if had is None or kg is None:
                why = f"{item.amount.id}: {item.amount.reason or NO_FACTOR}" if kg is None else NO_QUANTITY
                moved[firm] = (None, reason or why)
            else:
                moved[firm] = (had + sign * kg, None)
    return {
        firm: Input(id=own_kg[firm].id, value=value, unit=own_kg[firm].unit, reason=reason)
        for firm, (value, reason) in moved.items()
    }
