"""Settings of the centre: one YAML file and the environment, checked whole before anything starts.

See config/centre.example.yaml. Every mistake is a line `FILE:LINE: KEY: what` of a ConfigError.
"""

import ipaddress
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from centre.accounting.carbon import GRID_METRIC
from centre.accounting.factor_policies import NamedPolicy, load_policies
from centre.accounting.factors import FactorRow, FactorTableError, load_factors, regions
from centre.accounting.file_types import NotNegative, Positive, one_or_more
from centre.accounting.management_file import load_management
from centre.accounting.rate_tables_file import load_power_factors
from centre.accounting.registers import Replacement
from centre.accounting.zones import local_day
from centre.base_years import base_year_mistakes
from centre.budgets import budget_mistakes
from centre.carriers import AT_PLANT, Carrier, Flow, made_at_plant, meter_mistakes
from centre.chp_plants import chp_mistakes
from centre.energy_baselines import baseline_mistakes
from centre.entities import Entities, Entity, entities_of
from centre.entities_file import SteamSettings, Time, load_entities, steam_of
from centre.entities_tree import entities_of_tree, tree_on
from centre.outlets import outlet_mistakes
from centre.own_factors import own_mistakes
from centre.plant import Meter, Node, Plant
from centre.plant_terms import PlantTerms, TermsSettings, plant_terms
from centre.records import Rules
from centre.steam import steam_mistakes
from centre.surcharges import surcharge_mistakes
from centre.upper_settings import Levels, LevelsSettings, UpperSettings, levels_of
from metering.lineprotocol import check_name
from wattline.broker_settings import BrokerSettings
from wattline.clock import SystemClock
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.settings_file import FileSettings, load_settings
from wattline.strict_yaml import Document, KeyPath, Strict

MAX_NODES: Final = 10_000
_NS: Final = 1_000_000_000

Name = Annotated[str, AfterValidator(check_name)]


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError("must be ADDRESS:PORT, such as 127.0.0.1:8080")
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError("must begin with an IP address, such as 127.0.0.1:8080") from None
    return text


class Names(Strict):
    """A name in both languages of the page."""

    en: Annotated[str, StringConstraints(min_length=1, max_length=80)]
    zh: Annotated[str, StringConstraints(min_length=1, max_length=80)]


class ReplacementSettings(Strict):
    """A meter was changed: when (with offset), last value of the old one, first of the new one, its factor."""

    at: Time
    final: NotNegative
    initial: NotNegative
    factor: Positive = Decimal(1)


class MeterSettings(Strict):
    device: Name
    carrier: Carrier
    flow: Flow
    point: str | None = None
    limit: Positive | None = None
    accuracy: Positive | None = None
    replaced: tuple[ReplacementSettings, ...] = ()
    steam: Annotated[tuple[SteamSettings, ...], BeforeValidator(one_or_more)] = ()


class NodeSettings(Strict):
    id: Name
    name: Names
    meters: tuple[MeterSettings, ...] = ()
    children: tuple["NodeSettings", ...] = ()


class PlantSettings(TermsSettings):
    site: Name
    name: Names
    zone: str
    region: str
    tree: NodeSettings | None = None


HostName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", to_lower=True)]


class StoreSettings(Strict):
    """Where readings are kept: the path of an SQLite file, relative to the settings file."""

    sqlite: Path


class IngestSettings(Strict):
    """How parcels are taken in. More than one worker needs MQTT 5 (shared subscriptions)."""

    workers: Annotated[int, Field(ge=1, le=8)] = 1


class ProductionSettings(Strict):
    """Batches that lines publish on the broker; `approval: none` lets figures have them at once."""

    approval: Literal["required", "none"] = "required"


