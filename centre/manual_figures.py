"""From approved entries to inputs of the rules; pure. All of it is of quality U, and names its form, item and month."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from centre.accounting.calendar import Month
from centre.accounting.coal_equivalent import EnergyLine
from centre.accounting.registers import Flag
from centre.accounting.terms import ZERO, Input, convert
from centre.accounting.waste import Waste
from centre.manual_forms import Entry
from centre.plant import Node

NOT_APPROVED: Final = "no_approved_entry"
_MANUAL: Final = ((Flag.MANUAL.value, Decimal(1)),)
_TEN_THOUSAND: Final = "1e4CNY"


def of_node(entries: Sequence[Entry], node: Node) -> tuple[Entry, ...]:
    """What was told of a node, or, when nothing was, of the nodes below it."""
    own = tuple(entry for entry in entries if entry.values["node"] == node.id)
    return own or tuple(found for child in node.children for found in of_node(entries, child))


def sum_of(
    entries: Sequence[Entry], name: str, column: str, unit: str, months: Sequence[Month], *, every: bool = True
) -> Input:
    """The sum of a column over `months`, of each of which an entry must be there. `name`: `SITE/NODE/value_added`.

    With `every` each node that told of an earlier month is missed too: a part of them is no sum.
    """
    by_month = {str(month): [entry for entry in entries if entry.period == str(month)] for month in months}
    missing = [told for month, found in by_month.items() for told in _missing(entries if every else (), month, found)]
    span = str(months[0]) if len(months) == 1 else f"{months[0]}..{months[-1]}"
    if missing:
        reason = f"{NOT_APPROVED}: {', '.join(missing)}"
        return Input(id=f"manual:{name}/{span}", value=None, unit=unit, reason=reason)
    value = sum((_in_unit(entry, column, unit) for found in by_month.values() for entry in found), ZERO)
    return Input(id=f"manual:{name}/{span}", value=value, unit=unit, shares=_MANUAL)


def _missing(entries: Sequence[Entry], month: str, found: Sequence[Entry]) -> list[str]:
    """The month when nobody told of it, else with each node that did of earlier ones only."""
    if not found:
        return [month]
    told = {entry.values["node"] for entry in found}
    before = {entry.values["node"] for entry in entries if entry.period < month}
    return [f"{month} {node}" for node in sorted(before - told)]


def _in_unit(entry: Entry, column: str, unit: str) -> Decimal:
    """Raises UnitError for a unit that does not measure the same."""
    value = Decimal(entry.values[column])
    if entry.values["unit"] == _TEN_THOUSAND and unit == "CNY":
        return value * 10_000
    return convert(value, entry.values["unit"], unit)


def value_added(entries: Sequence[Entry], site: str, node: Node, months: Sequence[Month]) -> Input:
    """In CNY."""
    return sum_of(of_node(entries, node), f"{site}/{node.id}/value_added", "value_added", "CNY", months)


def produced(entries: Sequence[Entry], site: str, node: Node, months: Sequence[Month]) -> dict[str, Input]:
    """Output by product, in the unit of its first entry; a product counts from the months in which it was made.

    An entry of a product in a unit that does not measure the same makes its sum unknown.
    """
    found: dict[str, list[Entry]] = {}
    for entry in of_node(entries, node):
        found.setdefault(entry.values["product"], []).append(entry)
    wanted = {str(month) for month in months}
    sums: dict[str, Input] = {}
    for product, of_product in sorted(found.items()):
        made = [month for month in months if any(entry.period == str(month) for entry in of_product)]
        inside = [entry for entry in of_product if entry.period in wanted]
        if inside:
            name = f"{site}/{node.id}/production/{product}"
            unit = inside[0].values["unit"]
            try:
                sums[product] = sum_of(inside, name, "produced", unit, made, every=False)
            except ValueError as err:
                sums[product] = Input(id=f"manual:{name}", value=None, unit=unit, reason=str(err))
    return sums


def fuel_lines(entries: Sequence[Entry], site: str, node: Node, months: Sequence[Month]) -> tuple[EnergyLine, ...]:
    """A line of comprehensive energy for each fuel: stock before the months, bought, sold, stock after them."""
    lines: list[EnergyLine] = []
    told = of_node(entries, node)
    for fuel in sorted({entry.values["fuel"] for entry in told}):
        mine = [entry for entry in told if entry.values["fuel"] == fuel]
        name, unit = f"{site}/{node.id}/fuel/{fuel}", mine[0].values["unit"]
        first, last = months[:1], months[-1:]
        lines.append(
            EnergyLine(
                carrier=fuel,
                purchased=sum_of(mine, f"{name}/purchased", "purchased", unit, months),
                stock_begin=sum_of(mine, f"{name}/stock_begin", "stock_begin", unit, first),
                stock_end=sum_of(mine, f"{name}/stock_end", "stock_end", unit, last),
                sold=sum_of(mine, f"{name}/sold", "sold", unit, months),
            )
        )
    return tuple(lines)


def wastes(entries: Sequence[Entry], site: str, node: Node, months: Sequence[Month]) -> tuple[Waste, ...]:
    """Every kind of waste, in t."""
    told = of_node(entries, node)
    found: list[Waste] = []
    for kind in sorted({entry.values["waste"] for entry in told}):
        mine = [entry for entry in told if entry.values["waste"] == kind]

        def part(column: str, over: Sequence[Month], mine: Sequence[Entry] = mine, kind: str = kind) -> Input:
            return sum_of(mine, f"{site}/{node.id}/waste/{kind}/{column}", column, "t", over)

        found.append(
            Waste(
                kind=kind,
                stock_begin=part("stock_begin", months[:1]),
                generated=part("generated", months),
                used=part("used", months),
                old_stock_used=part("old_stock_used", months),
                disposed=part("disposed", months),
                stock_end=part("stock_end", months[-1:]),
            )
        )
    return tuple(found)


def water(entries: Sequence[Entry], site: str, node: Node, months: Sequence[Month], which: str) -> Input:
    """`discharged` or `reused` water, m3."""
    mine = [entry for entry in of_node(entries, node) if entry.values["water"] == which]
    return sum_of(mine, f"{site}/{node.id}/water/{which}", "volume", "m3", months)
