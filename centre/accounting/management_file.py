"""The door of config/management.yaml: limits for balance, leaks, baselines and alarms, with file, line and key."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field

from centre.accounting.alarms import AlarmRule, Side
from centre.accounting.baseline import FitRule
from centre.accounting.file_types import Exact, Id, NotNegative, Positive, Share, Strict, Text
from centre.accounting.leak import LeakRule
from wattline.strict_yaml import Document, KeyPath, load_file, validate
from wattline.units import Duration

_NS = 10**9
Count = Annotated[int, Field(ge=1, le=1000)]


class _Balance(Strict):
    limit_percent: NotNegative
    least_covered: Share
    accuracy: dict[Id, Positive]


class _Leak(Strict):
    legitimate: NotNegative
    resolution: Positive
    spreads: Positive
    confirm: Count
    step_spreads: Positive
    history: Count
    least: Count


class _Baseline(Strict):
    least: Count
    r2: Share
    cv_rmse: Positive
    t_value: NotNegative
    durbin_watson: tuple[NotNegative, NotNegative]


class _Budget(Strict):
    least_known: Share


class AlarmSettings(Strict):
    """When the value of an indicator is worth attention, and for how long either way."""

    side: Side
    limit: Exact
    clear: Exact
    delay: Duration = Decimal(0)
    clear_delay: Duration = Decimal(0)
    reopen: Duration = Decimal(0)
    owner: Text | None = None


class _File(Strict):
    source: Text
    confirmed: bool
    balance: _Balance
    leak: _Leak
    baseline: _Baseline
    budget: _Budget
    alarms: dict[Id, AlarmSettings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Management:
    """What a site watches itself by; `alarms` by indicator.

    `accuracy`: class in percent by carrier, of meters whose own is not given.
    """

    source: str
    confirmed: bool
    balance_limit_percent: Decimal
    balance_least_covered: Decimal
    budget_least_known: Decimal
    accuracy: dict[str, Decimal]
    leak: LeakRule
    baseline: FitRule
    alarms: dict[str, AlarmRule]


def load_management(path: Path) -> Management:
    """Read and check; raises ConfigError."""
    return management_of(load_file(path))


def management_of(document: Document) -> Management:
    """The limits of a loaded file; raises ConfigError."""
    file = validate(_File, document)
    if file.leak.least > file.leak.history:
        raise document.error(("leak", "least"), "must not be more than history")
    return Management(
        source=file.source,
        confirmed=file.confirmed,
        balance_limit_percent=file.balance.limit_percent,
        balance_least_covered=file.balance.least_covered,
        budget_least_known=file.budget.least_known,
        accuracy=file.balance.accuracy,
        leak=LeakRule(**dict(file.leak)),
        baseline=FitRule(**dict(file.baseline)),
        alarms={key: alarm_rule(key, found, document, ("alarms", key)) for key, found in file.alarms.items()},
    )


def alarm_rule(key: str, found: AlarmSettings, document: Document, at: KeyPath) -> AlarmRule:
    """The rule of an indicator that stands at `at` of a file; raises ConfigError."""
    try:
        return AlarmRule(
            id=key,
            side=found.side,
            limit=found.limit,
            clear=found.clear,
            delay_ns=int(found.delay * _NS),
            clear_delay_ns=int(found.clear_delay * _NS),
            reopen_ns=int(found.reopen * _NS),
            owner=found.owner,
        )
    except ValueError as err:
        raise document.error(at, str(err)) from err
