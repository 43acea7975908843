"""What is wrong with entities as a whole: places, dates, cycles, meters counted twice, formulas. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from centre.accounting.terms import UnitError
from centre.accounting.utilities import reference_mistake
from centre.carriers import AT_PLANT, Carrier, made_at_plant, meter_mistakes
from centre.entities import Entities, Entity, EntityKind, EntityMeter, entities_of
from centre.entities_tree import changes
from centre.equipment import EquipmentEntry, entry_mistakes
from centre.expression import ExpressionError
from centre.steam import steam_mistakes
from centre.virtual_meters import Formula, formula_of, in_order, series_names

MAX_ENTITIES: Final = 10_000
_GAS_ONLY: Final = "is of natural_gas; where a machine makes compressed air, `stated` of its `output` tells it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """`path` leads to the key below the entity; `place` is that of the entity in the sequence looked at."""

    place: int
    path: tuple[str | int, ...]
    message: str


class Dated(Protocol):
    """Something that holds in [since, until)."""

    @property
    def since(self) -> date | None: ...
    @property
    def until(self) -> date | None: ...


def mistakes(found: Sequence[Entity]) -> list[Mistake]:
    """All mistakes; those of the whole only when each entity by itself is sound."""
    if len(found) > MAX_ENTITIES:
        return [Mistake(place=0, path=(), message=f"there are more than {MAX_ENTITIES} entities")]
    entities = entities_of(tuple(found))
    places = {entity.key: place for place, entity in enumerate(found)}
    told = [mistake for place, entity in enumerate(found) for mistake in _own(place, entity, entities)]
    seen: dict[str, int] = {}
    for place, entity in enumerate(found):
        if seen.setdefault(entity.key, place) != place:
            told.append(Mistake(place=place, path=("id",), message=f"{entity.id} is the id of another entity"))
    if told:
        return told
    return [*_cycles(entities, places), *_plants(entities, places), *_twice(found), *_formulas(found)]


def _own(place: int, entity: Entity, entities: Entities) -> Iterator[Mistake]:
    """What can be said looking at one entity and those it names."""
    if entity.kind.above_plants != (entity.site is None):
        text = "stands above plants, not in a site" if entity.kind.above_plants else "stands in a site"
        yield Mistake(place=place, path=("kind",), message=f"a {entity.kind.value} {text}")
    for number, membership in enumerate(entity.memberships):
        at = ("in", number, "of")
        parent = entities.by_key.get(membership.parent)
        if parent is None:
            yield Mistake(place=place, path=at, message=f"{membership.parent} is no entity here")
        elif parent.kind.rank < entity.kind.rank:
            text = f"a {entity.kind.value} cannot be part of {membership.parent}, which is a {parent.kind.value}"
            yield Mistake(place=place, path=at, message=text)
        elif entity.kind is EntityKind.PLANT and not parent.kind.above_plants:
            yield Mistake(place=place, path=at, message="a plant is part of a park, district or city only")
    for number, text in _dates(entity.memberships):
        yield Mistake(place=place, path=("in", number), message=text)
    for number, meter in enumerate(entity.meters):
        if entity.kind is not EntityKind.PLANT and made_at_plant(meter.carrier, meter.flow):
            yield Mistake(place=place, path=("meters", number, "flow"), message=AT_PLANT)
        for key, text in _meter(meter):
            yield Mistake(place=place, path=("meters", number, key), message=text)
    for number, text in _dates(entity.equipment):
        yield Mistake(place=place, path=("equipment", number), message=text)
    for number, entry in enumerate(entity.equipment):
        for key, text in [*entry_mistakes(entry), *_output(entry, entity, entities)]:
            yield Mistake(place=place, path=("equipment", number, key), message=text)


def _output(entry: EquipmentEntry, entity: Entity, entities: Entities) -> Iterator[tuple[str, str]]:
    if entry.output is not None:
        of = (entry.output.device, entry.output.carrier)
        if not any((meter.device, meter.carrier) == of for one in entities.of(entity.site) for meter in one.meters):
            yield "output", f"{entry.output.device} is no meter of {entry.output.carrier.value} in this site"


def _dates(dated: Sequence[Dated]) -> Iterator[tuple[int, str]]:
    """Spans that are empty, or reach into one another."""
    for number, found in enumerate(dated):
        if found.since is not None and found.until is not None and found.until <= found.since:
            yield number, "until must be after since"
    ordered = sorted(enumerate(dated), key=lambda pair: pair[1].since or date.min)
    for (first, one), (second, other) in pairwise(ordered):
        if one.until is None or other.since is None or other.since < one.until:
            yield max(first, second), f"from {other.since or 'the beginning'} on there are two at one time"


def _meter(meter: EntityMeter) -> Iterator[tuple[str, str]]:
    yield from meter_mistakes(meter.carrier, meter.flow, meter.point)
    yield from steam_mistakes(meter.steam, meter.carrier, meter.point)
    for number, epoch in enumerate(meter.epochs):
        if epoch.since is None and number:
            yield "epochs", "only the first may be without since"
        if epoch.since is not None and (epoch.final is None or epoch.initial is None):
            yield "epochs", "a changed meter needs `final`, the last value of the old one, and `initial`, its own first"
        try:
            epoch.scale(meter.register_unit)
        except UnitError:
            yield "epochs", f"{epoch.unit} does not measure {meter.carrier.value}"
        if epoch.reference is not None:
            gas = meter.carrier is Carrier.NATURAL_GAS
            if wrong := reference_mistake(epoch.reference) if gas else _GAS_ONLY:
                yield "epochs", f"`reference` {wrong}"
    if meter.check == meter.device:
        yield "check", "a meter does not check itself"
    times = [epoch.since or 0 for epoch in meter.epochs]
    if any(after <= before for before, after in pairwise(times)):
        yield "epochs", "must stand in order of time"


def _cycles(entities: Entities, places: dict[str, int]) -> Iterator[Mistake]:
    """Entities that contain themselves on some day: kinds of equal rank may contain each other."""
    told: set[str] = set()
    for day in changes(entities, date.min, date.max):
        sound: set[str] = set()
        for entity in entities:
            way: list[str] = []
            key: str | None = entity.key
            while key is not None and key not in sound and key not in way:
                way.append(key)
                key = entities.by_key[key].parent_on(day)
            if key is not None and key in way and key not in told:
                told.update(way)
                circle = " in ".join([*way[way.index(key) :], key])
                yield Mistake(place=places[key], path=("in",), message=f"contains itself: {circle}")
            sound.update(way)


def _plants(entities: Entities, places: dict[str, int]) -> Iterator[Mistake]:
    """One plant a site; everything else of a site has a place in it."""
    first: dict[str, str] = {}
    for entity in entities:
        if entity.kind is EntityKind.PLANT and entity.site is not None:
            if first.setdefault(entity.site, entity.key) != entity.key:
                yield Mistake(
                    place=places[entity.key], path=("kind",), message=f"{first[entity.site]} is the plant of this site"
                )
        elif entity.site is not None and not entity.memberships:
            yield Mistake(place=places[entity.key], path=("in",), message="is missing: what is it part of?")
    for site in dict.fromkeys(entity.site for entity in entities if entity.site is not None):
        if site not in first:
            one = next(entity for entity in entities if entity.site == site)
            yield Mistake(place=places[one.key], path=("kind",), message=f"no entity is the plant of {site}")


class _Placed(NamedTuple):
    place: int
    number: int
    meter: EntityMeter


def _twice(found: Sequence[Entity]) -> Iterator[Mistake]:
    """Meters that count one flow in two places at one time."""
    same: dict[tuple[object, ...], list[_Placed]] = {}
    for place, entity in enumerate(found):
        for number, meter in enumerate(entity.meters):
            same.setdefault((entity.site, meter.device, meter.carrier, meter.flow), []).append(
                _Placed(place, number, meter)
            )
    for placed in same.values():
        for number, text in _dates([one.meter for one in placed]):
            wrong = placed[number]
            counted = f"{wrong.meter.device} is counted as {wrong.meter.carrier.value} {wrong.meter.flow.value} twice"
            yield Mistake(place=wrong.place, path=("meters", wrong.number), message=f"{counted}: {text}")


def _formulas(found: Sequence[Entity]) -> Iterator[Mistake]:
    for site in dict.fromkeys(entity.site for entity in found):
        inside = [(place, entity) for place, entity in enumerate(found) if entity.site == site]
        names, units = series_names(entity for _, entity in inside)
        devices = {meter.device for _, entity in inside for meter in entity.meters}
        formulas: dict[str, Formula] = {}
        wrong = False
        for place, entity in inside:
            for number, virtual in enumerate(entity.virtual):
                at: tuple[str | int, ...] = ("virtual", number)
                if virtual.id in formulas or virtual.id in devices:
                    wrong = True
                    yield Mistake(place=place, path=(*at, "id"), message=f"{virtual.id} is another meter of this site")
                    continue
                try:
                    formulas[virtual.id] = formula_of(virtual, names, units)
                except ExpressionError as err:
                    wrong = True
                    yield Mistake(place=place, path=(*at, "expression"), message=str(err))
        if formulas and not wrong:
            try:
                in_order(list(formulas.values()))
            except ExpressionError as err:
                place, number = next(
                    (place, number)
                    for place, entity in inside
                    for number, virtual in enumerate(entity.virtual)
                    if virtual.id in str(err).split(" ")
                )
                yield Mistake(place=place, path=("virtual", number, "expression"), message=str(err))
