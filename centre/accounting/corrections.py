"""What came of the figures of a closed month afterwards: the difference of every meter, and what it is due to.

Pure. A closed figure stays as it was signed; the corrections beside it sum up to what is known now.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from centre.accounting.intervals import ZERO

Place = tuple[str, str, str]
"""Device, carrier, flow."""


class Cause(StrEnum):
    """Why a meter's month is another than before."""

    LATE_READINGS = "late_readings"
    ACCOUNTED_ANEW = "accounted_anew"
    METER_ADDED = "meter_added"
    METER_GONE = "meter_gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterMonth:
    """What a meter counted in a month. `inputs`: sha256 over all its intervals, so that nothing changes unseen."""

    device: str
    carrier: str
    flow: str
    point: str | None
    unit: str
    amount: Decimal | None
    shares: Mapping[str, Decimal]
    completeness: Decimal
    readings: int
    inputs: str

    @property
    def place(self) -> Place:
        return self.device, self.carrier, self.flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One meter before and after; `difference` is None where either is not known. Zero: only its quality changed."""

    device: str
    carrier: str
    flow: str
    unit: str
    before: Decimal | None
    after: Decimal | None
    difference: Decimal | None
    shares_before: Mapping[str, Decimal]
    shares_after: Mapping[str, Decimal]
    readings: int
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A figure of the whole plant before and after, such as scope 2; None while it is not known."""

    name: str
    unit: str
    before: Decimal | None
    after: Decimal | None
    difference: Decimal | None


def changes(before: Iterable[MeterMonth], after: Iterable[MeterMonth]) -> tuple[Change, ...]:
    """One for each meter that differs, in order of place; none when nothing does, in whatever order they come."""
    old = {meter.place: meter for meter in before}
    new = {meter.place: meter for meter in after}
    return tuple(
        _change(old.get(place), new.get(place))
        for place in sorted(old.keys() | new.keys())
        if old.get(place) != new.get(place)
    )


def _change(old: MeterMonth | None, new: MeterMonth | None) -> Change:
    known = new or old
    assert known is not None
    before, after = None if old is None else old.amount, None if new is None else new.amount
    readings = (0 if new is None else new.readings) - (0 if old is None else old.readings)
    if old is None or new is None:
        cause = Cause.METER_ADDED if old is None else Cause.METER_GONE
    else:
        cause = Cause.LATE_READINGS if readings else Cause.ACCOUNTED_ANEW
    return Change(
        device=known.device,
        carrier=known.carrier,
        flow=known.flow,
        unit=known.unit,
        before=before,
        after=after,
        difference=_difference(before, after, both=old is not None and new is not None),
        shares_before={} if old is None else old.shares,
        shares_after={} if new is None else new.shares,
        readings=readings,
        cause=cause,
    )


def _difference(before: Decimal | None, after: Decimal | None, *, both: bool) -> Decimal | None:
    """A meter that was not counted, or is not any more, counts as nothing; one without a figure as unknown."""
    if both and (before is None) != (after is None):
        return None
    return (after or ZERO) - (before or ZERO)


def headlines(
    before: Mapping[str, tuple[Decimal | None, str]], after: Mapping[str, tuple[Decimal | None, str]]
) -> tuple[Headline, ...]:
    """The figures (value, unit) by name that differ."""
    found: list[Headline] = []
    for name in sorted(before.keys() | after.keys()):
        (old, unit), (new, _) = before.get(name, after.get(name, (None, ""))), after.get(name, (None, ""))
        if old != new:
            difference = None if old is None or new is None else new - old
            found.append(Headline(name=name, unit=unit, before=old, after=new, difference=difference))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What the amount `of` (NODE/carrier) is the sum of, before and after."""

    of: str
    before: Sequence[str]
    after: Sequence[str]


def moves(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> tuple[Move, ...]:
    """The amounts that are sums of something else."""
    return tuple(
        Move(of=of, before=tuple(before.get(of, ())), after=tuple(after.get(of, ())))
        for of in sorted(before.keys() | after.keys())
        if tuple(before.get(of, ())) != tuple(after.get(of, ()))
    )


def lacking(meters: Sequence[MeterMonth], limit: Decimal) -> tuple[str, ...]:
    """The devices below the completeness (a share) that a month needs to be closed without a reason."""
    return tuple(sorted({meter.device for meter in meters if meter.completeness < limit}))
