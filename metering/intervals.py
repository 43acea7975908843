"""Intervals on their way to the centre above: gzipped line protocol like a parcel of readings, exact to the last digit.

    interval,site=S,node=plant,carrier=electricity,flow=import,grain=day end=1767312000000000000i,unit="kWh",
        revision=1767312060000i,amount="123.450",estimated="0",shares="E=0.1 M=0.9" 1767225600000000000
    wattline_intervals,site=S,centre=C version=1i,epoch=12i,seq=3i,intervals=1i 1767225600000000000

The time of a line is the start of its interval. An amount that is not known is left out, with `reason` in its place.
With the reason WITHDRAWN an interval that was sent should not be counted any more; with NOT_METERED nothing is to come.
"""

import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from metering.lineprotocol import Line, check_name, parse_line
from metering.parcel import ParcelError, ParcelId, inflated

VERSION: Final = 1
INTERVAL: Final = "interval"
MEASUREMENT: Final = "wattline_intervals"
GRAINS: Final = ("15min", "hour", "day", "month")
MAX_INTERVALS: Final = 5000
WITHDRAWN: Final = "withdrawn: the tree of that time has no such interval, or it is not closed"
NOT_METERED: Final = "withdrawn: no meter counts it at that time"
_MAX_NUMBER: Final = 2**53  # of epoch, seq and revision: exact in every JSON reader
_MAX_TIME: Final = 2**63
_LEVEL: Final = 1
_EXACT: Final = re.compile(r"-?\d{1,40}(\.\d{1,40})?")
_SHARE: Final = re.compile(r"([A-Z])=(\d(?:\.\d{1,12})?)")
_UNIT: Final = re.compile(r"[A-Za-z0-9./]{1,16}")
_REASON: Final = re.compile(r"[ -~]{1,300}")
_TAGS: Final = ("site", "node", "carrier", "flow", "grain")


class IntervalsError(ValueError):
    """Bytes that are no intervals of a version we know; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInterval:
    """What crossed the boundary of a node in [start, end) (UTC ns): one carrier, one flow.

    `amount` None: not known, for `reason`. `estimated` of it is an estimate; `shares`: quality flag -> share. A higher
    `revision` of the same interval replaces a lower one.
    """

    site: str
    node: str
    carrier: str
    flow: str
    grain: str
    start: int
    end: int
    unit: str
    amount: Decimal | None
    estimated: Decimal
    shares: tuple[tuple[str, Decimal], ...]
    revision: int
    reason: str | None = None

    def __post_init__(self) -> None:
        """Raises IntervalsError for what could not be written or would make no sense."""
        try:
            for name in (self.site, self.node, self.carrier, self.flow):
                check_name(name)
        except ValueError as err:
            raise IntervalsError(str(err)) from err
        wrong = {
            "grain": self.grain not in GRAINS,
            "time": not 0 <= self.start < self.end < _MAX_TIME,
            "unit": not _UNIT.fullmatch(self.unit),
            "revision": not 0 < self.revision < _MAX_NUMBER,
            "reason": (self.amount is None) != (self.reason is not None),
            "text of reason": self.reason is not None and not _REASON.fullmatch(self.reason),
            "number": any(not _EXACT.fullmatch(f"{found:f}") for found in (self.estimated, self.amount or Decimal(0))),
            "shares": _shares(_text_of(self.shares)) != self.shares,
        }
        if found := [what for what, is_wrong in wrong.items() if is_wrong]:
            raise IntervalsError(f"interval of {self.site}/{self.node} at {self.start}: wrong {', '.join(found)}")

    @property
    def key(self) -> tuple[str, str, str, str, str, int]:
        """What there is one interval of."""
        return self.site, self.node, self.carrier, self.flow, self.grain, self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalParcel:
    """Intervals of one site that a centre sends together."""

    site: str
    centre: str
    id: ParcelId
    intervals: tuple[NodeInterval, ...]


def seal_intervals(parcel: IntervalParcel) -> bytes:
    """The bytes of a parcel that is not empty, its own line last; the same parcel gives the same bytes."""
    lines = [_line(interval) for interval in parcel.intervals]
    lines.append(
        f"{MEASUREMENT},site={check_name(parcel.site)},centre={check_name(parcel.centre)} version={VERSION}i,"
        f"epoch={parcel.id.epoch}i,seq={parcel.id.seq}i,intervals={len(parcel.intervals)}i"
        f" {parcel.intervals[-1].start}\n"
    )
    return gzip.compress("\n".join(lines).encode(), _LEVEL, mtime=0)


def open_intervals(body: bytes) -> IntervalParcel:
    """Decode a parcel's bytes; raises IntervalsError. Never expands to more than a parcel of readings may."""
    try:
        lines = [parse_line(text) for text in inflated(body).splitlines() if text]
        if not lines or lines[-1].measurement != MEASUREMENT:
            raise IntervalsError(f"does not end with its {MEASUREMENT} line")
        own = lines.pop()
        if own.fields.get("version") != VERSION:
            raise IntervalsError(f"is of version {own.fields.get('version')}, this centre reads version {VERSION}")
        if len(lines) != _whole(own, "intervals") or not 0 < len(lines) <= MAX_INTERVALS:
            raise IntervalsError(f"holds {len(lines)} intervals, not what its line says, or too many")
        parcel = IntervalParcel(
            site=check_name(own.tags["site"]),
            centre=check_name(own.tags["centre"]),
            id=ParcelId(epoch=_whole(own, "epoch"), seq=_whole(own, "seq")),
            intervals=tuple(_interval(line) for line in lines),
        )
    except IntervalsError:
        raise
    except KeyError as err:
        raise IntervalsError(f"lacks {err}") from err
    except (ParcelError, zlib.error, ValueError) as err:
        raise IntervalsError(f"cannot be read: {err}") from err
    if not (0 < parcel.id.epoch < _MAX_NUMBER and 0 < parcel.id.seq < _MAX_NUMBER):
        raise IntervalsError(f"epoch {parcel.id.epoch}, seq {parcel.id.seq}: out of range")
    if any(interval.site != parcel.site for interval in parcel.intervals):
        raise IntervalsError(f"holds intervals that are not of {parcel.site}")
    return parcel


