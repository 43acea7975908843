"""What was produced in a period, by product and node: the door of a CSV file."""

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from wattline.errors import ConfigError

_COLUMNS: Final = ("product", "name_en", "name_zh", "node", "output", "scrap", "unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """Good output and scrap of a product, made by the whole of a node in the period. `origin`: where it stands."""

    product: str
    name: dict[str, str]
    node: str
    output: Decimal
    scrap: Decimal
    unit: str
    origin: str


def load_production(path: Path, nodes: Collection[str]) -> Sequence[Production]:
    """The rows of a file (CSV, UTF-8), each of a node of the plant; raises ConfigError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != _COLUMNS:
                raise ConfigError(f"{path}:1: the columns must be {','.join(_COLUMNS)}")
            return [
                _row(fields, f"{path}:{reader.line_num}", f"{path.name}:{reader.line_num}", nodes) for fields in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise ConfigError(f"{path}: cannot be read: {err}") from err


def _row(fields: Mapping[str, str | None], where: str, origin: str, nodes: Collection[str]) -> Production:
    told = {key: fields.get(key) or "" for key in _COLUMNS}
    if len(fields) != len(_COLUMNS) or not (told["product"] and told["unit"]):
        raise ConfigError(f"{where}: a row has {len(_COLUMNS)} fields, product and unit among them")
    if told["node"] not in nodes:
        raise ConfigError(f"{where}: node: {fields['node']} is no node of the plant")
    return Production(
        product=told["product"],
        name={"en": told["name_en"], "zh": told["name_zh"]},
        node=told["node"],
        output=_number(told["output"], f"{where}: output"),
        scrap=_number(told["scrap"] or "0", f"{where}: scrap"),
        unit=told["unit"],
        origin=origin,
    )


def _number(text: str, where: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise ConfigError(f"{where}: must be a plain number such as 117")
    return value
