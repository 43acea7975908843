"""The door of config/closing.yaml: when a month may be closed without a reason."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field

from centre.accounting.file_types import Exact, Text
from wattline.strict_yaml import Strict, load_file, validate


class _File(Strict):
    source: Text
    confirmed: bool
    completeness_percent: Annotated[Exact, Field(ge=0, le=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingRules:
    """`completeness`: the share of its time that must be known of every meter."""

    completeness: Decimal
    source: str
    confirmed: bool


def load_closing_rules(path: Path) -> ClosingRules:
    """Read and check; raises ConfigError."""
    file = validate(_File, load_file(path))
    return ClosingRules(completeness=file.completeness_percent / 100, source=file.source, confirmed=file.confirmed)
