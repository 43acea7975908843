"""What each cost centre used: of its part of the tree, what no part below it with a centre of its own used."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.terms import ZERO, rounded
from centre.carriers import Carrier
from centre.entities import Entity
from centre.plant import Node
from centre.report.document import Cell, Table, Word, short
from centre.statement import NodeStatement, Statement

_CENTS: Final = 2


@dataclass(frozen=True, slots=True)
class _Used:
    """kWh, tce, tCO2e; None where one of its parts is not known."""

    amounts: tuple[Decimal | None, ...]

    def less(self, other: "_Used") -> "_Used":
        pairs = zip(self.amounts, other.amounts, strict=True)
        return _Used(tuple(None if a is None or b is None else a - b for a, b in pairs))


_NOTHING: Final = _Used((ZERO, ZERO, ZERO))


def cost_centre_table(made: Statement, tree: Node, entities: Sequence[Entity]) -> tuple[Table, ...]:
    """None without a cost centre. The last line is of what has none: the lines add up to the plant, cost too."""
    centres = {entity.id: entity.cost_centre for entity in entities if entity.cost_centre is not None}
    parts = list(_parts(made, tree, centres, centres.get(tree.id)))
    if not any(centre is not None for centre, _, _ in parts):
        return ()
    found: dict[str | None, list[tuple[str, _Used]]] = {}
    for centre, node, used in parts:
        found.setdefault(centre, []).append((node, used))
    last = found.pop(None, [])
    whole = _used(made, tree).amounts[0]
    rows: list[tuple[Cell, ...]] = []
    spent = ZERO
    for centre, of in sorted(found.items(), key=lambda one: one[0] or ""):
        amounts = _sum([used for _, used in of])
        cost = None
        if made.cost.value is not None and whole and amounts[0] is not None:
            cost = rounded(Fraction(made.cost.value) * Fraction(amounts[0]) / Fraction(whole), _CENTS)
            spent += cost
        rows.append(_row(centre, [node for node, _ in of], amounts, cost))
    rest = None if made.cost.value is None or any(row[5] is None for row in rows) else made.cost.value - spent
    rows.append(_row(Word("no_cost_centre"), [node for node, _ in last], _sum([used for _, used in last]), rest))
    columns = ("cost_centre", "parts", "electricity_kwh", "calorific", "scopes_location", "electricity_cost")
    return (Table(key="cost_centres", columns=columns, rows=tuple(rows)),)


def _parts(
    made: Statement, node: Node, centres: dict[str, str], centre: str | None
) -> Iterator[tuple[str | None, str, _Used]]:
    """(cost centre, node, what it used without those below that have one) of a node that has one, or of the plant."""
    below = list(_next(node, centres))
    own = _used(made, node)
    for child in below:
        own = own.less(_used(made, child))
        yield from _parts(made, child, centres, centres[child.id])
    yield centre, node.id, own


def _next(node: Node, centres: dict[str, str]) -> Iterator[Node]:
    for child in node.children:
        if child.id in centres:
            yield child
        else:
            yield from _next(child, centres)


def _used(made: Statement, node: Node) -> _Used:
    found = made.node(node.id)
    return _NOTHING if found is None else _Used(_amounts(found))


def _amounts(node: NodeStatement) -> tuple[Decimal | None, ...]:
    line = node.line(Carrier.ELECTRICITY)
    scopes = (node.scope1.value, node.scope2.location.value)
    return (
        ZERO if line is None else line.net.value,
        node.energy.calorific.value,
        None if None in scopes else sum((value for value in scopes if value is not None), ZERO),
    )


def _sum(used: Sequence[_Used]) -> tuple[Decimal | None, ...]:
    columns = zip(*(one.amounts for one in used), strict=True) if used else [(ZERO,)] * len(_NOTHING.amounts)
    return tuple(None if None in column else sum((v for v in column if v is not None), ZERO) for column in columns)


def _row(
    centre: Cell, nodes: Sequence[str], amounts: Sequence[Decimal | None], cost: Decimal | None
) -> tuple[Cell, ...]:
    shown = (None if amount is None else short(amount) for amount in amounts)
    return (centre, ", ".join(nodes), *shown, None if cost is None else short(cost))
