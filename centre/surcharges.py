"""Surcharges of a plant's electricity: the door of `surcharges:` in centre.yaml, and what they come to in a month."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from centre.accounting.file_types import Id
from centre.accounting.surcharge import NO_OUTPUT, Surcharge, SurchargeRow, differential, step, unknown
from centre.accounting.terms import Input, UnitError, convert
from wattline.errors import ConfigError
from wattline.strict_yaml import Document, KeyPath, Strict

NO_ENERGY: Final = "no_energy"


class SurchargeSettings(Strict):
    """Which notices of config/surcharges.yaml a plant pays by, one after the other by their days.

    `class` of the installation for a differential price; `product` for steps of its consumption. `node`: whose
    electricity, if not that of the whole plant, and whose output.
    """

    notices: Annotated[tuple[Id, ...], Field(min_length=1)]
    class_: Annotated[Id | None, Field(alias="class")] = None
    product: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantSurcharge:
    """Rows of one surcharge, for the electricity of `node` (None: the plant)."""

    rows: tuple[SurchargeRow, ...]
    kind: str | None
    product: str | None
    node: str | None


def surcharges_of(
    given: Sequence[SurchargeSettings], rows: Mapping[str, SurchargeRow], at: KeyPath, document: Document
) -> tuple[PlantSurcharge, ...]:
    """As the rules take them; raises ConfigError."""
    seen: set[str] = set()
    for place, one in enumerate(given):
        here = (*at, place)
        for notice in one.notices:
            if notice not in rows:
                raise document.error((*here, "notices"), f"there is no {notice}: {', '.join(sorted(rows))}")
            if notice in seen:
                raise document.error((*here, "notices"), f"{notice} stands here a second time")
            seen.add(notice)
            prices = rows[notice].differential
            if prices is None and (one.product is None or one.class_ is not None):
                raise document.error(here, f"{notice} has steps: it needs `product`, and no `class`")
            if prices is not None and (one.class_ not in prices or one.product is not None):
                raise document.error(here, f"{notice} needs a `class`, one of {', '.join(prices)}, and no `product`")
    return tuple(
        PlantSurcharge(
            rows=tuple(rows[notice] for notice in one.notices), kind=one.class_, product=one.product, node=one.node
        )
        for one in given
    )


def surcharge_mistakes(
    given: Sequence[SurchargeSettings], nodes: Collection[str], at: KeyPath, document: Document
) -> list[ConfigError]:
    """Nodes that are not there."""
    near = ", ".join(sorted(nodes)[:12])
    return [
        document.error((*at, "surcharges", place, "node"), f"{one.node} is no node of the tree: {near}")
        for place, one in enumerate(given)
        if one.node is not None and one.node not in nodes
    ]


def surcharge_of(row: SurchargeRow, of: PlantSurcharge, energy: Input, output: Input | None) -> Surcharge:
    """What a notice comes to for the electricity of a month, and for what was made with it."""
    if energy.value is None:
        return unknown(row, None, NO_ENERGY)
    if of.kind is not None:
        return differential(row, energy_kwh=energy.value, kind=of.kind)
    if output is None or output.value is None:
        return unknown(row, energy.value, NO_OUTPUT)
    try:
        tonnes = convert(output.value, output.unit, "t")
    except UnitError:
        return unknown(row, energy.value, NO_OUTPUT)
    return step(row, energy_kwh=energy.value, output_t=tonnes)
