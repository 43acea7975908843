"""The forms of manual data: which columns each has, what may stand in them, and what belongs together.

A row becomes an Entry of canonical texts; its key tells which earlier approved row it takes the place of.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from centre import manual_columns as check
from centre.manual_columns import Known, Row

READINGS: Final = "meter_reading"
_LONGEST: Final = 200
_MASS: Final = ("t", "kg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; `check(text, row so far, known)` gives the canonical text, or raises ValueError: what would be right.

    `key`: part of what a row is about. An optional column may be empty.
    """

    name: str
    check: Callable[[str, Row, Known], str]
    key: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """`whole` checks what belongs together in a row: (column, what would be right) or None."""

    name: str
    columns: tuple[Column, ...]
    whole: Callable[[Row], tuple[str, str] | None] = lambda _row: None

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if not column.optional)

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A valid row. `period` is its month, or the time (UTC ns) of a meter reading; `values` by column.

    `number`: the form in the books it stands in, at `place`.
    """

    form: str
    site: str
    period: str
    key: tuple[str, ...]
    values: Mapping[str, str]
    place: int
    number: int | None = field(default=None, compare=False)


def _whole_batch(row: Row) -> tuple[str, str] | None:
    if bool(row["begin"]) != bool(row["end"]):
        return "end", "begin and end of a batch stand together or not at all"
    if row["begin"] and int(row["end"]) <= int(row["begin"]):
        return "end", "end lies after begin"
    return None


def _whole_fuel(row: Row) -> tuple[str, str] | None:
    begin, bought, sold, end = (Decimal(row[name]) for name in ("stock_begin", "purchased", "sold", "stock_end"))
    if begin + bought < sold + end:
        return "stock_end", f"{sold} sold and {end} left is more than the {begin + bought} there were"
    return None


def _whole_waste(row: Row) -> tuple[str, str] | None:
    if Decimal(row["old_stock_used"]) > min(Decimal(row["used"]), Decimal(row["stock_begin"])):
        return "old_stock_used", "at most what was used, and at most the stock at the beginning"
    return None


_SITE: Final = Column(name="site", check=check.site, key=True)
_WHERE: Final = (
    _SITE,
    Column(name="node", check=check.node, key=True),
    Column(name="month", check=check.month, key=True),
)
_NOTE: Final = Column(name="note", check=check.name, optional=True)


def _amounts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name=name, check=check.amount) for name in names)


def _unit(*allowed: str) -> Column:
    return Column(name="unit", check=check.among(*allowed))


FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        form.name: form
        for form in (
            Form(name="value_added", columns=(*_WHERE, *_amounts("value_added"), _unit("CNY", "1e4CNY"), _NOTE)),
            Form(
                name="production",
                columns=(
                    *_WHERE,
                    Column(name="product", check=check.name, key=True),
                    Column(name="batch", check=check.name, key=True, optional=True),
                    Column(name="begin", check=check.time, optional=True),
                    Column(name="end", check=check.time, optional=True),
                    *_amounts("produced"),
                    _unit("t", "kg", "pcs", "m", "m2", "m3"),
                    Column(name="scrap", check=check.amount, optional=True),
                    Column(name="mass_kg", check=check.amount, optional=True),
                    Column(name="value_cny", check=check.amount, optional=True),
                    _NOTE,
                ),
                whole=_whole_batch,
            ),
            Form(
                name="fuel",
                columns=(
                    *_WHERE,
                    Column(name="fuel", check=check.fuel, key=True),
                    *_amounts("stock_begin", "purchased", "sold", "stock_end"),
                    Column(name="unit", check=check.fuel_unit),
                    _NOTE,
                ),
                whole=_whole_fuel,
            ),
            Form(
                name="waste",
                columns=(
                    *_WHERE,
                    Column(name="waste", check=check.name, key=True),
                    *_amounts("stock_begin", "generated", "used", "old_stock_used", "disposed", "stock_end"),
                    _unit(*_MASS),
                    _NOTE,
                ),
                whole=_whole_waste,
            ),
            Form(
                name="water",
                columns=(
                    *_WHERE,
                    Column(name="water", check=check.among("discharged", "reused"), key=True),
                    Column(name="outlet", check=check.name, key=True, optional=True),
                    *_amounts("volume"),
                    _unit("m3"),
                    _NOTE,
                ),
            ),
            Form(
                name=READINGS,
                columns=(
                    _SITE,
                    Column(name="device", check=check.device, key=True),
                    Column(name="point", check=check.point, key=True),
                    Column(name="at", check=check.time, key=True),
                    Column(name="reading", check=check.signed),
                    Column(name="unit", check=check.point_unit),
                    _NOTE,
                ),
            ),
        )
    }
)


def check_row(form: Form, row: Row, known: Known, place: int) -> tuple[Entry | None, list[tuple[str, str]]]:
    """The entry of a row of texts by column (absent: empty), or its mistakes by column. `place` is its line."""
    values: dict[str, str] = {}
    mistakes: list[tuple[str, str]] = []
    for column in form.columns:
        text = row.get(column.name, "").strip()
        try:
            if not text and not column.optional:
                raise ValueError("must not be empty")
            if len(text) > _LONGEST:
                raise ValueError(f"at most {_LONGEST} characters")
            values[column.name] = column.check(text, values, known) if text else ""
        except ValueError as err:
            mistakes.append((column.name, str(err)))
    if not mistakes and (mistake := form.whole(values)) is not None:
        mistakes.append(mistake)
    if mistakes:
        return None, mistakes
    key = tuple(values[column.name] for column in form.columns if column.key)
    period = values["at"] if "at" in values else values["month"]
    return Entry(form=form.name, site=values["site"], period=period, key=key, values=values, place=place), []
