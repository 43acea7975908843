"""The door of entities.yaml and of its JSON: strict, every mistake with file, line and key; and the way back."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

from centre.accounting.file_types import Day, Exact, Names, NotNegative, Positive, Text, one_or_more
from centre.accounting.management_file import Reference, reference_form
from centre.accounting.utilities import GasReference
from centre.carriers import Carrier, Flow
from centre.entities import (
    Entities,
    Entity,
    EntityKind,
    EntityMeter,
    Membership,
    MeterEpoch,
    VirtualMeter,
    entities_of,
    key_of,
)
from centre.entities_rules import Mistake, mistakes
from centre.equipment import EquipmentForm, entry_form, entry_of
from centre.steam import Steam
from metering.lineprotocol import check_name
from wattline.clock import NS
from wattline.errors import ConfigError
from wattline.strict_yaml import Document, KeyPath, Strict, load_file, validate

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHORT: Final = 80

Name = Annotated[str, AfterValidator(check_name)]


def _written(value: object) -> object:
    if isinstance(value, int | float | Decimal):  # pydantic would take it for seconds since 1970
        raise ValueError("must be a time such as 2026-03-01T10:00:00+08:00")
    return value


def _offset(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("needs its offset, such as 2026-03-01T10:00:00+08:00")
    if not 1970 < value.year < 2200:  # nanoseconds of others do not fit into the books
        raise ValueError("must lie between 1971 and 2199")
    return value


def _as_list(value: object) -> object:
    return [{"of": value}] if isinstance(value, str) else value


Time = Annotated[datetime, BeforeValidator(_written), AfterValidator(_offset)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=_SHORT)]


class _Membership(Strict):
    of: Name
    since: Day | None = None
    until: Day | None = None


class _Epoch(Strict):
    since: Time | None = None
    serial: ShortText | None = None
    ct: Positive | None = None
    pt: Positive | None = None
    digits: Annotated[int, Field(ge=1, le=20)] | None = None
    modulus: Positive | None = None
    unit: ShortText | None = None
    factor: Positive | None = None
    reference: Reference | None = None
    final: Exact | None = None
    initial: Exact | None = None


class SteamSettings(Strict):
    """The state of steam: pressure absolute; without a temperature it is dry saturated."""

    since: Time | None = None
    pressure_mpa: Positive
    temperature_c: Exact | None = None
    feed_c: Exact


class _Meter(Strict):
    device: Name
    carrier: Carrier
    flow: Flow
    point: str | None = None
    limit: Positive | None = None
    accuracy: NotNegative | None = None
    level: Annotated[int, Field(ge=1, le=3)] | None = None
    cost_centre: ShortText | None = None
    calibration_due: Day | None = None
    check: Name | None = None
    since: Day | None = None
    until: Day | None = None
    epochs: tuple[_Epoch, ...] = ()
    steam: Annotated[tuple[SteamSettings, ...], BeforeValidator(one_or_more)] = ()


class _Virtual(Strict):
    id: Name
    carrier: Carrier
    flow: Flow = Flow.IMPORT
    expression: Text


class EntityForm(Strict):
    """One entity as it is written."""

    model_config = ConfigDict(populate_by_name=True)

    id: Name
    kind: EntityKind
    name: Names
    industry: Annotated[str, StringConstraints(pattern=r"^[A-T]?\d{2,4}$|^[A-T]$")] | None = None
    products: tuple[Name, ...] = ()
    cost_centre: ShortText | None = None
    in_: Annotated[tuple[_Membership, ...], BeforeValidator(_as_list), Field(alias="in")] = ()
    meters: tuple[_Meter, ...] = ()
    virtual: tuple[_Virtual, ...] = ()
    equipment: Annotated[tuple[EquipmentForm, ...], BeforeValidator(one_or_more)] = ()


class EntitiesForm(Strict):
    """A file: entities of each site by its name, and those above plants."""

    sites: dict[Name, tuple[EntityForm, ...]] = Field(default_factory=dict)
    upper: tuple[EntityForm, ...] = ()


def load_entities(path: Path) -> Entities:
    """Read and check a file; raises ConfigError."""
    return entities_in(load_file(path))


def entities_in(document: Document) -> Entities:
    """The entities of a loaded file; raises ConfigError with a line for every mistake."""
    form = validate(EntitiesForm, document)
    paths: list[KeyPath] = [("upper", place) for place in range(len(form.upper))]
    paths += [("sites", site, place) for site, found in form.sites.items() for place in range(len(found))]
    found = all_of(form)
    wrong = mistakes(found)
    if wrong:
        raise ConfigError("\n".join(str(_told(mistake, paths, document)) for mistake in wrong))
    return entities_of(found)


def _told(mistake: Mistake, paths: Sequence[KeyPath], document: Document) -> ConfigError:
    return document.error((*paths[mistake.place], *mistake.path), mistake.message)


def all_of(form: EntitiesForm) -> tuple[Entity, ...]:
    """The entities of a form, unchecked: those above plants first."""
    upper = {found.id for found in form.upper}
    return (
        *(entity_of(None, found, upper) for found in form.upper),
        *(entity_of(site, one, upper) for site, found in form.sites.items() for one in found),
    )


def entity_of(site: str | None, form: EntityForm, upper: set[str]) -> Entity:
    """One entity; a plant is part of one of `upper`, all others of one of their own site."""
    outside = site is None or form.kind is EntityKind.PLANT
    return Entity(
        site=site,
        id=form.id,
        kind=form.kind,
        name=form.name.as_mapping(),
        industry=form.industry,
        products=form.products,
        cost_centre=form.cost_centre,
        memberships=tuple(
            Membership(
                parent=found.of if outside and found.of in upper else key_of(site, found.of),
                since=found.since,
                until=found.until,
            )
            for found in form.in_
        ),
        meters=tuple(_meter(found) for found in form.meters),
        virtual=tuple(VirtualMeter(**dict(found)) for found in form.virtual),
        equipment=tuple(entry_of(found) for found in form.equipment),
    )


def _meter(form: _Meter) -> EntityMeter:
    values: dict[str, Any] = dict(form)
    values["epochs"] = tuple(_epoch(found) for found in form.epochs)
    values["steam"] = steam_of(form.steam)
    return EntityMeter(**values)


def steam_of(form: Sequence[SteamSettings]) -> tuple[Steam, ...]:
    """The states of a meter, unchecked."""
    return tuple(
        Steam(
            pressure_mpa=found.pressure_mpa,
            temperature_c=found.temperature_c,
            feed_c=found.feed_c,
            since=None if found.since is None else _ns(found.since),
        )
        for found in form
    )


def _epoch(form: _Epoch) -> MeterEpoch:
    values: dict[str, Any] = dict(form)
    values["since"] = None if form.since is None else _ns(form.since)
    values["reference"] = None if form.reference is None else form.reference.conditions
    return MeterEpoch(**values)


def _ns(at: datetime) -> int:
    past = at - _EPOCH
    return (past.days * 86_400 + past.seconds) * NS + past.microseconds * 1000


# --- the way back


def document_of(entities: Entities) -> dict[str, Any]:
    """What a file with these entities holds; defaults are left out."""
    sites: dict[str, Any] = {}
    for entity in entities:
        if entity.site is not None:
            sites.setdefault(entity.site, []).append(form_of(entity))
    upper = [form_of(entity) for entity in entities.of(None)]
    return ({"upper": upper} if upper else {}) | {"sites": sites}


def form_of(entity: Entity) -> dict[str, Any]:
    """One entity as a file holds it."""
    places = [
        _filled({"of": found.parent.rpartition("/")[2], "since": found.since, "until": found.until})
        for found in entity.memberships
    ]
    plain = [list(place) for place in places] == [["of"]]
    return _filled(
        {
            "id": entity.id,
            "kind": entity.kind.value,
            "name": dict(entity.name),
            "industry": entity.industry,
            "products": list(entity.products),
            "cost_centre": entity.cost_centre,
            "in": places[0]["of"] if plain else places,
            "meters": [_meter_form(meter) for meter in entity.meters],
            "virtual": [
                {"id": one.id, "carrier": one.carrier.value, "flow": one.flow.value, "expression": one.expression}
                for one in entity.virtual
            ],
            "equipment": [_filled(entry_form(entry)) for entry in entity.equipment],
        }
    )


def _meter_form(meter: EntityMeter) -> dict[str, Any]:
    kept = {name: getattr(meter, name) for name in _Meter.model_fields if name not in {"epochs", "steam"}}
    dated = {
        "epochs": [_dated_form(epoch, _Epoch) for epoch in meter.epochs],
        "steam": [_dated_form(steam, SteamSettings) for steam in meter.steam],
    }
    return _filled(kept | dated)


def _dated_form(found: MeterEpoch | Steam, form: type[Strict]) -> dict[str, Any]:
    kept = {name: getattr(found, name) for name in form.model_fields}
    if found.since is not None:
        seconds, rest = divmod(found.since, NS)
        at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
        kept["since"] = at.isoformat().replace("+00:00", "Z")
    return _filled(kept)


def _filled(found: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty; days as text, exact numbers as text, words of enums."""
    return {key: _plain(value) for key, value in found.items() if value not in (None, [], ())}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, GasReference):
        return reference_form(value)
    if isinstance(value, Carrier | Flow):
        return value.value
    return value.isoformat() if isinstance(value, date) else value


def to_yaml(entities: Entities) -> str:
    """A file that reads back as the same entities."""
    return yaml.safe_dump(document_of(entities), allow_unicode=True, sort_keys=False, width=120)
