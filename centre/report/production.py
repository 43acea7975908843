"""What was produced in a period, by product and node: the door of a CSV file, for what is not in the books."""

import csv
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from centre.production import Production, produced
from wattline.errors import ConfigError

_COLUMNS: Final = ("product", "name_en", "name_zh", "node", "output", "scrap", "unit")


def load_production(path: Path, nodes: Collection[str]) -> Sequence[Production]:
    """The rows of a file (CSV, UTF-8), each of a node of the plant; raises ConfigError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != _COLUMNS:
                raise ConfigError(f"{path}:1: the columns must be {','.join(_COLUMNS)}")
            found: dict[tuple[str, str], Production] = {}
            for fields in reader:
                row = _row(fields, f"{path}:{reader.line_num}", f"{path.name}:{reader.line_num}", nodes)
                if (row.product, row.node) in found:
                    raise ConfigError(
                        f"{path}:{reader.line_num}: {row.product} of {row.node} stands here a second time"
                    )
                found[row.product, row.node] = row
            return list(found.values())
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise ConfigError(f"{path}: cannot be read: {err}") from err


def _row(fields: Mapping[str, str | None], where: str, origin: str, nodes: Collection[str]) -> Production:
    told = {key: fields.get(key) or "" for key in _COLUMNS}
    if len(fields) != len(_COLUMNS) or not (told["product"] and told["unit"]):
        raise ConfigError(f"{where}: a row has {len(_COLUMNS)} fields, product and unit among them")
    if told["node"] not in nodes:
        raise ConfigError(f"{where}: node: {fields['node']} is no node of the plant")
    row = produced(
        origin,
        output=_number(told["output"], f"{where}: output"),
        scrap=_number(told["scrap"] or "0", f"{where}: scrap"),
        unit=told["unit"],
    )
    return Production(
        product=told["product"],
        name={"en": told["name_en"], "zh": told["name_zh"]},
        node=told["node"],
        rows=(row,),
    )


def _number(text: str, where: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise ConfigError(f"{where}: must be a plain number such as 117")
    return value
