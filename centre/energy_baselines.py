"""Energy baselines of a plant: the door of `baselines:` in centre.yaml (rule F12)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from centre.accounting.calendar import Month
from centre.accounting.file_types import Day, Id, Text
from centre.carriers import Carrier
from wattline.errors import ConfigError
from wattline.strict_yaml import Document, KeyPath, Strict


def _month(value: object) -> object:
    return Month.of(value) if isinstance(value, str) else value


OneMonth = Annotated[Month, BeforeValidator(_month)]


class DriverSettings(Strict):
    """What moves the energy of a node: approved output of a product, or what meters count of a carrier.

    `node`: where; the node of the baseline if it is left out.
    """

    product: Text | None = None
    carrier: Carrier | None = None
    node: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.product is None) == (self.carrier is None):
            raise ValueError("a driver is a product or a carrier")
        return self

    @property
    def name(self) -> str:
        what = self.product if self.carrier is None else self.carrier.value
        return f"{what}" if self.node is None else f"{self.node}/{what}"


class FittedSettings(Strict):
    """A version: fitted to the months `first` to `last`, counting from `valid_from` on, and why it was made."""

    first: OneMonth
    last: OneMonth
    valid_from: Day
    reason: Text


class BaselineSettings(Strict):
    """Energy of a carrier at a node as a straight line of its drivers."""

    id: Id
    node: str
    carrier: Carrier
    drivers: Annotated[tuple[DriverSettings, ...], Field(min_length=1, max_length=4)]
    versions: Annotated[tuple[FittedSettings, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """As its settings; `node` is always there."""

    name: str
    node: str
    product: str | None
    carrier: Carrier | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A version as its settings have it."""

    first: Month
    last: Month
    valid_from: date
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyBaseline:
    """What is fitted, and to which months; `versions` in the order of their days."""

    id: str
    node: str
    carrier: Carrier
    drivers: tuple[Driver, ...]
    versions: tuple[Fitted, ...]


def baseline_of(given: BaselineSettings) -> EnergyBaseline:
    """As the rules take it."""
    return EnergyBaseline(
        id=given.id,
        node=given.node,
        carrier=given.carrier,
        drivers=tuple(
            Driver(name=one.name, node=one.node or given.node, product=one.product, carrier=one.carrier)
            for one in given.drivers
        ),
        versions=tuple(
            Fitted(first=one.first, last=one.last, valid_from=one.valid_from, reason=one.reason)
            for one in given.versions
        ),
    )


def baseline_mistakes(
    given: Sequence[BaselineSettings], nodes: Collection[str], at: KeyPath, document: Document
) -> list[ConfigError]:
    """Every mistake, with its place in the file."""
    mistakes: list[ConfigError] = []
    for place, found in enumerate(given):
        wrong = _mistakes(found, nodes)
        if found.id in {earlier.id for earlier in given[:place]}:
            wrong.append((("id",), f"{found.id} stands here a second time"))
        mistakes += [document.error((*at, place, *key), text) for key, text in wrong]
    return mistakes


def _mistakes(found: BaselineSettings, nodes: Collection[str]) -> list[tuple[KeyPath, str]]:
    near = ", ".join(sorted(nodes)[:12])
    named: list[tuple[KeyPath, str]] = [(("node",), found.node)]
    named += [(("drivers", at, "node"), one.node) for at, one in enumerate(found.drivers) if one.node is not None]
    wrong = [(key, f"{node} is no node of the tree: {near}") for key, node in named if node not in nodes]
    names = [one.name for one in found.drivers]
    wrong += [
        (("drivers", at), f"{name} stands here a second time") for at, name in enumerate(names) if name in names[:at]
    ]
    wrong += [
        (("versions", at, "last"), "must not be before `first`")
        for at, one in enumerate(found.versions)
        if one.last < one.first
    ]
    wrong += [
        (("versions", at, "valid_from"), "must be later than that of the version before it")
        for at, (one, other) in enumerate(pairwise(found.versions), 1)
        if other.valid_from <= one.valid_from
    ]
    return wrong
