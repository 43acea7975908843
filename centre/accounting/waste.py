"""Mass balance of solid waste: generated, used, stored, disposed of; the rate of use (requirement row 12).

Stock at the beginning + generated = used + disposed + stock at the end + the unexplained rest, which is shown and never
spread. The rate of use is used / (generated + old stock used): what was used out of old stock is added below the line.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from centre.accounting.ratios import Ratio, in_unit, ratio
from centre.accounting.terms import NO_QUANTITY, Input

MORE_OLD_STOCK_THAN_USED: Final = "more_old_stock_than_used"
MORE_OLD_STOCK_THAN_STOCK: Final = "more_old_stock_than_stock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waste:
    """One kind of waste of a boundary and period. `old_stock_used` is the part of `used` that lay in stock before."""

    kind: str
    stock_begin: Input
    generated: Input
    used: Input
    old_stock_used: Input
    disposed: Input
    stock_end: Input


@dataclass(frozen=True, slots=True, kw_only=True)
class WasteBalance:
    """`rest` in t: positive is mass that is written nowhere, negative is mass from nowhere. None with the reason."""

    waste: Waste
    rest: Decimal | None
    use: Ratio
    reason: str | None = None


def balance(waste: Waste) -> WasteBalance:
    """The balance and the rate of use."""
    parts = (waste.stock_begin, waste.generated, waste.used, waste.disposed, waste.stock_end)
    lost = next((part for part in parts if part.value is None), None)
    if lost is not None:
        return WasteBalance(waste=waste, rest=None, use=_rate(waste), reason=f"{lost.id}: {lost.reason or NO_QUANTITY}")
    begin, generated, used, disposed, end = (_tonnes(part) for part in parts)
    return WasteBalance(waste=waste, rest=begin + generated - used - disposed - end, use=_rate(waste))


def _rate(waste: Waste) -> Ratio:
    used, old, generated, stock = (
        in_unit(item, "t") for item in (waste.used, waste.old_stock_used, waste.generated, waste.stock_begin)
    )
    reason, whole = None, None
    lost = next((item for item in (generated, old) if item.value is None), None)
    if lost is not None:
        reason = f"{lost.id}: {lost.reason or NO_QUANTITY}"
    elif used.value is not None and _tonnes(old) > used.value:
        reason = MORE_OLD_STOCK_THAN_USED
    elif stock.value is not None and _tonnes(old) > stock.value:
        reason = MORE_OLD_STOCK_THAN_STOCK
    else:
        whole = _tonnes(generated) + _tonnes(old)
    below = Input(id=f"{generated.id} + {old.id}", value=whole, unit="t", reason=reason)
    return ratio(f"{waste.kind}: used", used, below)


def _tonnes(item: Input) -> Decimal:
    value = in_unit(item, "t").value
    assert value is not None
    return value
