"""Outlets of a plant: stacks and drains whose pollutants are measured. The door of `outlets:` in centre.yaml."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from centre.accounting.file_types import Id, Names
from centre.accounting.pollutants import Medium
from centre.accounting.pollutants_file import Pollutant, PollutantRules, load_pollutants
from metering.quantities import Kind, quantity_of
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.strict_yaml import Document, KeyPath, Strict

_FLOW: Final = "m3/h"
_OXYGEN: Final = "%"


class GaugeSettings(Strict):
    """A point of a device that is read."""

    device: str
    point: str


class MeasuredSettings(Strict):
    """A pollutant and its gauge; `standard` is one of config/pollutants.yaml."""

    pollutant: Pollutant
    device: str
    point: str | None = None
    standard: Id | None = None


class OutletSettings(Strict):
    """`flow` in m3/h at the conditions the limits are stated at, without it there is no mass; `oxygen` in %."""

    id: Id
    name: Names
    node: str
    medium: Medium
    flow: GaugeSettings | None = None
    oxygen: GaugeSettings | None = None
    pollutants: Annotated[tuple[MeasuredSettings, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A series by its device and point."""

    device: str
    point: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPollutant:
    """A pollutant of an outlet, and by which standard it is judged."""

    pollutant: Pollutant
    gauge: Gauge
    standard: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """Where something leaves the plant; `rules` are the tables it is judged by."""

    id: str
    name: dict[str, str]
    node: str
    medium: Medium
    flow: Gauge | None
    oxygen: Gauge | None
    pollutants: tuple[MeasuredPollutant, ...]
    rules: PollutantRules


def outlets_of(given: Sequence[OutletSettings], document: Document, at: KeyPath) -> tuple[Outlet, ...]:
    """The outlets that stand at `at` of the settings; raises ConfigError."""
    if not given:
        return ()
    rules = load_pollutants(config_dir() / "pollutants.yaml")
    return tuple(_outlet(found, rules, document, (*at, place)) for place, found in enumerate(given))


def outlet_mistakes(
    given: Sequence[OutletSettings], nodes: Collection[str], at: KeyPath, document: Document
) -> list[ConfigError]:
    """Nodes that are not there, and ids that stand twice."""
    mistakes: list[ConfigError] = []
    for place, outlet in enumerate(given):
        if outlet.node not in nodes:
            near = ", ".join(sorted(nodes)[:12])
            mistakes.append(document.error((*at, place, "node"), f"{outlet.node} is no node of the tree: {near}"))
        if outlet.id in {earlier.id for earlier in given[:place]}:
            mistakes.append(document.error((*at, place, "id"), f"{outlet.id} stands here a second time"))
    return mistakes


def _outlet(found: OutletSettings, rules: PollutantRules, document: Document, at: KeyPath) -> Outlet:
    measured: list[MeasuredPollutant] = []
    for place, one in enumerate(found.pollutants):
        here = (*at, "pollutants", place)
        if one.pollutant.medium is not found.medium:
            raise document.error((*here, "pollutant"), f"{one.pollutant} is no pollutant of {found.medium}")
        if one.pollutant in {earlier.pollutant for earlier in measured}:
            raise document.error((*here, "pollutant"), f"{one.pollutant} stands here a second time")
        known = {row.standard for row in rules.limits if row.pollutant is one.pollutant}
        if one.standard is not None and one.standard not in known:
            near = ", ".join(sorted(known)) or "none"
            raise document.error(
                (*here, "standard"), f"{one.standard} has no limit of {one.pollutant}; these do: {near}"
            )
        point = one.point or one.pollutant.point
        _check_point(point, one.pollutant.unit, (*here, "point"), document)
        measured.append(
            MeasuredPollutant(
                pollutant=one.pollutant, gauge=Gauge(device=one.device, point=point), standard=one.standard
            )
        )
    return Outlet(
        id=found.id,
        name=found.name.as_mapping(),
        node=found.node,
        medium=found.medium,
        flow=_gauge(found.flow, _FLOW, (*at, "flow"), document),
        oxygen=_gauge(found.oxygen, _OXYGEN, (*at, "oxygen"), document),
        pollutants=tuple(measured),
        rules=rules,
    )


def _gauge(found: GaugeSettings | None, unit: str, at: KeyPath, document: Document) -> Gauge | None:
    if found is None:
        return None
    _check_point(found.point, unit, (*at, "point"), document)
    return Gauge(device=found.device, point=found.point)


def _check_point(point: str, unit: str, at: KeyPath, document: Document) -> None:
    quantity = quantity_of(point)
    if quantity is None or quantity.kind is not Kind.GAUGE or quantity.unit != unit:
        raise document.error(at, f"{point} is no gauge in {unit}")
