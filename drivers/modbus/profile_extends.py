"""`extends: <id>`: a profile that says only in what it differs from a sibling's. Pure, but for reading the sibling."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from wattline.errors import ConfigError
from wattline.strict_yaml import Document, load_file

_DEEPEST: Final = 4
_MERGED: Final = ("modbus", "limits", "points", "computed", "identify", "requires", "before_reading")
"""Sections merged key by key; a key written as `null` is taken out. Any other key replaces that of the sibling."""

Bases = Callable[[str, Path], Path]
"""The file of the profile `id` that the file `by` extends; raises ConfigError when there is none."""


def no_bases(profile_id: str, by: Path) -> Path:
    """Where only one file is looked at, every sibling stands beside it."""
    return by.parent / f"{profile_id}.yaml"


def base_file(document: Document, bases: Bases) -> Path | None:
    """The file that a sound document extends; None for one that stands by itself."""
    own = _mapping(document.data)
    return bases(own["extends"], Path(document.source)) if own is not None and "extends" in own else None


def extended(document: Document, bases: Bases) -> Document:
    """The document with what it inherits written out; the document itself when it extends nothing.

    Lines are those of the document: a mistake in what it inherits is told at the section that inherits it. Raises
    ConfigError for a sibling that is not there or cannot be read, and for siblings that extend each other.
    """
    data = _merged(document, bases, 0)
    return document if data is document.data else Document(document.source, data, document.lines)


def _merged(document: Document, bases: Bases, depth: int) -> Any:
    own = _mapping(document.data)
    if own is None or "extends" not in own:
        return document.data
    base_id = own["extends"]
    if not isinstance(base_id, str):
        raise document.error(("extends",), "must be the id of a profile")
    if depth == _DEEPEST:
        raise document.error(("extends",), f"more than {_DEEPEST} profiles in a row, or in a circle")
    path = Path(document.source)
    try:
        base_path = bases(base_id, path)
    except ConfigError as err:
        raise document.error(("extends",), str(err)) from err
    if base_path == path:
        raise document.error(("extends",), "is the profile itself")
    base = _mapping(_merged(load_file(base_path), bases, depth + 1))
    if base is None:
        raise document.error(("extends",), f"{base_id} is no profile")
    merged = {**base, **{key: value for key, value in own.items() if key != "extends"}}
    for section in _MERGED:
        theirs, ours = _mapping(base.get(section)), _mapping(own.get(section))
        if theirs is not None and ours is not None:
            merged[section] = {name: value for name, value in {**theirs, **ours}.items() if value is not None}
    return merged


def _mapping(data: Any) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", data) if isinstance(data, Mapping) else None
