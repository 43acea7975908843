"""Strict tables in CSV: the columns they must have, and where in the file each row stands."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence

from wattline.errors import ConfigError


def csv_rows(lines: Iterable[str], source: str, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """(file and line, column -> text) of each row; raises ConfigError that names file and line."""
    reader = csv.DictReader(lines, strict=True)
    try:
        if tuple(reader.fieldnames or ()) != tuple(columns):
            raise ConfigError(f"{source}:1: the columns must be {','.join(columns)}")
        for fields in reader:
            where = f"{source}:{reader.line_num}"
            if None in fields or None in fields.values():
                raise ConfigError(f"{where}: must have {len(columns)} columns")
            yield where, fields
    except csv.Error as err:
        raise ConfigError(f"{source}:{reader.line_num}: {err}") from err
