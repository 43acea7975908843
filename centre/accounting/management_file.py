"""The door of config/management.yaml: dated limits of balances, leaks, baselines and alarms."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from centre.accounting.alarms import AlarmRule, Side
from centre.accounting.baseline import FitRule
from centre.accounting.file_types import Day, Exact, Id, NotNegative, Positive, Share, Text
from centre.accounting.leak import LeakRule, Pressure
from centre.accounting.utilities import GasReference
from wattline.strict_yaml import Document, KeyPath, Strict, load_file, validate
from wattline.units import Duration

_NS: Final = 10**9
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
Count = Annotated[int, Field(ge=1, le=1000)]


class _Balance(Strict):
    limit_percent: NotNegative
    least_covered: Share
    accuracy: dict[Id, Positive]


class _Pressure(Strict):
    """By day and by night, absolute, and 0.5 (rigid pipe) to 1.5 (a split that opens)."""

    day: Positive
    night: Positive
    exponent: Annotated[Exact, Field(ge=Decimal("0.5"), le=Decimal("1.5"))]


class _Leak(Strict):
    between: tuple[str, str]
    pressure: _Pressure | None = None
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


class Reference(Strict):
    """Conditions that a volume of gas is stated at: degC, and kPa (absolute)."""

    temperature: Annotated[Exact, Field(gt=-273)]
    pressure: Positive

    @property
    def conditions(self) -> GasReference:
        return GasReference(temperature_c=self.temperature, pressure_kpa=self.pressure)


def reference_form(of: GasReference) -> dict[str, str]:
    """The way back of Reference."""
    return {"temperature": f"{of.temperature_c:f}", "pressure": f"{of.pressure_kpa:f}"}


class AlarmSettings(Strict):
    """When the value of an indicator is worth attention, and for how long either way."""

    side: Side
    limit: Exact
    clear: Exact
    delay: Duration = Decimal(0)
    clear_delay: Duration = Decimal(0)
    reopen: Duration = Decimal(0)
    owner: Text | None = None


class _Version(Strict):
    valid_from: Day
    source: Text
    confirmed: bool
    balance: _Balance
    leak: dict[Id, _Leak]
    compressed_air: Reference
    baseline: _Baseline
    budget: _Budget
    alarms: dict[Id, AlarmSettings]


class _File(Strict):
    versions: Annotated[list[_Version], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Management:
    """What a site watches itself by from a day on; `alarms` by indicator, `leaks` by carrier.

    `accuracy`: class in percent by carrier, of meters whose own is not given. `air`: what specific consumption of
    compressed air is stated at.
    """

    valid_from: date
    source: str
    confirmed: bool
    balance_limit_percent: Decimal
    balance_least_covered: Decimal
    budget_least_known: Decimal
    accuracy: dict[str, Decimal]
    leaks: dict[str, LeakRule]
    air: GasReference
    baseline: FitRule
    alarms: dict[str, AlarmRule]


def in_force(versions: Sequence[Management], day: date) -> Management:
    """The version that counts on a day; the first counts for the days before it too."""
    return next((found for found in reversed(versions) if found.valid_from <= day), versions[0])


def load_management(path: Path) -> tuple[Management, ...]:
    """All versions in order of their days; raises ConfigError."""
    return management_of(load_file(path))


def management_of(document: Document) -> tuple[Management, ...]:
    """The limits of a loaded file; raises ConfigError."""
    file = validate(_File, document)
    for place in range(1, len(file.versions)):
        if file.versions[place].valid_from <= file.versions[place - 1].valid_from:
            raise document.error(("versions", place, "valid_from"), "must be later than that of the version before it")
    return tuple(_version(found, ("versions", place), document) for place, found in enumerate(file.versions))


def _version(found: _Version, at: KeyPath, document: Document) -> Management:
    return Management(
        valid_from=found.valid_from,
        source=found.source,
        confirmed=found.confirmed,
        balance_limit_percent=found.balance.limit_percent,
        balance_least_covered=found.balance.least_covered,
        budget_least_known=found.budget.least_known,
        accuracy=found.balance.accuracy,
        leaks={key: _leak_rule(leak, (*at, "leak", key), document) for key, leak in found.leak.items()},
        air=found.compressed_air.conditions,
        baseline=FitRule(**dict(found.baseline)),
        alarms={key: alarm_rule(key, one, document, (*at, "alarms", key)) for key, one in found.alarms.items()},
    )


def _leak_rule(found: _Leak, at: KeyPath, document: Document) -> LeakRule:
    if found.least > found.history:
        raise document.error((*at, "least"), "must not be more than history")
    start, end = (_since_midnight(clock, (*at, "between"), document) for clock in found.between)
    if start >= end:
        raise document.error((*at, "between"), "must end later than it begins, on the same day")
    values = {key: value for key, value in dict(found).items() if key not in {"between", "pressure"}}
    pressure = None if found.pressure is None else Pressure(**dict(found.pressure))
    return LeakRule(start_ns=start, end_ns=end, pressure=pressure, **values)


def _since_midnight(clock: str, at: KeyPath, document: Document) -> int:
    match = _CLOCK.fullmatch(clock)
    if match is None:
        raise document.error(at, 'must be two times of day such as ["02:00", "04:00"]')
    return (60 * int(match[1]) + int(match[2])) * 60 * _NS


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
