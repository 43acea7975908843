"""The door of config/power-factor.yaml and config/surcharges.yaml: mistakes are lines `FILE:LINE: KEY: what`."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field

from centre.accounting.file_types import Exact, Id, Names, NotNegative, Positive, Share, Text
from centre.accounting.power_factor import PowerFactorTable
from centre.accounting.surcharge import StepTerms, SurchargeRow
from wattline.strict_yaml import Document, KeyPath, Strict, load_file, validate


class _Run(Strict):
    first: Annotated[Share, Field(alias="from")]
    to: Share
    percent: Exact
    step: Exact
    conflict: Text | None = None


class _Standard(Strict):
    standard: Share
    runs: Annotated[list[_Run], Field(min_length=1)]


class _PowerFactors(Strict):
    source: Text
    confirmed: bool
    standards: Annotated[list[_Standard], Field(min_length=1)]


class _Step(Strict):
    threshold: NotNegative
    width: Positive
    price: NotNegative


class _Surcharge(Strict):
    name: Names
    valid_from: date
    source: Text
    confirmed: bool
    differential: dict[Id, NotNegative] | None = None
    step: _Step | None = None


class _Surcharges(Strict):
    surcharges: dict[Id, _Surcharge]


def load_power_factors(path: Path) -> dict[Decimal, PowerFactorTable]:
    """Tables by standard (0.90, 0.85, 0.80); raises ConfigError."""
    return power_factors_of(load_file(path))


def power_factors_of(document: Document) -> dict[Decimal, PowerFactorTable]:
    """The tables of a loaded file; raises ConfigError."""
    file = validate(_PowerFactors, document)
    tables: dict[Decimal, PowerFactorTable] = {}
    for place, found in enumerate(file.standards):
        if found.standard in tables:
            raise document.error(("standards", place, "standard"), "stands here a second time")
        percent, conflicts = _lines(found, ("standards", place), document)
        tables[found.standard] = PowerFactorTable(
            standard=found.standard,
            percent=percent,
            conflicts=conflicts,
            source=file.source,
            confirmed=file.confirmed,
        )
    return tables


def _lines(found: _Standard, at: KeyPath, document: Document) -> tuple[dict[int, Decimal], dict[int, str]]:
    percent: dict[int, Decimal] = {}
    conflicts: dict[int, str] = {}
    for number, run in enumerate(found.runs):
        first, last = _hundredths(run.first), _hundredths(run.to)
        if first is None or last is None:
            raise document.error((*at, "runs", number), "from and to must have two decimals at most")
        way = 1 if last >= first else -1
        for count, hundredths in enumerate(range(first, last + way, way)):
            if hundredths in percent:
                raise document.error((*at, "runs", number), f"0.01 x {hundredths} stands here a second time")
            percent[hundredths] = run.percent + run.step * count
            if run.conflict is not None:
                conflicts[hundredths] = run.conflict
    missing = sorted(set(range(101)) - percent.keys())
    if missing:
        raise document.error((*at, "runs"), f"has no line for 0.01 x {missing[0]}")
    return percent, conflicts


def _hundredths(value: Decimal) -> int | None:
    return int(value * 100) if value * 100 == int(value * 100) else None


def load_surcharges(path: Path) -> tuple[SurchargeRow, ...]:
    """All rows; raises ConfigError."""
    return surcharges_of(load_file(path))


def surcharges_of(document: Document) -> tuple[SurchargeRow, ...]:
    """The rows of a loaded file; raises ConfigError."""
    file = validate(_Surcharges, document)
    for key, found in file.surcharges.items():
        if (found.differential is None) == (found.step is None):
            raise document.error(("surcharges", key), "must have either differential or step")
    return tuple(
        SurchargeRow(
            id=key,
            name=found.name.as_mapping(),
            valid_from=found.valid_from,
            source=found.source,
            confirmed=found.confirmed,
            differential=found.differential,
            step=None if found.step is None else StepTerms(**dict(found.step)),
        )
        for key, found in file.surcharges.items()
    )
