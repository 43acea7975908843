"""What each of several products of a node has of its energy: by sub-meter, else by mass, else by value (rule F16).

The sub-meter of a product is that of a part below the node that is tagged with this product alone. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from centre.accounting.allocation import Basis, Keys, Shares, shares
from centre.accounting.terms import ZERO, Input
from centre.carriers import Flow
from centre.plant import Node
from centre.production import Produced, Production
from centre.statement import Statement

Tags = Mapping[str, Sequence[str]]
"""Id of a node -> the products it is tagged with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How the products of a plant share what their nodes have in common."""

    made: Statement
    tree: Node
    production: Sequence[Production]
    tags: Tags

    def of(self, item: Production, carrier: str) -> Shares | None:
        """The shares of a product and its companions in a carrier, or a fuel, of their node; None if it is alone."""
        together = {other.product: other for other in self.production if other.node == item.node}
        if len(together) == 1:
            return None
        metered = {product: found for product in together for found in [self._metered(item.node, product, carrier)]}
        candidates = by_rows(together)
        known = {product: found for product, found in metered.items() if found is not None}
        return shares(sorted(together), [Keys(basis=Basis.SUB_METER, of=known), *candidates])

    def _metered(self, node_id: str, product: str, carrier: str) -> Input | None:
        """What the sub-meters of a product count of a carrier; None where it has none."""
        node = next(node for node in self.tree.walk() if node.id == node_id)
        found: list[Input] = []
        for part in _tagged(node.children, product, self.tags):
            told = self.made.node(part.id)
            lines = () if told is None else told.lines
            found += [
                line.flows[Flow.IMPORT] for line in lines if line.carrier == carrier and Flow.IMPORT in line.flows
            ]
        if len(found) <= 1:
            return found[0] if found else None
        lost = next((item for item in found if item.value is None), None)
        value = None if lost is not None else sum((item.value or ZERO for item in found), ZERO)
        reason = None if lost is None else f"{lost.id}: {lost.reason}"
        return Input(id=" + ".join(item.id for item in found), value=value, unit=found[0].unit, reason=reason)


def by_rows(rows: Mapping[str, Production | Produced]) -> tuple[Keys, Keys]:
    """The physical and the economic key of each."""
    return (
        Keys(basis=Basis.PHYSICAL, of={name: row.mass for name, row in rows.items()}),
        Keys(basis=Basis.ECONOMIC, of={name: row.value for name, row in rows.items()}),
    )


def _tagged(nodes: Sequence[Node], product: str, tags: Tags) -> list[Node]:
    """The uppermost nodes that make this product alone."""
    found: list[Node] = []
    for node in nodes:
        if tuple(tags.get(node.id, ())) == (product,):
            found.append(node)
        else:
            found += _tagged(node.children, product, tags)
    return found
