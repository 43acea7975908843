"""The door of config/pollutants.yaml: averaging and limits of standards, both dated, with file, line and key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import Field

from centre.accounting.file_types import Day, Id, NotNegative, Positive, Text
from centre.accounting.pollutants import Averaging, Limit, Medium
from wattline.strict_yaml import Document, Strict, load_file, validate
from wattline.units import Duration

_NS: Final = 10**9


class Pollutant(StrEnum):
    """What may be limited; the point of its concentration is `concentration_<pollutant>`."""

    SO2 = "so2"
    NOX = "nox"
    DUST = "dust"
    NMHC = "nmhc"
    CO = "co"
    COD = "cod"
    NH3N = "nh3n"
    TN = "tn"
    TP = "tp"

    @property
    def medium(self) -> Medium:
        return Medium.WATER if self in _IN_WATER else Medium.AIR

    @property
    def unit(self) -> str:
        return UNITS[self.medium]

    @property
    def point(self) -> str:
        return f"concentration_{self.value}"


_IN_WATER: Final = frozenset({Pollutant.COD, Pollutant.NH3N, Pollutant.TN, Pollutant.TP})
UNITS: Final[Mapping[Medium, str]] = MappingProxyType({Medium.AIR: "mg/m3", Medium.WATER: "mg/L"})


class _Averaging(Strict):
    medium: Medium
    valid_from: Day
    hold: Duration
    least_minutes: Annotated[int, Field(ge=1, le=60)]
    least_hours: Annotated[int, Field(ge=1, le=24)]
    stopped_oxygen: Positive | None = None
    source: Text
    confirmed: bool


class _Limits(Strict):
    hour: Positive | None = None
    day: Positive | None = None


class _Standard(Strict):
    id: Id
    medium: Medium
    valid_from: Day
    valid_to: Day | None = None
    oxygen: Annotated[NotNegative, Field(lt=Decimal(21))] | None = None
    limits: Annotated[dict[Pollutant, _Limits], Field(min_length=1)]
    source: Text
    confirmed: bool


class _File(Strict):
    averaging: Annotated[list[_Averaging], Field(min_length=1)]
    standards: list[_Standard]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """A limit of a standard and the days it holds on, both included; None is open on that side."""

    standard: str
    pollutant: Pollutant
    valid_from: date
    valid_to: date | None
    limit: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class PollutantRules:
    """The tables; rows of one medium, and of one standard, in order of their days."""

    averaging: Sequence[Averaging]
    limits: Sequence[LimitRow]

    def averaging_on(self, medium: Medium, day: date) -> Averaging | None:
        """How means are made on a day; before the first rule of a medium as by that one."""
        own = [found for found in self.averaging if found.medium is medium]
        return next((found for found in reversed(own) if found.valid_from <= day), own[0] if own else None)

    def limit_on(self, standard: str | None, pollutant: Pollutant, day: date) -> Limit | None:
        """What a standard allows on a day; None where it says nothing of the pollutant then."""
        return next(
            (
                row.limit
                for row in reversed(self.limits)
                if (row.standard, row.pollutant) == (standard, pollutant)
                and row.valid_from <= day
                and (row.valid_to is None or day <= row.valid_to)
            ),
            None,
        )


def load_pollutants(path: Path) -> PollutantRules:
    """Read and check; raises ConfigError."""
    return pollutants_of(load_file(path))


def pollutants_of(document: Document) -> PollutantRules:
    """The tables of a loaded file; raises ConfigError."""
    file = validate(_File, document)
    _check_order([(found.medium, found.valid_from) for found in file.averaging], "averaging", document)
    _check_order([(found.id, found.valid_from) for found in file.standards], "standards", document)
    for place, found in enumerate(file.standards):
        for pollutant in found.limits:
            if pollutant.medium is not found.medium:
                text = f"{pollutant} is a pollutant of {pollutant.medium}, the standard one of {found.medium}"
                raise document.error(("standards", place, "limits", pollutant.value), text)
    return PollutantRules(
        averaging=tuple(_averaging(found) for found in file.averaging),
        limits=tuple(row for found in file.standards for row in _rows(found)),
    )


def _check_order(found: Sequence[tuple[str, date]], key: str, document: Document) -> None:
    last: dict[str, date] = {}
    for place, (name, day) in enumerate(found):
        if name in last and day <= last[name]:
            raise document.error((key, place, "valid_from"), f"must be later than that of {name} before it")
        last[name] = day


def _averaging(found: _Averaging) -> Averaging:
    values = {key: value for key, value in dict(found).items() if key != "hold"}
    return Averaging(hold_ns=int(found.hold * _NS), **values)


def _rows(found: _Standard) -> list[LimitRow]:
    return [
        LimitRow(
            standard=found.id,
            pollutant=pollutant,
            valid_from=found.valid_from,
            valid_to=found.valid_to,
            limit=Limit(
                id=f"{found.id}/{pollutant}/{found.valid_from}",
                unit=pollutant.unit,
                hour=limits.hour,
                day=limits.day,
                oxygen=found.oxygen,
                source=found.source,
                confirmed=found.confirmed,
            ),
        )
        for pollutant, limits in found.limits.items()
    ]
