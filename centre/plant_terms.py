"""What a plant has agreed and chosen: tariff, contract, factor policies. The door of these keys of centre.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from centre.accounting.alarms import AlarmRule
from centre.accounting.basic_charge import Contract, Method
from centre.accounting.factor_policies import NamedPolicy
from centre.accounting.file_types import Positive, Strict
from centre.accounting.management_file import AlarmSettings, alarm_rule
from centre.accounting.tariff import Tariff
from centre.accounting.tariff_file import load_tariff
from centre.budgets import BudgetSettings, PlantBudget, budget_of
from wattline.resources import config_dir
from wattline.strict_yaml import Document, KeyPath

_NEEDS: Final = {Method.CAPACITY: "capacity_kva", Method.CONTRACT: "contract_kw"}

Indicator = Literal["demand_forecast_percent", "unmetered_percent", "meter_fault", "leak", "budget_percent"]
"""Those of centre.indicators."""


class ContractSettings(Strict):
    """What was agreed with the grid company. `metering_day`: the day of the month on which the meters are read.

    `confirmed: false` marks numbers that were not taken from the contract itself; reports say so.
    """

    method: Method
    capacity_kva: Positive | None = None
    contract_kw: Positive | None = None
    metering_day: Annotated[int, Field(ge=1, le=28)] = 1
    confirmed: bool = True


class PolicySettings(Strict):
    """Names of config/factor_policies.yaml: for tce, for CO2, and for the footprint of products."""

    energy: str = "comprehensive-energy"
    carbon: str = "monthly-statement"
    product: str = "product-footprint"


class TermsSettings(Strict):
    """The keys of a plant. `tariff`: the name of a shipped one, or a path ending in .yaml beside the settings.

    `alarms`: those of config/management.yaml that this plant sets otherwise. `accuracy_confirmed: false`: the accuracy
    classes of its meters were not read from their plates.
    """

    tariff: str | None = None
    contract: ContractSettings | None = None
    factor_policy: PolicySettings = PolicySettings()
    accuracy_confirmed: bool = True
    budgets: tuple[BudgetSettings, ...] = ()
    alarms: Mapping[Indicator, AlarmSettings] = Field(default_factory=dict[Indicator, AlarmSettings])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantTerms:
    """What figures of one plant are made by; without a tariff there is no cost.

    `unconfirmed`: what of it was not checked: `contract`, `accuracy`.
    """

    energy: NamedPolicy
    carbon: NamedPolicy
    product: NamedPolicy
    tariff: Tariff | None = None
    contract: Contract | None = None
    metering_day: int = 1
    unconfirmed: tuple[str, ...] = ()
    budgets: tuple[PlantBudget, ...] = ()
    alarms: Mapping[str, AlarmRule] = field(default_factory=dict[str, AlarmRule])


def plant_terms(
    found: TermsSettings, policies: Mapping[str, NamedPolicy], *, document: Document, at: KeyPath, folder: Path
) -> PlantTerms:
    """The terms of the plant at `at` of the settings file in `folder`; raises ConfigError."""
    chosen: dict[str, NamedPolicy] = {}
    for purpose, name in dict(found.factor_policy).items():
        if name not in policies:
            near = ", ".join(sorted(policies))
            raise document.error((*at, "factor_policy", purpose), f"there is no policy {name}: {near}")
        chosen[purpose] = policies[name]
    given = found.contract
    needed = None if given is None else _NEEDS.get(given.method)
    if given is not None and needed is not None and getattr(given, needed) is None:
        raise document.error((*at, "contract"), f"{given.method} needs {needed}")
    told = {"contract": given is None or given.confirmed, "accuracy": found.accuracy_confirmed}
    return PlantTerms(
        energy=chosen["energy"],
        carbon=chosen["carbon"],
        product=chosen["product"],
        tariff=None if found.tariff is None else _tariff(found.tariff, document, at, folder),
        contract=None if given is None else contract_of(given),
        metering_day=1 if given is None else given.metering_day,
        budgets=tuple(budget_of(budget) for budget in found.budgets),
        unconfirmed=tuple(name for name, confirmed in told.items() if not confirmed),
        alarms={key: alarm_rule(key, rule, document, (*at, "alarms", key)) for key, rule in found.alarms.items()},
    )


def contract_of(given: ContractSettings) -> Contract:
    """The agreed terms as the rules take them."""
    return Contract(method=given.method, capacity_kva=given.capacity_kva, contract_kw=given.contract_kw)


def _tariff(name: str, document: Document, at: KeyPath, folder: Path) -> Tariff:
    shipped = config_dir() / "tariffs"
    path = folder / name if name.endswith(".yaml") else shipped / f"{name}.yaml"
    if not path.is_file():
        near = ", ".join(sorted(file.stem for file in shipped.glob("*.yaml")))
        raise document.error((*at, "tariff"), f"there is no file {path.name}; shipped are: {near}")
    return load_tariff(path)
