"""Settings of the centre: one YAML file and the environment, checked whole before anything starts.

See config/centre.example.yaml. Every mistake is a line `FILE:LINE: KEY: what` of a ConfigError.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from centre.accounting.carbon import GRID_METRIC
from centre.accounting.factors import FactorRow, FactorTableError, load_factors, regions
from centre.accounting.registers import Replacement
from centre.carriers import Carrier, Flow
from centre.plant import Meter, Node, Plant
from metering.lineprotocol import check_name
from metering.quantities import Kind, quantity_of
from wattline.broker_settings import BrokerSettings
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.settings_file import FileSettings, load_settings
from wattline.strict_yaml import Document, KeyPath

MAX_NODES: Final = 10_000
_NS: Final = 1_000_000_000

Name = Annotated[str, AfterValidator(check_name)]


def _exact(value: object) -> object:
    """YAML gives a double for 0.1; its shortest text is what was written."""
    return Decimal(repr(value)) if isinstance(value, float) else value


Number = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[Decimal, BeforeValidator(_exact), Field(gt=0, allow_inf_nan=False)]


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError("must be ADDRESS:PORT, such as 127.0.0.1:8080")
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError("must begin with an IP address, such as 127.0.0.1:8080") from None
    return text


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Names(_Strict):
    """A name in both languages of the page."""

    en: Annotated[str, StringConstraints(min_length=1, max_length=80)]
    zh: Annotated[str, StringConstraints(min_length=1, max_length=80)]


class ReplacementSettings(_Strict):
    """A meter was changed: when (with offset), last value of the old one, first of the new one, its factor."""

    at: datetime
    final: Number
    initial: Number
    factor: Positive = Decimal(1)


class MeterSettings(_Strict):
    device: Name
    carrier: Carrier
    flow: Flow
    point: str | None = None
    limit: Positive | None = None
    replaced: list[ReplacementSettings] = []


class NodeSettings(_Strict):
    id: Name
    name: Names
    meters: list[MeterSettings] = []
    children: list["NodeSettings"] = []


class PlantSettings(_Strict):
    site: Name
    name: Names
    zone: str
    region: str
    tree: NodeSettings


class StoreSettings(_Strict):
    """Where readings are kept: the path of an SQLite file, relative to the settings file."""

    sqlite: Path


class IngestSettings(_Strict):
    """How parcels are taken in. More than one worker needs MQTT 5 (shared subscriptions)."""

    workers: Annotated[int, Field(ge=1, le=8)] = 1


class CentreSettings(FileSettings):
    """centre.yaml."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8080"
    broker: BrokerSettings
    store: StoreSettings
    ingest: IngestSettings = IngestSettings()
    factors: Path | None = None
    plants: Annotated[list[PlantSettings], Field(min_length=1)]

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].removeprefix("[").removesuffix("]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What the centre runs with: settings, and the plants and factors made of them."""

    settings: CentreSettings
    store: Path
    factors: tuple[FactorRow, ...]
    plants: tuple[Plant, ...]


def load_setup(path: Path) -> Setup:
    """Read and check settings, factor table and plants; raises ConfigError."""
    settings, document = load_settings(CentreSettings, path)
    table = config_dir() / "factors.csv" if settings.factors is None else path.parent / settings.factors
    try:
        factors = load_factors(table)
    except FactorTableError as err:
        raise ConfigError(str(err)) from err
    mistakes: list[ConfigError] = []
    if settings.ingest.workers > 1 and settings.broker.protocol != "5":
        mistakes.append(document.error(("ingest", "workers"), "several workers need `protocol: 5` of the broker"))
    known = regions(factors, GRID_METRIC)
    plants: list[Plant] = []
    for place, plant in enumerate(settings.plants):
        if plant.site in {earlier.site for earlier in settings.plants[:place]}:
            mistakes.append(document.error(("plants", place, "site"), f"{plant.site} stands here a second time"))
        if plant.region not in known:
            near = ", ".join(sorted(known))
            mistakes.append(
                document.error(
                    ("plants", place, "region"), f"the table {table.name} has no {GRID_METRIC} for it: {near}"
                )
            )
        mistakes += _tree_mistakes(plant.tree, ("plants", place, "tree"), document)
        zone = _zone(plant.zone)
        if zone is None:
            mistakes.append(
                document.error(("plants", place, "zone"), "is no time zone; write a name such as Asia/Shanghai")
            )
        else:
            plants.append(_plant(plant, zone))
    if mistakes:
        raise ConfigError("\n".join(str(mistake) for mistake in mistakes))
    return Setup(settings=settings, store=path.parent / settings.store.sqlite, factors=factors, plants=tuple(plants))


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _tree_mistakes(tree: NodeSettings, path: KeyPath, document: Document) -> list[ConfigError]:
    """Ids that stand twice, and meters that would be counted twice or cannot count what they are said to."""
    mistakes: list[ConfigError] = []
    ids: dict[str, int] = {}
    counted: dict[tuple[str, Carrier, Flow], int] = {}
    waiting: list[tuple[NodeSettings, KeyPath]] = [(tree, path)]
    while waiting:
        node, at = waiting.pop()
        line = document.line((*at, "id"))
        if (first := ids.setdefault(node.id, line)) != line:
            mistakes.append(document.error((*at, "id"), f"{node.id} is the id of another node, in line {first}"))
        for place, meter in enumerate(node.meters):
            here = (*at, "meters", place)
            key = (meter.device, meter.carrier, meter.flow)
            line = document.line(here)
            if (first := counted.setdefault(key, line)) != line:
                mistakes.append(
                    document.error(here, f"{meter.device} is counted as {meter.carrier} {meter.flow} in line {first}")
                )
            mistakes += [document.error((*here, key), text) for key, text in _meter_mistakes(meter)]
        waiting += [(child, (*at, "children", place)) for place, child in enumerate(node.children)][::-1]
    if len(ids) > MAX_NODES:
        mistakes.append(document.error(path, f"has more than {MAX_NODES} nodes"))
    return mistakes


def _meter_mistakes(meter: MeterSettings) -> list[tuple[str, str]]:
    mistakes: list[tuple[str, str]] = []
    if meter.flow is Flow.GENERATION and meter.carrier is not Carrier.ELECTRICITY:
        mistakes.append(("flow", "generation is counted for electricity only"))
    if meter.flow is Flow.EXPORT and meter.carrier is not Carrier.ELECTRICITY and meter.point is None:
        mistakes.append(("flow", "export of this carrier needs the `point` that counts it"))
    if meter.point is not None:
        quantity = quantity_of(meter.point)
        if quantity is None or quantity.kind is not Kind.COUNTER:
            mistakes.append(("point", "is no counter, such as energy_active_export_total"))
    if any(change.at.tzinfo is None for change in meter.replaced):
        mistakes.append(("replaced", "a time needs its offset, such as 2026-03-01T10:00:00+08:00"))
    return mistakes


def _plant(plant: PlantSettings, zone: ZoneInfo) -> Plant:
    return Plant(site=plant.site, name=plant.name.model_dump(), zone=zone, region=plant.region, tree=_node(plant.tree))


def _node(node: NodeSettings) -> Node:
    return Node(
        id=node.id,
        name=node.name.model_dump(),
        meters=tuple(_meter(meter) for meter in node.meters),
        children=tuple(_node(child) for child in node.children),
    )


def _meter(meter: MeterSettings) -> Meter:
    return Meter(
        device=meter.device,
        carrier=meter.carrier,
        flow=meter.flow,
        point=meter.point,
        limit=meter.limit,
        replaced=tuple(
            Replacement(
                at=int(change.at.timestamp()) * _NS, final=change.final, initial=change.initial, factor=change.factor
            )
            for change in meter.replaced
        ),
    )
