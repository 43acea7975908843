"""The sign-off of a month as people read it: by whom, what was signed, and what was corrected since. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from centre.closing import Closed, CorrectionView
from centre.web_format import ABSENT, moment, percent, plain
from centre.web_i18n import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionRow:
    """One entry beside a closed month; `changed`: name, before, after. `causes`: of which meters or certificates."""

    at: str
    changed: tuple[tuple[str, str, str], ...]
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """A closed month; `figures`: name and value to the last digit that was signed."""

    by: str
    version: int
    complete: str
    digest: str
    figures: tuple[tuple[str, str], ...]
    corrections: tuple[CorrectionRow, ...]


def sign_off(closed: Closed, zone: ZoneInfo, words: Words) -> SignOff:
    """The closing in the reader's language."""
    row = closed.closing
    return SignOff(
        by=words("books.signed_by", by=row.author, at=moment(row.at, zone), why=row.reason),
        version=row.version,
        complete=percent(Decimal(row.completeness)),
        digest=row.figures,
        figures=tuple(
            (_name(name, words), _amount(told["value"], told["unit"]))
            for name, told in closed.signed["headline"].items()
        ),
        corrections=tuple(_correction(entry, zone, words) for entry in closed.corrections),
    )


def _correction(entry: CorrectionView, zone: ZoneInfo, words: Words) -> CorrectionRow:
    return CorrectionRow(
        at=moment(entry.at_ns, zone),
        changed=tuple(
            (_name(told["name"], words), _amount(told["before"], told["unit"]), _amount(told["after"], told["unit"]))
            for told in (*entry.headline, *entry.outlets, *entry.machines)
        ),
        causes=(
            *(f"{told['device']}: {words('books.cause.' + told['cause'])}" for told in entry.meters),
            *(_certificates(told, words) for told in entry.certificates),
        ),
    )


def _certificates(told: Mapping[str, Any], words: Words) -> str:
    place = told["of"].rpartition(" ")[2]
    return f"{place}: {words('books.cause.certificates')} {len(told['before'])} → {len(told['after'])}"


def _name(name: str, words: Words) -> str:
    if "/" in name:
        return _of_ledger(name, words)
    return words.get(f"books.{name}", words.get(f"carrier.{name}", name))


def _of_ledger(name: str, words: Words) -> str:
    """An outlet and pollutant, or a machine and day, and what is told of it."""
    place, detail, told = name.rsplit("/", 2)
    parts = (place, words.get(f"books.pollutant.{detail}", detail), words.get(f"books.ledger.{told}", told))
    return words("list.comma").join(parts)


def _amount(value: str | None, unit: str) -> str:
    return ABSENT if value is None else f"{plain(Decimal(value))}\u202f{unit}"
