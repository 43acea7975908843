"""The door of tariff files (config/tariffs/*.yaml): every mistake is a line `FILE:LINE: KEY: what` of a ConfigError."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from centre.accounting.file_types import Exact, Id, Names, NotNegative, Positive, Share, Text
from centre.accounting.tariff import (
    BasicTerms,
    Calendar,
    DayType,
    ExcessBase,
    Item,
    Schedule,
    Tariff,
    TariffVersion,
)
from wattline.strict_yaml import Document, KeyPath, Strict, load_file, validate

_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_MONTHS: Final = frozenset(range(1, 13))

Month = Annotated[int, Field(ge=1, le=12)]
Weekday = Annotated[int, Field(ge=1, le=7)]


class _Calendar(Strict):
    """`weekend` holds ISO weekdays, Monday is 1."""

    weekend: tuple[Weekday, ...] = (6, 7)
    holidays: tuple[date, ...] = ()
    workdays: tuple[date, ...] = ()
    critical: tuple[date, ...] = ()


class _Schedule(Strict):
    months: list[Month] | None = None
    days: list[DayType] | None = None
    bands: Annotated[dict[str, Id], Field(min_length=1)]


class _Item(Strict):
    name: Names
    price: Exact | None = None
    prices: dict[Id, Exact] | None = None
    fund: bool = False


class _Basic(Strict):
    per_kva: NotNegative
    per_kw: NotNegative
    tolerance: Positive
    excess_factor: Positive
    excess_base: ExcessBase
    floor_share: Share


class _Version(Strict):
    valid_from: date
    source: Text
    confirmed: bool
    schedules: Annotated[list[_Schedule], Field(min_length=1)]
    items: Annotated[dict[Id, _Item], Field(min_length=1)]
    basic: _Basic | None = None
    power_factor: Share | None = None


class _File(Strict):
    id: Id
    name: Names
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    calendar: _Calendar = _Calendar()
    ends: date | None = None
    versions: Annotated[list[_Version], Field(min_length=1)]


def load_tariff(path: Path) -> Tariff:
    """Read and check one tariff; raises ConfigError."""
    return tariff_of(load_file(path))


def tariff_of(document: Document) -> Tariff:
    """The tariff of a loaded file; raises ConfigError."""
    file = validate(_File, document)
    _check_calendar(file.calendar, document)
    for place in range(1, len(file.versions)):
        if file.versions[place].valid_from <= file.versions[place - 1].valid_from:
            raise document.error(("versions", place, "valid_from"), "must be later than that of the version before it")
    if file.ends is not None and file.ends < file.versions[-1].valid_from:
        raise document.error(("ends",), "must not be before the last version begins")
    return Tariff(
        id=file.id,
        name=file.name.as_mapping(),
        currency=file.currency,
        calendar=Calendar(
            weekend=frozenset(day - 1 for day in file.calendar.weekend),
            holidays=frozenset(file.calendar.holidays),
            workdays=frozenset(file.calendar.workdays),
            critical=frozenset(file.calendar.critical),
        ),
        versions=tuple(_version(found, file.id, place, document) for place, found in enumerate(file.versions)),
        ends=file.ends,
    )


def _check_calendar(calendar: _Calendar, document: Document) -> None:
    both = set(calendar.holidays) & set(calendar.workdays)
    if both:
        raise document.error(("calendar", "workdays"), f"{min(both)} stands among the holidays too")


def _version(found: _Version, tariff: str, place: int, document: Document) -> TariffVersion:
    at: KeyPath = ("versions", place)
    schedules = tuple(
        _schedule(schedule, (*at, "schedules", number), document) for number, schedule in enumerate(found.schedules)
    )
    _check_coverage(schedules, (*at, "schedules"), document)
    bands = frozenset(band for schedule in schedules for _, band in schedule.changes)
    return TariffVersion(
        id=f"{tariff}/{found.valid_from}",
        valid_from=found.valid_from,
        source=found.source,
        confirmed=found.confirmed,
        schedules=schedules,
        items=tuple(_item(key, item, bands, (*at, "items", key), document) for key, item in found.items.items()),
        basic=None if found.basic is None else BasicTerms(**dict(found.basic)),
        power_factor=found.power_factor,
    )


def _schedule(found: _Schedule, at: KeyPath, document: Document) -> Schedule:
    changes: list[tuple[int, str]] = []
    for clock, band in found.bands.items():
        match = _CLOCK.fullmatch(clock)
        if match is None:
            raise document.error((*at, "bands", clock), 'must be a time of day such as "08:30"')
        minute = 60 * int(match[1]) + int(match[2])
        if changes and minute <= changes[-1][0]:
            raise document.error((*at, "bands", clock), "must be later than the line before it")
        changes.append((minute, band))
    if changes[0][0] != 0:
        raise document.error((*at, "bands"), 'the first band must begin at "00:00"')
    return Schedule(
        months=_MONTHS if found.months is None else frozenset(found.months),
        days=frozenset(DayType) if found.days is None else frozenset(found.days),
        changes=tuple(changes),
    )


def _check_coverage(schedules: tuple[Schedule, ...], at: KeyPath, document: Document) -> None:
    """Every month and day type has a schedule, and every schedule has a day of its own."""
    free = {(month, kind) for month in _MONTHS for kind in DayType}
    for number, schedule in enumerate(schedules):
        own = {(month, kind) for month in schedule.months for kind in schedule.days} & free
        if not own:
            raise document.error((*at, number), "never counts: the schedules above it take all its days")
        free -= own
    if free:
        month, kind = min(free)
        raise document.error(at, f"no schedule for month {month}, {kind.value} days")


def _item(key: str, found: _Item, bands: frozenset[str], at: KeyPath, document: Document) -> Item:
    if (found.price is None) == (found.prices is None):
        raise document.error(at, "must have either price or prices")
    prices: dict[str, Decimal]
    if found.prices is None:
        assert found.price is not None
        prices = dict.fromkeys(sorted(bands), found.price)
    else:
        prices = dict(found.prices)
        for band in sorted(bands - prices.keys()):
            raise document.error((*at, "prices"), f"has no price for {band}")
        for band in sorted(prices.keys() - bands):
            raise document.error((*at, "prices", band), "is a band of no schedule of this version")
    return Item(id=key, name=found.name.as_mapping(), prices=prices, fund=found.fund)
