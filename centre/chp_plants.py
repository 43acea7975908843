"""Plants of combined heat and power: the doors of `chp:` in centre.yaml and of config/chp.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from centre.accounting.chp import Method
from centre.accounting.file_types import Exact, Id, Names, Share, Text
from centre.carriers import Carrier, Flow
from centre.plant import Node
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.strict_yaml import Document, KeyPath, Strict, load_file, validate

OUTPUTS: Final = {"heat": Carrier.HEAT, "power": Carrier.ELECTRICITY}


class ChpSettings(Strict):
    """`fuel` of `node` makes what the meters (flow: generation) of the devices `heat` and `power` count.

    Each method needs its own: reference_boiler a `reference` of config/chp.yaml, exergy `supply_c` and `ambient_c`.
    """

    id: Id
    name: Names
    node: str
    fuel: str
    heat: str
    power: str
    method: Method
    reference: Id | None = None
    supply_c: Exact | None = None
    ambient_c: Exact | None = None


class _Reference(Strict):
    boiler_efficiency: Share
    source: Text
    confirmed: bool


class _References(Strict):
    references: dict[Id, _Reference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a boiler would have made the heat with, as a share of its fuel."""

    id: str
    boiler_efficiency: Decimal
    source: str
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantChp:
    """One CHP plant; see ChpSettings."""

    id: str
    name: Mapping[str, str]
    node: str
    fuel: str
    heat: str
    power: str
    method: Method
    reference: Reference | None
    supply_c: Decimal | None
    ambient_c: Decimal | None


def load_references(path: Path) -> dict[str, Reference]:
    """The rows of config/chp.yaml by id; raises ConfigError."""
    document = load_file(path)
    found = validate(_References, document).references
    for id_, one in found.items():
        if not one.boiler_efficiency:
            raise document.error(("references", id_, "boiler_efficiency"), "must be above 0")
    return {id_: Reference(id=id_, **dict(one)) for id_, one in found.items()}


def chps_of(given: Sequence[ChpSettings], document: Document, at: KeyPath) -> tuple[PlantChp, ...]:
    """The CHP plants that stand at `at` of the settings; raises ConfigError."""
    if not given:
        return ()
    references = load_references(config_dir() / "chp.yaml")
    return tuple(_chp(one, references, document, (*at, place)) for place, one in enumerate(given))


def _chp(
    found: ChpSettings, references: Mapping[str, Reference], document: Document, at: KeyPath
) -> PlantChp:  # fmt: skip
    wants = {
        "reference": found.method is Method.REFERENCE_BOILER,
        "supply_c": found.method is Method.EXERGY,
        "ambient_c": found.method is Method.EXERGY,
    }
    for key, wanted in wants.items():
        if wanted != (getattr(found, key) is not None):
            raise document.error((*at, key), f"{found.method} {'needs' if wanted else 'does not take'} {key}")
    if found.reference is not None and found.reference not in references:
        near = ", ".join(references)
        raise document.error((*at, "reference"), f"config/chp.yaml has no {found.reference}: {near}")
    if found.supply_c is not None and found.ambient_c is not None and found.supply_c <= found.ambient_c:
        raise document.error((*at, "supply_c"), "must be above ambient_c")
    if found.ambient_c is not None and found.ambient_c <= Decimal("-273.15"):
        raise document.error((*at, "ambient_c"), "is below absolute zero")
    return PlantChp(
        id=found.id,
        name=found.name.as_mapping(),
        node=found.node,
        fuel=found.fuel,
        heat=found.heat,
        power=found.power,
        method=found.method,
        reference=None if found.reference is None else references[found.reference],
        supply_c=found.supply_c,
        ambient_c=found.ambient_c,
    )


def chp_mistakes(
    given: Sequence[ChpSettings], tree: Node, at: KeyPath, document: Document
) -> list[ConfigError]:  # fmt: skip
    """Nodes and meters that are not there, ids that stand twice, and two methods in one report."""
    nodes = {node.id for node in tree.walk()}
    meters = {(meter.device, meter.carrier, meter.flow) for node in tree.walk() for meter in node.meters}
    mistakes: list[ConfigError] = []
    for place, one in enumerate(given):
        if one.node not in nodes:
            near = ", ".join(sorted(nodes)[:12])
            mistakes.append(document.error((*at, place, "node"), f"{one.node} is no node of the tree: {near}"))
        for key, carrier in OUTPUTS.items():
            device = one.heat if key == "heat" else one.power
            if (device, carrier, Flow.GENERATION) not in meters:
                text = f"{device} is no meter of {carrier} with `flow: generation` in the tree"
                mistakes.append(document.error((*at, place, key), text))
        if one.id in {earlier.id for earlier in given[:place]}:
            mistakes.append(document.error((*at, place, "id"), f"{one.id} stands here a second time"))
        if one.method is not given[0].method:
            mistakes.append(document.error((*at, place, "method"), f"is {given[0].method} above: a report has one"))
    return mistakes
