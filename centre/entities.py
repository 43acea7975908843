"""Entities: what energy is accounted for, from equipment to city, with dated membership, meters and their epochs.

Days are local days of the site, spans are [since, until); None is open on that side.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from centre.accounting.registers import Replacement
from centre.accounting.terms import convert
from centre.accounting.utilities import TRADE, GasReference, conversion
from centre.carriers import CARRIERS, Carrier, Flow
from centre.equipment import EquipmentEntry
from centre.plant import Meter
from centre.steam import MASS_UNIT, Steam


class EntityKind(StrEnum):
    """From the smallest to the largest; what contains another must not be smaller."""

    EQUIPMENT = "equipment"
    LINE = "line"
    WORKSHOP = "workshop"
    PLANT = "plant"
    PARK = "park"
    DISTRICT = "district"
    CITY = "city"

    @property
    def rank(self) -> int:
        return tuple(EntityKind).index(self)

    @property
    def above_plants(self) -> bool:
        """Whether it stands above plants, and so belongs to no site."""
        return self.rank > EntityKind.PLANT.rank


def key_of(site: str | None, id_: str) -> str:
    """How an entity is named everywhere: `SITE/ID`, above plants `ID`."""
    return id_ if site is None else f"{site}/{id_}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The entity is part of `parent` (a key) from `since` to before `until`."""

    parent: str
    since: date | None = None
    until: date | None = None

    def covers(self, day: date) -> bool:
        return covers(self.since, self.until, day)


def covers(since: date | None, until: date | None, day: date) -> bool:
    """Whether `day` lies in [since, until)."""
    return (since is None or since <= day) and (until is None or day < until)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterEpoch:
    """One physical meter from `since` (UTC ns; None: from the beginning) on.

    `ct`, `pt` are the ratios of its transformers, `unit` what its register shows, `digits` how many of them stand
    before the point; `factor` and `modulus` say outright what follows from these. `reference`: the conditions at which
    it states volumes of gas; they are brought to those of trade upon that. `final` is the last value of the meter
    before, `initial` its own first one.
    """

    since: int | None = None
    serial: str | None = None
    ct: Decimal | None = None
    pt: Decimal | None = None
    digits: int | None = None
    modulus: Decimal | None = None
    unit: str | None = None
    factor: Decimal | None = None
    reference: GasReference | None = None
    final: Decimal | None = None
    initial: Decimal | None = None

    def scale(self, unit: str) -> Decimal:
        """What its register is multiplied by to count in `unit`, gas at TRADE: CT x PT unless told; raises."""
        transformed = convert((self.ct or _ONE) * (self.pt or _ONE), self.unit or unit, unit)
        factor = transformed if self.factor is None else self.factor
        return factor if self.reference is None else factor * conversion(self.reference, TRADE)

    @property
    def width(self) -> Decimal | None:
        """Where its register rolls over, as far as somebody said so."""
        return self.modulus or (None if self.digits is None else Decimal(10) ** self.digits)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMeter:
    """A device that counts one flow of a carrier across the boundary of its entity; see plant.Meter.

    `level`: of GB 17167 (1 the user, 2 main sub-units, 3 main equipment). `accuracy`: class in percent. `check`: the
    device beside it that counts the same, whose energy stands in where this one has none. `steam`: see plant.Meter.
    """

    device: str
    carrier: Carrier
    flow: Flow
    point: str | None = None
    limit: Decimal | None = None
    accuracy: Decimal | None = None
    level: int | None = None
    cost_centre: str | None = None
    calibration_due: date | None = None
    check: str | None = None
    since: date | None = None
    until: date | None = None
    epochs: tuple[MeterEpoch, ...] = ()
    steam: tuple[Steam, ...] = ()

    @property
    def register_unit(self) -> str:
        """What its register is scaled to by CT, PT and unit."""
        return MASS_UNIT if self.steam else CARRIERS[self.carrier].unit

    @property
    def meter(self) -> Meter:
        """As the accounting takes it: a first factor is one that was always there."""
        unit = self.register_unit
        return Meter(
            device=self.device,
            carrier=self.carrier,
            flow=self.flow,
            point=self.point,
            limit=self.limit,
            accuracy=self.accuracy,
            check=self.check,
            replaced=tuple(
                Replacement(
                    at=epoch.since or 0,
                    final=epoch.final or _ZERO,
                    initial=epoch.initial or _ZERO,
                    factor=epoch.scale(unit),
                    modulus=epoch.width,
                    stated=epoch.reference,
                )
                for epoch in self.epochs
                if epoch.since is not None
                or epoch.scale(unit) != 1
                or epoch.width is not None
                or epoch.reference is not None
            ),
            steam=self.steam,
        )


_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualMeter:
    """A meter that is computed from others of its site, by a formula of expression.py."""

    id: str
    carrier: Carrier
    flow: Flow
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """`industry` is a code of GB/T 4754, `products` what it makes, `site` None above plants.

    `equipment` is what the ledger knows of a machine, by date.
    """

    site: str | None
    id: str
    kind: EntityKind
    name: Mapping[str, str]
    industry: str | None = None
    products: tuple[str, ...] = ()
    cost_centre: str | None = None
    memberships: tuple[Membership, ...] = ()
    meters: tuple[EntityMeter, ...] = ()
    virtual: tuple[VirtualMeter, ...] = ()
    equipment: tuple[EquipmentEntry, ...] = ()

    @property
    def key(self) -> str:
        return key_of(self.site, self.id)

    def parent_on(self, day: date) -> str | None:
        """The key of what contains it on `day`."""
        return next((found.parent for found in self.memberships if found.covers(day)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entities:
    """All entities in the order of their file, which is the order of children too."""

    by_key: Mapping[str, Entity]

    def __iter__(self) -> Iterator[Entity]:
        return iter(self.by_key.values())

    def of(self, site: str | None) -> tuple[Entity, ...]:
        """Those of a site; of None: those above plants."""
        return tuple(entity for entity in self if entity.site == site)

    def plant(self, site: str) -> Entity | None:
        """The entity that is the whole site."""
        return next((entity for entity in self.of(site) if entity.kind is EntityKind.PLANT), None)


def entities_of(found: tuple[Entity, ...]) -> Entities:
    """By key; of two with one key the later counts, entities_rules tells of it."""
    return Entities(by_key={entity.key: entity for entity in found})