class CentreSettings(FileSettings):
    """centre.yaml."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8080"
    names: tuple[HostName, ...] = ()
    broker: BrokerSettings
    store: StoreSettings
    ingest: IngestSettings = IngestSettings()
    production: ProductionSettings | None = None
    factors: Path | None = None
    entities: Path | None = None
    upper: UpperSettings | None = None
    levels: LevelsSettings | None = None
    plants: tuple[PlantSettings, ...] = ()

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
    rules: Mapping[str, Rules]  # by site
    entities: Entities
    levels: Levels | None = None

    @property
    def books(self) -> Path:
        """The file of the books, beside the store."""
        return self.store.with_name("books.db")


def _root_mistakes(plant: PlantSettings, listed: bool, at: KeyPath, document: Document) -> list[ConfigError]:
    """The tree stands in one place: here, or in the file of `entities`."""
    mistakes: list[ConfigError] = []
    if (plant.tree is not None) == listed:
        text = "stands there already" if listed else "has no entry here and no plant in the file of `entities`"
        mistakes.append(document.error(at, f"the tree of {plant.site} {text}"))
    if plant.tree is not None:
        mistakes += _tree_mistakes(plant.tree, at, document)
    return mistakes


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
    listed = _listed(settings, path.parent)
    plants: list[Plant] = []
    terms: dict[str, PlantTerms] = {}
    policies = load_policies(config_dir() / "factor_policies.yaml", factors)
    for place, plant in enumerate(settings.plants):
        root = listed.plant(plant.site)
        at = ("plants", place)
        if plant.site in {earlier.site for earlier in settings.plants[:place]}:
            mistakes.append(document.error((*at, "site"), f"{plant.site} stands here a second time"))
        if plant.region not in known:
            near = ", ".join(sorted(known))
            text = f"the table {table.name} has no {GRID_METRIC} for it: {near}"
            mistakes.append(document.error((*at, "region"), text))
        mistakes += _root_mistakes(plant, root is not None, (*at, "tree"), document)
        try:
            terms[plant.site] = plant_terms(
                plant, policies, site=plant.site, document=document, at=("plants", place), folder=path.parent
            )
        except ConfigError as err:
            mistakes.append(err)
        zone = _zone(plant.zone)
        if zone is None:
            mistakes.append(
                document.error(("plants", place, "zone"), "is no time zone; write a name such as Asia/Shanghai")
            )
        elif plant.tree is not None:
            plants.append(_plant(plant, zone, _node(plant.tree)))
        elif root is not None:
            plants.append(_plant(plant, zone, tree_on(listed, root.key, local_day(SystemClock().now_ns(), zone))))
        if plants and plants[-1].site == plant.site:
            nodes = [node.id for node in plants[-1].tree.walk()]
            mistakes += base_year_mistakes(plant.base_years, nodes, ("plants", place, "base_years"), document)
            mistakes += baseline_mistakes(plant.baselines, nodes, ("plants", place, "baselines"), document)
            mistakes += budget_mistakes(plant.budgets, nodes, ("plants", place), document)
            mistakes += outlet_mistakes(plant.outlets, nodes, ("plants", place, "outlets"), document)
            mistakes += chp_mistakes(plant.chp, plants[-1].tree, ("plants", place, "chp"), document)
            mistakes += own_mistakes(plant.calorific_values, factors, ("plants", place, "calorific_values"), document)
            mistakes += surcharge_mistakes(plant.surcharges, nodes, ("plants", place), document)
    levels, wrong = _levels(settings, listed, policies, known, document)
    mistakes += wrong
    if mistakes:
        raise ConfigError("\n".join(str(mistake) for mistake in mistakes))
    return Setup(
        settings=settings,
        store=path.parent / settings.store.sqlite,
        factors=factors,
        plants=tuple(plants),
        rules=rules_of(factors, terms),
        entities=entities_of((*listed, *_entities(plants, listed))),
        levels=levels,
    )


def _levels(
    settings: CentreSettings,
    listed: Entities,
    policies: Mapping[str, NamedPolicy],
    known: Collection[str],
    document: Document,
) -> tuple[Levels | None, list[ConfigError]]:
    """What this centre rolls up, and what is wrong with it."""
    if settings.levels is not None:
        try:
            return levels_of(settings.levels, listed, policies, sorted(known), document), []
        except ConfigError as err:
            return None, [err]
    if settings.plants:
        return None, []
    return None, [document.error(("plants",), "there is neither a plant nor `levels` above plants")]


def _listed(settings: CentreSettings, folder: Path) -> Entities:
    """The entities of the file that `entities` names; raises ConfigError."""
    return entities_of(()) if settings.entities is None else load_entities(folder / settings.entities)


def _entities(plants: Sequence[Plant], listed: Entities) -> Iterator[Entity]:
    """Those of the plants whose tree stands in the settings."""
    for plant in plants:
        if listed.plant(plant.site) is None:
            yield from entities_of_tree(plant)


def rules_of(factors: tuple[FactorRow, ...], terms: Mapping[str, PlantTerms]) -> dict[str, Rules]:
    """The rules of each plant with the shipped limits and tables; raises ConfigError."""
    managements = load_management(config_dir() / "management.yaml")
    tables = load_power_factors(config_dir() / "power-factor.yaml")
    return {
        site: Rules(
            factors=(*factors, *found.own_factors),
            managements=[replace(limits, alarms={**limits.alarms, **found.alarms}) for limits in managements],
            power_factors=tables,
            terms=found,
        )
        for site, found in terms.items()
    }


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
            if at != path and made_at_plant(meter.carrier, meter.flow):
                mistakes.append(document.error((*here, "flow"), AT_PLANT))
            mistakes += [
                document.error((*here, key), text)
                for key, text in (
                    *meter_mistakes(meter.carrier, meter.flow, meter.point),
                    *steam_mistakes(steam_of(meter.steam), meter.carrier, meter.point),
                )
            ]
        waiting += [(child, (*at, "children", place)) for place, child in enumerate(node.children)][::-1]
    if len(ids) > MAX_NODES:
        mistakes.append(document.error(path, f"has more than {MAX_NODES} nodes"))
    return mistakes


def _plant(plant: PlantSettings, zone: ZoneInfo, tree: Node) -> Plant:
    return Plant(
        site=plant.site,
        name=plant.name.model_dump(),
        zone=zone,
        region=plant.region,
        tree=tree,
        metering_day=plant.metering_day,
    )


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
        accuracy=meter.accuracy,
        replaced=tuple(
            Replacement(
                at=int(change.at.timestamp()) * _NS, final=change.final, initial=change.initial, factor=change.factor
            )
            for change in meter.replaced
        ),
        steam=steam_of(meter.steam),
    )
