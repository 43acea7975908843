"""The plant as the centre is told of it: a tree of nodes with their boundary meters."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from centre.accounting.registers import Replacement
from centre.carriers import Carrier, Flow
from centre.steam import Steam


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A device that counts one flow of one carrier across the boundary of its node.

    `point` names the counter where the usual one does not count it. `limit` is the largest rate the connection can
    carry, kW for electricity and heat, m3/h for the others; None when it is not known. `accuracy` is its class in
    percent; None: that of its carrier in config/management.yaml. `check` is a device that counts the same beside it.
    `steam`: it counts kilograms of steam in these states, one after the other.
    """

    device: str
    carrier: Carrier
    flow: Flow
    point: str | None = None
    limit: Decimal | None = None
    accuracy: Decimal | None = None
    check: str | None = None
    replaced: tuple[Replacement, ...] = ()
    steam: tuple[Steam, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of the plant. Its figure of a carrier comes from its own meters, or, without any, from its children."""

    id: str
    name: Mapping[str, str]
    meters: tuple[Meter, ...]
    children: tuple["Node", ...]

    def walk(self) -> Iterator["Node"]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


BESIDE: Final = ""
"""Id of the node that holds what is in no other: meters that left the plant, and those that only check others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A site; `region` names its row of the grid factor table, `zone` and `metering_day` when days and months begin."""

    site: str
    name: Mapping[str, str]
    zone: ZoneInfo
    region: str
    tree: Node
    metering_day: int = 1

    def meters(self) -> Iterator[Meter]:
        """All meters of the tree; a device stands here once for each carrier and flow it counts."""
        for node in self.tree.walk():
            yield from node.meters
