"""A batch as a line's MES or PLC publishes it: JSON to a row of the form `production`, or why it is none. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from centre import manual_columns as columns
from centre.accounting.calendar import month_of
from centre.manual_columns import Known
from centre.manual_csv import Filled
from centre.manual_forms import FORMS, check_row
from metering.lineprotocol import check_name
from metering.topics import parse_topic

MAX_BYTES: Final = 16 * 1024
_COLUMNS: Final = {"from": "begin", "to": "end", "quantity": "produced"}
_TEXTS: Final = ("batch", "product", "node", "unit", "from", "to")
_NUMBERS: Final = ("quantity",)
_OPTIONAL_TEXTS: Final = ("note",)
_OPTIONAL_NUMBERS: Final = ("scrap", "mass_kg", "value_cny", "revision")
_FIELDS: Final = (*_TEXTS, *_NUMBERS, *_OPTIONAL_TEXTS, *_OPTIONAL_NUMBERS)


class WrongBatch(ValueError):
    """A message that is no batch; the text names each field that is wrong, and what would be right."""


class _Number(str):
    """A JSON number as it was written: exact, and told apart from text."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a source tells of one of its batches; `filled` has the one row."""

    site: str
    source: str
    batch: str
    filled: Filled

    @property
    def author(self) -> str:
        return f"mqtt:{self.site}/{self.source}"


def read_batch(topic: str, payload: bytes, known: Known) -> Batch:
    """The batch in a message; raises WrongBatch.

    It belongs to the month in which it ends. Its digest is that of what it says, so that only another content, or
    another `revision`, makes it another one.
    """
    try:
        topics, _ = parse_topic(topic)
        site, source = check_name(topics.site), check_name(topics.gateway)
    except ValueError as err:
        raise WrongBatch(str(err)) from err
    told = _fields(payload)
    row = {_COLUMNS.get(name, name): str(value) for name, value in told.items() if name != "revision"}
    row |= {"site": site, "month": _month(site, row["end"], known)}
    entry, mistakes = check_row(FORMS["production"], row, known, 1)
    if entry is None:
        fields = {column: name for name, column in _COLUMNS.items()}
        about = [(fields.get(column, column), what) for column, what in mistakes]
        raise _wrong(
            [(name, what) for name, what in about if name in _FIELDS or name == "site"]
            or about  # a month is never told
        )
    said = json.dumps([site, source, told.get("revision", ""), entry.values], sort_keys=True, ensure_ascii=False)
    filled = Filled(
        form="production",
        name=f"{site}/{source}/{entry.values['batch']}",
        digest=hashlib.sha256(said.encode()).hexdigest(),
        entries=(entry,),
    )
    return Batch(site=site, source=source, batch=entry.values["batch"], filled=filled)


def _fields(payload: bytes) -> dict[str, str]:
    """The fields of a message, each of its kind."""
    if len(payload) > MAX_BYTES:
        raise WrongBatch(f"a batch has at most {MAX_BYTES} bytes")
    try:
        found: Any = json.loads(
            payload.decode(), parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=_once
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as err:
        raise WrongBatch(f"not JSON: {err}") from err
    if not isinstance(found, dict):
        raise WrongBatch(f"not a JSON object with {', '.join((*_TEXTS, *_NUMBERS))}")
    told = cast("Mapping[str, object]", found)
    mistakes = [(name, "is missing") for name in (*_TEXTS, *_NUMBERS) if name not in told]
    mistakes += [
        (repr(name[:40]), f"is no field of a batch: {', '.join(_FIELDS)}") for name in told if name not in _FIELDS
    ]
    mistakes += [
        (name, "must be text, in quotes")
        for name in (*_TEXTS, *_OPTIONAL_TEXTS)
        if name in told and (not isinstance(told[name], str) or isinstance(told[name], _Number))
    ]
    mistakes += [(name, "must not be empty") for name in _TEXTS if told.get(name) == ""]
    mistakes += [
        (name, "must be a number")
        for name in (*_NUMBERS, *_OPTIONAL_NUMBERS)
        if name in told and not isinstance(told[name], _Number)
    ]
    if mistakes:
        raise _wrong(mistakes)
    revision = str(told.get("revision", "1"))
    if not revision.isdecimal() or len(revision) > 18:
        raise _wrong([("revision", "must be a whole number from 0")])
    return {name: str(value) for name, value in told.items()}


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise WrongBatch(f"{', '.join(twice)[:80]!r}: stands there twice")
    return dict(pairs)


def _month(site: str, end: str, known: Known) -> str:
    """The month of the last moment before `end`; empty where that cannot be told."""
    plant = known.plants.get(site)
    try:
        at = int(columns.time(end, {}, known))
    except ValueError:
        return ""
    return "" if plant is None else str(month_of(at - 1, plant.zone, plant.metering_day))


def _wrong(mistakes: Sequence[tuple[str, str]]) -> WrongBatch:
    return WrongBatch("; ".join(f"{name}: {what}" for name, what in mistakes))
