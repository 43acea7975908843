"""What is signed when a month is closed, in its one canonical form: meters and digests of their inputs, figures, ids.

Pure: the same accounted intervals, factors and program give the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from centre.accounting.calendar import Month, month_bounds
from centre.accounting.corrections import MeterMonth
from centre.accounting.intervals import Interval, merge
from centre.accounting.quality import completeness, flag_shares
from centre.json_views import plain
from centre.plant import Plant
from centre.points import MeterPoints
from wattline import __version__

SOFTWARE: Final = f"wattline {__version__}"
_FORM: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The plant's figures of a month: `content` in full, `headline` name -> (value, unit), ids they rest on."""

    content: Any
    headline: Mapping[str, tuple[Decimal | None, str]]
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


def content_of(plant: Plant, month: Month, meters: Sequence[MeterMonth], figures: Figures) -> dict[str, object]:
    """What is signed."""
    start, end = month_bounds(month, plant.zone, plant.metering_day)
    return {
        "form": _FORM, "site": plant.site, "month": str(month), "start_ns": start, "end_ns": end,
        "zone": plant.zone.key, "metering_day": plant.metering_day, "software": SOFTWARE, "meters": meters,
        "headline": headline_json(figures), "factors": sorted(set(figures.factors)),
        "tariffs": sorted(set(figures.tariffs)), "figures": figures.content,
    }  # fmt: skip


def headline_json(figures: Figures) -> dict[str, dict[str, object]]:
    """The main figures as JSON."""
    return {name: {"value": value, "unit": unit} for name, (value, unit) in figures.headline.items()}


def headline_of(told: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Decimal | None, str]]:
    """The main figures out of JSON."""
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
