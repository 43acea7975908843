"""Entities in the books: one row each, and a version that rises with every change."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from centre.books.file import Writing
from centre.entities import Entities, Entity, entities_of
from centre.entities_file import EntityForm, entity_of, form_of
from centre.errors import FigureError

TABLES: Final = """
CREATE TABLE IF NOT EXISTS entity (
    key TEXT PRIMARY KEY, site TEXT, place INTEGER NOT NULL, form TEXT NOT NULL) WITHOUT ROWID;
-- told: digest of the settings that were taken over last, which made `told_version`
CREATE TABLE IF NOT EXISTS entity_state (
    id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, told TEXT NOT NULL, told_version INTEGER NOT NULL);
INSERT OR IGNORE INTO entity_state VALUES (1, 0, '', 0);
"""


class ChangedMeanwhile(FigureError):
    """Somebody else changed the entities since they were read."""

    def __init__(self, version: int) -> None:
        super().__init__("changed_meanwhile", f"the entities are at version {version} by now: read them again", 412)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The entities at a version; 0: none were ever kept."""

    version: int
    entities: Entities


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Digest of the settings taken over last, and the version that made."""

    digest: str
    version: int


def load(connection: sqlite3.Connection) -> Kept:
    """What is kept now."""
    rows = connection.execute("SELECT site, form FROM entity ORDER BY place").fetchall()
    forms = [(site, EntityForm.model_validate_json(form)) for site, form in rows]
    upper = {form.id for site, form in forms if site is None}
    return Kept(
        version=version(connection), entities=entities_of(tuple(entity_of(site, form, upper) for site, form in forms))
    )


def version(connection: sqlite3.Connection) -> int:
    """That of what is kept now."""
    row: tuple[int] = connection.execute("SELECT version FROM entity_state").fetchone()
    return row[0]


def told(connection: sqlite3.Connection) -> Told:
    """What is known of the settings."""
    digest, number = connection.execute("SELECT told, told_version FROM entity_state").fetchone()
    return Told(digest=digest, version=number)


def put(connection: Writing, entities: Entities, *, expected: int | None) -> int:
    """Keep these in place of all; returns the version. Each entity that differs is noted.

    Raises ChangedMeanwhile when the version is not `expected`; None takes any. The entities must be free of mistakes.
    """
    kept = load(connection)
    if expected is not None and expected != kept.version:
        raise ChangedMeanwhile(kept.version)
    if list(kept.entities) == list(entities):
        return kept.version
    old, new = kept.entities.by_key, entities.by_key
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key) != new.get(key):
            connection.note(f"entity:{key}", _form(old.get(key)), _form(new.get(key)))
    if [key for key in old if key in new] != [key for key in new if key in old]:
        connection.note("entities:order", list(old), list(new))
    connection.execute("DELETE FROM entity")
    connection.executemany(
        "INSERT INTO entity VALUES (?, ?, ?, ?)",
        [
            (key, entity.site, place, json.dumps(_form(entity), ensure_ascii=False))
            for place, (key, entity) in enumerate(new.items())
        ],
    )
    connection.execute("UPDATE entity_state SET version = version + 1")
    return kept.version + 1


def remember(connection: sqlite3.Connection, digest: str) -> None:
    """Note that the settings of this digest are what is kept now."""
    connection.execute("UPDATE entity_state SET told = ?, told_version = version", (digest,))


def _form(entity: Entity | None) -> dict[str, Any] | None:
    return None if entity is None else form_of(entity)