def _line(interval: NodeInterval) -> str:
    tags = ",".join(f"{name}={getattr(interval, name)}" for name in _TAGS)
    known = f'reason="{_quoted(interval.reason or "")}"' if interval.amount is None else f'amount="{interval.amount:f}"'
    return (
        f'{INTERVAL},{tags} end={interval.end}i,unit="{interval.unit}",revision={interval.revision}i,{known},'
        f'estimated="{interval.estimated:f}",shares="{_text_of(interval.shares)}" {interval.start}'
    )


def _interval(line: Line) -> NodeInterval:
    if line.measurement != INTERVAL:
        raise IntervalsError(f"measurement {line.measurement!r} is not known here")
    reason = line.fields.get("reason")
    return NodeInterval(
        **{name: line.tags[name] for name in _TAGS},
        start=line.time_ns,
        end=_whole(line, "end"),
        unit=_text(line, "unit"),
        amount=None if reason is not None and "amount" not in line.fields else _exact(_text(line, "amount")),
        estimated=_exact(_text(line, "estimated")),
        shares=_shares(_text(line, "shares")),
        revision=_whole(line, "revision"),
        reason=None if reason is None else _text(line, "reason"),
    )


def _whole(line: Line, name: str) -> int:
    found = line.fields[name]
    if not isinstance(found, int):
        raise IntervalsError(f"{name} is no whole number")
    return found


def _text(line: Line, name: str) -> str:
    found = line.fields[name]
    if not isinstance(found, str):
        raise IntervalsError(f"{name} is no text")
    return found


def _exact(text: str) -> Decimal:
    if not _EXACT.fullmatch(text):
        raise IntervalsError(f"{text[:60]!r} is no exact number")
    return Decimal(text)


def _text_of(shares: Sequence[tuple[str, Decimal]]) -> str:
    return " ".join(f"{flag}={share:f}" for flag, share in shares)


def _shares(text: str) -> tuple[tuple[str, Decimal], ...]:
    found = [_SHARE.fullmatch(part) for part in text.split()]
    if any(match is None for match in found):
        raise IntervalsError(f"{text[:60]!r} are no shares")
    return tuple((match[1], Decimal(match[2])) for match in found if match is not None)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
