"""Entities at work: taken over from the settings at the start, changed through the API, shown as today's trees.

A change is one transaction of the books. The trees follow it before the change is answered; what is computed from them
follows the trees, and finds by itself what it lacks when the centre was killed in between.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from typing import Final

from centre.accounting.zones import local_day
from centre.books import entities as rows
from centre.books.audit import AuditRow
from centre.books.audit import rows as audit_rows
from centre.books.entities import Kept
from centre.books.file import Books, Writing
from centre.day import place_of
from centre.entities import Entities, Entity, entities_of
from centre.entities_file import to_yaml
from centre.entities_rules import mistakes
from centre.entities_tree import tree_on
from centre.errors import BadQuestion, FigureError
from centre.plant import BESIDE, Meter, Node, Plant
from centre.store.base import StoreError
from wattline.clock import NS, Clock
from wattline.events import EventLog

_FROM_SETTINGS: Final = "settings"
_LOOK_NS: Final = 5 * NS


class EntityBook:
    """The entities of the books. Methods raise FigureError for what cannot be, and StoreError.

    `today` and `ever` are the plants by site with the tree of today, and with every meter that was ever part of it:
    late readings of those count too. Both are kept up to date in place; their sites stay the same.
    """

    def __init__(self, books: Books, clock: Clock, plants: Sequence[Plant]) -> None:
        self._books = books
        self._clock = clock
        self._plants: Mapping[str, Plant] = {plant.site: plant for plant in plants}
        self.today = dict(self._plants)
        self.ever = dict(self._plants)
        self._kept = Kept(version=-1, entities=entities_of(()))
        self._days: dict[str, date] = {}
        self._touched: set[tuple[str, None]] = set()

    async def take_over(self, settings: Entities, log: EventLog) -> Kept:
        """Keep the entities of the settings where these changed since they were taken over last.

        Where the API changed the entities too, the books win, and it is logged: import the file to have it.
        """
        digest = hashlib.sha256(to_yaml(settings).encode()).hexdigest()
        kept, told = await self._books.read(lambda connection: (rows.load(connection), rows.told(connection)))
        if told.digest == digest:
            return kept
        if list(kept.entities) == list(settings):
            await self._books.keep(lambda connection: rows.remember(connection, digest))
            return kept
        if kept.version != told.version:
            log.warning("entities.differ", version=kept.version, hint="wattline centre entities import FILE")
            return kept

        def work(connection: Writing) -> None:
            rows.put(connection, settings, expected=kept.version)
            rows.remember(connection, digest)

        await self._books.change(_FROM_SETTINGS, "the settings have changed", work)
        return await self.kept()

    async def kept(self) -> Kept:
        """All entities and their version."""
        return await self._books.read(rows.load)

    async def replace_all(self, entities: Entities, *, author: str, reason: str, expected: int | None) -> int:
        """Keep these in place of all; returns the version."""
        self._check(entities)
        return await self._change(author, reason, lambda pen: rows.put(pen, entities, expected=expected))

    async def put(self, entity: Entity, *, author: str, reason: str, expected: int) -> int:
        """Add or change one entity; returns the version."""

        def work(pen: Writing) -> int:
            known = rows.load(pen).entities.by_key
            changed = entities_of(tuple((dict(known) | {entity.key: entity}).values()))
            self._check(changed)
            return rows.put(pen, changed, expected=expected)

        return await self._change(author, reason, work)

    async def remove(self, key: str, *, author: str, reason: str, expected: int) -> int:
        """Take one entity out; its history stays in the audit. Returns the version."""

        def work(pen: Writing) -> int:
            known = rows.load(pen).entities.by_key
            if key not in known:
                raise UnknownEntity(key)
            changed = entities_of(tuple(entity for entity in known.values() if entity.key != key))
            self._check(changed)
            return rows.put(pen, changed, expected=expected)

        return await self._change(author, reason, work)

    async def _change(self, author: str, reason: str, work: Callable[[Writing], int]) -> int:
        version = await self._books.change(author, reason, work)
        with suppress(StoreError):  # the change stands, and run() looks again
            await self.refresh()
        return version

    async def audit(self, *, subject: str | None, below: int | None, limit: int) -> tuple[AuditRow, ...]:
        """Who changed what in the books, the newest first."""
        return await self._books.read(
            lambda connection: audit_rows(connection, subject=subject, below=below, limit=limit)
        )

    async def refresh(self) -> None:
        """Bring the trees up to what the books say, where they or the day changed."""
        days = {site: local_day(self._clock.now_ns(), plant.zone) for site, plant in self._plants.items()}
        version = await self._books.read(rows.version)
        if version == self._kept.version and days == self._days:
            return
        kept = await self.kept()
        if kept.version < self._kept.version:
            return  # a later change was seen first
        for site, plant in self._plants.items():
            root = kept.entities.plant(site)
            tree = plant.tree if root is None else tree_on(kept.entities, root.key, days[site])
            self.today[site] = replace(plant, tree=tree)
            self.ever[site] = _with_all_meters(self.today[site], kept.entities)
            if self._days and kept.entities.of(site) != self._kept.entities.of(site):
                self._touched.add((site, None))
        self._kept, self._days = kept, days

    async def followed(self, by: Callable[[Plant], bool], site: str) -> bool:
        """Whether what goes `by` the plant with every meter it ever had goes by what the books say now."""
        await self.refresh()
        return by(self.ever[site])

    async def run(self) -> None:
        """Follow changes made by other programs, and the calendar, until cancelled."""
        while True:
            with suppress(StoreError):  # whatever reads the books next says so
                await self.refresh()
            await self._clock.sleep_until(self._clock.now_ns() + _LOOK_NS)

    def take(self) -> set[tuple[str, None]]:
        """The sites whose entities changed since this was last asked: all their months may be others."""
        taken, self._touched = self._touched, set()
        return taken

    def _check(self, entities: Entities) -> None:
        found = tuple(entities)
        if wrong := mistakes(found):
            raise BadEntities(
                [
                    f"{found[one.place].key}: {'.'.join(map(str, one.path))}: {one.message}" if found else one.message
                    for one in wrong[:20]
                ]
            )
        if gone := [site for site in self._plants if entities.plant(site) is None]:
            raise BadQuestion(f"a plant of the settings would have no entity: {', '.join(gone)}")


def _with_all_meters(plant: Plant, entities: Entities) -> Plant:
    known = {place_of(meter) for meter in plant.meters()}
    gone = {
        place_of(found.meter): found.meter
        for entity in entities.of(plant.site)
        for found in entity.meters
        if place_of(found.meter) not in known
    }
    checks = {
        place_of(check): check
        for entity in entities.of(plant.site)
        for found in entity.meters
        if found.check is not None
        for check in [Meter(device=found.check, carrier=found.carrier, flow=found.flow)]
        if (check.device, check.carrier) not in {place[:2] for place in (*known, *gone)}
    }
    beside = Node(id=BESIDE, name={}, meters=tuple((checks | gone).values()), children=())
    return replace(plant, tree=replace(plant.tree, children=(*plant.tree.children, beside)))


class UnknownEntity(FigureError):
    """No entity has this key."""

    def __init__(self, key: str) -> None:
        super().__init__("unknown_entity", f"there is no entity {key[:140]!r} here; /api/v1/entities lists them", 404)


class BadEntities(FigureError):
    """Entities that contradict themselves or one another."""

    def __init__(self, wrong: Sequence[str]) -> None:
        super().__init__("bad_entities", "\n".join(wrong), 422)
