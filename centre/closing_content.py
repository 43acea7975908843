"""What is signed when a month is closed, in its one canonical form: meters and digests of their inputs, figures, ids.

Pure: the same accounted intervals, factors and program give the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from centre.accounting.calendar import Month, month_bounds
from centre.accounting.corrections import MeterMonth, Move, changes, headlines, moves
from centre.accounting.intervals import Interval, merge
from centre.accounting.quality import completeness, flag_shares
from centre.day import Place
from centre.json_views import plain
from centre.manual_meters import ManualMeter
from centre.plant import Plant
from centre.points import MeterPoints
from wattline import __version__

SOFTWARE: Final = f"wattline {__version__}"
_FORM: Final = 1
_TREE: Final = "the tree was changed"
_OUTLETS: Final = "what left by the outlets is another"
_REACTIVE: Final = "the reactive energy is another"
_CERTIFICATES: Final = "other certificates were used for it"


Tree = Mapping[str, Sequence[str]]
"""NODE/carrier -> the meters that counted it and on which days: what a month's amounts are sums of."""


Headline = Mapping[str, tuple[Decimal | None, str]]
"""Figures by name: value and unit."""


def _none() -> dict[str, tuple[Decimal | None, str]]:
    return {}


def _no_certificates() -> dict[str, Sequence[str]]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Which meters counted in a month, and for which nodes; what is known now beside them.

    `outlets`: what left by them. `reactive`: the reactive energy of the grid connection by its meters.
    `certificates`: the ids of those retired for a place, or no longer its own to claim. `manual`: the meters that
    somebody reads by hand.
    """

    points: tuple[MeterPoints, ...]
    tree: Tree
    outlets: Headline = field(default_factory=_none)
    reactive: Headline = field(default_factory=_none)
    certificates: Mapping[str, Sequence[str]] = field(default_factory=_no_certificates)
    manual: Mapping[Place, ManualMeter] = field(default_factory=dict[Place, ManualMeter])


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The plant's figures of a month: `content` in full, `headline` name -> (value, unit), ids they rest on.

    `nodes` are the amounts of every node: NODE/carrier -> (value, unit). `machines` is the equipment ledger.
    """

    content: Any
    headline: Headline
    nodes: Headline = field(default_factory=_none)
    machines: Headline = field(default_factory=_none)
    factors: Sequence[str] = ()
    tariffs: Sequence[str] = ()


def canonical(value: object) -> bytes:
    """The one form of a JSON value: sorted keys, no spaces, UTF-8."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


def digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def meter_month(points: MeterPoints, quarters: Sequence[Interval], start: int, end: int) -> MeterMonth:
    """One meter's month of its quarters of an hour."""
    whole = merge(quarters, start=start, end=end)
    return MeterMonth(
        device=points.meter.device,
        carrier=points.meter.carrier.value,
        flow=points.meter.flow.value,
        point=None if points.counter is None else points.counter.point,
        unit=points.unit,
        amount=None if whole.amount is None else whole.amount.normalize(),
        shares=dict(flag_shares([replace(whole, open=False)])),
        completeness=completeness(quarters, start=start, end=end),
        readings=whole.readings,
        inputs=digest(canonical([_input(quarter) for quarter in quarters])),
    )


def _input(part: Interval) -> tuple[object, ...]:
    """All that a figure can rest on: neither its revision, which the order of arrival makes, nor that it was open."""
    amount = None if part.amount is None else part.amount.normalize()
    marked = tuple((flag, mark.normalize()) for flag, mark in part.marked)
    return (
        part.start, amount, part.estimated.normalize(), marked, part.known_ns, part.estimated_ns, part.readings,
        part.suspects, part.breaks,
    )  # fmt: skip


def content_of(
    plant: Plant, month: Month, meters: Sequence[MeterMonth], counted: Counted, figures: Figures
) -> dict[str, object]:
    """What is signed."""
    start, end = month_bounds(month, plant.zone, plant.metering_day)
    return {
        "form": _FORM, "site": plant.site, "month": str(month), "start_ns": start, "end_ns": end,
        "zone": plant.zone.key, "metering_day": plant.metering_day, "software": SOFTWARE,
        **_known(meters, counted, figures), "factors": sorted(set(figures.factors)),
        "tariffs": sorted(set(figures.tariffs)), "figures": figures.content,
    }  # fmt: skip


def _known(meters: Sequence[MeterMonth], counted: Counted, figures: Figures) -> dict[str, object]:
    """What corrections are told of."""
    told = {name: headline_json(figures_of) for name, figures_of in _figures(counted, figures).items()}
    return {"meters": meters, "tree": counted.tree, "certificates": counted.certificates, **told}


def _figures(counted: Counted, figures: Figures) -> dict[str, Headline]:
    return {
        "headline": figures.headline, "nodes": figures.nodes, "outlets": counted.outlets, "machines": figures.machines,
        "reactive": counted.reactive,
    }  # fmt: skip


def other(last: Mapping[str, Any], counted: Counted) -> tuple[str, ...]:
    """Why a month is another than `last` although its meters may be the same; what `last` does not tell is no other."""
    tree = moves(last.get("tree", counted.tree), counted.tree)
    outlets = headlines(_before(last, "outlets", counted.outlets), counted.outlets)
    reactive = headlines(_before(last, "reactive", counted.reactive), counted.reactive)
    reasons = {_TREE: tree, _OUTLETS: outlets, _REACTIVE: reactive, _CERTIFICATES: _certificates(last, counted)}
    return tuple(reason for reason, differs in reasons.items() if differs)


def correction_of(
    last: Mapping[str, Any], meters: Sequence[MeterMonth], counted: Counted, figures: Figures
) -> dict[str, object]:
    """What differs from `last`, which was signed or is `now` of the correction before, and what is known `now`."""
    return {
        "meters": changes([meter_of(told) for told in last["meters"]], meters),
        "tree": moves(last.get("tree", counted.tree), counted.tree),
        "certificates": _certificates(last, counted),
        **{name: headlines(_before(last, name, now), now) for name, now in _figures(counted, figures).items()},
        "now": _known(meters, counted, figures),
    }


def _certificates(last: Mapping[str, Any], counted: Counted) -> tuple[Move, ...]:
    return moves(last.get("certificates", counted.certificates), counted.certificates)


def _before(last: Mapping[str, Any], name: str, now: Headline) -> Headline:
    return headline_of(last[name]) if name in last else now


def headline_json(figures: Headline) -> dict[str, dict[str, object]]:
    """Figures by name as JSON."""
    return {name: {"value": value, "unit": unit} for name, (value, unit) in figures.items()}


def headline_of(told: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Decimal | None, str]]:
    """Figures by name out of JSON."""
    return {
        name: (None if entry["value"] is None else Decimal(entry["value"]), entry["unit"])
        for name, entry in told.items()
    }


def meter_of(told: Mapping[str, Any]) -> MeterMonth:
    """A meter's month out of JSON."""
    amount = told["amount"]
    return MeterMonth(
        device=told["device"],
        carrier=told["carrier"],
        flow=told["flow"],
        point=told["point"],
        unit=told["unit"],
        amount=None if amount is None else Decimal(amount),
        shares={flag: Decimal(share) for flag, share in told["shares"].items()},
        completeness=Decimal(told["completeness"]),
        readings=told["readings"],
        inputs=told["inputs"],
    )
