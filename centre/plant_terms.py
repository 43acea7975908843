"""What a plant has agreed and chosen: tariff, contract, factor policies. The door of these keys of centre.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from centre.accounting.alarms import AlarmRule
from centre.accounting.basic_charge import Contract, Method
from centre.accounting.demand import DemandKind
from centre.accounting.factor_policies import NamedPolicy
from centre.accounting.factors import FactorRow
from centre.accounting.file_types import Day, Positive, one_or_more
from centre.accounting.management_file import AlarmSettings, alarm_rule
from centre.accounting.rate_tables_file import load_surcharges
from centre.accounting.tariff import Tariff
from centre.accounting.tariff_file import load_tariff
from centre.base_years import BaseYearSettings, Goal, goal_of
from centre.budgets import BudgetSettings, PlantBudget, budget_of
from centre.chp_plants import ChpSettings, PlantChp, chps_of
from centre.energy_baselines import BaselineSettings, EnergyBaseline, baseline_of
from centre.outlets import Outlet, OutletSettings, outlets_of
from centre.own_factors import CalorificSettings, own_rows
from centre.surcharges import PlantSurcharge, SurchargeSettings, surcharges_of
from wattline.resources import config_dir
from wattline.strict_yaml import Document, KeyPath, Strict

_DEMANDS: Final = {"fixed": DemandKind.FIXED, "sliding": DemandKind.SLIDING, "meter": DemandKind.METER}
_NEEDS: Final = {Method.CAPACITY: "capacity_kva", Method.CONTRACT: "contract_kw"}

Indicator = Literal[
    "demand_forecast_percent",
    "unmetered_percent",
    "meter_fault",
    "leak",
    "budget_percent",
    "pollutant_hour_percent",
    "pollutant_day_percent",
    "calibration_days_left",
    "calibration_days_over",
]
"""Those of centre.indicators."""


class ContractSettings(Strict):
    """What was agreed with the grid company. `metering_day`: the day of the month on which the meters are read.

    It counts for the days [valid_from, valid_to], both included; None is open on that side.

    `demand`: mean of the fixed quarters of an hour, of any 15 minutes (moved by one), or what the meter's own register
    of its maximum says. `confirmed: false` marks numbers that were not taken from the contract itself; reports say so.
    """

    method: Method
    capacity_kva: Positive | None = None
    contract_kw: Positive | None = None
    demand: Literal["fixed", "sliding", "meter"] = "fixed"
    metering_day: Annotated[int, Field(ge=1, le=28)] = 1
    confirmed: bool = True
    valid_from: Day | None = None
    valid_to: Day | None = None


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
    contract: Annotated[tuple[ContractSettings, ...], BeforeValidator(one_or_more)] = ()
    factor_policy: PolicySettings = PolicySettings()
    accuracy_confirmed: bool = True
    budgets: tuple[BudgetSettings, ...] = ()
    base_years: tuple[BaseYearSettings, ...] = ()
    baselines: tuple[BaselineSettings, ...] = ()
    outlets: tuple[OutletSettings, ...] = ()
    surcharges: tuple[SurchargeSettings, ...] = ()
    chp: tuple[ChpSettings, ...] = ()
    calorific_values: tuple[CalorificSettings, ...] = ()
    alarms: Mapping[Indicator, AlarmSettings] = Field(default_factory=dict[Indicator, AlarmSettings])

    @property
    def metering_day(self) -> int:
        return self.contract[0].metering_day if self.contract else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedContract:
    """A contract and the days it holds on, both included; None is open on that side."""

    contract: Contract
    valid_from: date | None = None
    valid_to: date | None = None
    confirmed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantTerms:
    """What figures of one plant are made by; without a tariff there is no cost. `contracts` do not overlap."""

    energy: NamedPolicy
    carbon: NamedPolicy
    product: NamedPolicy
    tariff: Tariff | None = None
    contracts: tuple[DatedContract, ...] = ()
    metering_day: int = 1
    accuracy_confirmed: bool = True
    budgets: tuple[PlantBudget, ...] = ()
    goals: tuple[Goal, ...] = ()
    baselines: tuple[EnergyBaseline, ...] = ()
    outlets: tuple[Outlet, ...] = ()
    surcharges: tuple[PlantSurcharge, ...] = ()
    chps: tuple[PlantChp, ...] = ()
    own_factors: tuple[FactorRow, ...] = ()
    alarms: Mapping[str, AlarmRule] = field(default_factory=dict[str, AlarmRule])

    def contract(self, day: date) -> Contract | None:
        """What is agreed on a day; a month in which it changes is billed by days."""
        found = self._contract(day)
        return None if found is None else found.contract

    def unconfirmed(self, day: date) -> tuple[str, ...]:
        """What of it was not checked: `contract`, `accuracy`."""
        found = self._contract(day)
        told = {"contract": found is None or found.confirmed, "accuracy": self.accuracy_confirmed}
        return tuple(name for name, confirmed in told.items() if not confirmed)

    def _contract(self, day: date) -> DatedContract | None:
        return next(
            (
                found
                for found in self.contracts
                if (found.valid_from is None or found.valid_from <= day)
                and (found.valid_to is None or day <= found.valid_to)
            ),
            None,
        )


def plant_terms(
    found: TermsSettings,
    policies: Mapping[str, NamedPolicy],
    *,
    site: str,
    document: Document,
    at: KeyPath,
    folder: Path,
) -> PlantTerms:
    """The terms of the plant at `at` of the settings file in `folder`; raises ConfigError."""
    chosen: dict[str, NamedPolicy] = {}
    for purpose, name in dict(found.factor_policy).items():
        if name not in policies:
            near = ", ".join(sorted(policies))
            raise document.error((*at, "factor_policy", purpose), f"there is no policy {name}: {near}")
        chosen[purpose] = policies[name]
    _check_contracts(found.contract, (*at, "contract"), document)
    return PlantTerms(
        energy=chosen["energy"],
        carbon=chosen["carbon"],
        product=chosen["product"],
        tariff=None if found.tariff is None else _tariff(found.tariff, document, at, folder),
        contracts=tuple(
            DatedContract(
                contract=contract_of(given),
                valid_from=given.valid_from,
                valid_to=given.valid_to,
                confirmed=given.confirmed,
            )
            for given in found.contract
        ),
        metering_day=found.metering_day,
        budgets=tuple(budget_of(budget) for budget in found.budgets),
        baselines=tuple(baseline_of(one) for one in found.baselines),
        goals=tuple(goal_of(base, site) for base in found.base_years),
        outlets=outlets_of(found.outlets, document, (*at, "outlets")),
        chps=chps_of(found.chp, document, (*at, "chp")),
        surcharges=_surcharges(found.surcharges, (*at, "surcharges"), document),
        own_factors=own_rows(found.calorific_values),
        accuracy_confirmed=found.accuracy_confirmed,
        alarms={key: alarm_rule(key, rule, document, (*at, "alarms", key)) for key, rule in found.alarms.items()},
    )


def _check_contracts(found: Sequence[ContractSettings], at: KeyPath, document: Document) -> None:
    """Each has what its method needs; they stand in order, without a day of two; months begin on the same day."""
    for given in found:
        needed = _NEEDS.get(given.method)
        if needed is not None and getattr(given, needed) is None:
            raise document.error(at, f"{given.method} needs {needed}")
        if given.metering_day != found[0].metering_day:
            raise document.error(at, "all must have the same metering_day: it is when the months of the books begin")
        if given.valid_from is not None and given.valid_to is not None and given.valid_to < given.valid_from:
            raise document.error(at, "valid_to must not be before valid_from")
    for one, other in pairwise(found):
        if one.valid_to is None or other.valid_from is None or other.valid_from <= one.valid_to:
            raise document.error(at, "one must end (valid_to) before the next begins (valid_from)")


def contract_of(given: ContractSettings) -> Contract:
    """The agreed terms as the rules take them."""
    return Contract(
        method=given.method, capacity_kva=given.capacity_kva, contract_kw=given.contract_kw,
        demand=_DEMANDS[given.demand],
    )  # fmt: skip


def _surcharges(
    given: Sequence[SurchargeSettings], at: KeyPath, document: Document
) -> tuple[PlantSurcharge, ...]:  # fmt: skip
    if not given:
        return ()
    return surcharges_of(
        given, {row.id: row for row in load_surcharges(config_dir() / "surcharges.yaml")}, at, document
    )


def _tariff(name: str, document: Document, at: KeyPath, folder: Path) -> Tariff:
    shipped = config_dir() / "tariffs"
    path = folder / name if name.endswith(".yaml") else shipped / f"{name}.yaml"
    if not path.is_file():
        near = ", ".join(sorted(file.stem for file in shipped.glob("*.yaml")))
        raise document.error((*at, "tariff"), f"there is no file {path.name}; shipped are: {near}")
    return load_tariff(path)
