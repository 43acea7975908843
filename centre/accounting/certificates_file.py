"""The door of config/certificates.yaml: how long a green certificate may be retired."""

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from centre.accounting.calendar import Month
from centre.accounting.certificates import Validity
from centre.accounting.file_types import Text
from wattline.strict_yaml import Strict, load_file, validate

_Month = Annotated[str, StringConstraints(pattern=r"^20\d{2}-(0[1-9]|1[0-2])$")]


class _Rule(Strict):
    generated_from: _Month | None = None
    months: Annotated[int, Field(ge=1, le=1200)] | None = None
    until: _Month | None = None
    source: Text
    confirmed: bool


class _File(Strict):
    validity: Annotated[list[_Rule], Field(default_factory=list[_Rule])]


def load_validity(path: Path) -> tuple[Validity, ...]:
    """Read and check; raises ConfigError."""
    document = load_file(path)
    found = validate(_File, document).validity
    begun: set[str | None] = set()
    for place, rule in enumerate(found):
        if rule.months is not None and rule.until is not None:
            raise document.error(("validity", str(place)), "months or until, not both")
        if rule.generated_from in begun:
            raise document.error(("validity", str(place)), "a rule for what is generated from this month stands above")
        begun.add(rule.generated_from)
    return tuple(
        Validity(
            since=_first(rule.generated_from), months=rule.months, until=_first(rule.until), source=rule.source,
            confirmed=rule.confirmed,
        )
        for rule in found
    )  # fmt: skip


def _first(text: str | None) -> date | None:
    if text is None:
        return None
    month = Month.of(text)
    return date(month.year, month.month, 1)
