"""What the files of the books are checked with: exact numbers, names in both languages, strict models."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from wattline.strict_yaml import Strict


def _exact(value: object) -> object:
    """YAML gives a double for 0.1; its shortest text is what was written."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def _day(value: object) -> object:
    if not isinstance(value, str | date):
        raise ValueError("must be a day such as 2026-07-01")  # pydantic would take a number for seconds since 1970
    return value


def one_or_more(value: object) -> object:
    """What stands alone is a list of one."""
    return [value] if isinstance(value, dict) else value  # pyright: ignore[reportUnknownVariableType]


Day = Annotated[date, BeforeValidator(_day)]
# bounded, for `1e-9999999` is ten million digits when it is written out
Exact = Annotated[Decimal, BeforeValidator(_exact), Field(allow_inf_nan=False, max_digits=60, decimal_places=30)]
NotNegative = Annotated[Exact, Field(ge=0)]
Positive = Annotated[Exact, Field(gt=0)]
Share = Annotated[Exact, Field(ge=0, le=1)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=400)]


class Names(Strict):
    """A name in both languages."""

    en: Text
    zh: Text

    def as_mapping(self) -> dict[str, str]:
        return {"en": self.en, "zh": self.zh}
