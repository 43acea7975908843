"""The keys `upper` and `levels` of centre.yaml: the centre above this one, and what a centre above others rolls up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from centre.accounting.factor_choice import FactorPolicy
from centre.accounting.factor_policies import NamedPolicy
from centre.accounting.file_types import Exact
from centre.carriers import Carrier, Flow
from centre.entities import Entities
from centre.forwarding_raw_rule import RawRule
from centre.plant import Node, Plant
from centre.store.base import Grain
from centre.upper_statistics import Disclosure
from metering.lineprotocol import check_name
from wattline.broker_settings import BrokerSettings
from wattline.clock import NS
from wattline.errors import ConfigError
from wattline.strict_yaml import Document, Strict
from wattline.units import Duration

_ENERGY: Final = "comprehensive-energy"
_CARBON: Final = "monthly-statement"

Name = Annotated[str, AfterValidator(check_name)]


def _zone(name: str) -> str:
    try:
        datetime.now(ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        raise ValueError("is no time zone; write a name such as Asia/Shanghai") from None
    return name


def _meter(text: str) -> str:
    site, slash, node = text.partition("/")
    if not slash:
        raise ValueError("must be SITE/NODE, such as firm-a/steam-to-b")
    return f"{check_name(site)}/{check_name(node)}"


class RawSettings(Strict):
    """Raw readings are given to the centre above when it asks: of which meters (default: all), and how much."""

    devices: tuple[Name, ...] | None = None
    longest: Duration = Decimal(31 * 86_400)
    most: Annotated[int, Field(ge=1)] = 1_000_000
    per_minute: Annotated[int, Field(ge=1)] = 60_000

    def rule(self) -> RawRule:
        """As it is asked for each request."""
        return RawRule(
            devices=self.devices, longest_ns=int(self.longest * NS), most=self.most, per_minute=self.per_minute
        )


class UpperSettings(Strict):
    """Where closed intervals are forwarded to; `name` is this centre's own on the topics of its sites."""

    name: Name
    broker: BrokerSettings
    grains: Annotated[tuple[Grain, ...], Field(min_length=1)] = (Grain.HOUR, Grain.DAY, Grain.MONTH)
    raw: RawSettings | None = None


class _Member(Strict):
    site: Name
    zone: Annotated[str, AfterValidator(_zone)]
    region: str
    metering_day: Annotated[int, Field(ge=1, le=28)] = 1


class _Transfer(Strict):
    giver: Name
    taker: Name
    meter: Annotated[str, AfterValidator(_meter)]
    carrier: Carrier
    flow: Flow


class DominanceSettings(Strict):
    """Statistics leave out a group whose `firms` largest members make `percent` of it or more."""

    firms: Annotated[int, Field(ge=1, le=2)] = 2
    percent: Annotated[Exact, Field(gt=0, lt=100)] = Decimal(85)


class LevelsSettings(Strict):
    """The sites whose centres forward to this one, and what they pass to each other."""

    members: Annotated[tuple[_Member, ...], Field(min_length=1)]
    transfers: tuple[_Transfer, ...] = ()
    smallest_group: Annotated[int, Field(ge=3)] = 5
    dominance: DominanceSettings = DominanceSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferMeter:
    """Where it is counted what `giver` passes to `taker` (sites): a node of either, as its centre forwards it."""

    giver: str
    taker: str
    site: str
    node: str
    carrier: Carrier
    flow: Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """`members` by site, each with the node that is the whole plant; the policies by which factors are chosen."""

    members: Mapping[str, Plant]
    transfers: tuple[TransferMeter, ...]
    disclosure: Disclosure
    energy: FactorPolicy
    carbon: FactorPolicy


def levels_of(
    found: LevelsSettings,
    listed: Entities,
    policies: Mapping[str, NamedPolicy],
    regions: Sequence[str],
    document: Document,
) -> Levels:
    """Checked against the entities of the settings; raises ConfigError."""
    mistakes: list[ConfigError] = []
    members: dict[str, Plant] = {}
    for place, member in enumerate(found.members):
        at = ("levels", "members", place)
        root = listed.plant(member.site)
        if root is None:
            mistakes.append(document.error((*at, "site"), f"{member.site} has no plant in the file of `entities`"))
            continue
        if member.site in members:
            mistakes.append(document.error((*at, "site"), f"{member.site} stands here a second time"))
        if member.region not in regions:
            mistakes.append(document.error((*at, "region"), f"no grid factor for it: {', '.join(sorted(regions))}"))
        members[member.site] = Plant(
            site=member.site,
            name=root.name,
            zone=ZoneInfo(member.zone),
            region=member.region,
            tree=Node(id=root.id, name=root.name, meters=(), children=()),
            metering_day=member.metering_day,
        )
    transfers: list[TransferMeter] = []
    for place, transfer in enumerate(found.transfers):
        at = ("levels", "transfers", place)
        site, _, node = transfer.meter.partition("/")
        for key, one in (("giver", transfer.giver), ("taker", transfer.taker)):
            if one not in members:
                mistakes.append(document.error((*at, key), f"{one} is no member"))
        if transfer.giver == transfer.taker:
            mistakes.append(document.error((*at, "taker"), "is the giver itself"))
        if site not in {transfer.giver, transfer.taker}:
            mistakes.append(document.error((*at, "meter"), "belongs to neither giver nor taker"))
        what = (transfer.meter, transfer.carrier, transfer.flow)
        if any(what == (other.meter, other.carrier, other.flow) for other in found.transfers[:place]):
            mistakes.append(document.error((*at, "meter"), "counts another transfer already"))
        transfers.append(
            TransferMeter(
                giver=transfer.giver,
                taker=transfer.taker,
                site=site,
                node=node,
                carrier=transfer.carrier,
                flow=transfer.flow,
            )
        )
    if mistakes:
        raise ConfigError("\n".join(str(mistake) for mistake in mistakes))
    return Levels(
        members=members,
        transfers=tuple(transfers),
        disclosure=Disclosure(
            smallest=found.smallest_group, largest=found.dominance.firms, percent=found.dominance.percent
        ),
        energy=policies[_ENERGY].policy,
        carbon=policies[_CARBON].policy,
    )
