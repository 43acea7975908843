"""Which raw readings a centre gives to the one above it: what a request means here, and why it is refused. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from centre.carriers import Carrier
from centre.day import boundary
from centre.plant import Plant
from centre.points import MeterPoints
from centre.store.base import SeriesKey
from metering.raw import Ask

NOT_OPEN: Final = "raw_readings_are_not_given"
METER_NOT_OPEN: Final = "not_given_of"
UNKNOWN_METER: Final = "unknown_meter"
UNKNOWN_NODE: Final = "unknown_node"
NO_REGISTER: Final = "no_register_known"
NOT_OVER: Final = "time_is_not_over"
TOO_LONG: Final = "time_too_long"
TOO_MANY: Final = "too_many_readings"
ID_TAKEN: Final = "id_of_another_request"
WRONG_PLACE: Final = "no_place_in_this_answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRule:
    """`devices` None: all. At most `most` readings a request, `per_minute` in all; `longest_ns` of time."""

    devices: Collection[str] | None
    longest_ns: int
    most: int
    per_minute: int


def devices_of(plant: Plant, ask: Ask) -> list[str] | None:
    """The meters that are asked for: one, or all that a node's figures are made of; None: nothing has that name."""
    if ask.device is not None:
        return [ask.device] if any(meter.device == ask.device for meter in plant.meters()) else None
    node = next((node for node in plant.tree.walk() if node.id == ask.node), None)
    if node is None:
        return None
    return sorted({meter.device for carrier in Carrier for meter in boundary(node, carrier)[0]})


def refusal(rule: RawRule | None, plant: Plant, ask: Ask, now_ns: int) -> str | None:
    """Why a request is refused whatever is stored; None: it is not."""
    if rule is None:
        return NOT_OPEN
    devices = devices_of(plant, ask)
    if devices is None:
        return UNKNOWN_NODE if ask.device is None else UNKNOWN_METER
    if shut := [device for device in devices if rule.devices is not None and device not in rule.devices]:
        return f"{METER_NOT_OPEN}: {', '.join(shut)}"[:200]
    if ask.end > now_ns:
        return NOT_OVER
    return TOO_LONG if ask.end - ask.start > rule.longest_ns else None


def too_many(rule: RawRule, given: Mapping[str, int]) -> str | None:
    """Why a request is refused for what is stored."""
    found = sum(given.values())
    return f"{TOO_MANY}: {found}" if found > rule.most else None


def registers_of(points: Sequence[MeterPoints], devices: Collection[str]) -> list[SeriesKey]:
    """What the figures of meters are counted from, in the order in which it is sent."""
    return sorted({one.counter for one in points if one.counter is not None and one.meter.device in devices})


def place_of(series: SeriesKey, at: int) -> str:
    """Where in an answer a reading stands."""
    return f"{series.device}/{series.point}/{at}"


def goes_on(registers: Sequence[SeriesKey], ask: Ask) -> tuple[SeriesKey, int] | None:
    """The register and time from which an answer goes on; None: nothing more. ValueError: this is no place of ours."""
    if not ask.place:
        return (registers[0], ask.start) if registers else None
    device, point, at = ask.place.split("/")
    if not ask.start <= int(at) <= ask.end:
        raise ValueError("a time that was not asked for")
    for series in registers:
        if (series.device, series.point) == (device, point):
            return series, int(at)
        if (series.device, series.point) > (device, point):  # that one is counted no more
            return series, ask.start
    return None
