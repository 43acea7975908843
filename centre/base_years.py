"""Base years of a plant: the door of `base_years:` in centre.yaml, what an intensity is measured against (rows 18-20).

A base year that is restated is a new version with its reason; the one before stays, and progress is shown against both.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from centre.accounting.file_types import Exact, Id, Positive, Text
from centre.accounting.intensity import BaseYear, intensity, restate
from centre.accounting.terms import Input
from wattline.errors import ConfigError
from wattline.strict_yaml import Document, KeyPath, Strict

VALUE_ADDED: Final = "value_added"
MONEY: Final = "1e4CNY"

Year = Annotated[int, Field(ge=2000, le=2200)]


class Measure(StrEnum):
    """What is put in relation: comprehensive energy (calorific), fresh water, or scopes 1 and 2 by location."""

    ENERGY = "energy"
    WATER = "water"
    CARBON = "carbon"

    def unit(self, per: str) -> str:
        if self is Measure.ENERGY:
            return "tce" if per == VALUE_ADDED else "kgce"
        return "m3" if self is Measure.WATER else "tCO2e"


class FigureSettings(Strict):
    """The figures of the base year, in the units of the goal."""

    numerator: Positive
    denominator: Positive
    source: Text
    boundary: Text | None = None


class RestatedSettings(FigureSettings):
    """Figures that replaced those before them, and why."""

    reason: Text


class PriceSettings(Strict):
    """How dear a year's value added is at its own prices, against 1 at those of the base: 1.034 is 3.4 % dearer."""

    year: Year
    index: Positive
    source: Text


class BaseYearSettings(Strict):
    """`per`: value_added, or a product in `unit`. `prices`: the year whose prices a value added is counted at.

    `boundary` names what is counted now; figures that counted something else name their own. `target`: -0.16 is 16 %
    less, to be reached in the year `by`.
    """

    id: Id
    node: str
    of: Measure
    per: str
    unit: Text | None = None
    year: Year
    prices: Year | None = None
    price_index: tuple[PriceSettings, ...] = ()
    boundary: Text | None = None
    target: Annotated[Exact, Field(gt=-1)] | None = None
    by: Year | None = None
    base: FigureSettings
    restated: tuple[RestatedSettings, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """An intensity with its base year in all its versions, the original first. `index`: of prices by year."""

    id: str
    node: str
    of: Measure
    per: str
    denominator_unit: str
    boundary: str
    bases: tuple[BaseYear, ...]
    prices: int | None = None
    index: Mapping[int, Decimal]
    target: Decimal | None = None
    by: int | None = None

    @property
    def unit(self) -> str:
        return self.of.unit(self.per)


def goal_of(given: BaseYearSettings, site: str) -> Goal:
    """As the rules take it; settings without mistakes are expected."""
    boundary = given.boundary or f"{site}/{given.node}"
    below = MONEY if given.per == VALUE_ADDED else given.unit or ""
    bases: list[BaseYear] = []
    for figures in (given.base, *given.restated):
        found = intensity(
            year=given.year,
            numerator=Input(id=figures.source, value=figures.numerator, unit=given.of.unit(given.per)),
            denominator=Input(id=figures.source, value=figures.denominator, unit=below),
            boundary=figures.boundary or boundary,
            prices=given.prices,
        )
        reason = figures.reason if isinstance(figures, RestatedSettings) else ""
        bases.append(restate(bases[-1], found, reason) if bases else BaseYear(intensity=found))
    index = {row.year: row.index for row in given.price_index}
    if given.prices is not None:
        index[given.prices] = Decimal(1)
    return Goal(
        id=given.id,
        node=given.node,
        of=given.of,
        per=given.per,
        denominator_unit=below,
        boundary=boundary,
        bases=tuple(bases),
        prices=given.prices,
        index=index,
        target=given.target,
        by=given.by,
    )


def base_year_mistakes(
    given: Sequence[BaseYearSettings], nodes: Collection[str], at: KeyPath, document: Document
) -> list[ConfigError]:
    """Every mistake, with its place in the file."""
    mistakes: list[ConfigError] = []
    for place, found in enumerate(given):
        here = (*at, place)
        wrong = [(key, text) for key, text in _mistakes(found, nodes)]
        if found.id in {earlier.id for earlier in given[:place]}:
            wrong.append((("id",), f"{found.id} stands here a second time"))
        mistakes += [document.error((*here, *key), text) for key, text in wrong]
    return mistakes


def _mistakes(found: BaseYearSettings, nodes: Collection[str]) -> list[tuple[KeyPath, str]]:
    wrong: list[tuple[KeyPath, str]] = []
    if found.node not in nodes:
        wrong.append((("node",), f"{found.node} is no node of the tree: {', '.join(sorted(nodes)[:12])}"))
    money = found.per == VALUE_ADDED
    if money and found.prices is None:
        wrong.append((("prices",), "value added is compared at the prices of one year: which?"))
    if not money and (found.prices is not None or found.price_index):
        wrong.append((("per",), "prices belong to value_added; a product has none"))
    if money == (found.unit is not None):
        text = f"value added is in {MONEY}" if money else f"{found.per} needs the unit it is counted in, such as t"
        wrong.append((("unit",), text))
    if (found.target is None) != (found.by is None):
        wrong.append((("target",), "target and by (the year it holds for) stand together or not at all"))
    years = [row.year for row in found.price_index]
    twice = [place for place, year in enumerate(years) if year in years[:place]]
    wrong += [(("price_index", place, "year"), f"{years[place]} stands here a second time") for place in twice]
    return wrong
