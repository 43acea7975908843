"""The door of config/factor_policies.yaml: named policies by which reports choose their factor rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from centre.accounting.factor_choice import OWN_SETS, FactorPolicy, Knowledge
from centre.accounting.factors import FactorRow
from centre.accounting.file_types import Id, Text
from wattline.errors import ConfigError
from wattline.strict_yaml import Document, Strict, load_file, validate


class _Policy(Strict):
    knowledge: Knowledge
    sets: tuple[Text, ...] = ()
    national: bool = True
    metrics: dict[str, Id] = Field(default_factory=dict[str, Id])
    absent: dict[str, Text] = Field(default_factory=dict[str, Text])
    source: Text
    confirmed: bool


class _Policies(Strict):
    policies: Annotated[dict[Id, _Policy], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPolicy:
    """A policy with where its rules come from, and whether somebody has checked them."""

    policy: FactorPolicy
    source: str
    confirmed: bool


def load_policies(path: Path, rows: Collection[FactorRow]) -> Mapping[str, NamedPolicy]:
    """Name -> policy; raises ConfigError, also for a set or metric that no row of the table has."""
    document = load_file(path)
    found = validate(_Policies, document).policies
    mistakes = [mistake for name, policy in found.items() for mistake in _unknown(name, policy, rows, document)]
    if mistakes:
        raise ConfigError("\n".join(str(mistake) for mistake in mistakes))
    return MappingProxyType({name: _named(name, policy) for name, policy in found.items()})


def _unknown(name: str, policy: _Policy, rows: Collection[FactorRow], document: Document) -> list[ConfigError]:
    sets = OWN_SETS | {row.factor_set for row in rows}
    metrics = {row.metric for row in rows}
    at = ("policies", name)
    return [
        *(
            document.error((*at, "sets", place), f"no row of the table is of the set {item}")
            for place, item in enumerate(policy.sets)
            if item not in sets
        ),
        *(
            document.error((*at, "metrics", purpose), f"no row of the table has the metric {metric}")
            for purpose, metric in policy.metrics.items()
            if metric not in metrics
        ),
        *(
            document.error((*at, "absent", purpose), "the table has a row for it")
            for purpose in policy.absent
            if tuple(purpose.split("/")) in {(row.carrier, row.metric) for row in rows}
        ),
    ]


def _named(name: str, given: _Policy) -> NamedPolicy:
    policy = FactorPolicy(
        name=name,
        knowledge=given.knowledge,
        sets=given.sets,
        national=given.national,
        metrics=MappingProxyType(dict(given.metrics)),
        absent=MappingProxyType(dict(given.absent)),
    )
    return NamedPolicy(policy=policy, source=given.source, confirmed=given.confirmed)
